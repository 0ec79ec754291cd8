// gelu and its slope in float32 by one series each, without exponentials (float64: by erf). Errors
// relative to max(1, |value|), measured by tests/test_math.py: gelu 2e-7, its slope 8e-7.
#pragma once
#include "kernels/vec_math.h"

namespace lamina::LAMINA_ISA {
namespace {

// The upper tail of the normal distribution, Q(a) = 1 - Phi(a), and Q(a) - a phi(a), on [0, 5.6]:
// (1 - t) p(t), t = 2 a / 5.6 - 1, least squares reweighted until the errors were level (1.2e-7
// and 4e-7); 0 at 5.6 and beyond, where they are below 1.1e-8 and 3.4e-7.
constexpr float kNormalEnd = 5.6f;
alignas(64) constexpr float kNormalTail[] = {
    2.555130515e-03f,  -1.960865967e-02f, 6.727170199e-02f,  -1.307876557e-01f,
    1.439179331e-01f,  -5.430363864e-02f, -8.267469704e-02f, 1.367345154e-01f,
    -5.386490002e-02f, -6.414449960e-02f, 7.649642229e-02f,  5.525962915e-04f,
    -3.522140905e-02f, 8.746151812e-03f,  6.521965377e-03f,  -2.186714672e-03f};
alignas(64) constexpr float kNormalSlope[] = {
    -1.960842311e-02f, 1.098272949e-01f,  -2.237443030e-01f, 8.269210160e-02f,  4.659285545e-01f,
    -8.911892176e-01f, 4.388361871e-01f,  6.517053843e-01f,  -1.124992847e+00f, 2.450026870e-01f,
    8.842439651e-01f,  -5.965154767e-01f, -3.975618780e-01f, 3.535792828e-01f,  1.285234541e-01f,
    -8.015491068e-02f, -2.667766251e-02f};
// a: at most kNormalEnd.
template <int n>
inline F32 normal_series(F32 a, const float (&c)[n]) {
  constexpr int even_from = (n - 1) / 2 * 2, odd_from = (n - 2) / 2 * 2 + 1;
  const F32 one = set1<F32>(1.0f), t = fma(a, set1<F32>(2 / kNormalEnd), -one), z = t * t;
  F32 even = set1<F32>(c[even_from]), odd = set1<F32>(c[odd_from]);  // half the latency of a chain
#pragma GCC unroll 8
  for (int k = even_from - 2; k >= 0; k -= 2) even = fma(even, z, set1<F32>(c[k]));
#pragma GCC unroll 8
  for (int k = odd_from - 2; k >= 1; k -= 2) odd = fma(odd, z, set1<F32>(c[k]));
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
