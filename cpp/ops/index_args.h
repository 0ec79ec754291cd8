// Arguments of indexing, gathering and scattering, for every device.
#pragma once
#include "kernels/kernels.h"
#include "ops/packed_dims.h"

namespace lamina {

struct OffsetsArgs {
  int64_t first, sizes[12];
};

struct RowsArgs {
  int32_t first, count;
  bool accumulate, scale_by_frequency;
  bool from_zero;    // negative numbers do not count from the end
  int64_t skip;      // a row without gradient, or -1
  PackedDims shape;  // of x, for add_rows
};

enum Mode : int { kReplace = -1 };  // else a ScatterReduce
struct DimArgs {
  int dim;
  int mode = kReplace;
};

}  // namespace lamina
