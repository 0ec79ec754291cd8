// Depthwise convolution: every channel has a kernel of its own (groups = C).
//   y[t] = bias + sum over taps k of w[k] u[place[k] + t]          t: row and column of one plane
//   dw[k] = sum over images and t of g[t] u[place[k] + t]
// Layout: padded copies of the planes, phases apart for strides, read in place; vectors run over a
// whole plane, so that small planes fill them. Several planes are copied before the first is read,
// so that loads do not wait for narrower stores. Each output is one chain of FMAs over k. dw: one
// vector of sums per tap, over images in order, its lanes added at the end.
// Cost: one load and one FMA per tap and vector; the planes are written and read in between.
#pragma once
#include "kernels/conv_tiles.h"
#include "kernels/kernels.h"

namespace lamina::LAMINA_ISA {
namespace {

template <class T>
void depthwise_planes(const DepthwiseArgs& a) {
  for (int64_t r = 0; r < a.row_stride; ++r)
    for (int64_t s = 0; s < a.column_stride; ++s) {
      const Reach columns = reach(a.W, a.first_column + s, a.column_stride, a.width);
      T* u = static_cast<T*>(a.u) + (r * a.column_stride + s) * a.phase_stride;
      for (int64_t plane = 0; plane < a.planes; ++plane) {
        const T* const x = static_cast<const T*>(a.x) + plane * a.x_plane;
        for (int64_t i = 0; i < a.rows; ++i, u += a.width) {
          const int64_t h = a.first_row + i * a.row_stride + r;
          if (h < 0 || h >= a.H)
            zero(u, a.width);
          else
            copy_row(u, x + h * a.W, columns);
        }
        zero(u, a.tail);
        u += a.tail;
      }
    }
}

// N vectors of outputs of plane c from `at` on.
template <class T, int N>
void depthwise_block(const DepthwiseArgs& a, int64_t c, int64_t at) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  at += c * a.plane;
  const T* const u = static_cast<const T*>(a.u) + at;
  const T* const w = static_cast<const T*>(a.w) + c * a.w_plane;
  const T* const bias = static_cast<const T*>(a.bias);
  V sum[N];
  for (int n = 0; n < N; ++n) sum[n] = bias ? set1<V>(bias[c * a.bias_plane]) : V{};
  for (int64_t k = 0; k < a.K; ++k) {
    const V wk = set1<V>(w[k]);
    const T* const from = u + a.place[k];
    for (int n = 0; n < N; ++n) sum[n] = fma(wk, load<V>(from + n * L), sum[n]);
  }
  for (int n = 0; n < N; ++n) store(static_cast<T*>(a.flat) + at + n * L, sum[n]);
}
// The last vector of a plane may reach into the next one, which is written after it.
template <class T>
void depthwise_correlate(const DepthwiseArgs& a) {
  constexpr int L = kLanes<typename VecOf<T>::V>;
  static constexpr void (*rest[8])(const DepthwiseArgs&, int64_t, int64_t) = {
      nullptr,
      depthwise_block<T, 1>,
      depthwise_block<T, 2>,
      depthwise_block<T, 3>,
      depthwise_block<T, 4>,
      depthwise_block<T, 5>,
      depthwise_block<T, 6>,
      depthwise_block<T, 7>};
  const int64_t vecs = (a.outputs + L - 1) / L;
  for (int64_t c = 0; c < a.planes; ++c) {
    int64_t v = 0;
    for (; v + 8 <= vecs; v += 8) depthwise_block<T, 8>(a, c, v * L);
    if (v < vecs) rest[vecs - v](a, c, v * L);
  }
}

template <class T>
void depthwise_rows(const DepthwiseArgs& a) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  for (int64_t plane = 0; plane < a.planes; ++plane) {
    T* y = static_cast<T*>(a.y) + plane * a.y_plane;
    const T* from = static_cast<const T*>(a.flat) + plane * a.plane + a.flat_row * a.width;
    for (int64_t i = 0; i < a.y_rows; ++i, y += a.y_row, from += a.width) {
      if (a.phases == 1) {
        for (int64_t j = 0; j < a.y_columns; j += L) {
          const int n = a.y_columns - j < L ? int(a.y_columns - j) : L;
          store(y + j, load<V>(from + a.columns[0] + j), n);
        }
      } else if (a.phases == 2) {
        const T *const even = from + a.columns[0], *const odd = from + a.flat_stride + a.columns[1];
        for (int64_t j = 0; j < a.y_columns; j += 2 * L) {
          const int64_t left = a.y_columns - j;
          const V e = load<V>(even + j / 2), o = load<V>(odd + j / 2);
          store_two<V>(y + j, left < 2 * L ? int(left) : 2 * L, zip_low(e, o), zip_high(e, o));
        }
      } else {
        for (int64_t j = 0; j < a.y_columns; ++j)
          y[j] = from[j % a.phases * a.flat_stride + a.columns[j % a.phases] + j / a.phases];
      }
    }
  }
}

