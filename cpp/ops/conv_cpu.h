// Convolution of one image and group: unrolling, correlation, weight gradient; patches.
//
// Layout: see ConvArgs. x is copied once, padded (or once per tap column where output rows are no
// whole vectors), after which every tap of a vector of outputs is a run of u, and a matrix
// product's inner loop reads it in place.
// Cost: M C KH KW FMAs per output. Correlation: tiles of rows of w x 3 vectors of outputs; weight
// gradient: tiles of rows of g x taps; sums stay in registers. Each
// output is one chain of FMAs over k: its bits do not depend on tiles, blocks or threads.
#pragma once
#include "kernels/conv_tiles.h"
#include "kernels/kernels.h"

namespace lamina::LAMINA_ISA {
namespace {

// ---- u -----------------------------------------------------------------------------------------
template <class T>
void unroll(const ConvArgs& a) {
  T* u = static_cast<T*>(a.u);
  const T* x = static_cast<const T*>(a.x);
  for (int64_t c = 0; c < a.C; ++c, x += a.H * a.W)
    for (int64_t s = 0; s < a.planes; ++s) {
      const Reach columns = reach(a.W, a.plane_column[s], a.column_stride, a.width);
      for (int64_t residue = 0; residue < a.residues; ++residue) {
        const int64_t rows = a.residue_rows[residue], used = rows - a.missing;
        for (int64_t i = 0; i < used; ++i) {
          const int64_t h = a.first_row + residue + i * a.row_stride;
          if (h < 0 || h >= a.H)
            zero(u + i * a.width, a.width);
          else
            copy_row(u + i * a.width, x + h * a.W, columns);
        }
        u += rows * a.width;
      }
    }
}

// ---- correlation -------------------------------------------------------------------------------
template <class T>
void correlate(const ConvArgs& a) {
  constexpr int L = kLanes<typename VecOf<T>::V>;
  const int64_t P = a.T * a.Q, K = a.C * a.taps, tiles = conv_tiles(a.M, kTileRows);
  const T* const u = static_cast<const T*>(a.u);
  T* const y = static_cast<T*>(a.y);
  // One run of outputs, or rows of whole vectors.
  const int64_t per_row = a.T == 1 || a.width == a.Q ? (P + L - 1) / L : a.Q / L;
  int64_t vecs = (P + L - 1) / L, panels = (vecs + kTileVecs - 1) / kTileVecs;
  for (int64_t v = 0; panels > 0; --panels) {
    const int64_t N = (vecs - v + panels - 1) / panels, p = v * L;
    const T* from[kTileVecs];
    for (int64_t n = 0; n < N; ++n, ++v) from[n] = u + v / per_row * a.width + v % per_row * L;
    const int64_t left = P - p - (N - 1) * L;
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t m = conv_tile_begin(a.M, kTileRows, t);
      const int64_t R = conv_tile_begin(a.M, kTileRows, t + 1) - m;
      tile_for<T>(R, N)(static_cast<const T*>(a.w) + m * K, from, a.place, K,
                        a.epilogue.from<T>(m, m * a.y_m + p), y + m * a.y_m + p, a.y_m,
                        left < L ? int(left) : L);
    }
  }
}

template <class T>
void finish(const ConvFinishArgs& a) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  for (int64_t m = 0; m < a.M; ++m) {
    const T* const from = static_cast<const T*>(a.from) + m * a.from_m;
    T* const y = static_cast<T*>(a.y) + m * a.y_m;
    for (int64_t p = 0; p < a.P; p += L) {
      const int n = a.P - p < L ? int(a.P - p) : L;
      const V v = n == L ? load<V>(from + p) : load<V>(from + p, n);
      const V z = epilogue_end(a.epilogue, m * a.y_m + p, n,
                               epilogue_norm(a.epilogue, m, epilogue_bias(a.epilogue, m, v)));
      n == L ? store(y + p, z) : store(y + p, z, n);
    }
  }
}

template <class T>
void weave(const ConvWeaveArgs& a) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  for (int64_t m = 0; m < a.M; ++m)
    for (int64_t t = 0; t < a.T; ++t) {
      const T* const from = static_cast<const T*>(a.from) + m * a.from_m + t * a.Q;
      T* const y = static_cast<T*>(a.y) + m * a.y_m + t * a.y_t;
      if (a.phases == 1) {
        copy_row(y, from, reach(a.W, 0, 1, a.W));
      } else if (a.phases == 2) {
        for (int64_t q = 0; q < a.Q; q += L) {
          const int n = a.Q - q < L ? int(a.Q - q) : L;
          const int64_t w = a.W - 2 * q;
          const V even = load<V>(from + q, n), odd = load<V>(from + a.from_phase + q, n);
          store_two<V>(y + 2 * q, w < 2 * L ? int(w) : 2 * L, zip_low(even, odd),
                       zip_high(even, odd));
        }
      } else {
        for (int64_t i = 0; i < a.W; ++i) y[i] = from[i % a.phases * a.from_phase + i / a.phases];
      }
    }
}

