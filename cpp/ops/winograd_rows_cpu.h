// Winograd convolution F(2 x 2, 3 x 3) of one or two vectors of channels, in and out: one row of
// tiles at a time, of which everything stays in the first cache beside the weights or their
// gradient. The bits are those of winograd_cpu.h, which keeps the tiles of whole images in the
// second.
//
// Layout: matrices of transformed tiles (channels / L, tiles of a row, L),
// WinogradInputRows::kPlane apart. Cost: as there; a row of 16 tiles of 16 channels is 16 kB, in
// whose place its sums are formed. Pixels to come and places of results are asked for while
// products are made, and results of the row before are written between products, so that neither
// waits for memory.
#pragma once
#include "kernels/conv_lanes.h"
#include "kernels/winograd_tiles.h"

namespace lamina::LAMINA_ISA {
namespace {

// The padded inputs of a block's rows of tiles, in turn: of a channel's F::e rows of pixels, those
// two rows of tiles share are read once.
template <class T, class F>
class WinogradInputRows {
 public:
  explicit WinogradInputRows(const WinogradArgs& a) : a(a), row((F::m * a.across + 2) * L) {
    for (T* p = static_cast<T*>(a.pixels); p < end(); p += L) store(p, V{});
    for (int64_t r = 0; r < F::e - F::m; ++r) read(r);
  }
  // v: the transformed tiles of row i, after rows [0, i).
  void transform(int64_t i, T* v) {
    for (int64_t r = F::e - F::m; r < F::e; ++r) read(F::m * i + r);
    for (int64_t c = 0; c < a.C; c += L, v += a.across * L) {
      const T* from[F::e];
      for (int64_t r = 0; r < F::e; ++r) from[r] = place(F::m * i + r, c);
      for (int64_t j = 0; j < a.across; ++j)
        transform_tile<V, F::e, F::e>(
            F::template input<V>,
            [&](int r, int s) { return load<V>(from[r] + (j * F::m + s) * L); },
            [&](int r, int s, V u) { store(v + (r * F::e + s) * kPlane + j * L, u); });
    }
  }
  // Asks for the pixels of channel c that row i + 1 will read.
  void ask(int64_t i, int64_t c) const {
    ask_rows(static_cast<const T*>(a.x) + c * a.H * a.W, F::m * (a.row + i) - a.ph + F::e, F::m,
             a.H, a.W, prefetch);
  }
  T* end() const { return place(0, (a.C + L - 1) / L * L); }  // of the pixels it keeps

  using V = typename VecOf<T>::V;
  static constexpr int L = kLanes<V>;
  static constexpr int64_t kPlane = (kWinogradRow + 1) * L;  // from one matrix to the next

