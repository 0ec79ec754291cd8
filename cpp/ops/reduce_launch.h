// What every reduction's launch shares: arguments, result shapes, and the walk over the input.
#pragma once
#include "core/call.h"
#include "ops/reduce_args.h"

namespace lamina {

Dims reduced_shape(const Dims& x, uint32_t mask, bool keep);
int64_t reduced_count(const Dims& x, uint32_t mask);
// The type results are held in: float32, float64 or int64.
DType reduced_dtype(DType x);
// y (dense, of reduced_dtype or undefined) and index (dense int64 or undefined) from x.
void reduce(const ReduceArgs& a, const Tensor& x, const Tensor& y, const Tensor& index);

}  // namespace lamina
