// Reductions within a warp and a block, in an order that depends on sizes only.
#pragma once
#include "launch.h"
#include "number.h"

namespace lamina::cuda {

// op over the 32 lanes of a warp, the result in all of them.
template <class T, class F>
__device__ inline T warp_all(T v, F op) {
#pragma unroll
  for (int bit = 16; bit; bit >>= 1) v = op(v, __shfl_xor_sync(0xffffffffu, v, bit));
  return v;
}

// op over the threads of a group of G (1, 32 or the whole block of 256), the result in all of them.
// Every thread of the block must come here; `room` holds 8 values.
template <int G, class T, class F>
__device__ inline T group_all(T v, F op, T* room) {
  if (G == 1) return v;
  v = warp_all(v, op);
  if (G == 32) return v;
  __syncthreads();
  if (threadIdx.x % 32 == 0) room[threadIdx.x / 32] = v;
  __syncthreads();
  T all = room[0];
  for (int w = 1; w < G / 32; ++w) all = op(all, room[w]);
  return all;
}

struct Add {
  template <class T>
  LAMINA_HD T operator()(T a, T b) const {
    return a + b;
  }
};
struct Most {  // NaN wins
  template <class T>
  LAMINA_HD T operator()(T a, T b) const {
    return a > b || a != a ? a : b;
  }
};

// exp(x) of numbers that were stored as T: of half precision by the device's own instruction.
template <class T>
__device__ inline ComputeOf<T> exp_of(ComputeOf<T> x) {
#ifdef __CUDA_ARCH__
  if constexpr (sizeof(T) == 2) return __expf(x);
#endif
  return on_device::exp(x);
}

// The largest of some numbers and the sum of exp(x - largest), formed together.
template <class T>
struct OnlineSum {
  using S = ComputeOf<T>;
  S m = S(-HUGE_VAL), s = 0;
  template <int V>
  __device__ void take(const S (&x)[V]) {
    S top = m;
#pragma unroll
    for (int e = 0; e < V; ++e) top = Most{}(x[e], top);
    if (top != m) {
      s = m == S(-HUGE_VAL) ? S(0) : s * exp_of<T>(m - top);
      m = top;
    }
    if (m == S(-HUGE_VAL)) return;
#pragma unroll
    for (int e = 0; e < V; ++e) s += exp_of<T>(x[e] - m);
  }
  // The sum where `all` is the largest of all threads' numbers.
  __device__ S scaled_to(S all) const { return m == all ? s : s * exp_of<T>(m - all); }
};

// f<T>() of the storage type that holds `type`, a floating one.
#define LAMINA_BY_FLOATING(type, f)        \
  ((type) == DType::float64    ? f<double> \
   : (type) == DType::float16  ? f<Half>   \
   : (type) == DType::bfloat16 ? f<Brain>  \
                               : f<float>)

}  // namespace lamina::cuda
