// Functions that neither the C library nor CUDA's has, in double precision for both.
// (No include guard: each reading of it has its own LAMINA_ISA.)
#include <stdint.h>

#ifdef __CUDACC__
#define LAMINA_BOTH __host__ __device__
#else
#define LAMINA_BOTH
#endif
#ifdef __CUDA_ARCH__
#define LAMINA_C(f) ::f
#else
#define LAMINA_C(f) __builtin_##f
#endif

namespace lamina::LAMINA_ISA {
namespace {

constexpr double kInfinity = __builtin_huge_val(), kNan = __builtin_nan("");

// Inverse of erf: a starting value from its logarithm (Winitzki 2008), then two Halley steps.
LAMINA_BOTH inline double erfinv_double(double x) {
  if (!(x > -1.0 && x < 1.0)) {
    if (x == 1.0) return kInfinity;
    if (x == -1.0) return -kInfinity;
    return kNan;
  }
  if (x == 0) return x;
  const double l = LAMINA_C(log1p)(-x * x), c = 4.3307467508 + l / 2;
  double y = LAMINA_C(copysign)(LAMINA_C(sqrt)(LAMINA_C(sqrt)(c * c - l / 0.147) - c), x);
  for (int i = 0; i < 3; ++i) {
    const double error = x > 0.5    ? (1 - x) - LAMINA_C(erfc)(y)  // erf(y) - x, without cancelling
                         : x < -0.5 ? LAMINA_C(erfc)(-y) - (1 + x)
                                    : LAMINA_C(erf)(y) - x;
    const double step = error / (1.12837916709551257390 * LAMINA_C(exp)(-y * y));
    y -= step / (1 + y * step);
  }
  return y;
}

// d/dx log Gamma(x): reflection for x < 0, recurrence up to 10, then the asymptotic series.
LAMINA_BOTH inline double digamma_double(double x) {
  double result = 0;
  if (x == 0) return -LAMINA_C(copysign)(kInfinity, x);
  if (x < 0) {
    if (x == LAMINA_C(floor)(x)) return kNan;
    const double pi = 3.14159265358979323846, fraction = x - LAMINA_C(round)(x);
    result = -pi / LAMINA_C(tan)(pi * fraction);
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
  return result + LAMINA_C(log)(x) - 0.5 / x - series;
}

// The nth derivative of digamma, n >= 1: (-1)^(n+1) n! sum_{k >= 0} (x + k)^-(n+1), its terms below
// 12 + n as they are and the rest by Euler and Maclaurin. NaN at the poles, as digamma.
LAMINA_BOTH inline double polygamma_double(double n, double x) {
  if (x <= 0 && x == LAMINA_C(floor)(x)) return kNan;
  const double s = n + 1;
  double sum = 0;
  for (; x < 12 + n; x += 1) sum += LAMINA_C(pow)(x, -s);
  // Bernoulli numbers B2j / (2j)!
  constexpr double b[] = {1.0 / 12,           -1.0 / 720,     1.0 / 30240,
                          -1.0 / 1209600,     1.0 / 47900160, -691.0 / 1307674368000.0,
                          1.0 / 74724249600.0};
  double power = LAMINA_C(pow)(x, -s), rising = s;
  sum += power * (x / n + 0.5);
  power /= x;
  for (int j = 0; j < 7; ++j) {
    sum += b[j] * rising * power;
    rising *= (s + 2 * j + 1) * (s + 2 * j + 2);
    power /= x * x;
  }
  return (int64_t(n) & 1 ? sum : -sum) * LAMINA_C(tgamma)(s);
}

}  // namespace
}  // namespace lamina::LAMINA_ISA

#undef LAMINA_BOTH
#undef LAMINA_C
