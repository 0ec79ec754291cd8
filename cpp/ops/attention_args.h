// Arguments of attention, for every device.
#pragma once
#include "core/random.h"
#include "kernels/kernels.h"

namespace lamina {

struct AttentionOpArgs {
  PhiloxKey key;  // first, for whoever replays the call
  double p, scale;
  bool causal;
  bool gq, gk, gv;  // backward: wanted gradients
};
struct AttentionKeepArgs {
  PhiloxKey key;
  double p;
  DType dtype;
  int64_t shape[4];
};
struct AttentionCacheArgs {
  double scale;
};

}  // namespace lamina
