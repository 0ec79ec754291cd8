// Numbers as unsigned keys of the same order, and sums over the threads before one's own.
#pragma once
#include "launch.h"
#include "number.h"

namespace lamina::cuda {

// NaN above everything, -0 equal to 0: the keys of cpp/ops/sort_cpu.h.
__device__ inline uint32_t key_of(float x) {
  if (x != x) return ~uint32_t(0);
  const uint32_t b = bits_of_float(x + 0.0f);
  return b >> 31 ? ~b : b | 0x80000000u;
}
__device__ inline uint64_t key_of(int64_t x) { return uint64_t(x) ^ 0x8000000000000000ull; }
__device__ inline uint64_t key_of(double x) {
  if (x != x) return ~uint64_t(0);
  const double plain = x + 0.0;
  uint64_t b;
  memcpy(&b, &plain, 8);
  return b >> 63 ? ~b : b | 0x8000000000000000ull;
}
template <class T>
struct KeyOf {
  using Type = uint64_t;
};
template <>
struct KeyOf<float> {
  using Type = uint32_t;
};

// The sum of v over the threads before this one in a block of `kThreads`; *all: over every thread.
// `room` holds kThreads / 32 + 1 values. All threads must come here.
template <int kThreads, class T>
__device__ inline T sum_before(T v, T* room, T* all) {
  const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) / 32, warps = kThreads / 32;
  T upto = v;
#pragma unroll
  for (int by = 1; by < 32; by <<= 1) {
    const T other = __shfl_up_sync(0xffffffffu, upto, unsigned(by));
    if (lane >= by) upto += other;
  }
  __syncthreads();
  if (lane == 31) room[warp] = upto;
  __syncthreads();
  T base = 0, total = 0;
  for (int w = 0; w < warps; ++w) {
    if (w == warp) base = total;
    total += room[w];
  }
  *all = total;
  return base + upto - v;
}

}  // namespace lamina::cuda
