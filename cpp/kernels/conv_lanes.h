// What convolutions with channels in the lanes of vectors share. A tensor of planes (C, positions)
// lies as blocks of L channels, (C / L, positions, L): a position's L channels are one vector, and
// the channels past C are zeros.
//   interleave    planes -> blocks, L x L numbers at a time transposed in registers; and back
//   lanes_tile    R positions x N blocks of outputs, one broadcast per position and channel
#pragma once
#include "kernels/kernels.h"
#include "kernels/vec.h"
#include "kernels/vec_shuffle.h"

namespace lamina::LAMINA_ISA {
namespace {

#if defined(LAMINA_ISA_AVX512)
constexpr int kLaneRows = 14;
#elif defined(LAMINA_ISA_NEON)
constexpr int kLaneRows = 12;
#elif defined(LAMINA_ISA_AVX2)
constexpr int kLaneRows = 6;
#else
constexpr int kLaneRows = 4;
#endif
constexpr int kLaneVecs = 2;  // blocks of outputs in a tile

// Rows of `width` pixels whose beginnings are `step` pixels apart, walked pixel by pixel.
template <class T, int L>
struct Walk {
  T* at;
  int64_t width, step, column;
  Walk(T* first, int64_t width, int64_t step) : at(first), width(width), step(step), column(0) {}
  T* next() {
    T* const here = at;
    at += L;
    if (++column == width) column = 0, at += (step - width) * L;
    return here;
  }
};

// `n` <= L planes of `count` = rows * width numbers, `plane` apart, into pixels of L channels.
template <class T>
void interleave(const T* x, int64_t plane, int n, int64_t count, T* to, int64_t width,
                int64_t step) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  Walk<T, L> pixel(to, width, step);
  for (int64_t p = 0; p < count; p += L) {
    const int pixels = count - p < L ? int(count - p) : L;
    V r[L];
    if (n == L && pixels == L) {
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i) r[i] = load<V>(x + i * plane + p);
    } else {
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i) r[i] = i < n ? load<V>(x + i * plane + p, pixels) : V{};
    }
    transpose_step<1>(r);
    if (pixels == L) {
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i) store(pixel.next(), r[i]);
    } else {
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i)
        if (i < pixels) store(pixel.next(), r[i]);
    }
  }
}
// The way back; only the first n channels are written.
template <class T>
void deinterleave(const T* from, int64_t width, int64_t step, T* y, int64_t plane, int n,
                  int64_t count) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  Walk<const T, L> pixel(from, width, step);
  for (int64_t p = 0; p < count; p += L) {
    const int pixels = count - p < L ? int(count - p) : L;
    V r[L];
    if (pixels == L) {
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i) r[i] = load<V>(pixel.next());
    } else {
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i) r[i] = i < pixels ? load<V>(pixel.next()) : V{};
    }
    transpose_step<1>(r);
    if (n == L && pixels == L) {
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i) store(y + i * plane + p, r[i]);
    } else {
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i)
        if (i < n) store(y + i * plane + p, r[i], pixels);
    }
  }
}

// c[n * c_n + i * L] = sum over k < K of a[k / L * a_block + k % L + i * L] b[k * N * L + n * L]:
// i < R positions, n < N blocks of outputs.
template <class T, int R, int N>
void lanes_tile(const T* a, int64_t a_block, int64_t K, const T* b, T* c, int64_t c_n) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  V sum[R][N];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) sum[i][n] = V{};
  for (; K > 0; K -= L, a += a_block) {
    const int64_t steps = K < L ? K : L;
    for (int64_t k = 0; k < steps; ++k, b += N * L) {
      V f[N];
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) f[n] = load<V>(b + n * L);
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) {
        const V x = set1<V>(a[k + i * L]);
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) sum[i][n] = fma(x, f[n], sum[i][n]);
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) store(c + n * c_n + i * L, sum[i][n]);
}
template <class T>
using LanesTileFn = void (*)(const T*, int64_t, int64_t, const T*, T*, int64_t);
template <class T>
LanesTileFn<T> lanes_tile_for(int64_t rows, int64_t vecs) {
#define LAMINA_ROW(R) {lanes_tile<T, R, 1>, lanes_tile<T, R, 2>}
  static constexpr LanesTileFn<T> table[kLaneRows][kLaneVecs] = {
      LAMINA_ROW(1), LAMINA_ROW(2), LAMINA_ROW(3), LAMINA_ROW(4),
#if defined(LAMINA_ISA_AVX2) || defined(LAMINA_ISA_AVX512) || defined(LAMINA_ISA_NEON)
      LAMINA_ROW(5), LAMINA_ROW(6),
#endif
#if defined(LAMINA_ISA_AVX512) || defined(LAMINA_ISA_NEON)
      LAMINA_ROW(7), LAMINA_ROW(8), LAMINA_ROW(9), LAMINA_ROW(10), LAMINA_ROW(11), LAMINA_ROW(12),
#endif
#if defined(LAMINA_ISA_AVX512)
      LAMINA_ROW(13), LAMINA_ROW(14),
#endif
  };
#undef LAMINA_ROW
  return table[rows - 1][vecs - 1];
}

// sum[i * N * L + n * L] (+)= over p < P of a[p * L + i] b[n * b_n + p * L]: R channels of one block
// of a against N blocks of b.
template <class T, int R, int N>
void lanes_outer(const T* a, const T* b, int64_t b_n, int64_t P, T* sum, bool add) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  V acc[R][N];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) acc[i][n] = add ? load<V>(sum + (i * N + n) * L) : V{};
  for (int64_t p = 0; p < P; ++p, a += L, b += L) {
    V f[N];
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) f[n] = load<V>(b + n * b_n);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const V x = set1<V>(a[i]);
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) acc[i][n] = fma(x, f[n], acc[i][n]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) store(sum + (i * N + n) * L, acc[i][n]);
}

// All `rows` <= L channels of a block of a.
template <class T, int N>
void lanes_outer_rows(int rows, const T* a, const T* b, int64_t b_n, int64_t P, T* sum, bool add) {
  constexpr int R = kLaneRows >= 12 ? (N == 1 ? 16 : 8) : 4, L = kLanes<typename VecOf<T>::V>;
  constexpr int most = R < L ? R : L;
  int i = 0;
  for (; i + most <= rows; i += most)
    lanes_outer<T, most, N>(a + i, b, b_n, P, sum + i * N * L, add);
  for (; i + 2 <= rows; i += 2) lanes_outer<T, 2, N>(a + i, b, b_n, P, sum + i * N * L, add);
  for (; i < rows; ++i) lanes_outer<T, 1, N>(a + i, b, b_n, P, sum + i * N * L, add);
}
template <class T>
void lanes_outer_block(int rows, int vecs, const T* a, const T* b, int64_t b_n, int64_t P, T* sum,
                       bool add) {
  (vecs == 2 ? lanes_outer_rows<T, 2> : lanes_outer_rows<T, 1>)(rows, a, b, b_n, P, sum, add);
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
