// Arguments of the normalisations, for every device.
#pragma once
#include "kernels/kernels.h"

namespace lamina {

struct BatchNormExtra {
  bool relu = false, summand_first = false;
};
struct BatchNormOpArgs {
  double eps, momentum;
  bool training, gx, gweight, gbias;  // the last three: which gradients are wanted
  BatchNormExtra extra;               // of plans on the CPU
};

struct LayerNormOpArgs {
  int64_t dims;  // normalised: the last ones
  double eps;
  bool centred, gx, gweight, gbias;  // centred: with the mean; the others: wanted gradients
};

struct GroupNormOpArgs {
  int64_t groups;
  double eps;
  bool gx, gweight, gbias;  // wanted gradients
};

}  // namespace lamina
