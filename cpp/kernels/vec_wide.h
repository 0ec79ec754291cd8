// Functions of float computed in double, two vectors of double for one of float, and libm's for
// what is left (double): series and quotients on reduced arguments (no tables) whose
// relative error is below 1e-9, so that results are correctly rounded nearly always (0.51 units in
// the last place, tests/test_math.py). NaN, infinities and -0 as in C.
//
// The coefficients without a name are least maximum fits on the intervals stated beside them.
#pragma once
#include "kernels/special.h"
#include "kernels/vec_double.h"

namespace lamina::LAMINA_ISA {
namespace {

// One libm call per lane, in double.
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
LAMINA_LIBM(erf)
LAMINA_LIBM(exp2)
LAMINA_LIBM(log2)
LAMINA_LIBM(log10)
LAMINA_LIBM(sin)
LAMINA_LIBM(cos)
LAMINA_LIBM(tan)
LAMINA_LIBM(asin)
LAMINA_LIBM(acos)
LAMINA_LIBM(atan)
LAMINA_LIBM(sinh)
LAMINA_LIBM(cosh)
LAMINA_LIBM(asinh)
LAMINA_LIBM(acosh)
LAMINA_LIBM(atanh)
LAMINA_LIBM(erfc)
LAMINA_LIBM(lgamma)
#undef LAMINA_LIBM
inline F64 erfinv(F64 v) { return lanes(v, erfinv_double); }
inline F64 digamma(F64 v) { return lanes(v, digamma_double); }
#define LAMINA_LIBM(NAME)                                                          \
  inline double libm_##NAME(double a, double b) { return __builtin_##NAME(a, b); } \
  inline F64 NAME(F64 a, F64 b) { return lanes(a, b, libm_##NAME); }
LAMINA_LIBM(atan2)
LAMINA_LIBM(hypot)
LAMINA_LIBM(fmod)
#undef LAMINA_LIBM
// A denormal base counts as 0 wherever denormals do; the library's pow reads its bits.
inline double libm_pow(double a, double b) {
  return __builtin_pow(a == 0 ? __builtin_copysign(0.0, a) : a, b);
}
inline F64 pow(F64 a, F64 b) { return lanes(a, b, libm_pow); }

inline F32 copysign(F32 a, F32 s) {
  return from_bits((bits(a) & 0x7fffffff) | (bits(s) & int32_t(0x80000000)));
}
inline F64 copysign(F64 a, F64 s) {
  return from_bits((bits(a) & 0x7fffffffffffffffll) | (bits(s) & int64_t(0x8000000000000000ull)));
}

template <class F>
inline F32 in_double(F32 x, F f) {
  const Wide w = widen(x);
  return narrow({f(w.low), f(w.high)});
}
template <class F>
inline F32 in_double(F32 a, F32 b, F f) {
  const Wide u = widen(a), v = widen(b);
  return narrow({f(u.low, v.low), f(u.high, v.high)});
}
constexpr double kPi = 3.14159265358979323846;

// ---- exponentials and logarithms ---------------------------------------------------------------
// Those of vec_double.h without the ends of double's range: of normal floats and products of a few
// of them; e^x for |x| < 700. What the series leave out is below 2e-10.
struct LogOfFloat {
  F64 n, f;  // n ln 2 + log(1 + f)
  F64 value() const {
    const F64 s = f / (f64(2) + f), z = s * s;
    const F64 series6 = series<6>(z, kLogSeries) * z;
    return fma(n, f64(0.69314718055994530942), fma(s, series6, s + s));
  }
};
inline LogOfFloat log_of_float_parts(F64 a) {
  const int64_t least = 0x3fe6a09e667f3bcdll;  // sqrt(1/2)
  const U64 i = U64(bits(a)) + uint64_t(0x3ff0000000000000ll - least);
  const F64 f = from_bits(I64(i & 0xfffffffffffffull) + least) - f64(1);
  const F64 n = from_bits(I64((i >> 52) | 0x4330000000000000ull)) - f64(0x1p52 + 1023);
  return {n, f};
}
inline F64 log_of_float(F64 a) { return log_of_float_parts(a).value(); }
// log(1 + f), f >= 0.
inline F64 log1p_of_float(F64 f) {
  LogOfFloat parts = log_of_float_parts(f64(1) + f);
  const I64 small = f < f64(0.4);  // f itself is what is left
  parts.n = select(small, F64{}, parts.n);
  parts.f = select(small, f, parts.f);
  return parts.value();
}
inline F64 exp_to_float(F64 x) {
  const F64 n = round(x * f64(1.44269504088896340736));
  const F64 r = fnma(n, f64(0.69314718055994530942), x);
  return from_bits(bits(expm1_core<7>(r) + f64(1)) + (to_int(n) << 52));
}

// a^b = e^(b log |a|), for |a| a normal float. The sign, and where there is no power, from a and b.
inline F32 pow(F32 a, F32 b) {
  const F32 m = abs(a), one = set1<F32>(1.0f), inf = set1<F32>(__builtin_inff());
  const F32 y = in_double(m, b, [](F64 x, F64 y) {
    return exp_to_float(min(f64(90), max(f64(-110), y * log_of_float(x))));
  });
  const I32 zero = m == F32{};  // true for a denormal too, where these count as 0
  const F32 size = select(zero | (m == inf), select((b > F32{}) ^ zero, inf, F32{}), y);
  const F32 half = b * set1<F32>(0.5f);
  const I32 whole = trunc(b) == b, odd = whole & (trunc(half) != half);
  const F32 result = from_bits(bits(size) | (bits(a) & odd & int32_t(0x80000000u)));
  const I32 none = ((a < F32{}) & (m < inf) & (abs(b) < inf) & !whole) | (a != a) | (b != b);
  const I32 is_one = (b == F32{}) | (a == one) | ((m == one) & (abs(b) == inf));
  return select(is_one, one, select(none, set1<F32>(__builtin_nanf("")), result));
}

constexpr double kSinhSeries[] = {1.0 / 6,      1.0 / 120,      1.0 / 5040,
                                  1.0 / 362880, 1.0 / 39916800, 1.0 / 6227020800};
inline F32 sinh(F32 x) {  // |x| < 1: the series; above: (e^|x| - e^-|x|) / 2
  const F32 y = in_double(abs(x), [](F64 a) {
    const F64 e = exp_to_float(min(f64(110), a)), z = a * a;
    const F64 small = fma(series<6>(z, kSinhSeries) * z, a, a);
    return select(a < f64(1), small, f64(0.5) * (e - f64(1) / e));
  });
  return select(x != x, x, copysign(y, x));
}
inline F32 cosh(F32 x) {
  const F32 y = in_double(abs(x), [](F64 a) {
    const F64 e = exp_to_float(min(f64(110), a));
    return f64(0.5) * (e + f64(1) / e);
  });
  return select(x != x, x, y);
}
inline F32 asinh(F32 x) {  // log(a + sqrt(a^2 + 1)) = log(1 + a + a^2 / (1 + sqrt(a^2 + 1)))
  const F32 y = in_double(abs(x), [](F64 a) {
    const F64 z = a * a;
    return log1p_of_float(a + z / (f64(1) + sqrt(z + f64(1))));
  });
  return select((x != x) | (abs(x) == set1<F32>(__builtin_inff())), x, copysign(y, x));
}
inline F32 acosh(F32 x) {  // log(1 + t + sqrt(t (t + 2))), t = x - 1
  const F32 y = in_double(x, [](F64 a) {
    const F64 t = a - f64(1);
    return log1p_of_float(t + sqrt(t * (t + f64(2))));
  });
  const F32 inf = set1<F32>(__builtin_inff());
  return select(x == inf, inf, select(x >= set1<F32>(1.0f), y, set1<F32>(__builtin_nanf(""))));
}
inline F32 atanh(F32 x) {  // log(1 + 2 a / (1 - a)) / 2
  const F32 a = abs(x), one = set1<F32>(1.0f);
  const F32 y =
      in_double(a, [](F64 v) { return f64(0.5) * log1p_of_float((v + v) / (f64(1) - v)); });
  const F32 edge = select(a == one, set1<F32>(__builtin_inff()), set1<F32>(__builtin_nanf("")));
  return copysign(select(a < one, y, edge), x);
}

// ---- angles ------------------------------------------------------------------------------------
// x = k pi/2 + r, pi/2 in three pieces (k times the first two is exact for |x| < 2^26): k modulo 4.
inline F64 quarter_turns(F64 x, F64* r) {
  const F64 k = round(x * f64(0.63661977236758134308));
  const F64 a = fnma(k, f64(0x1.921fb50000000p+0), x);  // exact, as is the next product
  *r = fnma(k, f64(0x1.1a62633145c07p-54), fnma(k, f64(0x1.110b460000000p-26), a));
  return k - f64(4) * floor(k * f64(0.25));
}
constexpr double kSinSeries[] = {-1.0 / 6,     1.0 / 120,       -1.0 / 5040,
                                 1.0 / 362880, -1.0 / 39916800, 1.0 / 6227020800};
constexpr double kCosSeries[] = {-1.0 / 2,    1.0 / 24,       -1.0 / 720,
                                 1.0 / 40320, -1.0 / 3628800, 1.0 / 479001600};
inline F64 tan_of_float(F64 x) {  // sin r / cos r, or -cos r / sin r
  F64 r;
  const F64 k = quarter_turns(x, &r), z = r * r;
  const F64 s = fma(series<6>(z, kSinSeries) * z, r, r);
  const F64 c = fma(series<6>(z, kCosSeries), z, f64(1));
  const I64 odd = (k == f64(1)) | (k == f64(3));
  return select(odd, -c, s) / select(odd, s, c);
}
inline F32 tan(F32 x) {
  const F32 y = select(x == F32{}, x, in_double(x, tan_of_float));
  const I32 far = !(abs(x) < set1<F32>(67108864.0f));
  return __builtin_expect(any(far), 0) ? select(far, lanes(x, libm_tan), y) : y;
}

// atan(t) = t + t^3 p(t^2), |t| <= tan(pi/8), to 2e-11.
constexpr double kAtan[] = {-0.33333333331571929, 0.19999998970569621,   -0.14285616095097092,
                            0.11107583638399383,  -0.090299730836730499, 0.071404297320173823,
                            -0.040531048748882713};
constexpr double kTanEighth = 0.41421356237309504880;
inline F64 atan_reduced(F64 t) {
  const F64 z = t * t;
  return fma(series<7>(z, kAtan) * z, t, t);
}
inline F32 atan(F32 x) {  // the angle past 0, pi/4 or pi/2, whichever is nearest
  const F32 y = in_double(abs(x), [](F64 a) {
    const F64 one = f64(1);
    const I64 high = a > f64(1 / kTanEighth), middle = a > f64(kTanEighth);
    const F64 t = select(high, -one, select(middle, a - one, a)) /
                  select(high, a, select(middle, a + one, one));
    return select(high, f64(kPi / 2), select(middle, f64(kPi / 4), F64{})) + atan_reduced(t);
  });
  return select(x != x, x, copysign(y, x));
}
inline F32 atan2(F32 y, F32 x) {
  const F32 angle = in_double(y, x, [](F64 v, F64 u) {
    const F64 a = abs(v), b = abs(u);
    const I64 steep = a > b;
    const F64 low = select(steep, b, a), high = select(steep, a, b);
    const I64 middle = low > f64(kTanEighth) * high;
    F64 t = select(middle, low - high, low) / select(middle, low + high, high);
    t = select(high == F64{}, F64{}, t);
    const I64 corner = low == f64(__builtin_inf());  // both are infinite
    F64 r = select(middle | corner, f64(kPi / 4), F64{}) + select(corner, F64{}, atan_reduced(t));
    r = select(steep, f64(kPi / 2) - r, r);
    return select(bits(u) < I64{}, f64(kPi) - r, r);
  });
  return select((x != x) | (y != y), x + y, copysign(angle, y));
}

// asin(s) = s + s^3 p(s^2), s <= 1/2, to 2e-11; above, pi/2 - 2 asin(sqrt((1 - a) / 2)).
constexpr double kAsin[] = {0.16666666665345908,   0.075000006573625377, 0.044642320825040278,
                            0.030398542287151085,  0.022122022658989646, 0.019367606219003519,
                            0.0052642070670501353, 0.029510296467613613};
// For a = |x|: asin(a) if a <= 1/2, else that of the square root. NaN past 1.
inline F64 asin_reduced(F64 a) {
  const I64 small = a <= f64(0.5);
  const F64 z = select(small, a * a, f64(0.5) * (f64(1) - a)), s = select(small, a, sqrt(z));
  return fma(series<8>(z, kAsin) * z, s, s);
}
inline F32 asin(F32 x) {
  const F32 y = in_double(abs(x), [](F64 a) {
    const F64 r = asin_reduced(a);
    return select(a <= f64(0.5), r, fnma(f64(2), r, f64(kPi / 2)));
  });
  return select(x != x, x, copysign(y, x));
}
inline F32 acos(F32 x) {
  return in_double(x, [](F64 v) {
    const F64 a = abs(v), r = asin_reduced(a);
    const F64 large = select(v > F64{}, r + r, fnma(f64(2), r, f64(kPi)));
    return select(a <= f64(0.5), f64(kPi / 2) - copysign(r, v), large);
  });
}

// ---- the error function ------------------------------------------------------------------------
// erfc(a) = e^(-a^2) p(t) / (1 + 2 a), t = (a - 3) / (a + 3), 0 <= a <= 10.2, to 4e-11.
constexpr double kErfc[] = {
    1.2530080582663377,    -0.13562110690381718,    -0.047562293895608378,   0.12964520134123883,
    -0.11927365316535216,  0.068307364600106044,    -0.023771054676072257,   0.0025335524993155114,
    0.0018942869405069551, -0.00079001637188119212, -0.00012674355915134804, 0.00012671037453897878,
    3.310559454827738e-05};
inline F32 erfc(F32 x) {
  const F32 y = in_double(x, [](F64 v) {
    const F64 a = min(f64(10.2), abs(v)), past = a + f64(3), scale = fma(f64(2), a, f64(1));
    const F64 inverse = f64(1) / (past * scale), t = (a - f64(3)) * scale * inverse;
    const F64 r = exp_to_float(-a * a) * series<13>(t, kErfc) * (past * inverse);
    return select(v < F64{}, f64(2) - r, r);
  });
  return select(x != x, x, y);
}

// erfinv(x) = x p(w), w = -log(1 - x^2): to 4e-11 for w <= 6.25, x p(sqrt(w)) to 2e-10 up to 16.7.
constexpr double kErfinv[] = {
    0.88622692542185311,    0.2320136689465056,      0.011549311201866998,
    -0.0023349478835642972, -0.00012843993820168661, 4.7219256394760779e-05,
    1.4224151692951351e-06, -6.1928216343970426e-07, -2.1341973497746014e-07,
    7.579473231415759e-08,  -9.2655075816641788e-09, 3.8216203389972661e-10,
    2.4879506076613134e-11, -3.3085234500979782e-12, 1.05267919864282e-13};
constexpr double kErfinvTail[] = {
    -4.5723631990447018,   18.137852787890836,  -26.313144658563232,    22.456839739304371,
    -12.125862520355522,   4.3872148215184996,  -1.0851839392920133,    0.18202122044760036,
    -0.019871884400103394, 0.00127761200218671, -3.6783819281810677e-05};
inline F32 erfinv(F32 x) {
  const F32 a = abs(x), one = set1<F32>(1.0f);
  const F32 y = in_double(x, [](F64 v) {
    const F64 w = -log_of_float((f64(1) - v) * (f64(1) + v));
    const I64 tail = w > f64(6.25);
    F64 p = series<15>(w, kErfinv);
    if (any(tail)) p = select(tail, series<11>(sqrt(w), kErfinvTail), p);
    return v * p;
  });
  const F32 edge = select(a == one, x * set1<F32>(__builtin_inff()), set1<F32>(__builtin_nanf("")));
  return select(a < one, y, edge);
}

// ---- the gamma function ------------------------------------------------------------------------
// Past 10 the asymptotic series, Bernoulli numbers B_2k over 2k (2k - 1) x^(2k - 1); below, ten
// steps on: Gamma(x) = Gamma(x + 10) / D, D = x (x + 1) ... (x + 9) = q (q + 8) (q + 14) (q + 18)
// (q + 20) with q = x (x + 9). In full double: near 1 and 2, where log Gamma is 0, terms of 10
// cancel.
constexpr double kGammaSeries[] = {1.0 / 12,   -1.0 / 360,      1.0 / 1260, -1.0 / 1680,
                                   1.0 / 1188, -691.0 / 360360, 1.0 / 156};
constexpr double kTenFactors[] = {40320, 12176, 1308, 60, 1};        // D / q
constexpr double kTenFactorsSlope[] = {40320, 24352, 3924, 240, 5};  // dD / dq
inline F32 lgamma(F32 x) {
  const F32 y = in_double(x, [](F64 v) {
    const I64 low = v < f64(10);
    const F64 q = v * (v + f64(9)), D = select(low, series<5>(q, kTenFactors) * q, f64(1));
    v = select(low, v + f64(10), v);
    const F64 inverse = f64(1) / v, tail = series<7>(inverse * inverse, kGammaSeries) * inverse;
    return fma(v - f64(0.5), log(v), f64(0.91893853320467274178) - v) + (tail - log(D));
  });
  const F32 to_one = abs(x - set1<F32>(1.0f)), to_two = abs(x - set1<F32>(2.0f));
  const F32 near = min(to_one, to_two), inf = set1<F32>(__builtin_inff());
  const F32 z = select(near == F32{}, F32{}, y);
  const I32 rest = (x <= F32{}) | ((near < set1<F32>(4e-6f)) & (near > F32{})) | (x == inf);
  return __builtin_expect(any(rest), 0) ? select(rest, lanes(x, libm_lgamma), z) : z;
}
constexpr double kDigammaSeries[] = {-1.0 / 12,  1.0 / 120,     -1.0 / 252, 1.0 / 240,
                                     -1.0 / 132, 691.0 / 32760, -1.0 / 12};
inline F32 digamma(F32 x) {  // below 0: that of 1 - x, less pi / tan(pi x)
  const F32 y = in_double(x, [](F64 v) {
    const I64 below = v < F64{};
    F64 sum{};
    if (any(below)) {
      sum = select(below, f64(-kPi) / tan_of_float(f64(kPi) * (v - round(v))), sum);
      v = select(below, f64(1) - v, v);
    }
    const I64 low = v < f64(10);
    const F64 q = v * (v + f64(9)), slope = series<5>(q, kTenFactorsSlope) * (v + v + f64(9));
    sum = select(low, sum - slope / (series<5>(q, kTenFactors) * q), sum);
    v = select(low, v + f64(10), v);
    const F64 inverse = f64(1) / v, z = inverse * inverse;
    return sum + (log(v) - f64(0.5) * inverse) + series<7>(z, kDigammaSeries) * z;
  });
  const I32 pole = (x <= F32{}) & (x == floor(x)), far = abs(x) > set1<F32>(1e6f);
  const I32 rest = pole | far;
  return __builtin_expect(any(rest), 0) ? select(rest, lanes(x, digamma_double), y) : y;
}

// ---- lengths and remainders --------------------------------------------------------------------
inline F32 hypot(F32 a, F32 b) {
  const F32 inf = set1<F32>(__builtin_inff());
  const F32 y = in_double(a, b, [](F64 u, F64 v) { return sqrt(fma(u, u, v * v)); });
  return select((abs(a) == inf) | (abs(b) == inf), inf, y);
}
// a - b trunc(a / b): exact, as b times a quotient below 2^29 is.
inline F32 fmod(F32 a, F32 b) {
  const F32 r = in_double(abs(a), abs(b), [](F64 u, F64 v) {
    const F64 q = trunc(u / v), left = fnma(q, v, u);
    return select(left < F64{}, left + v, left);  // the quotient was rounded up to q
  });
  const F32 y = copysign(r, a), inf = set1<F32>(__builtin_inff());
  const I32 far = !(abs(a) < abs(b) * set1<F32>(268435456.0f));  // past 2^28, or b is 0, or NaN
  const I32 whole = (abs(b) == inf) & (abs(a) < inf);
  if (__builtin_expect(any(far | whole), 0))
    return select(whole, a, select(far, lanes(a, b, libm_fmod), y));
  return y;
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
