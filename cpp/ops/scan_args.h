// Arguments of the scans, for every device.
#pragma once
#include "kernels/kernels.h"

namespace lamina {

struct ScanOpArgs {
  int dim;
  bool reverse;
};

}  // namespace lamina
