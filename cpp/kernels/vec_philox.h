// Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), several
// blocks at a time (what is made of its words: philox_draws.h).
//
// Layout. Block b of a stream is Philox with key `seed` and counter (b mod 2^32, b / 2^32, 0, 0);
// a draw that reserved blocks from `offset` on uses b = offset + 0, 1, ... Eight blocks make one
// group of 32 words, and word r of group g is
//     word 2 (r / 16) + r mod 2 of block 8 g + (r mod 16) / 2,
// that is, words 0 and 1 of the eight blocks, then words 2 and 3. A vector holds one block per
// 64-bit lane, so both halves are stored as they fall out, with no shuffles, at any width.
//     32-bit draws: value i is word i mod 32 of group i / 32.
//     64-bit draws: value i is words 2k, 2k + 1 of group i / 16, k = i mod 16, low word first.
// Cost: 2 multiplications, 2 shifts, 4 xors per round and vector: 2.5 instructions per 32-bit word
// with 512-bit vectors.
#pragma once
#include "kernels/kernels.h"
#include "kernels/vec.h"

#include "kernels/philox_draws.h"  // after what it is written in

namespace lamina::LAMINA_ISA {
namespace {

constexpr int kBlockLanes = LAMINA_VEC_BYTES / 8;
constexpr int64_t kGroupBlocks = 8, kGroupWords = 32;

// Products of the low 32 bits of each 64-bit lane; the high bits of a and b are ignored.
inline U64 multiply_low(U64 a, uint64_t b) {
#if defined(LAMINA_ISA_AVX512)
  return U64(_mm512_mul_epu32(__m512i(a), _mm512_set1_epi64(int64_t(b))));
#elif defined(LAMINA_ISA_AVX2)
  return U64(_mm256_mul_epu32(__m256i(a), _mm256_set1_epi64x(int64_t(b))));
#elif defined(LAMINA_ISA_NEON)
  return U64(vmull_u32(vmovn_u64(uint64x2_t(a)), vdup_n_u32(uint32_t(b))));
#else
  return (a & 0xffffffffu) * b;
#endif
}

struct RoundKeys {
  uint64_t k0[10], k1[10];
  explicit RoundKeys(uint64_t seed) {
    uint32_t a = uint32_t(seed), b = uint32_t(seed >> 32);
    for (int i = 0; i < 10; ++i, a += 0x9E3779B9u, b += 0xBB67AE85u) k0[i] = a, k1[i] = b;
  }
};

// One block per lane, words 0 1 and words 2 3 packed in 64 bits.
struct BlockWords {
  U64 w01, w23;
};
inline BlockWords philox(const RoundKeys& keys, U64 block, U64 c2 = U64{}) {
  U64 c0 = block, c1 = block >> 32, c3 = U64{};
  for (int i = 0; i < 10; ++i) {
    const U64 p0 = multiply_low(c0, 0xD2511F53u), p1 = multiply_low(c2, 0xCD9E8D57u);
    c0 = (p1 >> 32) ^ c1 ^ keys.k0[i];
    c1 = p1;
    c2 = (p0 >> 32) ^ c3 ^ keys.k1[i];
    c3 = p0;
  }
  return {(c1 << 32) | (c0 & 0xffffffffu), (c3 << 32) | (c2 & 0xffffffffu)};
}

// n vectors of blocks in step: a single one waits for its own products.
template <int n>
inline void philox(const RoundKeys& keys, const U64 (&block)[n], BlockWords (&words)[n]) {
  U64 c0[n], c1[n], c2[n] = {}, c3[n] = {};
  for (int v = 0; v < n; ++v) c0[v] = block[v], c1[v] = block[v] >> 32;
  for (int i = 0; i < 10; ++i)
#pragma GCC unroll 8
    for (int v = 0; v < n; ++v) {
      const U64 p0 = multiply_low(c0[v], 0xD2511F53u), p1 = multiply_low(c2[v], 0xCD9E8D57u);
      c0[v] = (p1 >> 32) ^ c1[v] ^ keys.k0[i];
      c1[v] = p1;
      c2[v] = (p0 >> 32) ^ c3[v] ^ keys.k1[i];
      c3[v] = p0;
    }
  for (int v = 0; v < n; ++v)
    words[v] = {(c1[v] << 32) | (c0[v] & 0xffffffffu), (c3[v] << 32) | (c2[v] & 0xffffffffu)};
}

inline U64 lane_numbers() {
  U64 v{};
  for (int i = 0; i < kBlockLanes; ++i) v[i] = uint64_t(i);
  return v;
}

// f(position in 64-bit words of the group's first half, words); the second half is 8 further on.
template <class F>
inline void philox_group(const RoundKeys& keys, uint64_t block, F f) {
  for (int j = 0; j < kGroupBlocks; j += kBlockLanes)
    f(j, philox(keys, lane_numbers() + (block + uint64_t(j))));
}

// Uniforms of one value's own stream.
struct OwnStream {
  const RoundKeys& keys;
  uint64_t block, step = 0;
  double next() {
    const BlockWords w = philox(keys, U64{} + block, U64{} + step++);
    return (double(w.w01[0] >> 12) + 0.5) * 0x1p-52;
  }
};

}  // namespace
}  // namespace lamina::LAMINA_ISA
