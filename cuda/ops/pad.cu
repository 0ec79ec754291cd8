// The gradient of padding by reflection, repetition or wrapping round: a thread for each element of
// x adds up the elements of g that came from it, in their order, so nothing is added by atomics.
// Cost: one read of g, one write.
#include "launch.h"
#include "ops/view_args.h"
#include "strided.h"
#include "table.h"

namespace lamina::cuda {
namespace {

struct PadPack {
  const void* g;
  void* gx;
  int nd, padded, mode;
  int64_t n;                                           // elements of x
  int64_t x[kMaxDims], y[kMaxDims], before[kMaxDims];  // sizes; of the last `padded` dimensions
};

// Where position p of x of a dimension may be in y: `count` candidates, ascending; -1: not there.
struct Places {
  int64_t p, x, y, before;
  int mode;
  int64_t first, count;  // replicate: a range; circular: steps of x
  __device__ Places(const PadPack& k, int d, int64_t at)
      : p(at), x(k.x[d]), y(k.y[d]), before(k.before[d]), mode(k.mode), first(0), count(1) {
    const int64_t main = p + before;
    if (d < k.nd - k.padded) {
      mode = kReplicate;
      first = p;
    } else if (mode == kReflect) {
      count = 3;
    } else if (mode == kReplicate) {
      const int64_t last = p < x - 1 && main < y ? main : y - 1;
      first = p > 0 && main > 0 ? main : 0;
      count = last >= first ? last - first + 1 : 0;
    } else {
      first = main % x < 0 ? main % x + x : main % x;
      count = first < y ? (y - first + x - 1) / x : 0;
    }
  }
  __device__ int64_t at(int64_t j) const {
    if (mode == kReplicate) return first + j;
    if (mode == kCircular) return first + j * x;
    const int64_t i = j == 0 ? before - p : j == 1 ? before + p : before + 2 * (x - 1) - p;
    const bool there = j == 1 || (j == 0 ? p > 0 : p < x - 1);
    return there && i >= 0 && i < y ? i : -1;
  }
};

template <class T>
__global__ void pad_grad_kernel(const PadPack k) {
  LAMINA_GRID_STRIDE(e, k.n) {
    int64_t index[kMaxDims], rest = e, all = 1;
    for (int d = k.nd - 1; d >= 0; --d) {
      index[d] = rest % k.x[d];
      rest /= k.x[d];
      all *= Places(k, d, index[d]).count;
    }
    T sum = 0;
    for (int64_t t = 0; t < all; ++t) {
      int64_t left = t, from = 0, step = 1;
      bool there = true;
      for (int d = k.nd - 1; d >= 0; --d) {
        const Places places(k, d, index[d]);
        const int64_t i = places.at(left % places.count);
        left /= places.count;
        there = there && i >= 0;
        from += i * step;
        step *= k.y[d];
      }
      if (there) sum += static_cast<const T*>(k.g)[from];
    }
    static_cast<T*>(k.gx)[e] = sum;
  }
}
void pad_grad(const DeviceCall& c) {
  const auto& a = *static_cast<const PadArgs*>(c.args);
  const Operand &g = c.in[0], &gx = c.out[0];
  PadPack k{g.data, gx.data, 0, a.n, a.mode, gx.numel(), {}, {}, {}};
  if (k.n == 0) return;
  if (g.numel() == 0)
    return check(
        cudaMemsetAsync(gx.data, 0, size_t(k.n) * item_size(gx.dtype), current_stream(c.device)),
        c.name);
  // Dimensions in front that are not padded are one.
  const int lead = g.nd - a.n;
  k.nd = a.n + 1;
  k.x[0] = k.y[0] = 1;
  for (int d = 0; d < lead; ++d) k.x[0] = k.y[0] *= g.shape[d];
  for (int d = 0; d < a.n; ++d) {
    k.x[d + 1] = gx.shape[lead + d];
    k.y[d + 1] = g.shape[lead + d];
    k.before[d + 1] = a.before[a.n - 1 - d];
  }
  launch(c, g.dtype == DType::float64 ? pad_grad_kernel<double> : pad_grad_kernel<float>,
         dim3(blocks_for(k.n)), dim3(kBlock), 0, k);
}
const Launches kLaunches{{"pad_grad", pad_grad}};

}  // namespace
}  // namespace lamina::cuda
