// Dropout's choice of elements (cpp/kernels/vec_dropout.h), one at a time.
#pragma once
#include "philox.h"

namespace lamina::cuda {

// Whether dropout keeps element `at` (0 to 63) of a group of 64 values of T, whose 8 blocks begin
// at `offset`; threshold: 2^32 p.
template <class T>
__device__ inline bool keeps(uint64_t seed, uint64_t offset, uint64_t threshold, int at) {
  constexpr int fields = int(sizeof(T)) / 2, run = 32 / fields, per_word = 8 / int(sizeof(T));
  const int half = at / 32, field = at % 32 / run, in_run = at % run;
  const uint64_t block = offset + uint64_t(in_run / per_word);
  const int word = half * 2 + (fields == 2 ? in_run % per_word : field / 2);
  const int shift = field % 2 * 16, high = int(threshold >> 16);
  const int u = int(philox(seed, block, 0).w[word] >> shift & 0xffff);
  if (u != high) return u > high;
  return (philox(seed, block, 1).w[word] >> shift & 0xffff) >= (threshold & 0xffff);
}

}  // namespace lamina::cuda
