// Convolutions of bfloat16 on tensor cores (a file of its own: they take long to compile).
#include "conv_tensor.h"

namespace lamina::cuda {

void conv_brain(const DeviceCall& c, ConvWay way) { conv_on_tensor_cores<Brain>(c, way); }

}  // namespace lamina::cuda
