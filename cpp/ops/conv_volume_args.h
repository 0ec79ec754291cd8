// Arguments of the convolution of volumes by planes, for every device.
#pragma once
#include <cstdint>

namespace lamina {

struct DepthTaps {
  int64_t N, C, D, H, W;  // x (N, C, D, H, W)
  int64_t T, K;           // u (N T, C K, H, W)
  int64_t stride, dilation, before;
};

}  // namespace lamina
