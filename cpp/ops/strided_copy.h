// Copies of elements of one size between two strided places.
#pragma once
#include <cstring>

#include "core/dims.h"

namespace lamina {

// y[index . ystrides] = x[index . xstrides] for every index in `shape`; strides in elements of
// `item` bytes (1, 2, 4, 8 or 16); those of x may be 0 or negative.
void strided_copy(void* y, const int64_t* ystrides, const void* x, const int64_t* xstrides,
                  const Dims& shape, int64_t item);

// memcpy of places that do not overlap, without a call for short ones: their last 16 bytes may be
// copied twice.
inline void copy_run(void* y, const void* x, int64_t bytes) {
  struct Block {
    char byte[16];
  };
  char* const to = static_cast<char*>(y);
  const char* const from = static_cast<const char*>(x);
  const auto move = [&](int64_t at) {
    Block b;
    std::memcpy(&b, from + at, sizeof b);
    std::memcpy(to + at, &b, sizeof b);
  };
  if (bytes > 128) {
    std::memcpy(to, from, size_t(bytes));
  } else if (bytes >= 16) {
    for (int64_t i = 0; i + 16 <= bytes; i += 16) move(i);
    move(bytes - 16);
  } else {
    for (int64_t i = 0; i < bytes; ++i) to[i] = from[i];
  }
}

}  // namespace lamina
