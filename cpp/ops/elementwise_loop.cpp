// How an elementwise kernel reaches its operands: in one run where all are dense, else through the
// strided walk, what is not dense or of another type by way of blocks.
#include "ops/elementwise_loop.h"

#include <algorithm>

#include "core/threads.h"
#include "ops/strided.h"

namespace lamina {
namespace {

constexpr int64_t kBlock = 512;  // elements per buffered operand: 5 x 4 kB, inside L1

int log2_size(DType d) { return __builtin_ctz(unsigned(item_size(d))); }
struct Feed {
  const char* data = nullptr;
  int64_t size = 0;       // bytes per element
  LoadFn load = nullptr;  // null: read in place
};

constexpr DType kHolder[3] = {DType::float32, DType::float64, DType::int64};  // by Compute

// What a launch costs per element: native ones move few bytes, others convert.
double element_cost(bool native, bool whole, int64_t size) {
  return native ? 0.05 * double(size) + 0.1 * !whole : whole ? 0.4 : 1.0;
}

// Runs f over operands that are all dense, of one shape and of the types it works in: one run with
// nothing to walk. False, and nothing done, when they are not.
bool dense_loop(BlockFn f, Compute via, const double* p, const Tensor& y, const Tensor* x, int n,
                bool native) {
  const auto fits = [&](const Tensor& t) {
    return (native || t.dtype() == kHolder[via]) && t.shape() == y.shape() && t.is_contiguous();
  };
  if (!fits(y)) return false;
  for (int i = 0; i < n; ++i)
    if (x[i].defined() && !fits(x[i])) return false;
  const int64_t numel = y.numel(), ysize = item_size(y.dtype());
  parallel_rows(numel, element_cost(native, true, ysize), [&](int64_t begin, int64_t end) {
    const void* args[kMaxOperands];
    for (int i = 0; i < n; ++i)
      args[i] = x[i].defined() ? x[i].data<char>() + begin * item_size(x[i].dtype()) : nullptr;
    f(y.data<char>() + begin * ysize, args, end - begin, p);
  });
  return true;
}

}  // namespace

void elementwise_loop(BlockFn f, Compute via, const double* p, const Tensor& y, const Tensor* x,
                      int n, bool native) {
  if (y.numel() == 0 || dense_loop(f, via, p, y, x, n, native)) return;
  const Kernels& k = cpu_kernels();
  StridedLoop loop(y.shape());
  loop.operand(y);
  Feed feed[kMaxOperands];
  int operand_of[kMaxOperands];
  for (int i = 0; i < n; ++i) {
    if (!x[i].defined()) continue;
    operand_of[i] = loop.operands;
    loop.operand(x[i]);
  }
  loop.merge();
  const bool direct = native || (y.dtype() == kHolder[via] && loop.inner(0) == 1);
  const StoreFn store = direct ? nullptr : k.store[int(y.dtype())][via];
  for (int i = 0; i < n; ++i) {
    if (!x[i].defined()) continue;
    feed[i].data = x[i].data<char>();
    feed[i].size = item_size(x[i].dtype());
    if (native)
      feed[i].load = loop.inner(operand_of[i]) == 1 ? nullptr : k.gather[log2_size(x[i].dtype())];
    else if (x[i].dtype() != kHolder[via] || loop.inner(operand_of[i]) != 1)
      feed[i].load = k.load[int(x[i].dtype())][via];
  }
  bool whole = direct;
  for (int i = 0; i < n; ++i)
    if (feed[i].load) whole = false;
  const int64_t spread = std::min(loop.shape[loop.nd - 1], kBlock);  // what a run asks of a value
  char* const yp = y.data<char>();
  const int64_t ysize = item_size(y.dtype());
  const double ns = element_cost(native, whole, ysize);
  parallel_rows(loop.numel, ns, [&](int64_t begin, int64_t end) {
    alignas(64) char buffer[kMaxOperands][kBlock * 8];
    const char* filled[kMaxOperands] = {};  // a broadcast value already spread over its buffer
    loop.runs(begin, end, [&](const int64_t* at, int64_t run) {
      const int64_t step = whole ? run : kBlock;
      for (int64_t b = 0; b < run; b += step) {
        const int64_t m = run - b < step ? run - b : step;
        const void* args[kMaxOperands] = {};
        for (int i = 0; i < n; ++i) {
          if (!feed[i].data) continue;
          const int o = operand_of[i];
          const int64_t stride = loop.inner(o);
          const char* src = feed[i].data + (at[o] + b * stride) * feed[i].size;
          if (!feed[i].load) {
            args[i] = src;
            continue;
          }
          args[i] = buffer[i];
          if (stride == 0 && filled[i] == src) continue;
          feed[i].load(buffer[i], src, stride, stride ? m : spread);
          filled[i] = stride ? nullptr : src;
        }
        if (direct) {
          f(yp + (at[0] + b) * ysize, args, m, p);
        } else {
          char* const out = buffer[kMaxOperands - 1];
          f(out, args, m, p);
          store(yp + (at[0] + b * loop.inner(0)) * ysize, loop.inner(0), out, m);
        }
      }
    });
  });
}

}  // namespace lamina
