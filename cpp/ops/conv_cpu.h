// Convolution of one image and group: unrolling, correlation, weight gradient; patches.
//
// Layout: see ConvArgs. x is copied once per tap column (KW times, not KH * KW), after which every
// tap of a run of outputs is a run of u, and a matrix product's inner loop reads it in place.
// Cost: M C KH KW FMAs per output in tiles of tile_rows x 3 vectors held in registers. Each output
// is one chain of FMAs over k: its bits do not depend on tiles, blocks or threads.
#pragma once
#include "kernels/kernels.h"
#include "kernels/vec.h"

namespace lamina::LAMINA_ISA {
namespace {

template <class T>
struct VecOf;
template <>
struct VecOf<float> {
  using V = F32;
};
template <>
struct VecOf<double> {
  using V = F64;
};

#if defined(LAMINA_ISA_AVX512) || defined(LAMINA_ISA_NEON)  // 32 registers
constexpr int kTileRows = 8, kDotRows = 6, kDotColumns = 4;
#else
constexpr int kTileRows = 4, kDotRows = 3, kDotColumns = 3;
#endif
constexpr int kTileVecs = 3;

// ---- u -----------------------------------------------------------------------------------------
// to[j] = x[from + j * step] for 0 <= from + j * step < n, else 0; j < q
template <class T>
void copy_row(T* to, const T* x, int64_t n, int64_t from, int64_t step, int64_t q) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  int64_t begin = from < 0 ? (-from + step - 1) / step : 0;
  int64_t end = from < n ? (n - from + step - 1) / step : 0;
  if (end > q) end = q;
  if (begin > end) begin = end;
  for (int64_t j = 0; j < begin; ++j) to[j] = 0;
  if (step == 1) {
    int64_t j = begin;
    for (; j + L <= end; j += L) store(to + j, load<V>(x + from + j));
    if (j < end) store(to + j, load<V>(x + from + j, int(end - j)), int(end - j));
  } else if (step == 2) {
    for (int64_t j = begin; j < end; ++j) to[j] = x[from + 2 * j];
  } else {
    for (int64_t j = begin; j < end; ++j) to[j] = x[from + j * step];
  }
  for (int64_t j = end; j < q; ++j) to[j] = 0;
}
template <class T>
void unroll(const ConvArgs& a) {
  T* u = static_cast<T*>(a.u);
  const T* x = static_cast<const T*>(a.x);
  for (int64_t c = 0; c < a.C; ++c, x += a.H * a.W)
    for (int64_t s = 0; s < a.columns; ++s)
      for (int64_t residue = 0; residue < a.residues; ++residue) {
        const int64_t rows = a.residue_rows[residue], used = rows - a.missing;
        for (int64_t i = 0; i < used; ++i) {
          const int64_t h = a.first_row + residue + i * a.row_stride;
          T* const to = u + i * a.Q;
          if (h < 0 || h >= a.H)
            for (int64_t j = 0; j < a.Q; ++j) to[j] = 0;
          else
            copy_row(to, x + h * a.W, a.W, a.column_offset[s], a.column_stride, a.Q);
        }
        u += rows * a.Q;
      }
}

// ---- correlation -------------------------------------------------------------------------------
// y[m, p] for R rows and N vectors of outputs; the last vector has `last` of them.
template <class T, int R, int N>
void tile(const T* __restrict w, const T* __restrict u, const int64_t* __restrict place, int64_t K,
          const T* bias, T* y, int64_t y_m, int last) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  V sum[R][N];
  for (int r = 0; r < R; ++r)
    for (int n = 0; n < N; ++n) sum[r][n] = bias ? set1<V>(bias[r]) : V{};
  for (int64_t k = 0; k < K; ++k, w += R) {
    const T* const b = u + place[k];
    V x[N];
    for (int n = 0; n < N; ++n) x[n] = load<V>(b + n * L);
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
using TileFn = void (*)(const T*, const T*, const int64_t*, int64_t, const T*, T*, int64_t, int);
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

template <class T>
void correlate(const ConvArgs& a) {
  constexpr int L = kLanes<typename VecOf<T>::V>;
  const int64_t P = a.T * a.Q, K = a.C * a.taps, tiles = conv_tiles(a.M, kTileRows);
  const bool dense = a.y_q == 1 && a.y_t == a.Q;
  const T* const u = static_cast<const T*>(a.u);
  const T* const bias = static_cast<const T*>(a.bias);
  T* const y = static_cast<T*>(a.y);
  T buffer[kTileRows * kTileVecs * L];
  int64_t vecs = (P + L - 1) / L, panels = (vecs + kTileVecs - 1) / kTileVecs;
  for (int64_t p = 0; panels > 0; --panels) {
    const int64_t N = (vecs + panels - 1) / panels;
    vecs -= N;
    const int64_t n = P - p < N * L ? P - p : N * L;
    const int last = int(n - (N - 1) * L);
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t m = conv_tile_begin(a.M, kTileRows, t);
      const int64_t R = conv_tile_begin(a.M, kTileRows, t + 1) - m;
      const T* const w = static_cast<const T*>(a.w) + m * K;
      const TileFn<T> run = tile_for<T>(R, N);
      const T* const b = bias ? bias + m : nullptr;
      if (dense) {
        run(w, u + p, a.place, K, b, y + m * a.y_m + p, a.y_m, last);
        continue;
      }
      run(w, u + p, a.place, K, b, buffer, kTileVecs * L, last);
      for (int64_t r = 0; r < R; ++r)
        for (int64_t i = 0; i < n; ++i)
          y[(m + r) * a.y_m + (p + i) / a.Q * a.y_t + (p + i) % a.Q * a.y_q] =
              buffer[r * kTileVecs * L + i];
    }
    p += n;
  }
}

// ---- weight gradient ---------------------------------------------------------------------------
#if LAMINA_VEC_BYTES == 64
typedef float Half32 __attribute__((vector_size(32)));
typedef double Half64 __attribute__((vector_size(32)));
inline float sum_lanes(F32 v) {
  const Half32 h = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                   __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  typedef float Q __attribute__((vector_size(16)));
  const Q q = __builtin_shufflevector(h, h, 0, 1, 2, 3) + __builtin_shufflevector(h, h, 4, 5, 6, 7);
  const Q s = q + __builtin_shufflevector(q, q, 2, 3, 0, 1);
  return s[0] + s[1];
}
inline double sum_lanes(F64 v) {
  const Half64 h =
      __builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7);
  return (h[0] + h[2]) + (h[1] + h[3]);
}
#else
template <class V>
inline Scalar<V> sum_lanes(V v) {
  return hsum(v);
}
#endif

