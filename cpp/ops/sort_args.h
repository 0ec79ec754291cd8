// Arguments of sorting and searching, for every device.
#pragma once
#include "kernels/kernels.h"

namespace lamina {

struct OrderArgs {  // the first k of the order along the last dimension
  int64_t k;
  bool descending;
};
struct FindArgs {
  bool right;
};

}  // namespace lamina
