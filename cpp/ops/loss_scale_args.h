// Arguments of the loss scale's update, for every device.
#pragma once
#include <cstdint>

namespace lamina {

struct ScaleArgs {
  double growth, backoff;
  int64_t interval;
};

}  // namespace lamina