 private:
  T* place(int64_t r, int64_t c) const {
    return static_cast<T*>(a.pixels) + (c / L * F::e + r % F::e) * row;
  }
  void read(int64_t r) {
    const int64_t h = F::m * a.row - a.ph + r;
    for (int64_t c = 0; c < a.C; c += L)
      if (h >= 0 && h < a.H)
        interleave(static_cast<const T*>(a.x) + (c * a.H + h) * a.W, a.H * a.W,
                   a.C - c < L ? int(a.C - c) : L, a.W,
                   Walk<T>{place(r, c) + a.pw * L, a.column, a.W, 0});
      else
        for (int64_t i = 0; i < row; i += L) store(place(r, c) + i, V{});
  }
  const WinogradArgs& a;
  const int64_t row;  // numbers
};

// y. Sums lie where the transformed inputs were; outputs of the row before go to memory between the
// matrices, so that multiply-adds go on while stores wait.
template <class T, class F>
void winograd_rows(const WinogradArgs& a) {
  using Rows = WinogradInputRows<T, F>;
  using V = typename Rows::V;
  constexpr int L = Rows::L, matrices = F::e * F::e;
  const int64_t P = a.across, row = F::m * P * L, blocks = (a.M + L - 1) / L;
  T* const v = static_cast<T*>(a.v);
  const ConvTap one{};
  Rows inputs(a);
  T* const outputs = inputs.end();  // of a row of tiles
  // Vectors [begin, end) of row i's outputs to y, which have `numbers` of each channel.
  const auto write = [&](int64_t i, int64_t begin, int64_t end, int64_t numbers) {
    const int64_t vectors = (numbers + L - 1) / L, top = F::m * (a.row + i);
    for (int64_t k = begin; k < end; ++k) {
      const int64_t m = k / vectors * L, p = k % vectors * L, at = (m * a.OH + top) * a.OW + p;
      deinterleave(Walk<const T>{outputs + m * F::m * F::m * P + p / a.OW * row, a.column, a.OW,
                                 row, p % a.OW},
                   static_cast<T*>(a.y) + at, a.OH * a.OW, a.M - m < L ? int(a.M - m) : L,
                   numbers - p < L ? numbers - p : L, a.epilogue.from<T>(m, at));
    }
  };
  int64_t numbers = 0, vectors = 0;  // of the row before
  for (int64_t i = 0; i < a.rows; ++i) {
    inputs.transform(i, v);
    for (int64_t k = 0; k < matrices; ++k) {
      for (int64_t c = k; c < a.C; c += matrices) inputs.ask(i, c);
      for (int64_t m = k; m < a.M; m += matrices)
        ask_rows(static_cast<const T*>(a.y) + m * a.OH * a.OW, F::m * (a.row + i), F::m, a.OH, a.OW,
                 prefetch_to_write);
      const T* const w = static_cast<const T*>(a.w) + k * winograd_matrix(a.C, a.M, L);
      T* const in = v + k * Rows::kPlane;
      lanes_tiles<T>({in, P * L, a.C, &one, 1, w, in, P * L, L}, P, blocks);
      write(i - 1, vectors * k / matrices, vectors * (k + 1) / matrices, numbers);
    }
    for (int64_t m = 0; m < blocks; ++m)
      for (int64_t j = 0; j < P; ++j)
        transform_tile<V, F::e, F::m>(
            F::template output<V>,
            [&](int r, int s) {
              return load<V>(v + (r * F::e + s) * Rows::kPlane + (m * P + j) * L);
            },
            [&](int r, int s, V u) {
              store(outputs + (m * F::m + r) * row + (j * F::m + s) * L, u);
            });
    const int64_t left = a.OH - F::m * (a.row + i);
    numbers = (left < F::m ? left : F::m) * a.OW;
    vectors = (numbers + L - 1) / L * blocks;
  }
  write(a.rows - 1, 0, vectors, numbers);
}

// sum: the gradient of the transformed weights.
template <class T, class F>
void winograd_outer_rows(const WinogradArgs& a) {
  using Rows = WinogradInputRows<T, F>;
  using V = typename Rows::V;
  constexpr int L = Rows::L;
  const int64_t P = a.across, row = F::m * P * L;
  T *const v = static_cast<T*>(a.v), *const q = static_cast<T*>(a.q);
  const ConvRun all{0, 0, P};
  Rows inputs(a);
  T* const pixels = inputs.end();  // of dy, zeros past its edges
  for (int64_t i = 0; i < F::m * row; i += L) store(pixels + i, V{});
  for (int64_t i = 0; i < a.rows; ++i) {
    inputs.transform(i, v);
    const int64_t top = F::m * (a.row + i), rows = a.OH - top < F::m ? a.OH - top : F::m;
    for (int64_t p = rows * row; p < F::m * row; p += L) store(pixels + p, V{});
    interleave(static_cast<const T*>(a.g) + top * a.OW, a.OH * a.OW, int(a.M), rows * a.OW,
               Walk<T>{pixels, a.column, a.OW, row});
    for (int64_t j = 0; j < P; ++j)
      transform_tile<V, F::m, F::e>(
          F::template output_transposed<V>,
          [&](int r, int s) { return load<V>(pixels + r * row + (j * F::m + s) * L); },
          [&](int r, int s, V u) { store(q + (r * F::e + s) * Rows::kPlane + j * L, u); });
    for (int64_t k = 0; k < F::e * F::e; ++k) {
      if (k < a.C) inputs.ask(i, k);
      if (k < a.M)
        ask_rows(static_cast<const T*>(a.g) + k * a.OH * a.OW, top + F::m, F::m, a.OH, a.OW,
                 prefetch);
      lanes_outer_block<T>(
          {v + k * Rows::kPlane, q + k * Rows::kPlane, 0, &all, 1,
           static_cast<T*>(a.sum) + k * winograd_matrix(a.C, a.M, L), a.add || i > 0},
          int(a.C), 1);
    }
  }
}

template <class T>
void fill(WinogradKernels& k, int t) {
  k.rows[t] = winograd_rows<T, F2>;
  k.outer_rows[t] = winograd_outer_rows<T, F2>;
}

}  // namespace

void fill_winograd_rows(Kernels& k) {
  fill<float>(k.winograd, kF32);
  fill<double>(k.winograd, kF64);
}

}  // namespace lamina::LAMINA_ISA
