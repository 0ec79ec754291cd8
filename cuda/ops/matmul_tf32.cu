// Matrix products of float32 rounded to TF32 on tensor cores (a file of its own: they take long to
// compile).
#include "gemm_tensor.h"

namespace lamina::cuda {

void gemm_tf32(const DeviceCall& c, const Gemm& g) { tensor_gemm<Tf32>(c, g); }

}  // namespace lamina::cuda
