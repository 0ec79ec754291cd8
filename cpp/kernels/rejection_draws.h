// Draws by rejection, one value at a time in double, each from its own Philox stream, for the CPU
// and for a GPU (whose exp, log and lgamma may round the last bit otherwise). A Stream gives
// uniforms in (0, 1) by next().
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
//   poisson   rate < 10: products of uniforms (Knuth, TAOCP 2, 3.4.1); above: the transformed
//             rejection PTRS of Hoermann, Insurance: Mathematics and Economics 12 (1993)
// (No include guard: each reading of it has its own LAMINA_ISA. It needs special.h.)
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

template <class Stream>
LAMINA_BOTH double poisson_one(double rate, Stream u) {
  if (!(rate > 0)) return rate == 0 ? 0 : kNan;
  if (rate < 10) {
    const double least = LAMINA_C(exp)(-rate);
    double product = u.next();
    int64_t k = 0;
    for (; product > least; ++k) product *= u.next();
    return double(k);
  }
  const double log_rate = LAMINA_C(log)(rate), b = 0.931 + 2.53 * LAMINA_C(sqrt)(rate);
  const double a = -0.059 + 0.02483 * b, inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
  const double v_r = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    const double U = u.next() - 0.5, V = u.next(), us = 0.5 - LAMINA_C(fabs)(U);
    const double k = LAMINA_C(floor)((2 * a / us + b) * U + rate + 0.43);
    if (us >= 0.07 && V <= v_r) return k;
    if (k < 0 || (us < 0.013 && V > us)) continue;
    if (LAMINA_C(log)(V) + LAMINA_C(log)(inverse_alpha) - LAMINA_C(log)(a / (us * us) + b) <=
        -rate + k * log_rate - LAMINA_C(lgamma)(k + 1))
      return k;
  }
}

template <class Stream>
LAMINA_BOTH double normal_one(Stream& u) {
  const double radius = LAMINA_C(sqrt)(-2 * LAMINA_C(log)(u.next()));
  return radius * LAMINA_C(cos)(6.28318530717958647693 * u.next());
}

template <class Stream>
LAMINA_BOTH double log_gamma_draw(double alpha, Stream u) {
  if (!(alpha > 0)) return alpha == 0 ? -kInfinity : kNan;
  const double boost = alpha < 1 ? LAMINA_C(log)(u.next()) / alpha : 0;
  const double d = (alpha < 1 ? alpha + 1 : alpha) - 1.0 / 3, c = 1 / LAMINA_C(sqrt)(9 * d);
  for (;;) {
    const double z = normal_one(u), t = 1 + c * z;
    if (t <= 0) continue;
    const double log_v = 3 * LAMINA_C(log)(t), log_u = LAMINA_C(log)(u.next());
    if (log_u < 0.5 * z * z + d * (1 - t * t * t + log_v)) return LAMINA_C(log)(d) + log_v + boost;
  }
}

// A number and its derivative by alpha.
struct Dual {
  double v, d;
};
LAMINA_BOTH inline Dual operator*(Dual a, Dual b) { return {a.v * b.v, a.d * b.v + a.v * b.d}; }
LAMINA_BOTH inline Dual reciprocal(Dual a) { return {1 / a.v, -a.d / (a.v * a.v)}; }

// P(a, x) / (x p(x)) for x < a + 1.
LAMINA_BOTH inline Dual lower_ratio(double a, double x) {
  Dual term{1 / a, -1 / (a * a)}, sum = term;
  for (double k = a + 1; term.v > 1e-17 * sum.v; k += 1) {
    term = {term.v * x / k, (term.d - term.v / k) * x / k};
    sum = {sum.v + term.v, sum.d + term.d};
  }
  return sum;
}
// (1 - P(a, x)) / (x p(x)) for x >= a + 1: 1 / (x + 1 - a - 1 (1 - a) / (x + 3 - a - ...)).
LAMINA_BOTH inline Dual upper_ratio(double a, double x) {
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
    if (LAMINA_C(fabs)(step.v - 1) < 1e-16 && LAMINA_C(fabs)(step.d) < 1e-16) break;
  }
  return h;
}
LAMINA_BOTH inline double log_gamma_gradient(double a, double y) {
  const double x = LAMINA_C(exp)(y);
  if (!(a > 0) || y != y) return kNan;
  if (a > 1e5) {  // x = a + z sqrt(a) + (z^2 - 1) / 3 + (z^3 - 7 z) / (36 sqrt(a)) + ...
    const double root = LAMINA_C(sqrt)(a);
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
LAMINA_BOTH inline double stirling_rest(double k) {
  if (k < 10)
    return LAMINA_C(lgamma)(k + 1) - ((k + 0.5) * LAMINA_C(log)(k + 1) - (k + 1)) -
           0.91893853320467274178;
  const double r = 1 / ((k + 1) * (k + 1));
  return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 * r) * r) / (k + 1);
}
template <class Stream>
LAMINA_BOTH double binomial_small(double n, double p, Stream& u) {  // p <= 1/2, n p < 10
  const double scale = 1 / LAMINA_C(log1p)(-p);
  double at = 0, successes = 0;
  for (;; ++successes) {
    at += LAMINA_C(ceil)(LAMINA_C(log)(u.next()) * scale);
    if (at > n) return successes;
  }
}
template <class Stream>
LAMINA_BOTH double binomial_large(double n, double p, Stream& u) {  // p <= 1/2, n p >= 10
  const double deviation = LAMINA_C(sqrt)(n * p * (1 - p)), b = 1.15 + 2.53 * deviation;
  const double a = -0.0873 + 0.0248 * b + 0.01 * p, centre = n * p + 0.5;
  const double v_r = 0.92 - 4.2 / b, r = p / (1 - p);
  const double alpha = (2.83 + 5.1 / b) * deviation, m = LAMINA_C(floor)((n + 1) * p);
  for (;;) {
    const double U = u.next() - 0.5, us = 0.5 - LAMINA_C(fabs)(U);
    double v = u.next();
    const double k = LAMINA_C(floor)((2 * a / us + b) * U + centre);
    if (us >= 0.07 && v <= v_r) return k;
    if (k < 0 || k > n) continue;
    v = LAMINA_C(log)(v * alpha / (a / (us * us) + b));
    const double bound = (m + 0.5) * LAMINA_C(log)((m + 1) / (r * (n - m + 1))) +
                         (n + 1) * LAMINA_C(log)((n - m + 1) / (n - k + 1)) +
                         (k + 0.5) * LAMINA_C(log)(r * (n - k + 1) / (k + 1)) + stirling_rest(m) +
                         stirling_rest(n - m) - stirling_rest(k) - stirling_rest(n - k);
    if (v <= bound) return k;
  }
}
template <class Stream>
LAMINA_BOTH double binomial_one(double n, double p, Stream u) {
  if (!(n >= 0 && p >= 0 && p <= 1)) return kNan;
  const double least = p <= 0.5 ? p : 1 - p;
  const double k = n == 0 || least == 0 ? 0
                   : n * least < 10     ? binomial_small(n, least, u)
                                        : binomial_large(n, least, u);
  return p <= 0.5 ? k : n - k;
}

}  // namespace
}  // namespace lamina::LAMINA_ISA

#undef LAMINA_BOTH
#undef LAMINA_C
