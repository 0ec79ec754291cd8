// Philox 4x32-10 (core/random.h) and dropout's choice of elements (cpp/kernels/vec_dropout.h).
#pragma once
#include "number.h"

namespace lamina::cuda {

struct Words {
  uint32_t w[4];
};
// Philox 4x32-10 of counter (block mod 2^32, block / 2^32, c2, 0).
__device__ inline Words philox(uint64_t seed, uint64_t block, uint32_t c2) {
  uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
  uint32_t c0 = uint32_t(block), c1 = uint32_t(block >> 32), c3 = 0;
  for (int i = 0; i < 10; ++i, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    const uint32_t h0 = __umulhi(c0, 0xD2511F53u), l0 = c0 * 0xD2511F53u;
    const uint32_t h1 = __umulhi(c2, 0xCD9E8D57u), l1 = c2 * 0xCD9E8D57u;
    c0 = h1 ^ c1 ^ k0;
    c1 = l1;
    c2 = h0 ^ c3 ^ k1;
    c3 = l0;
  }
  return {{c0, c1, c2, c3}};
}

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
