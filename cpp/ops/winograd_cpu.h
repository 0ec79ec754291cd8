// Winograd convolution F(m x m, 3 x 3), m = 2 or 4: 3x3 kernels, stride 1, m x m outputs at a time.
//   y = A^T [(G g G^T) * (B^T d B)] A      d: the (m+2)^2 inputs of a tile, * elementwise, summed
//   dg = G^T [(A dy A^T) * (B^T d B)] G    over channels (y) or tiles (dg)
// Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (CVPR 2016).
//
// Layout: channels in the lanes (conv_lanes.h), so that transforms fill their vectors whatever the
// size of a plane, and each of the (m+2)^2 elements is a matrix product of tiles by channels.
// Cost per output: 4 (m = 2) or 2.25 (m = 4) M C multiplications instead of 9, and per tile and
// channel 24 to 144 additions in, 24 to 100 out, two transposes of its pixels.
// Error: m = 2 that of direct float32 convolution; m = 4 about 20 times that, its matrices' entries
// being up to 8.
#pragma once
#include "kernels/conv_lanes.h"
#include "kernels/winograd_tiles.h"

namespace lamina::LAMINA_ISA {
namespace {

// ---- weights -----------------------------------------------------------------------------------
template <class T, class F>
void winograd_weights(const WinogradWeightsArgs& a) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  const int64_t blocks = (a.M + L - 1) / L, matrix = winograd_matrix(a.C, a.M, L);
  const auto transform = [&](int64_t block, int64_t c) {
    const int64_t first = panel_first(block), N = panel_vecs(blocks, first);
    T* const to = static_cast<T*>(a.out) + (first * a.C + c * N + block - first) * L;
    V g[9];
    load_runs<V>(static_cast<const T*>(a.w) + block * L * a.wo + c * a.wc, a.wo,
                 int(a.M - block * L < L ? a.M - block * L : L), 9,
                 [&](int64_t k, V v) { g[a.flip ? 8 - k : k] = v; });
    transform_tile<V, 3, F::e>(
        F::template weight<V>, [&](int r, int s) { return g[3 * r + s]; },
        [&](int r, int s, V u) { store(to + (r * F::e + s) * matrix, u); });
  };
  // In the order of w's memory.
  if (a.wc < a.wo) {
    for (int64_t block = a.block; block < a.block_end; ++block)
      for (int64_t c = a.c; c < a.c_end; ++c) transform(block, c);
  } else {
    for (int64_t c = a.c; c < a.c_end; ++c)
      for (int64_t block = a.block; block < a.block_end; ++block) transform(block, c);
  }
}

// ---- inputs ------------------------------------------------------------------------------------
template <class T, class F>
void winograd_inputs(const WinogradArgs& a) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  const int64_t width = F::m * a.across + 2, height = F::m * a.rows + 2;
  const int64_t P = a.images * a.rows * a.across;
  T* const pixels = static_cast<T*>(a.pixels);
  for (int64_t i = 0; i < width * height; ++i) store(pixels + i * L, V{});
  const int64_t top = F::m * a.row - a.ph;  // the row of x in row 0 of `pixels`
  const int64_t begin = top < 0 ? 0 : top, end = top + height < a.H ? top + height : a.H;
  for (int64_t c = a.begin * L; c < a.end * L; c += L) {
    const int n = a.C - c < L ? int(a.C - c) : L;
    T* to = static_cast<T*>(a.v) + c * P;
    for (int64_t image = 0; image < a.images; ++image) {
      if (begin < end)
        interleave(static_cast<const T*>(a.x) + image * a.x_image + (c * a.H + begin) * a.W,
                   a.H * a.W, n, (end - begin) * a.W,
                   Walk<T>{pixels + ((begin - top) * width + a.pw) * L, a.column, a.W, width * L});
      for (int64_t i = 0; i < a.rows; ++i)
        for (int64_t j = 0; j < a.across; ++j, to += L) {
          const T* const p = pixels + (i * width + j) * F::m * L;
          transform_tile<V, F::e, F::e>(
              F::template input<V>, [&](int r, int s) { return load<V>(p + (r * width + s) * L); },
              [&](int r, int s, V u) { store(to + (r * F::e + s) * a.v_plane, u); });
        }
    }
  }
}

// ---- outputs -----------------------------------------------------------------------------------
template <class T, class F>
void winograd_forward(const WinogradArgs& a) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  const int64_t P = a.images * a.rows * a.across, blocks = (a.M + L - 1) / L;
  const ConvTap one{};
  T* const q = static_cast<T*>(a.q);
  for (int64_t k = 0; k < F::e * F::e; ++k) {
    // The places of y are asked for meanwhile: 10 to 25 % of this function where y is not in a
    // cache.
    for (int64_t image = 0; image < a.images; ++image)
      for (int64_t m = k; m < a.M; m += F::e * F::e)
        ask_rows(static_cast<const T*>(a.y) + image * a.y_image + m * a.OH * a.OW, F::m * a.row,
                 F::m * a.rows, a.OH, a.OW, prefetch_to_write);
    const T* const v = static_cast<const T*>(a.v) + k * a.v_plane;
    const T* const w = static_cast<const T*>(a.w) + k * winograd_matrix(a.C, a.M, L);
    for (int64_t block = 0; block < blocks; block += kLaneVecs) {
      const LanesTile<T> t{
          v, P * L, a.C, &one, 1, w + block * L * a.C, q + k * a.q_plane + block * P * L, P * L, L};
      lanes_tiles<T>(t, P, panel_vecs(blocks, block));
    }
  }
  const int64_t width = F::m * a.across, top = F::m * a.row;
  const int64_t rows = a.OH - top < F::m * a.rows ? a.OH - top : F::m * a.rows;
  T* const pixels = static_cast<T*>(a.pixels);
  for (int64_t m = 0; m < a.M; m += L) {
    const int n = a.M - m < L ? int(a.M - m) : L;
    const T* from = q + m * P;
    for (int64_t image = 0; image < a.images; ++image) {
      for (int64_t i = 0; i < a.rows; ++i)
        for (int64_t j = 0; j < a.across; ++j, from += L) {
          T* const out = pixels + (i * width + j) * F::m * L;
          transform_tile<V, F::e, F::m>(
              F::template output<V>,
              [&](int r, int s) { return load<V>(from + (r * F::e + s) * a.q_plane); },
              [&](int r, int s, V u) { store(out + (r * width + s) * L, u); });
        }
      const int64_t at = image * a.y_image + (m * a.OH + top) * a.OW;
      deinterleave(Walk<const T>{pixels, a.column, a.OW, width * L}, static_cast<T*>(a.y) + at,
                   a.OH * a.OW, n, rows * a.OW, a.epilogue.from<T>(m, at));
    }
  }
}

