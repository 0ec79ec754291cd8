// Arguments of dropout, for every device.
#pragma once
#include "core/random.h"

namespace lamina {

struct DropoutOpArgs {
  PhiloxKey key;  // first, for whoever replays the call
  double p;
};

}  // namespace lamina
