// Copies of elements of one size between two strided places; strides may be negative or 0.
#pragma once
#include <cstring>

#include "ops/strided.h"

namespace lamina {

struct Bytes16 {
  uint64_t half[2];
};

template <class T>
inline void copy_steps(void* y, int64_t ystep, const void* x, int64_t xstep, int64_t n) {
  T* const to = static_cast<T*>(y);
  const T* const from = static_cast<const T*>(x);
  for (int64_t i = 0; i < n; ++i) to[i * ystep] = from[i * xstep];
}

// y[index . ystrides] = x[index . xstrides] for every index in `shape`; strides in elements of
// `item` bytes (1, 2, 4, 8 or 16).
inline void strided_copy(void* y, const int64_t* ystrides, const void* x, const int64_t* xstrides,
                         const Dims& shape, int64_t item) {
  StridedLoop loop(shape);
  if (loop.numel == 0) return;
  loop.operands = 2;
  for (int d = 0; d < shape.n; ++d) {
    loop.strides[0][d] = ystrides[d];
    loop.strides[1][d] = xstrides[d];
  }
  loop.merge();
  char* const yp = static_cast<char*>(y);
  const char* const xp = static_cast<const char*>(x);
  const int64_t ystep = loop.inner(0), xstep = loop.inner(1);
  const bool dense = ystep == 1 && xstep == 1;
  parallel_rows(loop.numel, dense ? 0.05 * double(item) : 1.0, [&](int64_t b, int64_t e) {
    loop.runs(b, e, [&](const int64_t* at, int64_t n) {
      char* const to = yp + at[0] * item;
      const char* const from = xp + at[1] * item;
      if (dense)
        std::memcpy(to, from, size_t(n * item));
      else if (item == 4)
        copy_steps<uint32_t>(to, ystep, from, xstep, n);
      else if (item == 8)
        copy_steps<uint64_t>(to, ystep, from, xstep, n);
      else if (item == 16)
        copy_steps<Bytes16>(to, ystep, from, xstep, n);
      else if (item == 2)
        copy_steps<uint16_t>(to, ystep, from, xstep, n);
      else
        copy_steps<uint8_t>(to, ystep, from, xstep, n);
    });
  });
}

}  // namespace lamina
