// The elementwise functions that the other operations are written with.
#include "ops/elementwise.h"
#include "ops/formulas_on_tensors.h"

namespace lamina {

using namespace on_tensors;

Tensor add(const Tensor& a, const Tensor& b) { return elementwise(kAdd, {a, b}, 1); }
Tensor sub(const Tensor& a, const Tensor& b) { return elementwise(kSub, {a, b}, 1); }
Tensor mul(const Tensor& a, const Tensor& b) { return elementwise(kMul, {a, b}); }
Tensor div(const Tensor& a, const Tensor& b) { return elementwise(kDiv, {a, b}); }
Tensor neg(const Tensor& a) { return elementwise(kNeg, {a}); }
Tensor add_(const Tensor& a, const Tensor& b) { return elementwise_into(kAdd, {a, b}, a, 1); }
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  return elementwise(kWhere, {condition, a, b});
}

}  // namespace lamina
