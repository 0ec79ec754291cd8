// AVX-512 (F, BW, DQ, VL): 16 floats or 8 doubles; masked loads and stores in hardware.
#pragma once
#include <immintrin.h>
#define LAMINA_VEC_BYTES 64
#include "kernels/vec_base.h"

namespace lamina::LAMINA_ISA {
namespace {

inline __mmask16 first16(int n) { return __mmask16(n >= 16 ? 0xffff : (1u << n) - 1); }
inline __mmask8 first8(int n) { return __mmask8(n >= 8 ? 0xff : (1u << n) - 1); }

template <class V>
V load(const Scalar<V>* p, int n, Scalar<V> fill = 0);
template <>
inline F32 load<F32>(const float* p, int n, float fill) {
  return F32(_mm512_mask_loadu_ps(_mm512_set1_ps(fill), first16(n), p));
}
template <>
inline F64 load<F64>(const double* p, int n, double fill) {
  return F64(_mm512_mask_loadu_pd(_mm512_set1_pd(fill), first8(n), p));
}
template <>
inline I32 load<I32>(const int32_t* p, int n, int32_t fill) {
  return I32(_mm512_mask_loadu_epi32(_mm512_set1_epi32(fill), first16(n), p));
}
inline void store(float* p, F32 v, int n) { _mm512_mask_storeu_ps(p, first16(n), __m512(v)); }
inline void store(double* p, F64 v, int n) { _mm512_mask_storeu_pd(p, first8(n), __m512d(v)); }
inline void store(int32_t* p, I32 v, int n) { _mm512_mask_storeu_epi32(p, first16(n), __m512i(v)); }

inline F32 fma(F32 a, F32 b, F32 c) {
  return F32(_mm512_fmadd_ps(__m512(a), __m512(b), __m512(c)));
}
inline F64 fma(F64 a, F64 b, F64 c) {
  return F64(_mm512_fmadd_pd(__m512d(a), __m512d(b), __m512d(c)));
}
inline F32 fnma(F32 a, F32 b, F32 c) {
  return F32(_mm512_fnmadd_ps(__m512(a), __m512(b), __m512(c)));
}
inline F64 fnma(F64 a, F64 b, F64 c) {
  return F64(_mm512_fnmadd_pd(__m512d(a), __m512d(b), __m512d(c)));
}
inline F32 sqrt(F32 v) { return F32(_mm512_sqrt_ps(__m512(v))); }
inline F64 sqrt(F64 v) { return F64(_mm512_sqrt_pd(__m512d(v))); }
inline F32 min(F32 a, F32 b) { return F32(_mm512_min_ps(__m512(a), __m512(b))); }
inline F64 min(F64 a, F64 b) { return F64(_mm512_min_pd(__m512d(a), __m512d(b))); }
inline F32 max(F32 a, F32 b) { return F32(_mm512_max_ps(__m512(a), __m512(b))); }
inline F64 max(F64 a, F64 b) { return F64(_mm512_max_pd(__m512d(a), __m512d(b))); }
template <int mode>
inline F32 rounded(F32 v) {
  return F32(_mm512_roundscale_ps(__m512(v), mode));
}
template <int mode>
inline F64 rounded(F64 v) {
  return F64(_mm512_roundscale_pd(__m512d(v), mode));
}
template <class V>
inline V round(V v) {
  return rounded < _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC > (v);
}
template <class V>
inline V floor(V v) {
  return rounded < _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC > (v);
}
template <class V>
inline V ceil(V v) {
  return rounded < _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC > (v);
}
template <class V>
inline V trunc(V v) {
  return rounded < _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC > (v);
}
inline I32 to_int(F32 v) { return I32(_mm512_cvtps_epi32(__m512(v))); }
inline I64 to_int(F64 v) { return I64(_mm512_cvtpd_epi64(__m512d(v))); }
inline bool any(I32 m) { return _mm512_movepi32_mask(__m512i(m)) != 0; }
inline bool any(I64 m) { return _mm512_movepi64_mask(__m512i(m)) != 0; }
inline bool all(I32 m) { return _mm512_movepi32_mask(__m512i(m)) == 0xffff; }
inline bool all(I64 m) { return _mm512_movepi64_mask(__m512i(m)) == 0xff; }
// The tree of fold() in vec_base.h, in registers.
inline float hsum(F32 v) { return _mm512_reduce_add_ps(__m512(v)); }
inline double hsum(F64 v) { return _mm512_reduce_add_pd(__m512d(v)); }
// Lane i with lane i + n / 2, as there; max(a, b) is a > b ? a : b.
inline float hmax(F32 v) {
  const __m256 x =
      _mm256_max_ps(_mm512_castps512_ps256(__m512(v)), _mm512_extractf32x8_ps(__m512(v), 1));
  const __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  const __m128 z = _mm_max_ps(y, _mm_movehl_ps(y, y));
  return _mm_cvtss_f32(_mm_max_ss(z, _mm_shuffle_ps(z, z, 1)));
}
inline F32 gather(const float* base, I32 index) {
  return F32(_mm512_i32gather_ps(__m512i(index), base, 4));
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
