// Arguments of the reductions, for every device.
#pragma once
#include "kernels/kernels.h"

namespace lamina {

struct ReduceArgs {
  uint32_t mask;  // bit d: dimension d is reduced
  bool keep;      // as size 1
  ReduceKind kind;
  ReduceFinish finish;
};

}  // namespace lamina
