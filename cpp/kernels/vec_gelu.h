// gelu and its slope in float32 by one series each, without exponentials (float64: by erf). Errors
// relative to max(1, |value|), measured by tests/test_math.py: gelu 2e-7, its slope 8e-7.
#pragma once
#include "kernels/vec_math.h"

namespace lamina::LAMINA_ISA {
namespace {

// The upper tail of the normal distribution, Q(a) = 1 - Phi(a), and Q(a) - a phi(a), on [0, 5.6]:
// (1 - t) p(t), t = 2 a / 5.6 - 1, least squares reweighted until the errors were level (7e-8 and
// 4e-7); 0 at 5.6 and beyond, where they are below 1.1e-8 and 3.4e-7.
constexpr float kNormalEnd = 5.6f;
alignas(64) constexpr float kNormalTail[] = {
    2.555125160e-03f,  -1.960839704e-02f, 6.727270037e-02f,  -1.307998896e-01f, 1.438895762e-01f,
    -5.414329097e-02f, -8.238132298e-02f, 1.358264387e-01f,  -5.530743301e-02f, -6.154902652e-02f,
    8.025087416e-02f,  -3.364780685e-03f, -4.052500054e-02f, 1.172184758e-02f,  1.035820693e-02f,
    -3.081832780e-03f, -1.111625694e-03f};
alignas(64) constexpr float kNormalSlope[] = {
    -1.960842311e-02f, 1.098272949e-01f,  -2.237443030e-01f, 8.269210160e-02f,  4.659285545e-01f,
    -8.911892176e-01f, 4.388361871e-01f,  6.517053843e-01f,  -1.124992847e+00f, 2.450026870e-01f,
    8.842439651e-01f,  -5.965154767e-01f, -3.975618780e-01f, 3.535792828e-01f,  1.285234541e-01f,
    -8.015491068e-02f, -2.667766251e-02f};
// a: at most kNormalEnd.
inline F32 normal_series(F32 a, const float (&c)[17]) {
  const F32 one = set1<F32>(1.0f), t = fma(a, set1<F32>(2 / kNormalEnd), -one), z = t * t;
  F32 even = set1<F32>(c[16]), odd = set1<F32>(c[15]);  // side by side: half the latency
#pragma GCC unroll 8
  for (int k = 14; k >= 0; k -= 2) even = fma(even, z, set1<F32>(c[k]));
#pragma GCC unroll 8
  for (int k = 13; k >= 1; k -= 2) odd = fma(odd, z, set1<F32>(c[k]));
  return fma(odd, t, even) * (one - t);
}
inline F32 gelu(F32 x) {  // x Phi(x) = max(x, 0) - |x| Q(|x|)
  const F32 a = min(set1<F32>(kNormalEnd), abs(x));
  return fnma(a, normal_series(a, kNormalTail), max(F32{}, x));
}
inline F32 gelu_slope(F32 x) {  // Phi(x) + x phi(x)
  const F32 s = normal_series(min(set1<F32>(kNormalEnd), abs(x)), kNormalSlope);
  return select(x > F32{}, set1<F32>(1.0f) - s, s);
}
inline F64 gelu(F64 x) { return x * (f64(0.5) * (f64(1) + erf(x * f64(0.70710678118654752440)))); }
inline F64 gelu_slope(F64 x) {
  return f64(0.5) * (f64(1) + erf(x * f64(0.70710678118654752440))) +
         x * (f64(0.39894228040143267794) * exp(x * x * f64(-0.5)));
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
