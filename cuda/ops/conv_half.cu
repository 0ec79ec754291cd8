// Convolutions of float16 on tensor cores (a file of its own: they take long to compile).
#include "conv_tensor.h"

namespace lamina::cuda {

void conv_half(const DeviceCall& c, ConvWay way) { conv_on_tensor_cores<Half>(c, way); }

}  // namespace lamina::cuda
