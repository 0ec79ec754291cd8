// Loss scaling: g = g inv_scale for all gradients in one launch, with a note of what is not finite;
// and how the scale moves.
#include "ops/loss_scale.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "core/threads.h"
#include "ops/elementwise.h"
#include "ops/loss_scale_args.h"
#include "ops/ops.h"
#include "ops/strided.h"

namespace lamina {
namespace {

constexpr int64_t kBlock = 1024;  // elements at a time: within the first-level cache
constexpr double kCost = 0.3;     // nanoseconds per element

// Inputs: found_inf, the gradients, inv_scale.
struct UnscaleArgs {
  int gradients;
};
int unscale_written(const Call& c) { return 1 + c.args<UnscaleArgs>().gradients; }
void unscale_infer(Call& c) {
  for (int i = 1; i + 1 < c.in.size(); ++i)
    check(is_floating(c.in[i].dtype()) && c.in[i].is_contiguous(), ErrorKind::dtype,
          "unscale_: gradient ", i - 1, " must be a dense floating tensor, got ", c.in[i]);
}

// One block of a gradient; whether all of it is finite.
template <class T>
bool unscale_block(const Tensor& g, Compute via, int64_t at, int64_t n, T inv) {
  static const int mul = function_index("mul"), finite = function_index("isfinite");
  const Kernels& k = cpu_kernels();
  const int64_t size = item_size(g.dtype());
  char* const p = g.data<char>() + at * size;
  alignas(64) T block[kBlock], factor[kBlock], ok[kBlock];
  for (int64_t i = 0; i < n; ++i) factor[i] = inv;
  k.load[int(g.dtype())][via](block, p, 1, n);
  const void* values[kMaxOperands] = {block, factor};
  double none[3] = {};
  k.elementwise_value[finite][via](ok, values, n, none);
  k.elementwise_value[mul][via](block, values, n, none);
  k.store[int(g.dtype())][via](p, 1, block, n);
  T sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += ok[i];
  return sum == T(n);
}

void unscale_launch(Call& c) {
  const float inv = *c.in[c.in.size() - 1].data<float>();
  std::atomic<bool> bad{false};
  for (int i = 1; i + 1 < c.in.size(); ++i) {
    const Tensor& g = c.in[i];
    const Compute via = compute_type(g.dtype());
    const int64_t blocks = (g.numel() + kBlock - 1) / kBlock;
    parallel_rows(blocks, kCost * kBlock, [&](int64_t b, int64_t e) {
      for (; b < e; ++b) {
        const int64_t n = std::min(kBlock, g.numel() - b * kBlock);
        const bool ok = via == kF64 ? unscale_block<double>(g, via, b * kBlock, n, inv)
                                    : unscale_block<float>(g, via, b * kBlock, n, inv);
        if (!ok) bad.store(true, std::memory_order_relaxed);
      }
    });
  }
  if (bad) *c.in[0].data<float>() = 1;
}

const Op kUnscale{.name = "unscale_",
                  .infer = unscale_infer,
                  .launch = unscale_launch,
                  .differentiable = false,
                  .written = unscale_written};

// Inputs: scale, tracker, found_inf.
void update_infer(Call& c) {
  for (int i = 0; i < 3; ++i)
    check(c.in[i].numel() == 1 && c.in[i].dtype() == (i == 1 ? DType::int32 : DType::float32),
          ErrorKind::dtype, "update_scale_: expected float32 numbers and an int32 tracker, got ",
          c.in[i]);
}
void update_launch(Call& c) {
  const auto& a = c.args<ScaleArgs>();
  float& scale = *c.in[0].data<float>();
  int32_t& tracker = *c.in[1].data<int32_t>();
  if (*c.in[2].data<float>() != 0) {
    scale = float(double(scale) * a.backoff);
    tracker = 0;
  } else if (++tracker == a.interval) {
    const float grown = float(double(scale) * a.growth);
    if (std::isfinite(grown)) scale = grown;
    tracker = 0;
  }
}
const Op kUpdateScale{.name = "update_scale_",
                      .infer = update_infer,
                      .launch = update_launch,
                      .differentiable = false,
                      .writes = 0b11};

}  // namespace

void unscale_(const Tensors& grads, const Tensor& found_inf, const Tensor& inv_scale) {
  GradMode off(false);
  CallRef call =
      make_call(kUnscale, std::initializer_list<Tensor>{found_inf}, UnscaleArgs{int(grads.size())});
  for (const Tensor& g : grads) call->in.push_back(contiguous(g));
  call->in.push_back(inv_scale);
  const SmallVec<Tensor, 3> used = call->in;
  run(call);
  for (size_t i = 0; i < grads.size(); ++i)
    if (!used[int(i) + 1].same(grads[i])) copy_(grads[i], used[int(i) + 1]);
}

void update_scale_(const Tensor& scale, const Tensor& tracker, const Tensor& found_inf,
                   double growth, double backoff, int64_t interval) {
  GradMode off(false);
  run(make_call(kUpdateScale, std::initializer_list<Tensor>{scale, tracker, found_inf},
                ScaleArgs{growth, backoff, interval}));
}

}  // namespace lamina
