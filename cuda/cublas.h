// Matrix products by NVIDIA's cuBLAS, where it is found as the program runs.
#pragma once
#include "gemm.h"

namespace lamina::cuda {

// Makes the product; false where cuBLAS is not there, or does not take these strides or sizes.
bool gemm_by_cublas(const DeviceCall& c, DType type, const Gemm& g);

}  // namespace lamina::cuda
