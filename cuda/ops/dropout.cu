// Dropout: the mask is made from Philox words on the way and never stored; which element takes
// which bits is cpp/kernels/vec_dropout.h's rule, so a seed drops the same elements on every
// device.
#include "ops/dropout_args.h"

#include <cmath>

#include "philox.h"
#include "reduce.h"
#include "table.h"

namespace lamina::cuda {
namespace {

// A group of 64 elements takes 8 blocks; a thread takes the 8 elements that share one of them.
template <class T>
__global__ void dropout_kernel(const T* x, T* y, int64_t n, PhiloxKey key, uint64_t threshold,
                               double scale) {
  using S = ComputeOf<T>;  // whose size says which element takes which bits
  constexpr int fields = int(sizeof(S)) / 2, run = 32 / fields, per_word = 8 / int(sizeof(S));
  const int high = int(threshold >> 16);
  const uint32_t low = uint32_t(threshold & 0xffff);
  LAMINA_GRID_STRIDE(t, (n + 63) / 64 * 8) {
    const int64_t group = t / 8;
    const int at = int(t % 8);
    const PhiloxWords w = philox(key.seed, key.offset + uint64_t(t), 0);
    for (int half = 0; half < 2; ++half)
      for (int field = 0; field < fields; ++field)
        for (int e = 0; e < per_word; ++e) {
          const int64_t i = group * 64 + half * 32 + field * run + at * per_word + e;
          if (i >= n) continue;
          const int word = half * 2 + (fields == 2 ? e : field / 2), shift = field % 2 * 16;
          const int u = int(w.w[word] >> shift & 0xffff);
          bool keep = u > high;
          if (u == high)
            keep = (philox(key.seed, key.offset + uint64_t(t), 1).w[word] >> shift & 0xffff) >= low;
          y[i] = narrow<T>(keep ? widen(x[i]) * S(scale) : S(0));
        }
  }
}

template <class T>
void dropout_of(const DeviceCall& c, int64_t n, const DropoutOpArgs& a) {
  launch(c, dropout_kernel<T>, dim3(blocks_for((n + 63) / 64 * 8)), dim3(kBlock), 0,
         static_cast<const T*>(c.in[0].data), static_cast<T*>(c.out[0].data), n, a.key,
         uint64_t(std::llround(a.p * 0x1p32)), a.p < 1 ? 1 / (1 - a.p) : 0.0);
}
void dropout(const DeviceCall& c) {
  const auto& a = *static_cast<const DropoutOpArgs*>(c.args);
  const int64_t n = c.in[0].numel();
  if (n == 0) return;
  LAMINA_BY_FLOATING(c.in[0].dtype, dropout_of)(c, n, a);
}
const Launches kLaunches{{"dropout", dropout, false, true}};

}  // namespace
}  // namespace lamina::cuda