// ---- weight gradient ---------------------------------------------------------------------------
template <class T>
void outer(const ConvOuterArgs& a) {
  constexpr int L = kLanes<typename VecOf<T>::V>;
  const int64_t k_tiles = conv_tiles(a.K, kOuterTaps), m_tiles = conv_tiles(a.M, kOuterRows);
  for (int64_t i = 0; i < k_tiles; ++i) {
    const int64_t k = conv_tile_begin(a.K, kOuterTaps, i);
    for (int64_t j = 0; j < m_tiles; ++j) {
      const int64_t m = conv_tile_begin(a.M, kOuterRows, j);
      outer_for<T>(conv_tile_begin(a.M, kOuterRows, j + 1) - m,
                   conv_tile_begin(a.K, kOuterTaps, i + 1) - k)(
          a, static_cast<const T*>(a.g) + m * a.g_m, static_cast<const T*>(a.u), a.place + k,
          static_cast<T*>(a.sum) + (k * a.M + m) * L);
    }
  }
}
template <class T>
void outer_sums(const ConvOuterSumArgs& a) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  for (int64_t k = a.begin; k < a.end; ++k)
    for (int64_t m = 0; m < a.M; ++m) {
      const T* const from = static_cast<const T*>(a.sum) + (k * a.M + m) * L;
      V v = load<V>(from);
      for (int64_t i = 1; i < a.sums; ++i) v = v + load<V>(from + i * a.sum_step);
      static_cast<T*>(a.dw)[m * a.K + k] = hsum(v);
    }
}

// ---- patches -----------------------------------------------------------------------------------
// Rows of at most one vector of neighbours: what lies beside the row is read too, and left out.
template <class T>
void short_rows(const PatchArgs& a, int64_t c, int64_t r, const Reach& columns, T* to) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  const int n = int(a.OW);
  T in[L];
  for (int j = 0; j < L; ++j) in[j] = T(j >= columns.begin && j < columns.end);
  const auto inside = load<V>(in) > V{};
  const T* const x = static_cast<const T*>(a.x) + c * a.H * a.W + columns.from;
  for (int64_t i = 0; i < a.OH; ++i, to += a.OW) {
    const int64_t h = i * a.sh + r * a.dh - a.ph;
    store(to, h < 0 || h >= a.H ? V{} : select(inside, load<V>(x + h * a.W, n), V{}), n);
  }
}
template <class T>
void im2col(const PatchArgs& a) {
  constexpr int L = kLanes<typename VecOf<T>::V>;
  T* row = static_cast<T*>(a.columns);
  for (int64_t c = 0; c < a.C; ++c)
    for (int64_t r = 0; r < a.KH; ++r)
      for (int64_t s = 0; s < a.KW; ++s, row += a.stride) {
        const Reach columns = reach(a.W, s * a.dw - a.pw, a.sw, a.OW);
        // Inside x, of which the first and the last channel are the ends, whatever is beside a row.
        if (a.sw == 1 && a.OW <= L && a.pw < a.W && c > 0 && c + 1 < a.C) {
          short_rows(a, c, r, columns, row);
          continue;
        }
        T* to = row;
        for (int64_t i = 0; i < a.OH; ++i, to += a.OW) {
          const int64_t h = i * a.sh + r * a.dh - a.ph;
          if (h < 0 || h >= a.H)
            zero(to, a.OW);
          else
            copy_row(to, static_cast<const T*>(a.x) + (c * a.H + h) * a.W, columns);
        }
      }
}
template <class T>
void col2im(const PatchArgs& a) {
  const T* row = static_cast<const T*>(a.columns);
  for (int64_t c = 0; c < a.C; ++c)
    for (int64_t r = 0; r < a.KH; ++r)
      for (int64_t s = 0; s < a.KW; ++s, row += a.stride) {
        const Reach columns = reach(a.W, s * a.dw - a.pw, a.sw, a.OW);
        const T* from = row;
        for (int64_t i = 0; i < a.OH; ++i, from += a.OW) {
          const int64_t h = i * a.sh + r * a.dh - a.ph;
          if (h < 0 || h >= a.H) continue;
          T* const x = static_cast<T*>(a.x) + (c * a.H + h) * a.W + columns.from;
          for (int64_t j = columns.begin; j < columns.end; ++j) x[j * a.sw] += from[j];
        }
      }
}

template <class T>
void fill(ConvKernels& k, int t) {
  k.unroll[t] = unroll<T>;
  k.correlate[t] = correlate<T>;
  k.finish[t] = finish<T>;
  k.weave[t] = weave<T>;
  k.outer[t] = outer<T>;
  k.outer_sums[t] = outer_sums<T>;
  k.im2col[t] = im2col<T>;
  k.col2im[t] = col2im<T>;
  k.lanes[t] = kLanes<typename VecOf<T>::V>;
}

}  // namespace

void fill_conv(Kernels& k) {
  fill<float>(k.conv, kF32);
  fill<double>(k.conv, kF64);
  k.conv.tile_rows = kTileRows;
}

}  // namespace lamina::LAMINA_ISA
