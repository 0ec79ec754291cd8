// Winograd convolution F(2x2, 3x3): 3x3 kernels, stride 1, a 2x2 tile of outputs at a time.
//   y = A^T [(G g G^T) * (B^T d B)] A      d: the 4x4 inputs of a tile, * elementwise, summed over
//   c dg = G^T [(A dy A^T) * (B^T d B)] G    summed over tiles
// Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (CVPR 2016).
//
// Layout: transformed tiles lie as 16 matrices (C, tiles), so each xi is a matrix product with the
// transformed weights. Transforms work on a vector of neighbouring tiles of a row.
// Cost: 4 M C multiplications per output instead of 9, and about 80 additions per tile and channel
// (in) or output channel (out). Error: that of direct float32 convolution.
#pragma once
#include "kernels/conv_tiles.h"

namespace lamina::LAMINA_ISA {
namespace {

// B^T (d0, d1, d2, d3); A (g0, g1); A^T m.
template <class V>
inline void into_tile(const V* d, int step, V* t) {
  t[0] = d[0] - d[2 * step];
  t[1] = d[step] + d[2 * step];
  t[2] = d[2 * step] - d[step];
  t[3] = d[step] - d[3 * step];
}
template <class V>
inline void spread(V g0, V g1, V* t) {
  t[0] = g0;
  t[1] = g0 + g1;
  t[2] = g0 - g1;
  t[3] = -g1;
}

template <class T>
void winograd_weights(const WinogradWeightsArgs& a) {
  const int64_t R = a.end - a.begin;
  T* const out = static_cast<T*>(a.out);
  for (int64_t c = 0; c < a.C; ++c)
    for (int64_t m = a.begin; m < a.end; ++m) {
      const T* const w = static_cast<const T*>(a.w) + m * a.wm + c * a.wc;
      T g[9], t[12];
      for (int i = 0; i < 9; ++i) g[i] = w[a.flip ? 8 - i : i];
      for (int s = 0; s < 3; ++s) {  // G g: (4, 3)
        const T sum = g[s] + g[6 + s];
        t[s] = g[s];
        t[3 + s] = (sum + g[3 + s]) / 2;
        t[6 + s] = (sum - g[3 + s]) / 2;
        t[9 + s] = g[6 + s];
      }
      T* const u = out + c * R + (m - a.begin);
      const int64_t xi = a.C * R;
      for (int r = 0; r < 4; ++r) {
        const T *p = t + 3 * r, sum = p[0] + p[2];
        u[(4 * r) * xi] = p[0];
        u[(4 * r + 1) * xi] = (sum + p[1]) / 2;
        u[(4 * r + 2) * xi] = (sum - p[1]) / 2;
        u[(4 * r + 3) * xi] = p[2];
      }
    }
}

template <class T>
void winograd_tiles(const WinogradArgs& a) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  const int64_t width = 2 * a.across + 2, xi = a.C * a.stride;
  const Reach columns = reach(a.W, -a.pw, 1, width);
  T* const padded = static_cast<T*>(a.padded);
  for (int64_t c = 0; c < a.C; ++c) {
    T* to = static_cast<T*>(a.v) + c * a.stride;
    for (int64_t image = 0; image < a.images; ++image) {
      const T* const x = static_cast<const T*>(a.x) + image * a.x_image + c * a.H * a.W;
      for (int64_t r = 0; r < 2 * a.rows + 2; ++r) {
        const int64_t h = 2 * a.row + r - a.ph;
        if (h < 0 || h >= a.H)
          zero(padded + r * width, width);
        else
          copy_row(padded + r * width, x + h * a.W, columns);
      }
      // Lanes past a row's end are overwritten by the next row, or lie in the slack.
      for (int64_t i = 0; i < a.rows; ++i, to += a.across)
        for (int64_t j = 0; j < a.across; j += L) {
          V t[16];  // d B
          for (int r = 0; r < 4; ++r) {
            const T* const p = padded + (2 * i + r) * width + 2 * j;
            const V e = load<V>(p), f = load<V>(p + L), g = load<V>(p + 2), h = load<V>(p + 2 + L);
            const V d[4] = {evens(e, f), odds(e, f), evens(g, h), odds(g, h)};
            into_tile(d, 1, t + 4 * r);
          }
          for (int s = 0; s < 4; ++s) {
            V u[4];
            into_tile(t + s, 4, u);
            for (int r = 0; r < 4; ++r) store(to + j + (4 * r + s) * xi, u[r]);
          }
        }
    }
  }
}

template <class T>
void winograd_forward(const WinogradArgs& a) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  const int64_t P = a.images * a.rows * a.across, vecs = (P + L - 1) / L;
  const int64_t panels = (vecs + kTileVecs - 1) / kTileVecs;
  const int64_t row_tiles = conv_tiles(a.M, kTileRows), xi = kTileRows * a.stride;
  T* const products = static_cast<T*>(a.products);
  for (int64_t tile = 0; tile < row_tiles; ++tile) {
    const int64_t m0 = conv_tile_begin(a.M, kTileRows, tile);
    const int64_t R = conv_tile_begin(a.M, kTileRows, tile + 1) - m0;
    for (int64_t k = 0; k < 16; ++k) {
      const T* const w = static_cast<const T*>(a.w) + (m0 * 16 + k * R) * a.C;
      const T* const v = static_cast<const T*>(a.v) + k * a.C * a.stride;
      for (int64_t n = 0; n < panels; ++n) {
        const int64_t begin = vecs * n / panels, N = vecs * (n + 1) / panels - begin;
        const T* const from[kTileVecs] = {v + begin * L, v + (begin + 1) * L, v + (begin + 2) * L};
        tile_for<T>(R, N)(w, from, a.place, a.C, nullptr, products + k * xi + begin * L, a.stride,
                          L);
      }
    }
    for (int64_t r = 0; r < R; ++r) {
      const V bias = a.bias ? set1<V>(static_cast<const T*>(a.bias)[m0 + r]) : V{};
      for (int64_t row = 0; row < a.images * a.rows; ++row) {
        const int64_t h = 2 * (a.row + row % a.rows);
        T* const y = static_cast<T*>(a.y) + row / a.rows * a.y_image + (m0 + r) * a.OH * a.OW;
        for (int64_t j = 0; j < a.across; j += L) {
          const T* const p = products + r * a.stride + row * a.across + j;
          V s[4], t[4];  // A^T m
          for (int b = 0; b < 4; ++b) {
            const V m1 = load<V>(p + (4 + b) * xi), m2 = load<V>(p + (8 + b) * xi);
            s[b] = load<V>(p + b * xi) + m1 + m2;
            t[b] = m1 - m2 - load<V>(p + (12 + b) * xi);
          }
          const int64_t left = a.OW - 2 * j;
          const int n = left < 2 * L ? int(left) : 2 * L;
          const V s0 = s[0] + s[1] + s[2] + bias, s1 = s[1] - s[2] - s[3] + bias;
          store_two<V>(y + h * a.OW + 2 * j, n, zip_low(s0, s1), zip_high(s0, s1));
          if (h + 1 >= a.OH) continue;
          const V t0 = t[0] + t[1] + t[2] + bias, t1 = t[1] - t[2] - t[3] + bias;
          store_two<V>(y + (h + 1) * a.OW + 2 * j, n, zip_low(t0, t1), zip_high(t0, t1));
        }
      }
    }
  }
}

