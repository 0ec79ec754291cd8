// Vector mathematics: float32 functions as polynomials and rationals fitted for this library (no
// tables), the rest lane by lane through libm in double. Bounds are in units in the last place,
// measured over the whole domain by tests/cpp/test_vec_math.cpp; NaN, infinities and -0 as in C.
//
//   exp <= 1.1   expm1 <= 2   log <= 1   log1p <= 2   tanh <= 2.5   sigmoid <= 2.5   erf <= 1.5
//   sin cos tan asin acos atan sinh cosh pow ... and everything in float64: libm's (<= 1)
#pragma once
#include "kernels/vec.h"

namespace lamina::LAMINA_ISA {
namespace {

inline double erfinv_double(double x);
inline double digamma_double(double x);

// One libm call per lane, in double: exact enough to be correctly rounded nearly always.
template <class V, class F>
inline V lanes(V v, F f) {
  V r;
  for (int i = 0; i < kLanes<V>; ++i) r[i] = Scalar<V>(f(double(v[i])));
  return r;
}
template <class V, class F>
inline V lanes(V a, V b, F f) {
  V r;
  for (int i = 0; i < kLanes<V>; ++i) r[i] = Scalar<V>(f(double(a[i]), double(b[i])));
  return r;
}
#define LAMINA_LIBM(NAME)                                             \
  inline double libm_##NAME(double x) { return __builtin_##NAME(x); } \
  inline F64 NAME(F64 v) { return lanes(v, libm_##NAME); }
#define LAMINA_LIBM_BOTH(NAME) \
  LAMINA_LIBM(NAME)            \
  inline F32 NAME(F32 v) { return lanes(v, libm_##NAME); }
LAMINA_LIBM(exp)
LAMINA_LIBM(expm1)
LAMINA_LIBM(log)
LAMINA_LIBM(log1p)
LAMINA_LIBM(tanh)
LAMINA_LIBM(erf)
LAMINA_LIBM_BOTH(exp2)
LAMINA_LIBM_BOTH(log2)
LAMINA_LIBM_BOTH(log10)
LAMINA_LIBM_BOTH(sin)
LAMINA_LIBM_BOTH(cos)
LAMINA_LIBM_BOTH(tan)
LAMINA_LIBM_BOTH(asin)
LAMINA_LIBM_BOTH(acos)
LAMINA_LIBM_BOTH(atan)
LAMINA_LIBM_BOTH(sinh)
LAMINA_LIBM_BOTH(cosh)
LAMINA_LIBM_BOTH(asinh)
LAMINA_LIBM_BOTH(acosh)
LAMINA_LIBM_BOTH(atanh)
LAMINA_LIBM_BOTH(erfc)
LAMINA_LIBM_BOTH(lgamma)
#undef LAMINA_LIBM
#undef LAMINA_LIBM_BOTH
template <class V>
inline V pow(V a, V b) {
  return lanes(a, b, [](double x, double y) { return __builtin_pow(x, y); });
}
template <class V>
inline V atan2(V a, V b) {
  return lanes(a, b, [](double x, double y) { return __builtin_atan2(x, y); });
}
template <class V>
inline V hypot(V a, V b) {
  return lanes(a, b, [](double x, double y) { return __builtin_hypot(x, y); });
}
template <class V>
inline V fmod(V a, V b) {
  return lanes(a, b, [](double x, double y) { return __builtin_fmod(x, y); });
}
template <class V>
inline V remainder(V a, V b) {  // the sign of b, as Python's %
  const V r = fmod(a, b);
  return select((r != V{}) & ((r < V{}) != (b < V{})), r + b, r);
}
template <class V>
inline V floor_divide(V a, V b) {  // floor of the exact quotient
  const V r = remainder(a, b);
  const V q = round((a - r) / b);
  return select(b == V{}, a / b, q);
}
template <class V>
inline V erfinv(V v) {
  return lanes(v, erfinv_double);
}
template <class V>
inline V digamma(V v) {
  return lanes(v, digamma_double);
}
inline F32 copysign(F32 a, F32 s) {
  return from_bits((bits(a) & 0x7fffffff) | (bits(s) & int32_t(0x80000000)));
}
inline F64 copysign(F64 a, F64 s) {
  return from_bits((bits(a) & 0x7fffffffffffffffll) | (bits(s) & int64_t(0x8000000000000000ull)));
}
template <class V>
inline V sign(V x) {
  return select(x > V{}, set1<V>(1), select(x < V{}, set1<V>(-1), x * set1<V>(0)));
}

inline F32 constant_f32(double v) { return set1<F32>(float(v)); }

// 2^n for integer-valued n in [-126, 127].
inline F32 power_of_two(I32 n) { return from_bits((n + 127) << 23); }

// e^r - 1 - r - r^2/2 ... as r^2 q(r) + r on |r| <= ln 2 / 2.
inline F32 expm1_core(F32 r) {
  F32 q = set1<F32>(1.9899276233e-4f);
  q = fma(q, r, set1<F32>(1.3933643523e-3f));
  q = fma(q, r, set1<F32>(8.3332984803e-3f));
  q = fma(q, r, set1<F32>(4.1666464976e-2f));
  q = fma(q, r, set1<F32>(1.6666666719e-1f));
  q = fma(q, r, set1<F32>(5.0000000135e-1f));
  return fma(q * r, r, r);
}

// e^x = 2^n e^r, n = round(x / ln 2), r = x - n ln 2 in two pieces; 2^n in two factors so that
// results from the smallest denormal to the largest float are reached.
inline F32 exp(F32 x) {
  const F32 clamped = min(set1<F32>(89.0f), max(set1<F32>(-104.0f), x));
  const F32 n = round(clamped * set1<F32>(1.44269504089f));
  F32 r = fnma(n, set1<F32>(0.693145751953125f), clamped);
  r = fnma(n, set1<F32>(1.42860682030941723212e-6f), r);
  const F32 y = expm1_core(r) + set1<F32>(1.0f);
  const I32 i = to_int(n), half = i >> 1;
  const F32 scaled = y * power_of_two(half) * power_of_two(i - half);
  return select(x != x, x, scaled);
}

inline F32 expm1(F32 x) {
  const F32 clamped = min(set1<F32>(89.0f), max(set1<F32>(-30.0f), x));
  const F32 n = round(clamped * set1<F32>(1.44269504089f));
  F32 r = fnma(n, set1<F32>(0.693145751953125f), clamped);
  r = fnma(n, set1<F32>(1.42860682030941723212e-6f), r);
  const I32 i = to_int(n), half = i >> 1;
  const F32 a = power_of_two(half), b = power_of_two(i - half);
  const F32 y = fma(expm1_core(r) * a, b, fma(a, b, set1<F32>(-1.0f)));
  const F32 big = (expm1_core(r) + set1<F32>(1.0f)) * a * b;  // near overflow, -1 is lost anyway
  const F32 result = select(n > set1<F32>(100.0f), big, y);
  return select((x != x) | (x == F32{}), x, result);
}

// log x = e ln 2 + log(1 + f), 1 + f in [sqrt(1/2), sqrt 2).
inline F32 log(F32 x) {
  const I32 tiny = x < set1<F32>(1.17549435e-38f);
  const F32 scaled = select(tiny, x * set1<F32>(8388608.0f), x);
  I32 i = bits(scaled) - 0x3f3504f3;  // sqrt(1/2)
  const I32 e = i >> 23;
  const F32 f = from_bits((i & 0x7fffff) + 0x3f3504f3) - set1<F32>(1.0f);
  F32 n = to_float(e) - select(tiny, set1<F32>(23.0f), F32{});
  F32 q = set1<F32>(7.1497538934e-2f);
  q = fma(q, f, set1<F32>(-1.1571200728e-1f));
  q = fma(q, f, set1<F32>(1.1661511068e-1f));
  q = fma(q, f, set1<F32>(-1.2411050684e-1f));
  q = fma(q, f, set1<F32>(1.4249936533e-1f));
  q = fma(q, f, set1<F32>(-1.6668480240e-1f));
  q = fma(q, f, set1<F32>(2.0000707477e-1f));
  q = fma(q, f, set1<F32>(-2.4999989049e-1f));
  q = fma(q, f, set1<F32>(3.3333331191e-1f));
  const F32 f2 = f * f;
  F32 y = f2 * f * q;
  y = fma(n, set1<F32>(-2.12194440e-4f), y);
  y = fma(f2, set1<F32>(-0.5f), y);
  y = fma(n, set1<F32>(0.693359375f), f + y);
  const F32 inf = set1<F32>(__builtin_inff());
  y = select(x == inf, inf, y);
  y = select(x == F32{}, -inf, y);
  return select((x < F32{}) | (x != x), set1<F32>(__builtin_nanf("")), y);
}

inline F32 log1p(F32 x) {  // log u + (x - (u - 1)) / u with u = 1 + x rounded
  const F32 u = x + set1<F32>(1.0f);
  const F32 y = log(u) + (x - (u - set1<F32>(1.0f))) / u;
  const F32 inf = set1<F32>(__builtin_inff());
  return select((u == inf) | (u <= F32{}), log(u), select(u == set1<F32>(1.0f), x, y));
}

inline F32 tanh(F32 x) {  // t / (t + 2), t = e^(2|x|) - 1; exact sign, 1 beyond 9.1
  const F32 a = abs(x);
  const F32 t = expm1(a + a);
  const F32 y = select(a > set1<F32>(9.1f), set1<F32>(1.0f), t / (t + set1<F32>(2.0f)));
  return select(x != x, x, copysign(y, x));
}

template <class V>
inline V sigmoid(V x) {
  return set1<V>(1) / (set1<V>(1) + exp(-x));
}

inline F32 erf(F32 x) {  // |x| < 1: x p(x^2); above: 1 - e^(-x^2) p(t), t = 1 / (1 + x / 2)
  const F32 a = abs(x), s = x * x;
  F32 p = set1<F32>(-9.6735907362e-6f);
  p = fma(p, s, set1<F32>(1.1268253872e-4f));
  p = fma(p, s, set1<F32>(-8.4843965482e-4f));
  p = fma(p, s, set1<F32>(5.2210534124e-3f));
  p = fma(p, s, set1<F32>(-2.6865438310e-2f));
  p = fma(p, s, set1<F32>(1.1283782622e-1f));
  p = fma(p, s, set1<F32>(-3.7612638476e-1f));
  p = fma(p, s, set1<F32>(1.2837916706e-1f));
  const F32 small = fma(p, x, x);  // the leading 2/sqrt(pi) split as 1 + 0.128...
  const F32 b = min(a, set1<F32>(4.2f));
  const F32 t = set1<F32>(1.0f) / fma(b, set1<F32>(0.5f), set1<F32>(1.0f));
  F32 q = set1<F32>(1.2944427184e-2f);
  q = fma(q, t, set1<F32>(6.7765614431e-2f));
  q = fma(q, t, set1<F32>(-3.8204966204e-1f));
  q = fma(q, t, set1<F32>(4.7599385468e-1f));
  q = fma(q, t, set1<F32>(-5.0678161158e-2f));
  q = fma(q, t, set1<F32>(3.2743320245e-1f));
  q = fma(q, t, set1<F32>(2.6454508219e-1f));
  q = fma(q, t, set1<F32>(2.8425613561e-1f));
  q = fma(q, t, set1<F32>(-1.1569229733e-4f));
  const F32 large = copysign(fnma(exp(-(b * b)), q, set1<F32>(1.0f)), x);
  return select(x != x, x, select(a < set1<F32>(1.0f), small, large));
}

// Inverse of erf: a starting value from its logarithm (Winitzki 2008), then two Halley steps.
inline double erfinv_double(double x) {
  if (!(x > -1.0 && x < 1.0)) {
    if (x == 1.0) return __builtin_inf();
    if (x == -1.0) return -__builtin_inf();
    return __builtin_nan("");
  }
  if (x == 0) return x;
  const double l = __builtin_log1p(-x * x), c = 4.3307467508 + l / 2;
  double y = __builtin_copysign(__builtin_sqrt(__builtin_sqrt(c * c - l / 0.147) - c), x);
  for (int i = 0; i < 3; ++i) {
    const double error = x > 0.5    ? (1 - x) - __builtin_erfc(y)  // erf(y) - x, without cancelling
                         : x < -0.5 ? __builtin_erfc(-y) - (1 + x)
                                    : __builtin_erf(y) - x;
    const double step = error / (1.12837916709551257390 * __builtin_exp(-y * y));
    y -= step / (1 + y * step);
  }
  return y;
}

// d/dx log Gamma(x): reflection for x < 0, recurrence up to 10, then the asymptotic series.
inline double digamma_double(double x) {
  double result = 0;
  if (x == 0) return -__builtin_copysign(__builtin_inf(), x);
  if (x < 0) {
    if (x == __builtin_floor(x)) return __builtin_nan("");
    const double pi = 3.14159265358979323846, fraction = x - __builtin_floor(x);
    result = -pi / __builtin_tan(pi * fraction);
    x = 1 - x;
  }
  while (x < 10) {
    result -= 1 / x;
    x += 1;
  }
  const double z = 1 / (x * x);
  const double series =
      z * (1.0 / 12 - z * (1.0 / 120 -
                           z * (1.0 / 252 -
                                z * (1.0 / 240 - z * (1.0 / 132 - z * (691.0 / 32760 - z / 12))))));
  return result + __builtin_log(x) - 0.5 / x - series;
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
