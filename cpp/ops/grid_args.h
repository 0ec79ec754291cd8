// Arguments of grid_sample, for every device.
#pragma once
#include "kernels/kernels.h"

namespace lamina {

enum GridPadding : int8_t { kGridZeros, kGridBorder, kGridReflection };
struct GridCall {
  int8_t nd, nearest, padding, align;
  int64_t N, C, P;  // P points per sample
  int64_t size[3];  // of x, last dimension first, as the grid has them
  int64_t out[3];   // of y, first dimension first
  constexpr int64_t plane() const { return size[0] * size[1] * (nd == 3 ? size[2] : 1); }
};

}  // namespace lamina
