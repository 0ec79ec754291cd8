// softmax, log-softmax, their gradients and log-sum-exp along one dimension of (P, N, S).
//
// S = 1: a warp (a block where N is large) for each row, 16 bytes a thread at a time where rows are
// aligned. Rows that fit stay in registers: one read, one write. Longer ones, and columns (S > 1, a
// thread for each, so that neighbours read neighbours), are read twice, their largest element and
// sum of exponentials being formed together. The largest element is subtracted first; arithmetic is
// in float32 (float64 for float64), rounded once, in an order that depends on sizes only.
#include "ops/softmax_args.h"

#include "reduce.h"
#include "table.h"

namespace lamina::cuda {
namespace {

struct RowsPack {
  const void *x, *g;  // of a gradient x is the forward result
  void* y;
  int64_t rows, N, S;
};
template <int kind>
constexpr bool kIsGrad = kind == kSoftmaxGrad || kind == kLogSoftmaxGrad;

// y from x where m is the largest element, s the sum of exp(x - m); gradients: s the sum they need.
template <int kind, class T, class S>
__device__ S result_of(S x, S g, S m, S s) {
  if (kind == kSoftmaxGrad) return x * (g - s);
  if (kind == kLogSoftmaxGrad) return g - exp_of<T>(x) * s;
  return kind == kSoftmaxValue ? exp_of<T>(x - m) * s : x - m - s;  // s: 1 / sum, log sum
}
template <int kind, class S>
__device__ S ready_sum(S s) {
  using namespace on_device;
  return kind == kSoftmaxValue ? 1 / s : kind == kLogSoftmaxValue ? log(s) : s;
}

template <int kind, class S>
constexpr int kHeld = (kIsGrad<kind> ? 64 : 128) / int(sizeof(S));  // elements of a thread

template <int kind, class T, int G, int V>
__global__ void __launch_bounds__(kBlock) held_kernel(const RowsPack k) {
  using namespace on_device;
  using S = ComputeOf<T>;
  constexpr int J = kHeld<kind, S> / V;
  __shared__ S room[kBlock / 32];
  const int lane = int(threadIdx.x) % G, n = int(k.N);
  for (int64_t b = blockIdx.x; b * (kBlock / G) < k.rows; b += gridDim.x) {
    const int64_t row = b * (kBlock / G) + int(threadIdx.x) / G;
    const bool here = row < k.rows;
    const T* const x = static_cast<const T*>(k.x) + row * n;
    const T* const g = static_cast<const T*>(k.g) + row * n;
    S v[J][V], w[kIsGrad<kind> ? J : 1][V], m = S(-HUGE_VAL), s = 0;
#pragma unroll
    for (int j = 0; j < J; ++j) {
      const int i = (j * G + lane) * V;
      if (!here || i >= n) continue;
      load_vector<T, V>(v[j], x + i);
      if constexpr (kIsGrad<kind>) {
        load_vector<T, V>(w[j], g + i);
#pragma unroll
        for (int e = 0; e < V; ++e) s += kind == kSoftmaxGrad ? w[j][e] * v[j][e] : w[j][e];
      } else {
#pragma unroll
        for (int e = 0; e < V; ++e) m = Most{}(v[j][e], m);
      }
    }
    if constexpr (!kIsGrad<kind>) {
      m = group_all<G>(m, Most{}, room);
#pragma unroll
      for (int j = 0; j < J; ++j)
        if (here && (j * G + lane) * V < n)
#pragma unroll
          for (int e = 0; e < V; ++e) {
            const S d = exp_of<T>(v[j][e] - m);
            s += d;
            if (kind == kSoftmaxValue) v[j][e] = d;
          }
      __syncthreads();
    }
    s = ready_sum<kind>(group_all<G>(s, Add{}, room));
    T* const y = static_cast<T*>(k.y) + row * n;
#pragma unroll
    for (int j = 0; j < J; ++j) {
      const int i = (j * G + lane) * V;
      if (!here || i >= n) continue;
#pragma unroll
      for (int e = 0; e < V; ++e)
        v[j][e] = kind == kSoftmaxValue
                      ? v[j][e] * s
                      : result_of<kind, T>(v[j][e], w[kIsGrad<kind> ? j : 0][e], m, s);
      store_vector<T, V>(y + i, v[j]);
    }
    __syncthreads();
  }
}

template <int kind, class T, int G>
__global__ void __launch_bounds__(kBlock) read_kernel(const RowsPack k) {
  using namespace on_device;
  using S = ComputeOf<T>;
  __shared__ S room[kBlock / 32];
  const int lane = int(threadIdx.x) % G, per_block = kBlock / G;
  const int64_t groups = (k.rows + per_block - 1) / per_block;
  for (int64_t b = blockIdx.x; b < groups; b += gridDim.x) {
    const int64_t row = b * per_block + int(threadIdx.x) / G;
    const bool here = row < k.rows;
    const int64_t n = here ? k.N : 0, at = row / k.S * k.N * k.S + row % k.S;
    const T* const x = static_cast<const T*>(k.x) + at;
    const T* const g = static_cast<const T*>(k.g) + at;
    T* const y = static_cast<T*>(k.y) + at;
    S m = S(-HUGE_VAL), s = 0;
    if constexpr (kIsGrad<kind>) {
      for (int64_t i = lane; i < n; i += G)
        s += kind == kSoftmaxGrad ? widen(g[i * k.S]) * widen(x[i * k.S]) : widen(g[i * k.S]);
      s = group_all<G>(s, Add{}, room);
    } else {
      OnlineSum<T> sum;
      for (int64_t i = lane; i < n; i += G) {
        const S one[1] = {widen(x[i * k.S])};
        sum.take(one);
      }
      m = group_all<G>(sum.m, Most{}, room);
      __syncthreads();
      s = group_all<G>(sum.scaled_to(m), Add{}, room);
      if (m == S(HUGE_VAL)) s = S(nan(""));
    }
    if constexpr (kind == kLogSumExpValue) {  // of which an infinite largest element is the result
      if (lane == 0 && here) static_cast<T*>(k.y)[row] = narrow<T>((m - m) != 0 ? m : m + log(s));
    } else {
      s = ready_sum<kind>(s);
      for (int64_t i = lane; i < n; i += G) {
        const S w = kIsGrad<kind> ? widen(g[i * k.S]) : S(0);
        y[i * k.S] = narrow<T>(result_of<kind, T>(widen(x[i * k.S]), w, m, s));
      }
    }
    __syncthreads();
  }
}

template <int kind, class T>
void launch_rows(const DeviceCall& c, const RowsPack& k) {
  using S = ComputeOf<T>;
  const auto go = [&](auto kernel, int G) {
    launch(c, kernel, dim3(blocks_for(k.rows, kBlock / G)), dim3(kBlock), 0, k);
  };
  if constexpr (kind != kLogSumExpValue) {
    constexpr int V = kVector<T>;
    const auto odd = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16; };
    const bool vectors = k.N % V == 0 && !odd(k.x) && !odd(k.y) && !(kIsGrad<kind> && odd(k.g));
    if (k.S == 1 && k.N <= 32 * kHeld<kind, S>)
      return vectors ? go(held_kernel<kind, T, 32, V>, 32) : go(held_kernel<kind, T, 32, 1>, 32);
    if (k.S == 1 && k.N <= kBlock * kHeld<kind, S>)
      return vectors ? go(held_kernel<kind, T, kBlock, V>, kBlock)
                     : go(held_kernel<kind, T, kBlock, 1>, kBlock);
  }
  k.S > 1       ? go(read_kernel<kind, T, 1>, 1)
  : k.N <= 1024 ? go(read_kernel<kind, T, 32>, 32)
                : go(read_kernel<kind, T, kBlock>, kBlock);
}
template <int kind>
void softmax(const DeviceCall& c) {
  const int dim = static_cast<const SoftmaxOpArgs*>(c.args)->dim;
  const Operand& x = c.in[0];
  RowsPack k{c.in[kIsGrad<kind> ? 1 : 0].data, x.data, c.out[0].data, 1, x.shape[dim], 1};
  for (int d = 0; d < x.nd; ++d) {
    if (d != dim) k.rows *= x.shape[d];
    if (d > dim) k.S *= x.shape[d];
  }
  if (c.out[0].numel() == 0) return;
  switch (x.dtype) {
    case DType::float64:
      return launch_rows<kind, double>(c, k);
    case DType::float16:
      return launch_rows<kind, Half>(c, k);
    case DType::bfloat16:
      return launch_rows<kind, Brain>(c, k);
    default:
      return launch_rows<kind, float>(c, k);
  }
}

const Launches kLaunches{{"softmax", softmax<kSoftmaxValue>, false, true},
                         {"log_softmax", softmax<kLogSoftmaxValue>, false, true},
                         {"softmax_grad", softmax<kSoftmaxGrad>, false, true},
                         {"log_softmax_grad", softmax<kLogSoftmaxGrad>, false, true},
                         {"logsumexp", softmax<kLogSumExpValue>, false, true}};

}  // namespace
}  // namespace lamina::cuda
