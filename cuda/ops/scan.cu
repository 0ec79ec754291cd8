// Scans along one dimension of (P, N, S): a thread for each line, which goes along it in order
// (neighbouring lines lie side by side where S > 1). Sums are double, of integers modulo 2^64. The
// gradients (formulas: cpp/ops/scan_cpu.h) go the same way, that of cumprod there and back.
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

struct ScanGradPack {
  const void *x, *g, *z;
  void* y;
  int64_t lines, N, S;
  bool reverse;
};
// With L_k the product before k and R_k = g_k + x_k+1 R_k+1: gx_k = L_k R_k.
template <class T>
__global__ void product_grad_kernel(const ScanGradPack k) {
  LAMINA_GRID_STRIDE(line, k.lines) {
    const int64_t first = line / k.S * k.N * k.S + line % k.S;
    const T *const x = static_cast<const T*>(k.x) + first, *const g =
                                                               static_cast<const T*>(k.g) + first;
    T* const y = static_cast<T*>(k.y) + first;
    double before = 1, after = 0;
    for (int64_t n = 0; n < k.N; ++n) {
      const int64_t i = (k.reverse ? k.N - 1 - n : n) * k.S;
      y[i] = T(before);
      before *= double(x[i]);
    }
    for (int64_t n = k.N - 1; n >= 0; --n) {
      const int64_t i = (k.reverse ? k.N - 1 - n : n) * k.S;
      const double r = after + double(g[i]);
      y[i] = T(double(y[i]) * r);
      after = r * double(x[i]);
    }
  }
}
// e^(a - b) for a <= b; 0 where both are -inf.
__device__ double fade(double a, double b) {
  return a == b ? double(a != -HUGE_VAL) : ::exp(a - b);
}
template <class T, bool transposed>
__global__ void log_weighed_kernel(const ScanGradPack k) {
  LAMINA_GRID_STRIDE(line, k.lines) {
    const int64_t first = line / k.S * k.N * k.S + line % k.S;
    double sum = 0, last = 0;
    for (int64_t n = 0; n < k.N; ++n) {
      const int64_t i = first + (k.reverse ? k.N - 1 - n : n) * k.S;
      const double v = double(static_cast<const T*>(k.z)[i]);
      const double own = fade(double(static_cast<const T*>(k.x)[i]), v);
      const double g = double(static_cast<const T*>(k.g)[i]);
      if (n > 0 && sum != 0) sum *= transposed ? fade(v, last) : fade(last, v);
      sum += transposed ? g : g * own;
      static_cast<T*>(k.y)[i] = T(transposed ? sum * own : sum);
      last = v;
    }
  }
}
using ScanGradKernel = void (*)(ScanGradPack);
void scan_grad(const DeviceCall& c, ScanGradKernel floats, ScanGradKernel doubles) {
  const auto& a = *static_cast<const ScanOpArgs*>(c.args);
  const Operand& x = c.in[0];
  if (x.numel() == 0) return;
  ScanGradPack k{
      x.data, c.in[1].data, c.inputs > 2 ? c.in[2].data : nullptr, c.out[0].data, 1, x.shape[a.dim],
      1,      a.reverse};
  for (int d = a.dim + 1; d < x.nd; ++d) k.S *= x.shape[d];
  k.lines = x.numel() / k.N;
  launch(c, x.dtype == DType::float64 ? doubles : floats, dim3(blocks_for(k.lines)), dim3(kBlock),
         0, k);
}
void product_grad(const DeviceCall& c) {
  scan_grad(c, product_grad_kernel<float>, product_grad_kernel<double>);
}
template <bool transposed>
void log_weighed(const DeviceCall& c) {
  scan_grad(c, log_weighed_kernel<float, transposed>, log_weighed_kernel<double, transposed>);
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
                         {"logcumsumexp", scan<kLogCumSumExp>},
                         {"cumprod_grad", product_grad},
                         {"logcumsumexp_weighed", log_weighed<false>},
                         {"logcumsumexp_grad", log_weighed<true>}};

}  // namespace
}  // namespace lamina::cuda
