// Vector mathematics: polynomials and rationals on reduced arguments (no tables), in float here, by
// way of double in vec_wide.h, and little through libm. Bounds in units in the last place of the
// result, measured over the whole domain on every instruction set by tests/test_math.py; NaN,
// infinities and -0 as in C. Denormals count as 0, on the way in and out (core/threads.h).
//
//   float32: exp exp2 log log10 1; log2 expm1 log1p rsqrt erf 1.5; sin cos 1.6; tanh sigmoid 2;
//            softplus 2.5; what vec_wide.h has (pow, tan, atan, cosh, erfc, ...) 0.51
//   float64: vec_double.h, and libm's (1)
//   silu, mish: 1e-7 absolute where they decay to 0, a few units elsewhere
#pragma once
#include "kernels/vec_wide.h"

namespace lamina::LAMINA_ISA {
namespace {

template <class V>
inline V remainder(V a, V b) {  // the sign of b, as Python's %
  const V r = fmod(a, b);
  return select((r != V{}) & ((r < V{}) != (b < V{})), r + b, r);
}
template <class V>
inline V floor_divide(V a, V b) {                  // floor of the exact quotient
  const V r = fmod(a, b), q = round((a - r) / b);  // towards zero
  const V floored = select((r != V{}) & ((r < V{}) != (b < V{})), q - set1<V>(1), q);
  return select(b == V{}, a / b, floored);
}
template <class V>
inline V polygamma(V v, double n) {
  return lanes(v, [n](double x) { return polygamma_double(n, x); });
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

// e^x for x <= 0 (or NaN): no overflow to think of, so 2^n goes straight into the exponent. Below
// -86.5, where that would leave the normal numbers, 0.
inline F32 exp_below(F32 x) {
  const F32 least = set1<F32>(-86.5f), c = max(least, x);
  const F32 n = round(c * set1<F32>(1.44269504089f));
  F32 r = fnma(n, set1<F32>(0.693145751953125f), c);
  r = fnma(n, set1<F32>(1.42860682030941723212e-6f), r);
  const F32 y = expm1_core(r) + set1<F32>(1.0f);
  return select(x < least, F32{}, from_bits(bits(y) + (to_int(n) << 23)));
}
inline F64 exp_below(F64 x) { return exp(x); }

inline F32 exp2(F32 x) {  // 2^n e^((x - n) ln 2)
  const F32 clamped = min(set1<F32>(129.0f), max(set1<F32>(-150.0f), x));
  const F32 n = round(clamped), y = expm1_core((clamped - n) * constant_f32(0.693147180559945309));
  const I32 i = to_int(n), half = i >> 1;
  const F32 scaled = (y + set1<F32>(1.0f)) * power_of_two(half) * power_of_two(i - half);
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

// log x = n ln 2 + log(1 + f), 1 + f in [sqrt(1/2), sqrt 2).
struct LogParts {
  F32 n, f, y;  // log(1 + f) = f - f^2/2 + y
};
inline LogParts log_parts(F32 x) {
  const I32 tiny = x < set1<F32>(1.17549435e-38f);
  const F32 scaled = select(tiny, x * set1<F32>(8388608.0f), x);
  const I32 i = I32(U32(bits(scaled)) - 0x3f3504f3u);  // sqrt(1/2); wraps where x < 0
  const F32 f = from_bits((i & 0x7fffff) + 0x3f3504f3) - set1<F32>(1.0f);
  const F32 n = to_float(i >> 23) - select(tiny, set1<F32>(23.0f), F32{});
  F32 q = set1<F32>(7.1497538934e-2f);
  q = fma(q, f, set1<F32>(-1.1571200728e-1f));
  q = fma(q, f, set1<F32>(1.1661511068e-1f));
  q = fma(q, f, set1<F32>(-1.2411050684e-1f));
  q = fma(q, f, set1<F32>(1.4249936533e-1f));
  q = fma(q, f, set1<F32>(-1.6668480240e-1f));
  q = fma(q, f, set1<F32>(2.0000707477e-1f));
  q = fma(q, f, set1<F32>(-2.4999989049e-1f));
  q = fma(q, f, set1<F32>(3.3333331191e-1f));
  return {n, f, f * f * f * q};
}
// Logarithms at 0, infinity, and where there is none.
inline F32 log_edges(F32 x, F32 y) {
  const F32 inf = set1<F32>(__builtin_inff());
  y = select(x == inf, inf, y);
  y = select(x == F32{}, -inf, y);
  return select((x < F32{}) | (x != x), set1<F32>(__builtin_nanf("")), y);
}
inline F32 log(F32 x) {
  const LogParts p = log_parts(x);
  F32 y = fma(p.n, set1<F32>(-2.12194440e-4f), p.y);
  y = fma(p.f * p.f, set1<F32>(-0.5f), y);
  return log_edges(x, fma(p.n, set1<F32>(0.693359375f), p.f + y));
}
// Other bases: f c + (rest) c, the base's constant c in two pieces of which the first is short.
inline F32 log_times(F32 x, float high, float low, float n_high, float n_low) {
  const LogParts p = log_parts(x);
  const F32 rest = fma(p.f * p.f, set1<F32>(-0.5f), p.y), h = set1<F32>(high), l = set1<F32>(low);
  F32 y = fma(p.n, set1<F32>(n_low), fma(rest, l, p.f * l));
  y = fma(rest, h, y);
  const F32 f12 = from_bits(bits(p.f) & int32_t(0xfffff000u));  // f in two pieces as well
  y = fma(p.f - f12, h, y);
  const F32 lead = f12 * h, top = fma(p.n, set1<F32>(n_high), lead);
  return log_edges(x, top + ((p.n * set1<F32>(n_high) - top) + lead + y));
}
inline F32 log2(F32 x) { return log_times(x, 1.4423828125f, 3.1222839e-4f, 1.0f, 0.0f); }
inline F32 log10(F32 x) {
  return log_times(x, 0.434326171875f, -3.1689971e-5f, 0.301025390625f, 4.6050389811952137e-6f);
}

inline F32 log1p(F32 x) {  // log u + (x - (u - 1)) / u with u = 1 + x rounded
  const F32 u = x + set1<F32>(1.0f);
  const F32 y = log(u) + (x - (u - set1<F32>(1.0f))) / u;
  const F32 inf = set1<F32>(__builtin_inff());
  return select((u == inf) | (u <= F32{}), log(u), select(u == set1<F32>(1.0f), x, y));
}

// 1 + e^x = (1 + 2^n) + 2^n (e^r - 1), rounded once, for x in [-87, 88]; from n = 24 on, where 1
// would be lost beside 2^n, it goes to the other term.
inline F32 one_plus_exp(F32 x) {
  const F32 one = set1<F32>(1.0f), n = round(x * set1<F32>(1.44269504089f));
  F32 r = fnma(n, set1<F32>(0.693145751953125f), x);
  r = fnma(n, set1<F32>(1.42860682030941723212e-6f), r);
  const F32 scale = power_of_two(to_int(n)), core = expm1_core(r);
  const F32 near = fma(core, scale, scale + one), far = fma(core, scale, one) + scale;
  return select(n < set1<F32>(24.0f), near, far);
}

inline F32 tanh(F32 x) {  // |x| < 1: x + x^3 p(x^2); above: 1 - 2 / (1 + e^(2|x|))
  const F32 a = abs(x), z = x * x;
  F32 p = set1<F32>(-3.58451682e-4f);
  p = fma(p, z, set1<F32>(2.30136351e-3f));
  p = fma(p, z, set1<F32>(-7.94610474e-3f));
  p = fma(p, z, set1<F32>(2.14866567e-2f));
  p = fma(p, z, set1<F32>(-5.38798012e-2f));
  p = fma(p, z, set1<F32>(1.33323446e-1f));
  p = fma(p, z, set1<F32>(-3.33332956e-1f));
  const F32 one = set1<F32>(1.0f);
  const F32 large = one - set1<F32>(2.0f) / one_plus_exp(min(set1<F32>(40.0f), a + a));
  return select(x != x, x, copysign(select(a < one, fma(p * z, a, a), large), x));
}

template <class V>
inline V sigmoid(V x) {
  return set1<V>(1) / (set1<V>(1) + exp(-x));
}
inline F32 sigmoid(F32 x) {
  return set1<F32>(1.0f) / one_plus_exp(max(set1<F32>(-87.0f), min(set1<F32>(88.0f), -x)));
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

// sin and cos: a series of what is left of x after k quarter turns, and the quadrant k + shift.
inline F32 sine(F32 x, int shift) {
  const Wide w = widen(x);
  Wide r, k;
  k.low = quarter_turns(w.low, &r.low);
  k.high = quarter_turns(w.high, &r.high);
  const F32 t = narrow(r), z = t * t;
  const I32 quadrant = to_int(narrow(k)) + shift;
  F32 s = constant_f32(1.0 / 362880);
  s = fma(s, z, constant_f32(-1.0 / 5040));
  s = fma(s, z, constant_f32(1.0 / 120));
  s = fma(s, z, constant_f32(-1.0 / 6));
  s = fma(s * z, t, t);
  F32 c = constant_f32(-1.0 / 3628800);
  c = fma(c, z, constant_f32(1.0 / 40320));
  c = fma(c, z, constant_f32(-1.0 / 720));
  c = fma(c, z, constant_f32(1.0 / 24));
  c = fma(c * z, z, fma(z, set1<F32>(-0.5f), set1<F32>(1.0f)));
  const F32 y = select((quadrant & 1) == 0, s, c);
  return from_bits(bits(y) ^ ((quadrant & 2) << 30));
}
inline F32 sin(F32 x) {
  const F32 y = select(x == F32{}, x, sine(x, 0));
  const I32 far = !(abs(x) < set1<F32>(67108864.0f));
  return __builtin_expect(any(far), 0) ? select(far, lanes(x, libm_sin), y) : y;
}
inline F32 cos(F32 x) {
  const F32 y = sine(x, 1);
  const I32 far = !(abs(x) < set1<F32>(67108864.0f));
  return __builtin_expect(any(far), 0) ? select(far, lanes(x, libm_cos), y) : y;
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
