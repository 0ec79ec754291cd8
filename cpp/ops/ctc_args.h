// Arguments of CTC, for every device.
#pragma once
#include "kernels/kernels.h"

namespace lamina {

struct CtcOpArgs {
  int64_t blank, width;  // width: states of the longest target
  bool zero_infinity;
};

}  // namespace lamina
