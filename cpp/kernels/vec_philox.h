// Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), several
// blocks at a time, and what is made of its words without library calls.
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
//
// The functions below are written with products and sums only (no fused multiply-add), each
// rounded by IEEE 754, so every instruction set gives the same bits.
#pragma once
#include "kernels/kernels.h"
#include "kernels/vec.h"

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

// ---- words as numbers --------------------------------------------------------------------------
inline F32 as_f32(double s) { return set1<F32>(float(s)); }
inline F32 unit_f32(U64 w) { return to_float(I32(U32(w) >> 8)) * as_f32(0x1p-24); }  // [0, 1)
inline F32 open_unit_f32(U64 w) {                                                    // (0, 1]
  return (to_float(I32(U32(w) >> 1)) + as_f32(0.5)) * as_f32(0x1p-31);
}
inline F64 to_double(U64 x) {  // x < 2^53: the halves through the mantissas of 2^52 and 2^84
  const F64 low = F64((x & 0xffffffffu) | 0x4330000000000000u);
  const F64 high = F64((x >> 32) | 0x4530000000000000u);
  return (high - set1<F64>(0x1p84 + 0x1p52)) + low;
}
inline F64 unit_f64(U64 w) { return to_double(w >> 11) * set1<F64>(0x1p-53); }  // [0, 1)
inline F64 open_unit_f64(U64 w) {                                               // (0, 1)
  return (to_double(w >> 12) + set1<F64>(0.5)) * set1<F64>(0x1p-52);
}

// ln u for u in (0, 1], no denormals: u = 2^e (1 + f), 1 + f in [sqrt(1/2), sqrt 2).
inline F32 plain_log(F32 u) {
  const I32 i = bits(u) - 0x3f3504f3;
  const F32 n = to_float(i >> 23);
  const F32 f = from_bits((i & 0x7fffff) + 0x3f3504f3) - as_f32(1);
  F32 q = as_f32(7.1497538934e-2);
  q = q * f + as_f32(-1.1571200728e-1);
  q = q * f + as_f32(1.1661511068e-1);
  q = q * f + as_f32(-1.2411050684e-1);
  q = q * f + as_f32(1.4249936533e-1);
  q = q * f + as_f32(-1.6668480240e-1);
  q = q * f + as_f32(2.0000707477e-1);
  q = q * f + as_f32(-2.4999989049e-1);
  q = q * f + as_f32(3.3333331191e-1);
  const F32 f2 = f * f;
  const F32 y = f2 * f * q + n * as_f32(-2.12194440e-4) - f2 * as_f32(0.5);
  return n * as_f32(0.693359375) + (f + y);
}
inline F64 plain_log(F64 u) {  // 2 atanh(f / (2 + f)) by its series
  const I64 i = bits(u) - 0x3fe6a09e667f3bcdll;
  const F64 n = to_double(U64((i >> 52) + 1024)) - set1<F64>(1024);
  const F64 f = from_bits((i & 0xfffffffffffffll) + 0x3fe6a09e667f3bcdll) - set1<F64>(1);
  const F64 s = f / (set1<F64>(2) + f), z = s * s;
  F64 q = set1<F64>(2.0 / 21);
  for (int k = 19; k >= 3; k -= 2) q = q * z + set1<F64>(2.0 / k);
  return n * set1<F64>(0.69314718055994530942) + (s + s + s * z * q);
}

// A point (c, s) on the unit circle: a quarter turn around 0 from the low bits of w (float32: 30 of
// 32), swapped by one further bit, and negated by the top bit, which the caller applies to the
// radius (`sign`).
struct Point32 {
  F32 c, s;
  I32 sign;
};
inline Point32 circle(U32 w) {
  const F32 x = to_float(I32(w << 2)) * as_f32(3.14159265358979323846 / 2 * 0x1p-32), z = x * x;
  F32 s = as_f32(1.0 / 362880);  // Taylor: the next terms are below 3e-9
  s = s * z - as_f32(1.0 / 5040);
  s = s * z + as_f32(1.0 / 120);
  s = s * z - as_f32(1.0 / 6);
  s = s * z * x + x;
  F32 c = as_f32(-1.0 / 3628800);
  c = c * z + as_f32(1.0 / 40320);
  c = c * z - as_f32(1.0 / 720);
  c = c * z + as_f32(1.0 / 24);
  c = c * z * z - z * as_f32(0.5) + as_f32(1);
  const I32 swap = I32(w << 1) < 0;
  return {select(swap, s, c), select(swap, c, s), I32(w & 0x80000000u)};
}
struct Point64 {
  F64 c, s;
  I64 sign;
};
inline Point64 circle(U64 w) {
  const F64 t = to_double((w << 2) >> 11) - set1<F64>(0x1p52);  // 53 of the low 62 bits
  const F64 x = t * set1<F64>(3.14159265358979323846 / 2 * 0x1p-53), z = x * x;
  F64 s = set1<F64>(1), c = set1<F64>(1);
  for (int k = 18; k >= 2; k -= 2) {
    s = set1<F64>(1) - s * z * set1<F64>(1.0 / (k * (k + 1)));
    c = set1<F64>(1) - c * z * set1<F64>(1.0 / (k * (k - 1)));
  }
  s = s * x;
  const I64 swap = I64(w << 1) < 0;
  return {select(swap, s, c), select(swap, c, s), I64(w & 0x8000000000000000u)};
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
