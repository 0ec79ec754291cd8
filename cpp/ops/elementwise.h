// Elementwise functions of one to three tensors, with broadcasting and promotion.
#pragma once
#include "kernels/autocast.h"
#include "kernels/kernels.h"
#include "ops/apply.h"
#include "ops/creation.h"

namespace lamina {

// f is an index in formulas.h's list (see function_index). Inputs broadcast together.
Tensor elementwise(int f, std::initializer_list<Input> inputs, double p0 = 0, double p1 = 0,
                   double p2 = 0);
// The result written into `into` (in-place methods, out=).
Tensor elementwise_into(int f, std::initializer_list<Input> inputs, const Tensor& into,
                        double p0 = 0, double p1 = 0, double p2 = 0);
// The dtype of an operation on n tensors: those with dimensions outrank 0-dim ones, which outrank
// Python numbers; a lower rank matters only when its kind (bool < int < float < complex) is higher.
DType result_type(const Tensor* x, int n);
int function_index(const char* name);  // -1 when there is none
int function_count();
const char* function_name(int f);
int function_inputs(int f);
Autocast function_autocast(int f);  // what it computes in under autocast
// What a recorded call computes, for plans. function -1: it is no elementwise function.
struct ElementwiseUse {
  int function = -1;
  int input = -1;  // of a derivative: with respect to which input; -1: the function itself
  double p[3] = {};
  DType compute = DType::float32;
  BlockFn kernel = nullptr;  // over dense arrays of the compute type
};
ElementwiseUse elementwise_use(const Op& op, const void* args);

Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
Tensor neg(const Tensor& a);
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
Tensor add_(const Tensor& a, const Tensor& b);

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator-(const Tensor& a) { return neg(a); }
inline Tensor operator+(const Tensor& a, double b) { return add(a, scalar_tensor(b)); }
inline Tensor operator-(const Tensor& a, double b) { return sub(a, scalar_tensor(b)); }
inline Tensor operator*(const Tensor& a, double b) { return mul(a, scalar_tensor(b)); }
inline Tensor operator/(const Tensor& a, double b) { return div(a, scalar_tensor(b)); }
inline Tensor operator+(double a, const Tensor& b) { return add(scalar_tensor(a), b); }
inline Tensor operator-(double a, const Tensor& b) { return sub(scalar_tensor(a), b); }
inline Tensor operator*(double a, const Tensor& b) { return mul(scalar_tensor(a), b); }
inline Tensor operator/(double a, const Tensor& b) { return div(scalar_tensor(a), b); }

}  // namespace lamina
