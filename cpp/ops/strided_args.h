// Arguments of the gradient of overlapping views, for every device.
#pragma once
#include "ops/packed_dims.h"

namespace lamina {

struct StridedAddArgs {
  PackedDims shape, strides;  // of the result; of g's places in it
  int64_t offset;
};

}  // namespace lamina
