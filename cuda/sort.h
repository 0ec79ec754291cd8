// Stable sorting of small integers by their digits, on the device.
#pragma once
#include "launch.h"

namespace lamina::cuda {

// keys (n, in [0, top)) in place in ascending order, places[i] the position that key i had; equal
// keys keep their order. keys and places are device memory.
void sort_keys(const DeviceCall& c, int32_t* keys, int32_t* places, int64_t n, int64_t top);

}  // namespace lamina::cuda
