// Draws by rejection with two parameters and more: the gamma and the binomial distribution.
//
//   gamma     log of a draw with density x^(a-1) e^-x / Gamma(a). a >= 1: the cube of a shifted
//             normal (Marsaglia and Tsang, ACM TOMS 26 (2000)). a < 1: a draw for a + 1 times
//             u^(1/a), whose logarithm does not underflow however small a is.
//   gradient  y = log x as a function of a at a fixed quantile (Figurnov et al., NeurIPS 2018):
//               dy/da = -(dP/da)(a, x) / (x p(x)),   P the regularised lower incomplete gamma.
//             P / (x p) = sum_n x^n / (a (a+1) ... (a+n)), and 1 - P divided by x p is a continued
//             fraction (Lentz's method); both are differentiated along with their evaluation
//             (NIST DLMF 8.11.4, 8.9.2). a > 1e5: from Cornish and Fisher's expansion of x in a.
//   binomial  n min(p, q) < 10: sums of geometric gaps (Devroye, Non-Uniform Random Variate
//             Generation, 1986, X.4); above: transformed rejection BTRS (Hoermann, J. Stat.
//             Comput. Simul. 46 (1993)).
//
// One value at a time, each from its own Philox stream, in double. Cost on one thread: gamma 60 ns,
// its gradient about 10 sqrt(a) + 100 ns up to a = 1e5, binomial 100 ns.
#pragma once
#include "kernels/vec_math.h"
#include "kernels/vec_philox.h"

