// Arguments of the ops that join, cut and rearrange tensors, for every device.
#pragma once
#include "kernels/kernels.h"

namespace lamina {

struct JoinArgs {
  int64_t dim;
};
struct SliceGradArgs {
  int64_t dim, start, step, size;
};

}  // namespace lamina