template <class T>
void depthwise_spread(const DepthwiseArgs& a) {
  const Reach row = reach(a.OW, 0, 1, a.width);
  for (int64_t plane = 0; plane < a.planes; ++plane) {
    T* const to = static_cast<T*>(a.flat) + plane * a.plane;
    const T* const g = static_cast<const T*>(a.g) + plane * a.g_plane;
    for (int64_t i = 0; i < a.OH; ++i) copy_row(to + i * a.width, g + i * a.OW, row);
  }
}

template <class T, int G>
void depthwise_sums(const DepthwiseArgs& a, int64_t c, int64_t first) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  const int64_t at = c * a.plane, last = a.outputs - a.outputs % L;
  const T* const g = static_cast<const T*>(a.flat) + at;
  T* const sums = static_cast<T*>(a.sums) + c * a.sums_plane + first * L;
  const T* from[G];
  V sum[G];
  for (int k = 0; k < G; ++k) {
    from[k] = static_cast<const T*>(a.u) + at + a.place[first + k];
    sum[k] = load<V>(sums + k * L);
  }
  for (int64_t t = 0; t < last; t += L) {
    const V gt = load<V>(g + t);
    for (int k = 0; k < G; ++k) sum[k] = fma(gt, load<V>(from[k] + t), sum[k]);
  }
  if (const int n = int(a.outputs - last)) {
    const V gt = load<V>(g + last, n);
    for (int k = 0; k < G; ++k) sum[k] = fma(gt, load<V>(from[k] + last, n), sum[k]);
  }
  for (int k = 0; k < G; ++k) store(sums + k * L, sum[k]);
}
template <class T>
void depthwise_outer(const DepthwiseArgs& a) {
  for (int64_t c = 0; c < a.planes; ++c) {
    int64_t k = 0;
    for (; k + 9 <= a.K; k += 9) depthwise_sums<T, 9>(a, c, k);
    for (; k + 3 <= a.K; k += 3) depthwise_sums<T, 3>(a, c, k);
    for (; k < a.K; ++k) depthwise_sums<T, 1>(a, c, k);
  }
}
template <class T>
void depthwise_finish(const DepthwiseArgs& a) {
  using V = typename VecOf<T>::V;
  for (int64_t c = 0; c < a.planes; ++c)
    for (int64_t k = 0; k < a.K; ++k)
      static_cast<T*>(a.dw)[c * a.w_plane + k] =
          hsum(load<V>(static_cast<const T*>(a.sums) + c * a.sums_plane + k * kLanes<V>));
}

template <class T>
void fill(DepthwiseKernels& k, int t) {
  k.planes[t] = depthwise_planes<T>;
  k.correlate[t] = depthwise_correlate<T>;
  k.rows[t] = depthwise_rows<T>;
  k.spread[t] = depthwise_spread<T>;
  k.outer[t] = depthwise_outer<T>;
  k.finish[t] = depthwise_finish<T>;
}

}  // namespace

void fill_depthwise(Kernels& k) {
  fill<float>(k.depthwise, kF32);
  fill<double>(k.depthwise, kF64);
}

}  // namespace lamina::LAMINA_ISA
