// Matrices packed into panels for the matrix product: rows side by side for every step of k,
// out[k][width]. L^2 numbers take L log2(L) shuffles of L lanes.
#pragma once
#include "kernels/kernels.h"
#include "kernels/vec.h"
#include "kernels/vec_shuffle.h"

namespace lamina::LAMINA_ISA {
namespace {

// dst[k * width + i] = src[i * row + k], i < rows <= width, k < depth. Lanes past `rows` of the
// last vector are written with zeros when they fit `width`, and else (rows == width) left alone or
// overwritten by the next k; dst has room for one vector past its end.
template <class V>
static void pack_rows(const Scalar<V>* src, int64_t row, int rows, int64_t depth, Scalar<V>* dst,
                      int width) {
  constexpr int L = kLanes<V>;
  for (int64_t k = 0; k < depth; k += L) {
    const int kn = depth - k < L ? int(depth - k) : L;
    for (int i = 0; i < width; i += L) {
      const int n = rows - i < L ? rows - i : L;    // rows that exist
      const int w = width - i < L ? width - i : L;  // lanes that may be written
      const bool spill = w < L && i > 0;            // would hit rows of the next k made before
      V r[L];
      const Scalar<V>* p = src + i * row + k;
      if (n == L && kn == L) {
#pragma GCC unroll 16
        for (int t = 0; t < L; ++t) r[t] = load<V>(p + t * row);
      } else {
#pragma GCC unroll 16
        for (int t = 0; t < L; ++t) r[t] = t < n ? load<V>(p + t * row, kn) : V{};
      }
      transpose_square(r);
      Scalar<V>* q = dst + k * width + i;
      if (kn == L && !spill) {
#pragma GCC unroll 16
        for (int t = 0; t < L; ++t) store(q + t * width, r[t]);
      } else {
#pragma GCC unroll 16
        for (int t = 0; t < L; ++t)
          if (t < kn) {
            if (spill)
              store(q + t * width, r[t], w);
            else
              store(q + t * width, r[t]);
          }
      }
    }
  }
}

// dst[k * width + i] = src[k * step + i]; lanes from `rows` to `width` become 0. Room as above.
template <class V>
static void pack_columns(const Scalar<V>* src, int64_t step, int rows, int64_t depth,
                         Scalar<V>* dst, int width) {
  constexpr int L = kLanes<V>;
  for (int64_t k = 0; k < depth; ++k, src += step, dst += width)
    for (int i = 0; i < width; i += L) {
      const int n = rows - i;
      if (n >= L)
        store(dst + i, load<V>(src + i));
      else if (i + L <= width || i == 0)
        store(dst + i, n > 0 ? load<V>(src + i, n) : V{});
      else
        store(dst + i, n > 0 ? load<V>(src + i, n) : V{}, width - i);
    }
}

// Any strides.
template <class V>
static void pack_any(const Scalar<V>* src, int64_t row, int64_t step, int rows, int64_t depth,
                     Scalar<V>* dst, int width) {
  if (step == 1) return pack_rows<V>(src, row, rows, depth, dst, width);
  if (row == 1) return pack_columns<V>(src, step, rows, depth, dst, width);
  for (int64_t k = 0; k < depth; ++k)
    for (int i = 0; i < width; ++i)
      dst[k * width + i] = i < rows ? src[i * row + k * step] : Scalar<V>(0);
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
