// Stable sorting on the device, for other ops.
#pragma once
#include "launch.h"

namespace lamina::cuda {

// keys (n, in [0, top)) in place in ascending order, places[i] the position that key i had; equal
// keys keep their order. keys and places are device memory.
void sort_keys(const DeviceCall& c, int32_t* keys, int32_t* places, int64_t n, int64_t top);

// The first k of each line's ascending order: x (lines, n), values and their places (lines, k).
void sort_doubles(const DeviceCall& c, const double* x, double* values, int64_t* index,
                  int64_t lines, int64_t n, int64_t k);

}  // namespace lamina::cuda
