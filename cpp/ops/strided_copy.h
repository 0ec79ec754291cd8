// Copies of elements of one size between two strided places; strides may be negative or 0.
//
// Where the result's rows are dense and the source's elements lie side by side along another
// dimension, planes of the two are transposed by blocks, so that both are read and written in runs.
// Cost: one pass.
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
  if (ystep == 1 && xstep == 0) {
    constexpr int kMany = 64 / sizeof(T);
    T many[kMany];
    for (T& t : many) t = *from;
    int64_t i = 0;
    for (; i + kMany <= n; i += kMany) std::memcpy(to + i, many, sizeof many);
    std::memcpy(to + i, many, size_t(n - i) * sizeof(T));
    return;
  }
  for (int64_t i = 0; i < n; ++i) to[i * ystep] = from[i * xstep];
}
// The same elements in the opposite order, four at a time.
inline void copy_reversed(uint32_t* to, const uint32_t* from, int64_t n) {
  typedef uint32_t Four __attribute__((vector_size(16)));
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    Four v;
    std::memcpy(&v, from - i - 3, sizeof v);
    v = __builtin_shuffle(v, Four{3, 2, 1, 0});
    std::memcpy(to + i, &v, sizeof v);
  }
  for (; i < n; ++i) to[i] = from[-i];
}

// y[i * y_row + j] = x[j * x_row + i] for i < rows, j < columns.
template <class T>
inline void transpose_block(T* y, int64_t y_row, const T* x, int64_t x_row, int64_t rows,
                            int64_t columns) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) y[i * y_row + j] = x[j * x_row + i];
}
template <>
inline void transpose_block(uint32_t* y, int64_t y_row, const uint32_t* x, int64_t x_row,
                            int64_t rows, int64_t columns) {
  typedef uint32_t Four __attribute__((vector_size(16)));
  int64_t i = 0;
  for (; i + 4 <= rows; i += 4) {
    int64_t j = 0;
    for (; j + 4 <= columns; j += 4) {
      Four a[4];
      for (int k = 0; k < 4; ++k) std::memcpy(&a[k], x + (j + k) * x_row + i, sizeof a[k]);
      const Four low = {0, 4, 1, 5}, high = {2, 6, 3, 7}, front = {0, 1, 4, 5}, back = {2, 3, 6, 7};
      const Four l01 = __builtin_shuffle(a[0], a[1], low),
                 h01 = __builtin_shuffle(a[0], a[1], high);
      const Four l23 = __builtin_shuffle(a[2], a[3], low),
                 h23 = __builtin_shuffle(a[2], a[3], high);
      const Four b[4] = {__builtin_shuffle(l01, l23, front), __builtin_shuffle(l01, l23, back),
                         __builtin_shuffle(h01, h23, front), __builtin_shuffle(h01, h23, back)};
      for (int k = 0; k < 4; ++k) std::memcpy(y + (i + k) * y_row + j, &b[k], sizeof b[k]);
    }
    for (int k = 0; k < 4; ++k)
      for (int64_t l = j; l < columns; ++l) y[(i + k) * y_row + l] = x[l * x_row + i + k];
  }
  for (; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) y[i * y_row + j] = x[j * x_row + i];
}

constexpr int64_t kCopyBlock = 32;  // rows and columns of a block: both of its sides fit in L1

// `plane` is the dimension along which x is dense, the last one that along which y is.
template <class T>
inline void copy_planes(const StridedLoop& loop, int plane, void* y, const void* x) {
  const int last = loop.nd - 1;
  const int64_t rows = loop.shape[plane], columns = loop.shape[last];
  const int64_t y_row = loop.strides[0][plane], x_row = loop.strides[1][last];
  const int64_t bands = (rows + kCopyBlock - 1) / kCopyBlock;
  const int64_t planes = loop.numel / (rows * columns);
  const double ns = 0.15 + 0.05 * double(sizeof(T));
  parallel_rows(planes * bands,
                ns * double(columns) * double(rows < kCopyBlock ? rows : kCopyBlock),
                [&](int64_t begin, int64_t end) {
                  for (int64_t u = begin; u < end; ++u) {
                    const int64_t i = u % bands * kCopyBlock;
                    int64_t rest = u / bands, to = i * y_row, from = i;
                    for (int d = last - 1; d >= 0; --d) {
                      if (d == plane) continue;
                      const int64_t k = rest % loop.shape[d];
                      rest /= loop.shape[d];
                      to += k * loop.strides[0][d];
                      from += k * loop.strides[1][d];
                    }
                    const int64_t m = rows - i < kCopyBlock ? rows - i : kCopyBlock;
                    for (int64_t j = 0; j < columns; j += kCopyBlock)
                      transpose_block(static_cast<T*>(y) + to + j, y_row,
                                      static_cast<const T*>(x) + from + j * x_row, x_row, m,
                                      columns - j < kCopyBlock ? columns - j : kCopyBlock);
                  }
                });
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
  const int64_t ystep = loop.inner(0), xstep = loop.inner(1);
  if (ystep == 1 && xstep > 1)
    for (int d = 0; d < loop.nd - 1; ++d)
      if (loop.strides[1][d] == 1 && loop.shape[d] >= 4) {
        if (item == 4) return copy_planes<uint32_t>(loop, d, y, x);
        if (item == 8) return copy_planes<uint64_t>(loop, d, y, x);
        if (item == 2) return copy_planes<uint16_t>(loop, d, y, x);
        if (item == 1) return copy_planes<uint8_t>(loop, d, y, x);
      }
  char* const yp = static_cast<char*>(y);
  const char* const xp = static_cast<const char*>(x);
  const bool dense = ystep == 1 && xstep == 1, reversed = item == 4 && ystep == 1 && xstep == -1;
  const bool quick = dense || reversed || (ystep == 1 && xstep == 0);
  parallel_rows(loop.numel, quick ? 0.05 * double(item) : 1.0, [&](int64_t b, int64_t e) {
    loop.runs(b, e, [&](const int64_t* at, int64_t n) {
      char* const to = yp + at[0] * item;
      const char* const from = xp + at[1] * item;
      if (dense)
        std::memcpy(to, from, size_t(n * item));
      else if (reversed)
        copy_reversed(reinterpret_cast<uint32_t*>(to), reinterpret_cast<const uint32_t*>(from), n);
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