// R rows of g against N taps, over all images.
template <class T, int R, int N>
void dots(const ConvOuterArgs& a, int64_t m, int64_t k) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  V sum[R][N] = {};
  for (int64_t image = 0; image < a.images; ++image) {
    const T* const g = static_cast<const T*>(a.g) + image * a.g_image + m * a.g_m;
    const T* const u = static_cast<const T*>(a.u) + image * a.u_image;
    const T* x[N];
    for (int n = 0; n < N; ++n) x[n] = u + a.place[k + n];
    int64_t p = 0;
    for (; p + L <= a.P; p += L) {
      V b[N];
      for (int n = 0; n < N; ++n) b[n] = load<V>(x[n] + p);
      for (int r = 0; r < R; ++r) {
        const V f = load<V>(g + r * a.g_m + p);
        for (int n = 0; n < N; ++n) sum[r][n] = fma(f, b[n], sum[r][n]);
      }
    }
    if (p == a.P) continue;
    const int left = int(a.P - p);
    V b[N];
    for (int n = 0; n < N; ++n) b[n] = load<V>(x[n] + p, left);
    for (int r = 0; r < R; ++r) {
      const V f = load<V>(g + r * a.g_m + p, left);
      for (int n = 0; n < N; ++n) sum[r][n] = fma(f, b[n], sum[r][n]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int n = 0; n < N; ++n)
      static_cast<T*>(a.dw)[(m + r) * a.K + k + n] += sum_lanes(sum[r][n]);
}
template <class T, int R>
void dots_for(const ConvOuterArgs& a, int64_t m, int64_t k, int64_t n) {
  if (n == 1) return dots<T, R, 1>(a, m, k);
  if (n == 2) return dots<T, R, 2>(a, m, k);
  if (n == 3) return dots<T, R, 3>(a, m, k);
  if constexpr (kDotColumns == 4) dots<T, R, 4>(a, m, k);
}
template <class T>
void outer(const ConvOuterArgs& a) {
  const int64_t tiles = conv_tiles(a.M, kDotRows);
  for (int64_t k = 0; k < a.K; k += kDotColumns) {
    const int64_t n = a.K - k < kDotColumns ? a.K - k : kDotColumns;
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t m = conv_tile_begin(a.M, kDotRows, t);
      const int64_t r = conv_tile_begin(a.M, kDotRows, t + 1) - m;
      if (r == 1) dots_for<T, 1>(a, m, k, n);
      if (r == 2) dots_for<T, 2>(a, m, k, n);
      if (r == 3) dots_for<T, 3>(a, m, k, n);
      if constexpr (kDotRows == 6) {
        if (r == 4) dots_for<T, 4>(a, m, k, n);
        if (r == 5) dots_for<T, 5>(a, m, k, n);
        if (r == 6) dots_for<T, 6>(a, m, k, n);
      }
    }
  }
}