template <class T>
void winograd_outer(const WinogradArgs& a) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  const int64_t padded = conv_padded(a.M, L), groups = conv_tiles(padded / L, kOuterVecs);
  T *const q = static_cast<T*>(a.q), *const gt = static_cast<T*>(a.gt);
  const int64_t xi = 3 * L * a.stride;
  ConvOuterArgs o{};
  o.images = o.T = 1;
  o.Q = a.images * a.rows * a.across;
  o.K = a.C;
  o.place = a.place;
  for (int64_t group = 0; group < groups; ++group) {
    const int64_t v0 = conv_tile_begin(padded / L, kOuterVecs, group);
    const int64_t N = conv_tile_begin(padded / L, kOuterVecs, group + 1) - v0;
    const int64_t rows = a.M - v0 * L < N * L ? a.M - v0 * L : N * L;
    for (int64_t m = 0; m < rows; ++m) {
      for (int64_t row = 0; row < a.images * a.rows; ++row) {
        const int64_t h = 2 * (a.row + row % a.rows);
        const T* const g =
            static_cast<const T*>(a.g) + row / a.rows * a.y_image + (v0 * L + m) * a.OH * a.OW;
        for (int64_t j = 0; j < a.across; j += L) {
          const int64_t left = a.OW - 2 * j;
          const int n = left < 2 * L ? int(left) : 2 * L;
          V e, f, t[8], u[4];
          load_two<V>(g + h * a.OW + 2 * j, n, &e, &f);
          spread(evens(e, f), odds(e, f), t);
          if (h + 1 < a.OH)
            load_two<V>(g + (h + 1) * a.OW + 2 * j, n, &e, &f);
          else
            e = f = V{};
          spread(evens(e, f), odds(e, f), t + 4);
          T* const to = q + m * a.stride + row * a.across + j;
          for (int b = 0; b < 4; ++b) {
            spread(t[b], t[4 + b], u);
            for (int r = 0; r < 4; ++r) store(to + (4 * r + b) * xi, u[r]);
          }
        }
      }
    }
    for (int64_t k = 0; k < 16; ++k) {
      transpose<V>(q + k * xi, a.stride, rows, o.Q, gt, N * L);
      const T* const v = static_cast<const T*>(a.v) + k * a.C * a.stride;
      T* const sum = static_cast<T*>(a.sum) + k * a.C * padded + v0 * L;
      if (N == 1) outer_group<T, 1>(o, gt, v, sum, padded);
      if (N == 2) outer_group<T, 2>(o, gt, v, sum, padded);
      if constexpr (kOuterVecs == 3)
        if (N == 3) outer_group<T, 3>(o, gt, v, sum, padded);
    }
  }
}

