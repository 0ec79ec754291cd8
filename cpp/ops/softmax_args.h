// Arguments of softmax and of the cross-entropy loss, for every device.
#pragma once
#include "kernels/kernels.h"

namespace lamina {

struct SoftmaxOpArgs {
  int dim;
  bool keep = false;
};

enum Reduction : int { kNone, kMeanLoss, kSumLoss };
struct LossArgs {
  int64_t ignore;
  double smoothing;
  int reduction;
};

}  // namespace lamina
