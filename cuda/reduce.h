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

// The largest of some numbers and the sum of exp(x - largest), formed together.
template <class S>
struct OnlineSum {
  S m = S(-HUGE_VAL), s = 0;
  __device__ void take(S x) {
    if (x > m || x != x) {
      s = s * on_device::exp(m - x) + 1;
      m = x;
    } else if (x != S(-HUGE_VAL)) {
      s += on_device::exp(x - m);
    }
  }
  // The sum where `all` is the largest of all threads' numbers.
  __device__ S scaled_to(S all) const { return m == all ? s : s * on_device::exp(m - all); }
};

// f<T>() of the storage type that holds `type`, a floating one.
#define LAMINA_BY_FLOATING(type, f)                \
  ((type) == DType::float64    ? f<double>         \
   : (type) == DType::float16  ? f<Half>           \
   : (type) == DType::bfloat16 ? f<Brain>          \
                               : f<float>)

}  // namespace lamina::cuda
