// Layer and RMS normalisation of rows that stay in registers, and the gradient by x: a warp for
// each row, a block where rows are long; 16 bytes a thread at a time where they are aligned. Cost:
// one read of each input, one write.
#pragma once
#include "reduce.h"

namespace lamina::cuda {

struct NormRows {
  const void *x, *weight, *bias, *g;
  void *y, *mean, *rstd;  // y: the gradient by x, which reads mean and rstd
  int64_t rows, n;
  double eps;
  bool centred;
};

template <class S>
constexpr int kNormHeld = 128 / int(sizeof(S));  // elements of a thread; half as many of a gradient
template <class T>
bool rows_fit(int64_t n) {
  return n > 0 && n <= kBlock * kNormHeld<ComputeOf<T>>;
}
template <class T>
bool grad_rows_fit(int64_t n) {
  return n > 0 && n <= kBlock * kNormHeld<ComputeOf<T>> / 2;
}

template <class T, int G, int V>
__global__ void __launch_bounds__(kBlock) norm_rows_kernel(const NormRows k) {
  using S = ComputeOf<T>;
  constexpr int J = kNormHeld<S> / V;
  __shared__ double room[kBlock / 32];
  const int lane = int(threadIdx.x) % G, n = int(k.n);
  for (int64_t b = blockIdx.x; b * (kBlock / G) < k.rows; b += gridDim.x) {
    const int64_t row = b * (kBlock / G) + int(threadIdx.x) / G;
    const bool here = row < k.rows;
    const T* const x = static_cast<const T*>(k.x) + row * n;
    T* const y = static_cast<T*>(k.y) + row * n;
    const S *const w = static_cast<const S*>(k.weight), *const bias = static_cast<const S*>(k.bias);
    S v[J][V], sum = 0;
#pragma unroll
    for (int j = 0; j < J; ++j) {
      const int i = (j * G + lane) * V;
      if (!here || i >= n) continue;
      load_vector<T, V>(v[j], x + i);
#pragma unroll
      for (int e = 0; e < V; ++e) sum += v[j][e];
    }
    // The mean in two steps: what the first one's rounding left is the mean of the differences.
    double mean = 0;
    S squares = 0;
    if (k.centred)
      for (int step = 0; step < 2; ++step) {
        const S part = S(group_all<G>(double(sum), Add{}, room) / n);
        mean += double(part);
        sum = 0;
#pragma unroll
        for (int j = 0; j < J; ++j)
          if (here && (j * G + lane) * V < n)
#pragma unroll
            for (int e = 0; e < V; ++e) sum += v[j][e] -= part;
        __syncthreads();
      }
#pragma unroll
    for (int j = 0; j < J; ++j)
      if (here && (j * G + lane) * V < n)
#pragma unroll
        for (int e = 0; e < V; ++e) squares += v[j][e] * v[j][e];
    const double var = group_all<G>(double(squares), Add{}, room) / n;
    const S rstd = S(1 / ::sqrt(var + k.eps));
    if (here && lane == 0) {
      if (k.mean) static_cast<S*>(k.mean)[row] = S(mean);
      if (k.rstd) static_cast<S*>(k.rstd)[row] = rstd;
    }
#pragma unroll
    for (int j = 0; j < J; ++j) {
      const int i = (j * G + lane) * V;
      if (!here || i >= n) continue;
#pragma unroll
      for (int e = 0; e < V; ++e) {
        v[j][e] *= rstd;
        if (w) v[j][e] = v[j][e] * w[i + e] + (bias ? bias[i + e] : S(0));
      }
      store_vector<T, V>(y + i, v[j]);
    }
    __syncthreads();
  }
}

// gx = rstd (w g - mean(w g) - h mean(w g h)), h = (x - mean) rstd.
template <class T, int G, int V>
__global__ void __launch_bounds__(kBlock) norm_grad_rows_kernel(const NormRows k) {
  using S = ComputeOf<T>;
  constexpr int J = kNormHeld<S> / 2 / V;
  __shared__ double room[kBlock / 32];
  const int lane = int(threadIdx.x) % G, n = int(k.n);
  for (int64_t b = blockIdx.x; b * (kBlock / G) < k.rows; b += gridDim.x) {
    const int64_t row = b * (kBlock / G) + int(threadIdx.x) / G;
    const bool here = row < k.rows;
    const T* const x = static_cast<const T*>(k.x) + row * n;
    const T* const g = static_cast<const T*>(k.g) + row * n;
    const S* const w = static_cast<const S*>(k.weight);
    const S mean = here && k.mean ? static_cast<const S*>(k.mean)[row] : S(0);
    const S rstd = here ? static_cast<const S*>(k.rstd)[row] : S(0);
    S h[J][V], v[J][V], sum = 0, sum_h = 0;
#pragma unroll
    for (int j = 0; j < J; ++j) {
      const int i = (j * G + lane) * V;
      if (!here || i >= n) continue;
      load_vector<T, V>(h[j], x + i);
      load_vector<T, V>(v[j], g + i);
#pragma unroll
      for (int e = 0; e < V; ++e) {
        h[j][e] = (h[j][e] - mean) * rstd;
        if (w) v[j][e] *= w[i + e];
        sum += v[j][e];
        sum_h += v[j][e] * h[j][e];
      }
    }
    const double all = group_all<G>(double(sum), Add{}, room);
    __syncthreads();
    const double all_h = group_all<G>(double(sum_h), Add{}, room);
    const S shift = k.centred ? S(all / n) : S(0), slope = S(all_h / n);
#pragma unroll
    for (int j = 0; j < J; ++j) {
      const int i = (j * G + lane) * V;
      if (!here || i >= n) continue;
#pragma unroll
      for (int e = 0; e < V; ++e) v[j][e] = rstd * (v[j][e] - shift - h[j][e] * slope);
      store_vector<T, V>(static_cast<T*>(k.y) + row * n + i, v[j]);
    }
    __syncthreads();
  }
}

template <class T>
bool norm_in_vectors(const NormRows& k) {
  const auto whole = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; };
  return k.n % kVector<T> == 0 && whole(k.x) && whole(k.y) && whole(k.g);
}
template <class T>
void norm_rows(const DeviceCall& c, const NormRows& k) {
  constexpr int V = kVector<T>;
  const bool vectors = norm_in_vectors<T>(k), wide = k.n > 32 * kNormHeld<ComputeOf<T>>;
  const auto kernel = vectors ? wide ? norm_rows_kernel<T, kBlock, V> : norm_rows_kernel<T, 32, V>
                      : wide ? norm_rows_kernel<T, kBlock, 1>
                              : norm_rows_kernel<T, 32, 1>;
  launch(c, kernel, dim3(blocks_for(k.rows, wide ? 1 : kBlock / 32)), dim3(kBlock), 0, k);
}
template <class T>
void norm_grad_rows(const DeviceCall& c, const NormRows& k) {
  constexpr int V = kVector<T>;
  const bool vectors = norm_in_vectors<T>(k), wide = k.n > 16 * kNormHeld<ComputeOf<T>>;
  const auto kernel =
      vectors ? wide ? norm_grad_rows_kernel<T, kBlock, V> : norm_grad_rows_kernel<T, 32, V>
      : wide ? norm_grad_rows_kernel<T, kBlock, 1>
              : norm_grad_rows_kernel<T, 32, 1>;
  launch(c, kernel, dim3(blocks_for(k.rows, wide ? 1 : kBlock / 32)), dim3(kBlock), 0, k);
}

}  // namespace lamina::cuda
