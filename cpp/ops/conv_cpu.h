// Convolution of one image and group: unrolling, correlation, weight gradient; patches.
//
// Layout: see ConvArgs. x is copied once, padded (or once per tap column where output rows are no
// whole vectors), after which every tap of a vector of outputs is a run of u, and a matrix
// product's inner loop reads it in place.
// Cost: M C KH KW FMAs per output. Correlation: tiles of rows of w x 3 vectors of outputs; weight
// gradient: tiles of taps x up to 3 vectors of rows of g, transposed; sums stay in registers. Each
// output is one chain of FMAs over k: its bits do not depend on tiles, blocks or threads.
#pragma once
#include "kernels/conv_tiles.h"
#include "kernels/kernels.h"

namespace lamina::LAMINA_ISA {
namespace {

constexpr int64_t kOuterBlock = 128;  // outputs whose transposed rows stay in L1

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
  const T* const bias = static_cast<const T*>(a.bias);
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
                        bias ? bias + m : nullptr, y + m * a.y_m + p, a.y_m,
                        left < L ? int(left) : L);
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
// One block of outputs, starting at g and u.
template <class T>
void outer_block(const ConvOuterArgs& a, const T* g, const T* u) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  const int64_t padded = conv_padded(a.M, L), vecs = padded / L;
  const int64_t groups = conv_tiles(vecs, kOuterVecs);
  T* const gt = static_cast<T*>(a.gt);
  for (int64_t i = 0; i < groups; ++i) {
    const int64_t v = conv_tile_begin(vecs, kOuterVecs, i);
    const int64_t n = conv_tile_begin(vecs, kOuterVecs, i + 1) - v;
    for (int64_t image = 0; image < a.images; ++image)
      transpose<V>(g + image * a.g_image + v * L * a.g_m, a.g_m, a.M - v * L, a.T * a.Q,
                   gt + image * a.T * a.Q * n * L, n * L);
    T* const sum = static_cast<T*>(a.sum) + v * L;
    if (n == 1) outer_group<T, 1>(a, gt, u, sum, padded);
    if (n == 2) outer_group<T, 2>(a, gt, u, sum, padded);
    if constexpr (kOuterVecs == 3)
      if (n == 3) outer_group<T, 3>(a, gt, u, sum, padded);
  }
}
template <class T>
void outer(const ConvOuterArgs& a) {
  const T *g = static_cast<const T*>(a.g), *u = static_cast<const T*>(a.u);
  if (a.images > 1) return outer_block<T>(a, g, u);
  ConvOuterArgs b = a;
  if (a.Q > kOuterOutputs) {  // pieces of one row
    b.T = 1;
    for (int64_t t = 0; t < a.T; ++t)
      for (int64_t q = 0; q < a.Q; q += kOuterOutputs) {
        b.Q = a.Q - q < kOuterOutputs ? a.Q - q : kOuterOutputs;
        outer_block<T>(b, g + t * a.Q + q, u + t * a.width + q);
      }
    return;
  }
  const int64_t rows = a.Q < kOuterBlock ? kOuterBlock / (a.Q ? a.Q : 1) : 1;
  for (int64_t t = 0; t < a.T; t += rows) {
    b.T = a.T - t < rows ? a.T - t : rows;
    outer_block<T>(b, g + t * a.Q, u + t * a.width);
  }
}

// ---- patches -----------------------------------------------------------------------------------
template <class T>
void im2col(const PatchArgs& a) {
  T* to = static_cast<T*>(a.columns);
  for (int64_t c = 0; c < a.C; ++c)
    for (int64_t r = 0; r < a.KH; ++r)
      for (int64_t s = 0; s < a.KW; ++s) {
        const Reach columns = reach(a.W, s * a.dw - a.pw, a.sw, a.OW);
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
  const T* from = static_cast<const T*>(a.columns);
  for (int64_t c = 0; c < a.C; ++c)
    for (int64_t r = 0; r < a.KH; ++r)
      for (int64_t s = 0; s < a.KW; ++s) {
        const Reach columns = reach(a.W, s * a.dw - a.pw, a.sw, a.OW);
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
  k.weave[t] = weave<T>;
  k.outer[t] = outer<T>;
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