// ---- weight gradient ---------------------------------------------------------------------------
template <class T, class F>
void winograd_gradients(const WinogradArgs& a) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  const int64_t width = F::m * a.across, top = F::m * a.row;
  const int64_t rows = a.OH - top < F::m * a.rows ? a.OH - top : F::m * a.rows;
  const int64_t P = a.images * a.rows * a.across;
  T* const pixels = static_cast<T*>(a.pixels);
  for (int64_t i = 0; i < width * F::m * a.rows; ++i) store(pixels + i * L, V{});
  for (int64_t m = a.begin * L; m < a.end * L; m += L) {
    const int n = a.M - m < L ? int(a.M - m) : L;
    T* to = static_cast<T*>(a.q) + m * P;
    for (int64_t image = 0; image < a.images; ++image) {
      interleave(static_cast<const T*>(a.g) + image * a.y_image + (m * a.OH + top) * a.OW,
                 a.OH * a.OW, n, rows * a.OW, Walk<T>{pixels, a.column, a.OW, width * L});
      for (int64_t i = 0; i < a.rows; ++i)
        for (int64_t j = 0; j < a.across; ++j, to += L) {
          const T* const p = pixels + (i * width + j) * F::m * L;
          transform_tile<V, F::m, F::e>(
              F::template output_transposed<V>,
              [&](int r, int s) { return load<V>(p + (r * width + s) * L); },
              [&](int r, int s, V u) { store(to + (r * F::e + s) * a.q_plane, u); });
        }
    }
  }
}

template <class T, class F>
void winograd_outer(const WinogradArgs& a) {
  constexpr int L = kLanes<typename VecOf<T>::V>;
  const int64_t P = a.images * a.rows * a.across, blocks = (a.M + L - 1) / L;
  const ConvRun all{0, 0, P};
  for (int64_t k = a.begin; k < a.end; ++k)
    for (int64_t block = 0; block < blocks; block += kLaneVecs) {
      const int64_t N = panel_vecs(blocks, block);
      const T* const q = static_cast<const T*>(a.q) + k * a.q_plane + block * P * L;
      for (int64_t c = 0; c < a.C; c += L) {
        const T* const v = static_cast<const T*>(a.v) + k * a.v_plane + c * P;
        T* const sum =
            static_cast<T*>(a.sum) + k * winograd_matrix(a.C, a.M, L) + (block * a.C + c * N) * L;
        lanes_outer_block<T>({v, q, P * L, &all, 1, sum, a.add}, a.C - c < L ? int(a.C - c) : L,
                             int(N));
      }
    }
}

template <class T, class F>
void winograd_finish(const WinogradSumArgs& a) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  const int64_t blocks = (a.M + L - 1) / L, matrix = winograd_matrix(a.C, a.M, L);
  const int64_t n = a.M - a.block * L < L ? a.M - a.block * L : L;
  const int64_t first = panel_first(a.block), N = panel_vecs(blocks, first);
  for (int64_t c = 0; c < a.C; ++c) {
    const T* const sum = static_cast<const T*>(a.sum) + (first * a.C + c * N + a.block - first) * L;
    V g[9];
    transform_tile<V, F::e, 3>(
        F::template weight_transposed<V>,
        [&](int r, int s) {
          const T* const from = sum + (r * F::e + s) * matrix;
          V v = load<V>(from);
          for (int64_t i = 1; i < a.sums; ++i) v = v + load<V>(from + i * a.sum_step);
          return v;
        },
        [&](int r, int s, V u) { g[3 * r + s] = u; });
    store_runs<V>(static_cast<T*>(a.dw) + (a.block * L * a.C + c) * 9, a.C * 9, int(n), 9,
                  [&](int64_t k) { return g[k]; });
  }
}

template <class T, class F>
void fill(WinogradKernels& k, int m, int t) {
  k.weights[m][t] = winograd_weights<T, F>;
  k.inputs[m][t] = winograd_inputs<T, F>;
  k.forward[m][t] = winograd_forward<T, F>;
  k.gradients[m][t] = winograd_gradients<T, F>;
  k.outer[m][t] = winograd_outer<T, F>;
  k.finish[m][t] = winograd_finish<T, F>;
}

}  // namespace

void fill_winograd(Kernels& k) {
  fill<float, F2>(k.winograd, 0, kF32);
  fill<double, F2>(k.winograd, 0, kF64);
  fill<float, F4>(k.winograd, 1, kF32);
  fill<double, F4>(k.winograd, 1, kF64);
}

}  // namespace lamina::LAMINA_ISA
