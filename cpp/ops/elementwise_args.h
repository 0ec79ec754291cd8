// Arguments of the elementwise ops, for every device.
#pragma once
#include "kernels/kernels.h"

namespace lamina {

struct ElementwiseArgs {
  double p[3];
  DType compute;     // dtype the arithmetic is done in
  int16_t function;  // its place in formulas.h's list
  int16_t input;     // of a derivative: with respect to which input
};

}  // namespace lamina
