// Tensors out of nothing: fill values, ranges; copies between tensors.
#pragma once
#include "ops/apply.h"

namespace lamina {

// A Python number: keeps its own type until it meets a tensor.
struct Scalar {
  enum Kind { boolean, integer, real } kind = real;
  double d = 0;
  int64_t i = 0;
  Scalar(double x) : kind(real), d(x), i(int64_t(x)) {}
  Scalar(int64_t x) : kind(integer), d(double(x)), i(x) {}
  Scalar(int x) : Scalar(int64_t(x)) {}
  Scalar(bool x) : kind(boolean), d(x), i(x) {}
};

Tensor full(const Dims& shape, Scalar value, DType dtype);
Tensor zeros(const Dims& shape, DType dtype = DType::float32);
Tensor ones(const Dims& shape, DType dtype = DType::float32);
Tensor zeros_like(const Tensor& x);
Tensor ones_like(const Tensor& x);
// start, start + step, ...: ceil((end - start) / step) values.
Tensor arange(Scalar start, Scalar end, Scalar step, DType dtype);
Tensor linspace(double start, double end, int64_t steps, DType dtype);
// A 0-dim tensor that takes part in promotion as a Python number does.
Tensor scalar_tensor(Scalar value);

// Throws for a number that a tensor of this dtype cannot hold (uint8 takes -255 to -1 modulo 256).
void check_fits(const char* op, Scalar value, DType dtype);
Tensor& fill_(Tensor& x, Scalar value);
// x[...] = y, broadcast and converted.
Tensor copy_(const Tensor& x, const Tensor& y);
// The same values as another dtype; x itself when it already has it.
Tensor to_dtype(const Tensor& x, DType dtype);
Tensor clone(const Tensor& x);       // always dense
Tensor contiguous(const Tensor& x);  // x itself when dense
// The same without counting a reference: x, or `room` with the copy in it.
inline const Tensor& contiguous(const Tensor& x, Tensor& room) {
  return x.is_contiguous() ? x : room = clone(x);
}

// The value of a one-element tensor.
Scalar item(const Tensor& x);

}  // namespace lamina