template <class T>
void winograd_finish(const WinogradSumArgs& a) {
  const int64_t xi = a.C * a.padded;
  for (int64_t m = a.begin; m < a.end; ++m)
    for (int64_t c = 0; c < a.C; ++c) {
      const T* const u = static_cast<const T*>(a.sum) + c * a.padded + m;
      T t[12];  // G^T u: (3, 4)
      for (int b = 0; b < 4; ++b) {
        const T u1 = u[(4 + b) * xi], u2 = u[(8 + b) * xi];
        t[b] = u[b * xi] + (u1 + u2) / 2;
        t[4 + b] = (u1 - u2) / 2;
        t[8 + b] = (u1 + u2) / 2 + u[(12 + b) * xi];
      }
      T* const dw = static_cast<T*>(a.dw) + (m * a.C + c) * 9;
      for (int r = 0; r < 3; ++r) {
        const T* const p = t + 4 * r;
        dw[3 * r] = p[0] + (p[1] + p[2]) / 2;
        dw[3 * r + 1] = (p[1] - p[2]) / 2;
        dw[3 * r + 2] = (p[1] + p[2]) / 2 + p[3];
      }
    }
}

template <class T>
void fill(WinogradKernels& k, int t) {
  k.weights[t] = winograd_weights<T>;
  k.tiles[t] = winograd_tiles<T>;
  k.forward[t] = winograd_forward<T>;
  k.outer[t] = winograd_outer<T>;
  k.finish[t] = winograd_finish<T>;
}

}  // namespace

void fill_winograd(Kernels& k) {
  fill<float>(k.winograd, kF32);
  fill<double>(k.winograd, kF64);
}

}  // namespace lamina::LAMINA_ISA
