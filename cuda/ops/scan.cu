// Scans along one dimension of (P, N, S): a thread for each line, which goes along it in order
// (neighbouring lines lie side by side where S > 1). Sums are double, of integers modulo 2^64.
#include "ops/scan_args.h"

#include <type_traits>

#include "launch.h"
#include "number.h"
#include "table.h"

namespace lamina::cuda {
namespace {

struct ScanPack {
  const void* x;
  void* y;
  int64_t* index;
  int64_t lines, N, S;
  bool reverse;
};

template <int kind, class T>
__global__ void scan_kernel(const ScanPack k) {
  LAMINA_GRID_STRIDE(line, k.lines) {
    const int64_t first = line / k.S * k.N * k.S + line % k.S;
    const T* const x = static_cast<const T*>(k.x) + first;
    T* const y = static_cast<T*>(k.y) + first;
    using Sum = typename std::conditional<std::is_floating_point<T>::value, double, uint64_t>::type;
    Sum sum = kind == kCumProd ? Sum(1) : Sum(0);
    double largest = -HUGE_VAL, scaled = 0;  // log-sum-exp: the largest so far, the sum over e^it
    T best{};
    int64_t at = 0;
    for (int64_t n = 0; n < k.N; ++n) {
      const int64_t i = k.reverse ? k.N - 1 - n : n;
      const T v = x[i * k.S];
      T out;
      if constexpr (kind == kCumSum) {
        out = T(sum = sum + Sum(v));
      } else if constexpr (kind == kCumProd) {
        out = T(sum = sum * Sum(v));
      } else if constexpr (kind == kLogCumSumExp) {
        const double d = double(v);
        if (d != d || largest != largest) {
          largest = nan("");
        } else if (d > largest) {
          scaled = (largest == -HUGE_VAL ? 0 : scaled * ::exp(largest - d)) + 1;
          largest = d;
        } else if (d > -HUGE_VAL) {
          scaled += largest == HUGE_VAL ? 0 : ::exp(d - largest);
        }
        out = T(largest - largest != 0 ? largest : largest + ::log(scaled));
      } else {  // a later equal value takes the place, and NaN stays
        const bool later = kind == kCumMax ? v >= best : v <= best;
        if (n == 0 || v != v || (best == best && later)) {
          best = v;
          at = i;
        }
        out = best;
        k.index[first + i * k.S] = at;
      }
      y[i * k.S] = out;
    }
  }
}

template <int kind>
void scan(const DeviceCall& c) {
  const auto& a = *static_cast<const ScanOpArgs*>(c.args);
  const Operand& x = c.in[0];
  if (x.numel() == 0) return;
  ScanPack k{x.data, c.out[0].data, nullptr, 1, x.shape[a.dim], 1, a.reverse};
  if (c.outputs > 1) k.index = static_cast<int64_t*>(c.out[1].data);
  for (int d = a.dim + 1; d < x.nd; ++d) k.S *= x.shape[d];
  k.lines = x.numel() / k.N;
  const dim3 grid(blocks_for(k.lines)), block(kBlock);
  if (x.dtype == DType::float32) return launch(c, scan_kernel<kind, float>, grid, block, 0, k);
  if (x.dtype == DType::float64) return launch(c, scan_kernel<kind, double>, grid, block, 0, k);
  if constexpr (kind != kLogCumSumExp)
    if (x.dtype == DType::int64) return launch(c, scan_kernel<kind, int64_t>, grid, block, 0, k);
  fail(kNotImplemented, "%s: no CUDA kernel for this dtype; use .long() or .float()", c.name);
}

const Launches kLaunches{{"cumsum", scan<kCumSum>},
                         {"cumprod", scan<kCumProd>},
                         {"cummax", scan<kCumMax>},
                         {"cummin", scan<kCumMin>},
                         {"logcumsumexp", scan<kLogCumSumExp>}};

}  // namespace
}  // namespace lamina::cuda
