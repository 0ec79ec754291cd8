// formulas.h read with T = Tensor: evaluating a derivative's formula on tensors records it as ops,
// which is what create_graph needs. This header supplies the vocabulary the formulas are written
// in (operators, select, exp, ...) for tensors.
#pragma once
#include "ops/elementwise.h"

#define LAMINA_ISA on_tensors

namespace lamina::on_tensors {

inline Tensor call(const char* name, const Tensor& x) {
  return elementwise(function_index(name), {x});
}
inline Tensor call(const char* name, const Tensor& x, const Tensor& y) {
  return elementwise(function_index(name), {x, y});
}
#define LAMINA_UNARY(f) \
  inline Tensor f(const Tensor& x) { return call(#f, x); }
LAMINA_UNARY(exp)
LAMINA_UNARY(exp2)
LAMINA_UNARY(expm1)
LAMINA_UNARY(log)
LAMINA_UNARY(log2)
LAMINA_UNARY(log10)
LAMINA_UNARY(log1p)
LAMINA_UNARY(sqrt)
LAMINA_UNARY(sin)
LAMINA_UNARY(cos)
LAMINA_UNARY(tan)
LAMINA_UNARY(asin)
LAMINA_UNARY(acos)
LAMINA_UNARY(atan)
LAMINA_UNARY(sinh)
LAMINA_UNARY(cosh)
LAMINA_UNARY(tanh)
LAMINA_UNARY(asinh)
LAMINA_UNARY(acosh)
LAMINA_UNARY(atanh)
LAMINA_UNARY(erf)
LAMINA_UNARY(erfc)
LAMINA_UNARY(erfinv)
LAMINA_UNARY(sigmoid)
LAMINA_UNARY(gelu)
LAMINA_UNARY(abs)
LAMINA_UNARY(sign)
LAMINA_UNARY(floor)
LAMINA_UNARY(ceil)
LAMINA_UNARY(trunc)
LAMINA_UNARY(round)
LAMINA_UNARY(digamma)
#undef LAMINA_UNARY
inline Tensor polygamma(const Tensor& x, double n) {
  return elementwise(function_index("polygamma"), {x}, n);
}
inline Tensor gelu_slope(const Tensor& x) {
  const Tensor phi = exp(x * x * scalar_tensor(-0.5)) * scalar_tensor(0.39894228040143267794);
  return (erf(x * scalar_tensor(0.70710678118654752440)) + scalar_tensor(1)) * scalar_tensor(0.5) +
         x * phi;
}
inline Tensor pow(const Tensor& x, const Tensor& y) { return call("pow", x, y); }
inline Tensor min(const Tensor& x, const Tensor& y) { return call("minimum", x, y); }
inline Tensor max(const Tensor& x, const Tensor& y) { return call("maximum", x, y); }
inline Tensor copysign(const Tensor& x, const Tensor& y) { return call("copysign", x, y); }
inline Tensor fma(const Tensor& a, const Tensor& b, const Tensor& c) { return a * b + c; }
inline Tensor select(const Tensor& mask, const Tensor& a, const Tensor& b) {
  return where(mask, a, b);
}
inline Tensor operator<(const Tensor& x, const Tensor& y) { return call("lt", x, y); }
inline Tensor operator<=(const Tensor& x, const Tensor& y) { return call("le", x, y); }
inline Tensor operator>(const Tensor& x, const Tensor& y) { return call("gt", x, y); }
inline Tensor operator>=(const Tensor& x, const Tensor& y) { return call("ge", x, y); }
inline Tensor operator==(const Tensor& x, const Tensor& y) { return call("eq", x, y); }
inline Tensor operator!=(const Tensor& x, const Tensor& y) { return call("ne", x, y); }
inline Tensor operator&(const Tensor& x, const Tensor& y) { return call("logical_and", x, y); }
inline Tensor operator|(const Tensor& x, const Tensor& y) { return call("logical_or", x, y); }

template <class T>
T constant(double value);
template <>
inline Tensor constant<Tensor>(double value) {
  return scalar_tensor(value);
}

}  // namespace lamina::on_tensors

#include "kernels/formulas.h"
#undef LAMINA_ISA
