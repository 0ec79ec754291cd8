// Arguments of the Fourier transforms, for every device.
#pragma once
#include "kernels/kernels.h"

namespace lamina {

struct FftOpArgs {
  int kind, dim;  // an FftKind
  int64_t n;
  bool inverse;
  double scale, middle;
};

}  // namespace lamina
