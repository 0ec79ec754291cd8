// Special functions of one double: the inverse of erf, digamma and its derivatives.
#pragma once

namespace lamina::LAMINA_ISA {
namespace {

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
    const double pi = 3.14159265358979323846, fraction = x - __builtin_round(x);
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

// The nth derivative of digamma, n >= 1: (-1)^(n+1) n! sum_{k >= 0} (x + k)^-(n+1), its terms below
// 12 + n as they are and the rest by Euler and Maclaurin. NaN at the poles, as digamma.
inline double polygamma_double(double n, double x) {
  if (x <= 0 && x == __builtin_floor(x)) return __builtin_nan("");
  const double s = n + 1;
  double sum = 0;
  for (; x < 12 + n; x += 1) sum += __builtin_pow(x, -s);
  // Bernoulli numbers B2j / (2j)!
  constexpr double b[] = {1.0 / 12,           -1.0 / 720,     1.0 / 30240,
                          -1.0 / 1209600,     1.0 / 47900160, -691.0 / 1307674368000.0,
                          1.0 / 74724249600.0};
  double power = __builtin_pow(x, -s), rising = s;
  sum += power * (x / n + 0.5);
  power /= x;
  for (int j = 0; j < 7; ++j) {
    sum += b[j] * rising * power;
    rising *= (s + 2 * j + 1) * (s + 2 * j + 2);
    power /= x * x;
  }
  return (int64_t(n) & 1 ? sum : -sum) * __builtin_tgamma(s);
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