namespace lamina::LAMINA_ISA {
namespace {

double normal_one(OwnStream& u) {
  const double radius = __builtin_sqrt(-2 * __builtin_log(u.next()));
  return radius * __builtin_cos(6.28318530717958647693 * u.next());
}

double log_gamma_draw(double alpha, OwnStream u) {
  if (!(alpha > 0)) return alpha == 0 ? -__builtin_inf() : __builtin_nan("");
  const double boost = alpha < 1 ? __builtin_log(u.next()) / alpha : 0;
  const double d = (alpha < 1 ? alpha + 1 : alpha) - 1.0 / 3, c = 1 / __builtin_sqrt(9 * d);
  for (;;) {
    const double z = normal_one(u), t = 1 + c * z;
    if (t <= 0) continue;
    const double log_v = 3 * __builtin_log(t), log_u = __builtin_log(u.next());
    if (log_u < 0.5 * z * z + d * (1 - t * t * t + log_v)) return __builtin_log(d) + log_v + boost;
  }
}

// A number and its derivative by alpha.
struct Dual {
  double v, d;
};
Dual operator*(Dual a, Dual b) { return {a.v * b.v, a.d * b.v + a.v * b.d}; }
Dual reciprocal(Dual a) { return {1 / a.v, -a.d / (a.v * a.v)}; }

// P(a, x) / (x p(x)) for x < a + 1.
Dual lower_ratio(double a, double x) {
  Dual term{1 / a, -1 / (a * a)}, sum = term;
  for (double k = a + 1; term.v > 1e-17 * sum.v; k += 1) {
    term = {term.v * x / k, (term.d - term.v / k) * x / k};
    sum = {sum.v + term.v, sum.d + term.d};
  }
  return sum;
}
// (1 - P(a, x)) / (x p(x)) for x >= a + 1: 1 / (x + 1 - a - 1 (1 - a) / (x + 3 - a - ...)).
Dual upper_ratio(double a, double x) {
  double b = x + 1 - a;
  Dual d = reciprocal({b, -1}), c{1e300, 0}, h = d;
  for (int i = 1; i < 20000; ++i) {
    const Dual n{i * (a - i), double(i)};
    b += 2;
    const Dual nd = n * d, nc = n * reciprocal(c);
    d = reciprocal({b + nd.v, nd.d - 1});
    c = {b + nc.v, nc.d - 1};
    const Dual step = c * d;
    h = h * step;
    if (__builtin_fabs(step.v - 1) < 1e-16 && __builtin_fabs(step.d) < 1e-16) break;
  }
  return h;
}
double log_gamma_gradient(double a, double y) {
  const double x = __builtin_exp(y);
  if (!(a > 0) || y != y) return __builtin_nan("");
  if (a > 1e5) {  // x = a + z sqrt(a) + (z^2 - 1) / 3 + (z^3 - 7 z) / (36 sqrt(a)) + ...
    const double root = __builtin_sqrt(a);
    double z = (x - a) / root;
    for (int i = 0; i < 4; ++i)
      z = (x - a - (z * z - 1) / 3 - (z * z * z - 7 * z) / (36 * root)) / root;
    return (1 + z / (2 * root) - (z * z * z - 7 * z) / (72 * a * root)) / x;
  }
  const double centre = y - digamma_double(a);  // d log(x^a / Gamma(a)) / da
  if (x < a + 1) {
    const Dual s = lower_ratio(a, x);
    return -(s.v * centre + s.d);
  }
  const Dual s = upper_ratio(a, x);
  return s.v * centre + s.d;
}

// log(k!) - (k + 1/2) log(k + 1) + (k + 1) - log sqrt(2 pi).
double stirling_rest(double k) {
  if (k < 10)
    return __builtin_lgamma(k + 1) - ((k + 0.5) * __builtin_log(k + 1) - (k + 1)) -
           0.91893853320467274178;
  const double r = 1 / ((k + 1) * (k + 1));
  return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 * r) * r) / (k + 1);
}
double binomial_small(double n, double p, OwnStream& u) {  // p <= 1/2, n p < 10
  const double scale = 1 / __builtin_log1p(-p);
  double at = 0, successes = 0;
  for (;; ++successes) {
    at += __builtin_ceil(__builtin_log(u.next()) * scale);
    if (at > n) return successes;
  }
}
double binomial_large(double n, double p, OwnStream& u) {  // p <= 1/2, n p >= 10
  const double deviation = __builtin_sqrt(n * p * (1 - p)), b = 1.15 + 2.53 * deviation;
  const double a = -0.0873 + 0.0248 * b + 0.01 * p, centre = n * p + 0.5;
  const double v_r = 0.92 - 4.2 / b, r = p / (1 - p);
  const double alpha = (2.83 + 5.1 / b) * deviation, m = __builtin_floor((n + 1) * p);
  for (;;) {
    const double U = u.next() - 0.5, us = 0.5 - __builtin_fabs(U);
    double v = u.next();
    const double k = __builtin_floor((2 * a / us + b) * U + centre);
    if (us >= 0.07 && v <= v_r) return k;
    if (k < 0 || k > n) continue;
    v = __builtin_log(v * alpha / (a / (us * us) + b));
    const double bound = (m + 0.5) * __builtin_log((m + 1) / (r * (n - m + 1))) +
                         (n + 1) * __builtin_log((n - m + 1) / (n - k + 1)) +
                         (k + 0.5) * __builtin_log(r * (n - k + 1) / (k + 1)) + stirling_rest(m) +
                         stirling_rest(n - m) - stirling_rest(k) - stirling_rest(n - k);
    if (v <= bound) return k;
  }
}
double binomial_one(double n, double p, OwnStream u) {
  if (!(n >= 0 && p >= 0 && p <= 1)) return __builtin_nan("");
  const double least = p <= 0.5 ? p : 1 - p;
  const double k = n == 0 || least == 0 ? 0
                   : n * least < 10     ? binomial_small(n, least, u)
                                        : binomial_large(n, least, u);
  return p <= 0.5 ? k : n - k;
}

void gamma_draw(const GammaArgs& a, int64_t begin, int64_t end) {
  const RoundKeys keys(a.seed);
  for (int64_t i = begin; i < end; ++i)
    a.y[i] = log_gamma_draw(a.shape[i], OwnStream{keys, a.offset + uint64_t(i)});
}
void gamma_grad(const GammaGradArgs& a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) a.dy[i] = log_gamma_gradient(a.shape[i], a.y[i]);
}
void binomial(const BinomialArgs& a, int64_t begin, int64_t end) {
  const RoundKeys keys(a.seed);
  for (int64_t i = begin; i < end; ++i)
    a.y[i] = binomial_one(a.count[i], a.p[i], OwnStream{keys, a.offset + uint64_t(i)});
}

}  // namespace

void fill_gamma(Kernels& k) {
  k.gamma.draw = gamma_draw;
  k.gamma.grad = gamma_grad;
  k.gamma.binomial = binomial;
}

}  // namespace lamina::LAMINA_ISA
