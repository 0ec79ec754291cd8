// A strided copy is cut into planes of two dimensions, one of them that along which the result is
// dense. The other is that along which the source is, so that both are read and written in runs, or
// else the next one of the result. Cost: one pass.
#include "ops/strided_copy.h"

#include <algorithm>
#include <cstring>

#include "ops/strided.h"

namespace lamina {
namespace {

constexpr int64_t kRows = 32, kColumns = 1 << 14;  // most elements of a plane copied at a time

typedef uint32_t Four __attribute__((vector_size(16)));
struct Bytes16 {
  uint64_t half[2];
};
// Element (r, i) goes from x[r * x_row + i * x_step] to y[r * y_row + i * y_step].
template <class T>
struct Plane {
  T* y;
  const T* x;
  int64_t rows, n, y_row, y_step, x_row, x_step;
};

// The same elements in the opposite order, four at a time where they have four bytes.
template <class T>
void copy_reversed(T* y, const T* x, int64_t n) {
  int64_t i = 0;
  if constexpr (sizeof(T) == 4)
    for (; i + 4 <= n; i += 4) {
      Four v;
      std::memcpy(&v, x - i - 3, sizeof v);
      v = __builtin_shuffle(v, Four{3, 2, 1, 0});
      std::memcpy(y + i, &v, sizeof v);
    }
  for (; i < n; ++i) y[i] = x[-i];
}

// y[r * y_row + i] = x[i * x_row + r], by squares of four of four bytes.
void transpose_fours(uint32_t* y, int64_t y_row, const uint32_t* x, int64_t x_row) {
  Four a[4];
  for (int k = 0; k < 4; ++k) std::memcpy(&a[k], x + k * x_row, sizeof a[k]);
  const Four low = {0, 4, 1, 5}, high = {2, 6, 3, 7}, front = {0, 1, 4, 5}, back = {2, 3, 6, 7};
  const Four l01 = __builtin_shuffle(a[0], a[1], low), h01 = __builtin_shuffle(a[0], a[1], high);
  const Four l23 = __builtin_shuffle(a[2], a[3], low), h23 = __builtin_shuffle(a[2], a[3], high);
  const Four b[4] = {__builtin_shuffle(l01, l23, front), __builtin_shuffle(l01, l23, back),
                     __builtin_shuffle(h01, h23, front), __builtin_shuffle(h01, h23, back)};
  for (int k = 0; k < 4; ++k) std::memcpy(y + k * y_row, &b[k], sizeof b[k]);
}
template <class T>
void copy_transposed(T* y, int64_t y_row, const T* x, int64_t x_row, int64_t rows, int64_t n) {
  for (int64_t j = 0; j < n; j += kRows) {  // both sides of a block fit in L1
    const int64_t end = std::min(n, j + kRows);
    int64_t r = 0;
    if constexpr (sizeof(T) == 4)
      for (; r + 4 <= rows; r += 4) {
        int64_t i = j;
        for (; i + 4 <= end; i += 4)
          transpose_fours(y + r * y_row + i, y_row, x + i * x_row + r, x_row);
        for (; i < end; ++i)
          for (int k = 0; k < 4; ++k) y[(r + k) * y_row + i] = x[i * x_row + r + k];
      }
    for (; r < rows; ++r)
      for (int64_t i = j; i < end; ++i) y[r * y_row + i] = x[i * x_row + r];
  }
}

template <class T>
void copy_plane(const Plane<T>& p, bool turned) {
  if (turned) return copy_transposed(p.y, p.y_row, p.x, p.x_step, p.rows, p.n);
  T* y = p.y;
  const T* x = p.x;
  for (int64_t r = 0; r < p.rows; ++r, y += p.y_row, x += p.x_row) {
    if (p.y_step == 1 && p.x_step == 1) {
      copy_run(y, x, p.n * int64_t(sizeof(T)));
    } else if (p.y_step == 1 && p.x_step == 0) {
      std::fill_n(y, p.n, *x);
    } else if (p.y_step == 1 && p.x_step == -1) {
      copy_reversed(y, x, p.n);
    } else {
      for (int64_t i = 0; i < p.n; ++i) y[i * p.y_step] = x[i * p.x_step];
    }
  }
}

template <class T>
void copy_strided(StridedLoop& loop, T* y, const T* x) {
  const int last = loop.nd - 1;
  const int64_t y_step = loop.inner(0), x_step = loop.inner(1);
  int plane = last - 1;
  bool turned = false;
  if (y_step == 1 && x_step != 1 && x_step != 0)
    for (int d = 0; d < last && !turned; ++d)
      if (loop.shape[d] >= 4 && (loop.strides[1][d] == 1 || loop.strides[1][d] == -1)) {
        plane = d;
        turned = true;
      }
  if (turned && loop.strides[1][plane] == -1) {  // walked from its end
    y += (loop.shape[plane] - 1) * loop.strides[0][plane];
    x -= loop.shape[plane] - 1;
    loop.strides[0][plane] = -loop.strides[0][plane];
    loop.strides[1][plane] = 1;
  }
  const int64_t n = loop.shape[last], rows = plane < 0 ? 1 : loop.shape[plane];
  const int64_t y_row = plane < 0 ? 0 : loop.strides[0][plane];
  const int64_t x_row = plane < 0 ? 0 : loop.strides[1][plane];
  const int64_t bands = (rows + kRows - 1) / kRows, pieces = (n + kColumns - 1) / kColumns;
  const bool runs = y_step == 1 && x_step >= -1 && x_step <= 1;
  const double ns = turned ? 0.1 + 0.05 * sizeof(T) : runs ? 0.05 * sizeof(T) : 1.0;
  const double count = double(std::min(rows, kRows)) * double(std::min(n, kColumns));
  parallel_rows(loop.numel / (rows * n) * bands * pieces, ns * count, [&](int64_t b, int64_t e) {
    for (int64_t u = b; u < e; ++u) {
      int64_t rest = u, to = 0, from = 0, i = 0, r = 0;
      if (pieces > 1) {
        i = rest % pieces * kColumns;
        rest /= pieces;
      }
      if (bands > 1) {
        r = rest % bands * kRows;
        rest /= bands;
      }
      for (int d = last - 1; rest; --d) {
        if (d == plane) continue;
        const int64_t k = rest % loop.shape[d];
        rest /= loop.shape[d];
        to += k * loop.strides[0][d];
        from += k * loop.strides[1][d];
      }
      copy_plane<T>(
          {y + to + r * y_row + i * y_step, x + from + r * x_row + i * x_step,
           std::min(rows - r, kRows), std::min(n - i, kColumns), y_row, y_step, x_row, x_step},
          turned);
    }
  });
}
template <class T>
void copy_as(StridedLoop& loop, void* y, const void* x) {
  copy_strided(loop, static_cast<T*>(y), static_cast<const T*>(x));
}

}  // namespace

void strided_copy(void* y, const int64_t* ystrides, const void* x, const int64_t* xstrides,
                  const Dims& shape, int64_t item) {
  StridedLoop loop(shape);
  if (loop.numel == 0) return;
  loop.operands = 2;
  for (int d = 0; d < shape.n; ++d) {
    loop.strides[0][d] = ystrides[d];
    loop.strides[1][d] = xstrides[d];
  }
  loop.merge();
  if (item == 4) return copy_as<uint32_t>(loop, y, x);
  if (item == 8) return copy_as<uint64_t>(loop, y, x);
  if (item == 16) return copy_as<Bytes16>(loop, y, x);
  if (item == 2) return copy_as<uint16_t>(loop, y, x);
  copy_as<uint8_t>(loop, y, x);
}

}  // namespace lamina
