// exp, expm1, log, log1p and tanh in double, by Taylor series on reduced arguments (no tables), and
// the way between a vector of float and two of double. Bounds in units in the last place, measured
// by tests/test_math.py: exp 1.5, expm1 2, log 1.2, log1p 2, tanh 3.5. NaN, infinities and -0 as
// in C; results below the smallest normal number may be 0.
#pragma once
#include "kernels/vec.h"

namespace lamina::LAMINA_ISA {
namespace {

inline F64 f64(double v) { return set1<F64>(v); }
inline F64 f64_power_of_two(F64 n) { return from_bits((to_int(n) + 1023) << 52); }

// x = n ln 2 + r, |r| <= ln 2 / 2; ln 2 in two pieces, the first short enough for n times it to be
// exact.
struct ExpParts {
  F64 n, r;
};
inline ExpParts exp_parts(F64 x) {
  const F64 n = round(x * f64(1.44269504088896340736));
  return {n, fnma(n, f64(1.90821492927058770002e-10), fnma(n, f64(6.93147180369123816490e-01), x))};
}
// sum of c[k] x^k, k < n, the even and the odd powers side by side: half the latency of one chain.
template <int n>
inline F64 series(F64 x, const double* c) {
  const F64 z = x * x;
  F64 even = f64(c[(n - 1) / 2 * 2]), odd = f64(c[(n - 2) / 2 * 2 + 1]);
  for (int k = (n - 1) / 2 * 2 - 2; k >= 0; k -= 2) even = fma(even, z, f64(c[k]));
  for (int k = (n - 2) / 2 * 2 - 1; k >= 1; k -= 2) odd = fma(odd, z, f64(c[k]));
  return fma(odd, x, even);
}
constexpr double kExpSeries[] = {1.0 / 2,       1.0 / 6,        1.0 / 24,        1.0 / 120,
                                 1.0 / 720,     1.0 / 5040,     1.0 / 40320,     1.0 / 362880,
                                 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
constexpr double kLogSeries[] = {2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11, 2.0 / 13,
                                 2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21, 2.0 / 23};

// e^r - 1 = r + r^2 q(r): with 12 terms the next is 4e-18, with 8 it is 2e-11.
template <int terms = 12>
inline F64 expm1_core(F64 r) {
  return fma(series<terms>(r, kExpSeries) * r, r, r);
}

template <int terms = 12>
inline F64 exp(F64 x) {
  const F64 clamped = min(f64(710), max(f64(-746), x));
  const ExpParts p = exp_parts(clamped);
  const F64 half = floor(p.n * f64(0.5));
  const F64 y =
      (expm1_core<terms>(p.r) + f64(1)) * f64_power_of_two(half) * f64_power_of_two(p.n - half);
  return select(x != x, x, y);
}

inline F64 expm1(F64 x) {
  const F64 clamped = min(f64(710), max(f64(-50), x));
  const ExpParts p = exp_parts(clamped);
  const F64 half = floor(p.n * f64(0.5));
  const F64 a = f64_power_of_two(half), b = f64_power_of_two(p.n - half), core = expm1_core(p.r);
  const F64 near = fma(core * a, b, fma(a, b, f64(-1)));
  const F64 far = (core + f64(1)) * a * b;  // near overflow; -1 is lost anyway
  return select((x != x) | (x == F64{}), x, select(p.n > f64(1000), far, near));
}

// log x = n ln 2 + log(1 + f), 1 + f in [sqrt(1/2), sqrt 2); with s = f / (2 + f),
// log(1 + f) = 2 atanh s = f - f^2/2 + s (f^2/2 + R), R = 2 s^2/3 + 2 s^4/5 + ..., s^2 < 0.0295;
// what 11 terms leave out is below 1e-18, 7 terms 2e-13.
template <int terms = 11>
inline F64 log(F64 x) {
  const I64 tiny = x < f64(2.2250738585072014e-308);
  const F64 scaled = select(tiny, x * f64(0x1p54), x);
  const int64_t least = 0x3fe6a09e667f3bcdll;  // sqrt(1/2)
  const U64 i = U64(bits(scaled)) + uint64_t(0x3ff0000000000000ll - least);
  const F64 f = from_bits(I64(i & 0xfffffffffffffull) + least) - f64(1);
  const F64 n = from_bits(I64((i >> 52) | 0x4330000000000000ull)) -
                (f64(4503599627370496.0 + 1023) + select(tiny, f64(54), F64{}));
  const F64 s = f / (f64(2) + f), z = s * s;
  const F64 R = series<terms>(z, kLogSeries) * z;
  const F64 h = f * f * f64(0.5);
  const F64 low = fma(s, R + h, n * f64(1.90821492927058770002e-10));
  const F64 y = fma(n, f64(6.93147180369123816490e-01), f - (h - low));
  const F64 inf = f64(__builtin_inf());
  const F64 edge = select(x == F64{}, -inf, select(x == inf, inf, f64(__builtin_nan(""))));
  return select((x > F64{}) & (x < inf), y, edge);
}

inline F64 log1p(F64 x) {  // log u + (x - (u - 1)) / u with u = 1 + x rounded
  const F64 u = x + f64(1), y = log(u);
  const F64 fixed = y + (x - (u - f64(1))) / u;
  return select((u == f64(__builtin_inf())) | (u <= F64{}), y, select(u == f64(1), x, fixed));
}

inline F64 tanh(F64 x) {  // t / (t + 2), t = e^(2|x|) - 1; 1 beyond 20
  const F64 a = abs(x), t = expm1(min(f64(40), a + a));
  const F64 y = select(a > f64(20), f64(1), t / (t + f64(2)));
  const F64 signed_y = from_bits(bits(y) | (bits(x) & int64_t(0x8000000000000000ull)));
  return select(x != x, x, signed_y);
}

// A vector of float as two of double, and back.
struct Wide {
  F64 low, high;
};
inline Wide widen(F32 v) {
#if defined(LAMINA_ISA_AVX512)
  return {F64(_mm512_cvtps_pd(_mm512_castps512_ps256(__m512(v)))),
          F64(_mm512_cvtps_pd(_mm512_extractf32x8_ps(__m512(v), 1)))};
#elif defined(LAMINA_ISA_AVX2)
  return {F64(_mm256_cvtps_pd(_mm256_castps256_ps128(__m256(v)))),
          F64(_mm256_cvtps_pd(_mm256_extractf128_ps(__m256(v), 1)))};
#else
  typedef float Half __attribute__((vector_size(LAMINA_VEC_BYTES / 2)));
  Half h[2];
  __builtin_memcpy(h, &v, sizeof v);
  return {__builtin_convertvector(h[0], F64), __builtin_convertvector(h[1], F64)};
#endif
}
inline F32 narrow(Wide w) {
#if defined(LAMINA_ISA_AVX512)
  return F32(_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(__m512d(w.low))),
                                _mm512_cvtpd_ps(__m512d(w.high)), 1));
#elif defined(LAMINA_ISA_AVX2)
  return F32(_mm256_set_m128(_mm256_cvtpd_ps(__m256d(w.high)), _mm256_cvtpd_ps(__m256d(w.low))));
#else
  typedef float Half __attribute__((vector_size(LAMINA_VEC_BYTES / 2)));
  const Half h[2] = {__builtin_convertvector(w.low, Half), __builtin_convertvector(w.high, Half)};
  F32 v;
  __builtin_memcpy(&v, h, sizeof v);
  return v;
#endif
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
