// float16 and bfloat16 in ops whose device kernels read and write them themselves.
#pragma once
#include "core/device.h"

namespace lamina {

// What is kept beside such tensors (statistics, weights, sums): float32; float64 beside float64.
inline DType kept_dtype(DType d) { return d == DType::float64 ? d : DType::float32; }

}  // namespace lamina
