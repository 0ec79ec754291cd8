// What convolution with outputs in the lanes is made of: padded rows, and two inner loops, tiles of
// sums held in registers: rows of weights x vectors of outputs, and rows of gradients x taps.
#pragma once
#include "kernels/conv_epilogue.h"
#include "kernels/kernels.h"
#include "kernels/vec.h"
#include "kernels/vec_shuffle.h"

namespace lamina::LAMINA_ISA {
namespace {

#if defined(LAMINA_ISA_AVX512) || defined(LAMINA_ISA_NEON)  // 32 registers
constexpr int kTileRows = 8, kOuterRows = 6, kOuterTaps = 4;
#else
constexpr int kTileRows = 4, kOuterRows = 3, kOuterTaps = 3;
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
  if (r.step == 1 && r.q <= L) {  // one vector
    const int n = int(r.end - r.begin);
    if (n < r.q) store(to, V{}, int(r.q));
    store(to + r.begin, load<V>(x + r.from + r.begin, n), n);
    return;
  }
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
          const ConvEpilogue& e, T* y, int64_t y_m, int last) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  V sum[R][N];
  for (int r = 0; r < R; ++r)
    for (int n = 0; n < N; ++n)
      sum[r][n] = e.bias ? set1<V>(static_cast<const T*>(e.bias)[r]) : V{};
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
    if (e.more())
      for (int n = 0; n < N; ++n)
        sum[r][n] =
            epilogue_end(e, r * y_m + n * L, n + 1 < N ? L : last, epilogue_norm(e, r, sum[r][n]));
    for (int n = 0; n + 1 < N; ++n) store(y + r * y_m + n * L, sum[r][n]);
    if (last == L)
      store(y + r * y_m + (N - 1) * L, sum[r][N - 1]);
    else
      store(y + r * y_m + (N - 1) * L, sum[r][N - 1], last);
  }
}
template <class T>
using TileFn = void (*)(const T*, const T* const*, const int64_t*, int64_t, const ConvEpilogue&, T*,
                        int64_t, int);
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
// sum[(k * M + m) * L + lane] += over the block's outputs in that lane of g[m] u[tap k], for R rows
// m and N taps.
template <class T, int R, int N>
void outer_tile(const ConvOuterArgs& a, const T* g, const T* u, const int64_t* place, T* sum) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  V acc[R][N];
  for (int r = 0; r < R; ++r)
    for (int n = 0; n < N; ++n) acc[r][n] = load<V>(sum + (n * a.M + r) * L);
  for (int64_t image = 0; image < a.images; ++image)
    for (int64_t t = 0; t < a.T; ++t) {
      const T* const row = g + image * a.g_image + t * a.Q;
      const T* from[N];
      for (int n = 0; n < N; ++n) from[n] = u + place[n] + image * a.u_image + t * a.width;
      int64_t q = 0;
      for (; q + L <= a.Q; q += L) {
        V x[N];
        for (int n = 0; n < N; ++n) x[n] = load<V>(from[n] + q);
        for (int r = 0; r < R; ++r) {
          const V f = load<V>(row + r * a.g_m + q);
          for (int n = 0; n < N; ++n) acc[r][n] = fma(f, x[n], acc[r][n]);
        }
      }
      if (q == a.Q) continue;
      const int left = int(a.Q - q);
      V x[N];
      for (int n = 0; n < N; ++n) x[n] = load<V>(from[n] + q, left);
      for (int r = 0; r < R; ++r) {
        const V f = load<V>(row + r * a.g_m + q, left);
        for (int n = 0; n < N; ++n) acc[r][n] = fma(f, x[n], acc[r][n]);
      }
    }
  for (int r = 0; r < R; ++r)
    for (int n = 0; n < N; ++n) store(sum + (n * a.M + r) * L, acc[r][n]);
}
template <class T>
using OuterFn = void (*)(const ConvOuterArgs&, const T*, const T*, const int64_t*, T*);
template <class T, int R>
OuterFn<T> outer_rows(int64_t taps) {
  static constexpr OuterFn<T> table[kOuterTaps] = {
      outer_tile<T, R, 1>,
      outer_tile<T, R, 2>,
      outer_tile<T, R, 3>,
#if defined(LAMINA_ISA_AVX512) || defined(LAMINA_ISA_NEON)
      outer_tile<T, R, 4>,
#endif
  };
  return table[taps - 1];
}
template <class T>
OuterFn<T> outer_for(int64_t rows, int64_t taps) {
  switch (rows) {
    case 1:
      return outer_rows<T, 1>(taps);
    case 2:
      return outer_rows<T, 2>(taps);
#if defined(LAMINA_ISA_AVX512) || defined(LAMINA_ISA_NEON)
    case 4:
      return outer_rows<T, 4>(taps);
    case 5:
      return outer_rows<T, 5>(taps);
    case 6:
      return outer_rows<T, 6>(taps);
#endif
    default:
      return outer_rows<T, 3>(taps);
  }
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
