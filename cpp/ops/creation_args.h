// Arguments of filling and counting, for every device.
#pragma once
#include "kernels/kernels.h"

namespace lamina {

struct FillArgs {
  double d;
  int64_t i;
  bool integral;  // the value is i, not d
};
struct RangeArgs {
  double start, step;
  int64_t i_start, i_step, n;
  DType dtype;
};

}  // namespace lamina
