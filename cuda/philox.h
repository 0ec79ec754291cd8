// Philox on the device, its words as numbers, and the arithmetic of philox_draws.h: products, sums,
// quotients and roots that are rounded one by one, so that a seed gives the CPU's bits.
#pragma once
#include "number.h"

namespace lamina::on_device {
namespace {

template <class T>
struct Rounded {
  T v = 0;
};
using F32 = Rounded<float>;
using F64 = Rounded<double>;
using I32 = int32_t;
using U32 = uint32_t;
using I64 = int64_t;
using U64 = uint64_t;
template <class V>
using Scalar = decltype(V::v);

#ifdef __CUDA_ARCH__
#define LAMINA_ROUNDED(op, f, d)                                    \
  LAMINA_HD F32 operator op(F32 a, F32 b) { return {f(a.v, b.v)}; } \
  LAMINA_HD F64 operator op(F64 a, F64 b) { return {d(a.v, b.v)}; }
#else  // compiled without contraction
#define LAMINA_ROUNDED(op, f, d)                                   \
  LAMINA_HD F32 operator op(F32 a, F32 b) { return {a.v op b.v}; } \
  LAMINA_HD F64 operator op(F64 a, F64 b) { return {a.v op b.v}; }
#endif
LAMINA_ROUNDED(+, __fadd_rn, __dadd_rn)
LAMINA_ROUNDED(-, __fsub_rn, __dsub_rn)
LAMINA_ROUNDED(*, __fmul_rn, __dmul_rn)
LAMINA_ROUNDED(/, __fdiv_rn, __ddiv_rn)
#undef LAMINA_ROUNDED

template <class T>
LAMINA_HD bool operator<(Rounded<T> a, Rounded<T> b) {
  return a.v < b.v;
}
template <class T>
LAMINA_HD bool operator==(Rounded<T> a, Rounded<T> b) {
  return a.v == b.v;
}
template <class T>
LAMINA_HD Rounded<T> select(bool m, Rounded<T> a, Rounded<T> b) {
  return m ? a : b;
}
template <class V>
LAMINA_HD V set1(Scalar<V> v) {
  return {v};
}
#ifdef __CUDA_ARCH__
LAMINA_HD F32 sqrt(F32 x) { return {__fsqrt_rn(x.v)}; }
LAMINA_HD F64 sqrt(F64 x) { return {__dsqrt_rn(x.v)}; }
LAMINA_HD I32 bits(F32 x) { return __float_as_int(x.v); }
LAMINA_HD I64 bits(F64 x) { return __double_as_longlong(x.v); }
LAMINA_HD F32 from_bits(I32 b) { return {__int_as_float(b)}; }
LAMINA_HD F64 from_bits(I64 b) { return {__longlong_as_double(b)}; }
LAMINA_HD F32 to_float(I32 i) { return {__int2float_rn(i)}; }
#else
LAMINA_HD F32 sqrt(F32 x) { return {::sqrtf(x.v)}; }
LAMINA_HD F64 sqrt(F64 x) { return {::sqrt(x.v)}; }
LAMINA_HD I32 bits(F32 x) { return __builtin_bit_cast(I32, x.v); }
LAMINA_HD I64 bits(F64 x) { return __builtin_bit_cast(I64, x.v); }
LAMINA_HD F32 from_bits(I32 b) { return {__builtin_bit_cast(float, b)}; }
LAMINA_HD F64 from_bits(I64 b) { return {__builtin_bit_cast(double, b)}; }
LAMINA_HD F32 to_float(I32 i) { return {float(i)}; }
#endif

}  // namespace
}  // namespace lamina::on_device

#include "kernels/philox_draws.h"  // after what they are written in
#include "kernels/rejection_draws.h"

namespace lamina::cuda {

LAMINA_HD uint64_t multiply_high(uint64_t a, uint64_t b) {
#ifdef __CUDA_ARCH__
  return __umul64hi(a, b);
#else
  return uint64_t((unsigned __int128)(a)*b >> 64);
#endif
}

struct PhiloxWords {
  uint32_t w[4];
  __device__ uint64_t wide(int half) const { return uint64_t(w[2 * half + 1]) << 32 | w[2 * half]; }
};
// Philox 4x32-10 of counter (block mod 2^32, block / 2^32, c2, 0).
__device__ inline PhiloxWords philox(uint64_t seed, uint64_t block, uint32_t c2) {
  uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
  uint32_t c0 = uint32_t(block), c1 = uint32_t(block >> 32), c3 = 0;
#pragma unroll
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

// 64-bit draw i of a stream (layout: cpp/kernels/vec_philox.h).
__device__ inline uint64_t wide_draw(uint64_t seed, uint64_t offset, int64_t i) {
  const int64_t group = i / 16;
  const int at = int(i % 16);
  return philox(seed, offset + uint64_t(group * 8 + at % 8), 0).wide(at / 8);
}

// Uniforms of one value's own stream.
struct OwnStream {
  uint64_t seed, block;
  uint32_t step = 0;
  __device__ double next() {
    return (double(philox(seed, block, step++).wide(0) >> 12) + 0.5) * 0x1p-52;
  }
};

}  // namespace lamina::cuda
