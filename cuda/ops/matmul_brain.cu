// Matrix products of bfloat16 on tensor cores (a file of its own: they take long to compile).
#include "gemm_tensor.h"

namespace lamina::cuda {

void gemm_brain(const DeviceCall& c, const Gemm& g) { tensor_gemm<Brain>(c, g); }

}  // namespace lamina::cuda