// ---- patches -----------------------------------------------------------------------------------
template <class T>
void im2col(const PatchArgs& a) {
  T* to = static_cast<T*>(a.columns);
  for (int64_t c = 0; c < a.C; ++c)
    for (int64_t r = 0; r < a.KH; ++r)
      for (int64_t s = 0; s < a.KW; ++s)
        for (int64_t i = 0; i < a.OH; ++i, to += a.OW) {
          const int64_t h = i * a.sh + r * a.dh - a.ph;
          if (h < 0 || h >= a.H)
            for (int64_t j = 0; j < a.OW; ++j) to[j] = 0;
          else
            copy_row(to, static_cast<const T*>(a.x) + (c * a.H + h) * a.W, a.W, s * a.dw - a.pw,
                     a.sw, a.OW);
        }
}
template <class T>
void col2im(const PatchArgs& a) {
  const T* from = static_cast<const T*>(a.columns);
  for (int64_t c = 0; c < a.C; ++c)
    for (int64_t r = 0; r < a.KH; ++r)
      for (int64_t s = 0; s < a.KW; ++s)
        for (int64_t i = 0; i < a.OH; ++i, from += a.OW) {
          const int64_t h = i * a.sh + r * a.dh - a.ph;
          if (h < 0 || h >= a.H) continue;
          T* const x = static_cast<T*>(a.x) + (c * a.H + h) * a.W;
          const int64_t w0 = s * a.dw - a.pw;
          for (int64_t j = 0; j < a.OW; ++j) {
            const int64_t w = w0 + j * a.sw;
            if (w >= 0 && w < a.W) x[w] += from[j];
          }
        }
}

template <class T>
void fill(ConvKernels& k, int t) {
  k.unroll[t] = unroll<T>;
  k.correlate[t] = correlate<T>;
  k.outer[t] = outer<T>;
  k.im2col[t] = im2col<T>;
  k.col2im[t] = col2im<T>;
}

}  // namespace

void fill_conv(Kernels& k) {
  fill<float>(k.conv, kF32);
  fill<double>(k.conv, kF64);
  k.conv.tile_rows = kTileRows;
}

}  // namespace lamina::LAMINA_ISA
