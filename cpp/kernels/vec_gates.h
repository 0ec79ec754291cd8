// The functions of recurrent gates: sigmoid and tanh of vec_math.h (same bounds), inlined and
// without what only other functions need. Beyond the clamps the results are 0 and 1 to the last bit
// (denormals count as 0 inside a launch).
#pragma once
#include "kernels/vec_math.h"

namespace lamina::LAMINA_ISA {
namespace {

[[gnu::always_inline]] inline F32 gate_sigmoid(F32 x) {
  const F32 v = min(set1<F32>(88.0f), max(set1<F32>(-88.0f), F32{} - x));
  const F32 n = round(v * set1<F32>(1.44269504089f));
  F32 r = fnma(n, set1<F32>(0.693145751953125f), v);
  r = fnma(n, set1<F32>(1.42860682030941723212e-6f), r);
  const F32 p = power_of_two(to_int(n));
  return set1<F32>(1.0f) / (fma(expm1_core(r), p, p) + set1<F32>(1.0f));
}
[[gnu::always_inline]] inline F32 gate_tanh(F32 x) {
  const F32 a = min(set1<F32>(9.1f), abs(x)), v = a + a;
  const F32 n = round(v * set1<F32>(1.44269504089f));
  F32 r = fnma(n, set1<F32>(0.693145751953125f), v);
  r = fnma(n, set1<F32>(1.42860682030941723212e-6f), r);
  const F32 p = power_of_two(to_int(n));
  const F32 t = fma(expm1_core(r), p, p - set1<F32>(1.0f));  // e^(2|x|) - 1
  return copysign(t / (t + set1<F32>(2.0f)), x);
}
inline F64 gate_sigmoid(F64 x) { return sigmoid(x); }
inline F64 gate_tanh(F64 x) { return tanh(x); }

}  // namespace
}  // namespace lamina::LAMINA_ISA
