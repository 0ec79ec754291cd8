// Convolutions of float32 rounded to TF32 on tensor cores (a file of its own: they take long to
// compile).
#include "conv_tensor.h"

namespace lamina::cuda {

void conv_tf32(const DeviceCall& c, ConvWay way) { conv_on_tensor_cores<Tf32>(c, way); }

}  // namespace lamina::cuda
