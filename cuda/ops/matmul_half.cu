// Matrix products of float16 on tensor cores (a file of its own: they take long to compile).
#include "gemm_tensor.h"

namespace lamina::cuda {

void gemm_half(const DeviceCall& c, const Gemm& g) { tensor_gemm<Half>(c, g); }

}  // namespace lamina::cuda
