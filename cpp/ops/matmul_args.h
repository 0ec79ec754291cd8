// Arguments of linear, for every device.
#pragma once
#include "kernels/kernels.h"

namespace lamina {

struct LinearArgs {
  bool relu;
};

}  // namespace lamina
