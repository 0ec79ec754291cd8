// Functions of complex numbers (formulas and their sources: cpp/ops/complex_cpu.h), elementwise
// over pairs with any strides. Cost: one pass; a pair is one read or write.
#include "ops/complex_args.h"

#include "fft.h"
#include "strided.h"
#include "table.h"

namespace lamina::cuda {
namespace {

using namespace on_device;

template <class S>
__device__ Pair<S> quotient(Pair<S> x, Pair<S> y) {
  const S m = max(abs(y.re), abs(y.im));
  if (m == 0) return {x.re / m, x.im / m};
  const S c = y.re / m, d = y.im / m, den = (c * c + d * d) * m;
  return {(x.re * c + x.im * d) / den, (x.im * c - x.re * d) / den};
}
// |z| = larger * root, root in [1, sqrt 2]
template <class S>
__device__ S modulus(Pair<S> z) {
  const S a = abs(z.re), b = abs(z.im), inf = S(HUGE_VAL);
  if (a == inf || b == inf) return inf;
  if (a != a || b != b) return a + b;
  const S large = a > b ? a : b, small = a > b ? b : a;
  const S r = large > 0 ? small / large : S(0);
  return large * sqrt(r * r + 1);
}
template <class S>
__device__ Pair<S> polar_exp(S a, S b) {
  const S e = exp(a);
  return {e * cos(b), b == 0 ? b : e * sin(b)};
}
template <class S>
__device__ Pair<S> logarithm(Pair<S> z) {
  const S a = abs(z.re), b = abs(z.im);
  const S large = a > b ? a : b, small = a > b ? b : a;
  const S r = large > 0 ? small / large : S(0);
  // near |z| = 1: log1p((large - 1)(large + 1) + small^2) / 2, without cancellation
  const S re = large > S(0.5) && large < S(1.5)
                   ? S(0.5) * log1p((large - 1) * (large + 1) + small * small)
                   : log(large) + S(0.5) * log1p(r * r);
  return {re, atan2(z.im, z.re)};
}
template <class S>
__device__ Pair<S> root(Pair<S> z) {
  const S t = sqrt(abs(z.re) * S(0.5) + modulus(z) * S(0.5)), u = abs(z.im) / (t + t);
  const bool right = z.re >= 0;
  if (t == 0) return {S(0), z.im};
  return {right ? t : u, copysign(right ? u : t, z.im)};
}
template <class S>
__device__ Pair<S> hyperbolic_tangent(S a, S b) {
  if (abs(a) > S(sizeof(S) == 4 ? 11 : 22))
    return {copysign(S(1), a), 4 * sin(b) * cos(b) * exp(-2 * abs(a))};
  const S t = tan(b), s = sinh(a), beta = t * t + 1, rho = sqrt(s * s + 1);
  const S den = beta * s * s + 1;
  return {beta * rho * s / den, t / den};
}

template <class S>
__device__ Pair<S> evaluate(int f, Pair<S> x, Pair<S> y) {
  switch (f) {
    case kComplexMul:
      return x * y;
    case kComplexDiv:
      return quotient(x, y);
    case kComplexConj:
      return {x.re, -x.im};
    case kComplexExp:
      return polar_exp(x.re, x.im);
    case kComplexLog:
      return logarithm(x);
    case kComplexSqrt:
      return root(x);
    case kComplexSin:
      return {sin(x.re) * cosh(x.im), cos(x.re) * sinh(x.im)};
    case kComplexCos:
      return {cos(x.re) * cosh(x.im), -(sin(x.re) * sinh(x.im))};
    case kComplexSinh:
      return {sinh(x.re) * cos(x.im), cosh(x.re) * sin(x.im)};
    case kComplexCosh:
      return {cosh(x.re) * cos(x.im), sinh(x.re) * sin(x.im)};
    case kComplexTanh:
      return hyperbolic_tangent(x.re, x.im);
    case kComplexTan: {
      const Pair<S> t = hyperbolic_tangent(-x.im, x.re);
      return {t.im, -t.re};
    }
    case kComplexPow: {
      if (y.re == 0 && y.im == 0) return {S(1), S(0)};
      if (x.re == 0 && x.im == 0) return {S(0), S(0)};
      const Pair<S> e = y * logarithm(x);
      return polar_exp(e.re, e.im);
    }
    default:
      return {modulus(x), S(0)};
  }
}

template <class S>
__global__ void complex_kernel(int f, void* y, const Pair<S>* a, const Pair<S>* b, bool two,
                               Strides s) {
  LAMINA_GRID_STRIDE(i, s.n) {
    int64_t at[3];
    s.offsets(i, at);
    const Pair<S> v = evaluate(f, a[at[1]], two ? b[at[2]] : Pair<S>{});
    if (f == kComplexAbs)
      static_cast<S*>(y)[at[0]] = v.re;
    else
      static_cast<Pair<S>*>(y)[at[0]] = v;
  }
}

template <class S>
void function_of(const DeviceCall& c) {
  Strides s(c.out[0]);
  if (s.n == 0) return;
  const bool two = c.inputs == 2;
  s.add(c.out[0]);
  s.add(c.in[0]);
  s.add(c.in[two ? 1 : 0]);
  s.merge();
  launch(c, complex_kernel<S>, dim3(blocks_for(s.n)), dim3(kBlock), 0,
         static_cast<const ComplexArgs*>(c.args)->f, c.out[0].data,
         static_cast<const Pair<S>*>(c.in[0].data),
         static_cast<const Pair<S>*>(c.in[two ? 1 : 0].data), two, s);
}
void complex_function(const DeviceCall& c) {
  c.in[0].dtype == DType::complex128 ? function_of<double>(c) : function_of<float>(c);
}

const Launches kLaunches{{"complex_function", complex_function, true}};

}  // namespace
}  // namespace lamina::cuda
