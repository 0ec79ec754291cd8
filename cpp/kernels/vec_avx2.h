// AVX2 with FMA: 8 floats or 4 doubles; partial loads and stores through vmaskmov.
#pragma once
#include <immintrin.h>
#define LAMINA_VEC_BYTES 32
#include "kernels/vec_base.h"

namespace lamina::LAMINA_ISA {
namespace {

inline __m256i first8(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline __m256i first4(int n) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
template <class V>
V load(const Scalar<V>* p, int n, Scalar<V> fill = 0);
template <>
inline F32 load<F32>(const float* p, int n, float fill) {
  const __m256i m = first8(n);
  return F32(
      _mm256_blendv_ps(_mm256_set1_ps(fill), _mm256_maskload_ps(p, m), _mm256_castsi256_ps(m)));
}
template <>
inline F64 load<F64>(const double* p, int n, double fill) {
  const __m256i m = first4(n);
  return F64(
      _mm256_blendv_pd(_mm256_set1_pd(fill), _mm256_maskload_pd(p, m), _mm256_castsi256_pd(m)));
}
template <>
inline I32 load<I32>(const int32_t* p, int n, int32_t fill) {
  const __m256i m = first8(n);
  return I32(_mm256_blendv_epi8(_mm256_set1_epi32(fill), _mm256_maskload_epi32(p, m), m));
}
inline void store(float* p, F32 v, int n) { _mm256_maskstore_ps(p, first8(n), __m256(v)); }
inline void store(double* p, F64 v, int n) { _mm256_maskstore_pd(p, first4(n), __m256d(v)); }
inline void store(int32_t* p, I32 v, int n) { _mm256_maskstore_epi32(p, first8(n), __m256i(v)); }

inline F32 fma(F32 a, F32 b, F32 c) {
  return F32(_mm256_fmadd_ps(__m256(a), __m256(b), __m256(c)));
}
inline F64 fma(F64 a, F64 b, F64 c) {
  return F64(_mm256_fmadd_pd(__m256d(a), __m256d(b), __m256d(c)));
}
inline F32 fnma(F32 a, F32 b, F32 c) {
  return F32(_mm256_fnmadd_ps(__m256(a), __m256(b), __m256(c)));
}
inline F64 fnma(F64 a, F64 b, F64 c) {
  return F64(_mm256_fnmadd_pd(__m256d(a), __m256d(b), __m256d(c)));
}
inline F32 sqrt(F32 v) { return F32(_mm256_sqrt_ps(__m256(v))); }
inline F64 sqrt(F64 v) { return F64(_mm256_sqrt_pd(__m256d(v))); }
inline F32 min(F32 a, F32 b) { return F32(_mm256_min_ps(__m256(a), __m256(b))); }
inline F64 min(F64 a, F64 b) { return F64(_mm256_min_pd(__m256d(a), __m256d(b))); }
inline F32 max(F32 a, F32 b) { return F32(_mm256_max_ps(__m256(a), __m256(b))); }
inline F64 max(F64 a, F64 b) { return F64(_mm256_max_pd(__m256d(a), __m256d(b))); }
template <int mode>
inline F32 rounded(F32 v) {
  return F32(_mm256_round_ps(__m256(v), mode));
}
template <int mode>
inline F64 rounded(F64 v) {
  return F64(_mm256_round_pd(__m256d(v), mode));
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
inline I32 to_int(F32 v) { return I32(_mm256_cvtps_epi32(__m256(v))); }
inline I64 to_int(F64 v) {
  const F64 magic = set1<F64>(6755399441055744.0);  // 1.5 * 2^52: |v| < 2^51
  return I64(v + magic) - I64(magic);
}
inline bool any(I32 m) { return _mm256_movemask_epi8(__m256i(m)) != 0; }
inline bool any(I64 m) { return _mm256_movemask_epi8(__m256i(m)) != 0; }
inline bool all(I32 m) { return _mm256_movemask_epi8(__m256i(m)) == -1; }
inline bool all(I64 m) { return _mm256_movemask_epi8(__m256i(m)) == -1; }
// The tree of fold() in vec_base.h, in registers.
inline float hsum(F32 v) {
  __m128 x = _mm_add_ps(_mm256_castps256_ps128(__m256(v)), _mm256_extractf128_ps(__m256(v), 1));
  x = _mm_add_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps(x, x, 1)));
}
inline double hsum(F64 v) {
  const __m128d x =
      _mm_add_pd(_mm256_castpd256_pd128(__m256d(v)), _mm256_extractf128_pd(__m256d(v), 1));
  return _mm_cvtsd_f64(_mm_add_sd(x, _mm_unpackhi_pd(x, x)));
}
// Lane i with lane i + n / 2, as there; max(a, b) is a > b ? a : b.
inline float hmax(F32 v) {
  const __m128 x =
      _mm_max_ps(_mm256_castps256_ps128(__m256(v)), _mm256_extractf128_ps(__m256(v), 1));
  const __m128 y = _mm_max_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_max_ss(y, _mm_shuffle_ps(y, y, 1)));
}
inline F32 gather(const float* base, I32 index) {
  return F32(_mm256_i32gather_ps(base, __m256i(index), 4));
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
