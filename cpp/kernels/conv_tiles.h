// What direct and Winograd convolution share: padded rows, and the two inner loops, tiles of sums
// held in registers: rows of weights x vectors of outputs, and taps x vectors of rows.
#pragma once
#include "kernels/kernels.h"
#include "kernels/vec.h"
#include "kernels/vec_shuffle.h"

namespace lamina::LAMINA_ISA {
namespace {

#if defined(LAMINA_ISA_AVX512) || defined(LAMINA_ISA_NEON)  // 32 registers
constexpr int kTileRows = 8, kOuterVecs = 3;
constexpr int kOuterTaps[3] = {12, 10, 8};
#else
constexpr int kTileRows = 4, kOuterVecs = 2;
constexpr int kOuterTaps[3] = {10, 5, 4};
#endif
constexpr int kTileVecs = 3;

// ---- rows ---------------------------------------------------------------------------------------
template <class T>
void zero(T* to, int64_t n) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  for (; n >= L; n -= L, to += L) store(to, V{});
  if (n > 0) store(to, V{}, int(n));
}
// Where a row of n elements shows in q places: to[j] is x[from + j * step] for j in [begin, end).
struct Reach {
  int64_t from, step, begin, end, q;
};
inline Reach reach(int64_t n, int64_t from, int64_t step, int64_t q) {
  int64_t begin = from < 0 ? (step - 1 - from) / step : 0;
  int64_t end = from < n ? (n - from + step - 1) / step : 0;
  if (end > q) end = q;
  if (begin > end) begin = end;
  return {from, step, begin, end, q};
}
template <class T>
void copy_row(T* to, const T* x, const Reach& r) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  zero(to, r.begin);
  zero(to + r.end, r.q - r.end);
  int64_t j = r.begin;
  if (r.step == 1) {
    for (; j + L <= r.end; j += L) store(to + j, load<V>(x + r.from + j));
    if (j < r.end) store(to + j, load<V>(x + r.from + j, int(r.end - j)), int(r.end - j));
  } else if (r.step == 2) {
    for (; j < r.end; j += L) {
      const int n = r.end - j < L ? int(r.end - j) : L;
      V a, b;
      load_two<V>(x + r.from + 2 * j, 2 * n - 1, &a, &b);
      store(to + j, evens(a, b), n);
    }
  } else {
    for (; j < r.end; ++j) to[j] = x[r.from + j * r.step];
  }
}
// ---- correlation -------------------------------------------------------------------------------
// y[m, p] for R rows and N vectors of outputs, whose taps lie at u[n] + place[k]; the last vector
// has `last` of them.
template <class T, int R, int N>
void tile(const T* __restrict w, const T* const* u, const int64_t* __restrict place, int64_t K,
          const T* bias, T* y, int64_t y_m, int last) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  V sum[R][N];
  for (int r = 0; r < R; ++r)
    for (int n = 0; n < N; ++n) sum[r][n] = bias ? set1<V>(bias[r]) : V{};
  const T* from[N];
  for (int n = 0; n < N; ++n) from[n] = u[n];
  for (int64_t k = 0; k < K; ++k, w += R) {
    V x[N];
    for (int n = 0; n < N; ++n) x[n] = load<V>(from[n] + place[k]);
    for (int r = 0; r < R; ++r) {
      const V f = set1<V>(w[r]);
      for (int n = 0; n < N; ++n) sum[r][n] = fma(f, x[n], sum[r][n]);
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int n = 0; n + 1 < N; ++n) store(y + r * y_m + n * L, sum[r][n]);
    if (last == L)
      store(y + r * y_m + (N - 1) * L, sum[r][N - 1]);
    else
      store(y + r * y_m + (N - 1) * L, sum[r][N - 1], last);
  }
}
template <class T>
using TileFn = void (*)(const T*, const T* const*, const int64_t*, int64_t, const T*, T*, int64_t,
                        int);
template <class T>
TileFn<T> tile_for(int64_t rows, int64_t vecs) {
  static constexpr TileFn<T> table[8][kTileVecs] = {
      {tile<T, 1, 1>, tile<T, 1, 2>, tile<T, 1, 3>}, {tile<T, 2, 1>, tile<T, 2, 2>, tile<T, 2, 3>},
      {tile<T, 3, 1>, tile<T, 3, 2>, tile<T, 3, 3>}, {tile<T, 4, 1>, tile<T, 4, 2>, tile<T, 4, 3>},
#if defined(LAMINA_ISA_AVX512) || defined(LAMINA_ISA_NEON)
      {tile<T, 5, 1>, tile<T, 5, 2>, tile<T, 5, 3>}, {tile<T, 6, 1>, tile<T, 6, 2>, tile<T, 6, 3>},
      {tile<T, 7, 1>, tile<T, 7, 2>, tile<T, 7, 3>}, {tile<T, 8, 1>, tile<T, 8, 2>, tile<T, 8, 3>},
#endif
  };
  return table[rows - 1][vecs - 1];
}

// ---- weight gradient ---------------------------------------------------------------------------
// to[p * width + m] = g[m * row + p] for p < n, m < rows <= width; zeros above, width in vectors.
template <class V>
void transpose(const Scalar<V>* g, int64_t row, int64_t rows, int64_t n, Scalar<V>* to,
               int64_t width) {
  constexpr int L = kLanes<V>;
  for (int64_t m = 0; m < width; m += L)
    for (int64_t p = 0; p < n; p += L) {
      const int columns = n - p < L ? int(n - p) : L;
      V r[L];
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i)
        r[i] = m + i < rows ? load<V>(g + (m + i) * row + p, columns) : V{};
      transpose_step<1>(r);
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i)
        if (i < columns) store(to + (p + i) * width + m, r[i]);
    }
}

// sum[k, m] for R taps and N vectors of m over the block's outputs, gt (outputs, N * L).
template <class T, int R, int N>
void outer_tile(const ConvOuterArgs& a, const T* gt, const T* u, const int64_t* place, T* sum,
                int64_t padded) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  V acc[R][N];
  const T* x[R];
  for (int r = 0; r < R; ++r) {
    x[r] = u + place[r];
    for (int n = 0; n < N; ++n) acc[r][n] = load<V>(sum + r * padded + n * L);
  }
  for (int64_t image = 0; image < a.images; ++image)
    for (int64_t t = 0; t < a.T; ++t) {
      const int64_t begin = image * a.u_image + t * a.width, end = begin + a.Q;
      for (int64_t p = begin; p < end; ++p, gt += N * L) {
        V g[N];
        for (int n = 0; n < N; ++n) g[n] = load<V>(gt + n * L);
        for (int r = 0; r < R; ++r) {
          const V f = set1<V>(x[r][p]);
          for (int n = 0; n < N; ++n) acc[r][n] = fma(f, g[n], acc[r][n]);
        }
      }
    }
  for (int r = 0; r < R; ++r)
    for (int n = 0; n < N; ++n) store(sum + r * padded + n * L, acc[r][n]);
}
template <class T, int N>
void outer_group(const ConvOuterArgs& a, const T* gt, const T* u, T* sum, int64_t padded) {
  constexpr int R = kOuterTaps[N - 1];
  int64_t k = 0;
  for (; k + R <= a.K; k += R) outer_tile<T, R, N>(a, gt, u, a.place + k, sum + k * padded, padded);
  for (; k + 4 <= a.K; k += 4) outer_tile<T, 4, N>(a, gt, u, a.place + k, sum + k * padded, padded);
  for (; k < a.K; ++k) outer_tile<T, 1, N>(a, gt, u, a.place + k, sum + k * padded, padded);
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
