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

namespace lamina::LAMINA_ISA {
namespace {

// One-dimensional transforms of elements `s` apart, results `t` apart:
//   input B^T (e -> e), weight G (3 -> e), output A^T (e -> m), and the transposes of the last two.
struct F2 {
  static constexpr int m = 2, e = 4;
  template <class V>
  static void input(const V* d, int s, V* to, int t) {
    to[0] = d[0] - d[2 * s];
    to[t] = d[s] + d[2 * s];
    to[2 * t] = d[2 * s] - d[s];
    to[3 * t] = d[s] - d[3 * s];
  }
  template <class V>
  static void weight(const V* g, int s, V* to, int t) {
    const V sum = g[0] + g[2 * s];
    to[0] = g[0];
    to[t] = (sum + g[s]) / 2;
    to[2 * t] = (sum - g[s]) / 2;
    to[3 * t] = g[2 * s];
  }
  template <class V>
  static void output(const V* q, int s, V* to, int t) {
    to[0] = q[0] + q[s] + q[2 * s];
    to[t] = q[s] - q[2 * s] - q[3 * s];
  }
  template <class V>
  static void output_transposed(const V* g, int s, V* to, int t) {
    to[0] = g[0];
    to[t] = g[0] + g[s];
    to[2 * t] = g[0] - g[s];
    to[3 * t] = -g[s];
  }
  template <class V>
  static void weight_transposed(const V* q, int s, V* to, int t) {
    const V sum = (q[s] + q[2 * s]) / 2;
    to[0] = q[0] + sum;
    to[t] = (q[s] - q[2 * s]) / 2;
    to[2 * t] = sum + q[3 * s];
  }
};
struct F4 {
  static constexpr int m = 4, e = 6;
  template <class V>
  static void input(const V* d, int s, V* to, int t) {
    const V a = d[4 * s] - 4 * d[2 * s], b = d[3 * s] - 4 * d[s];
    const V c = d[4 * s] - d[2 * s], f = 2 * (d[3 * s] - d[s]);
    to[0] = 4 * d[0] - 5 * d[2 * s] + d[4 * s];
    to[t] = a + b;
    to[2 * t] = a - b;
    to[3 * t] = c + f;
    to[4 * t] = c - f;
    to[5 * t] = 4 * d[s] - 5 * d[3 * s] + d[5 * s];
  }
  template <class V>
  static void weight(const V* g, int s, V* to, int t) {
    const V a = (g[0] + g[2 * s]) / -6, b = g[s] / 6;
    const V c = g[0] / 24 + g[2 * s] / 6, f = g[s] / 12;
    to[0] = g[0] / 4;
    to[t] = a - b;
    to[2 * t] = a + b;
    to[3 * t] = c + f;
    to[4 * t] = c - f;
    to[5 * t] = g[2 * s];
  }
  template <class V>
  static void output(const V* q, int s, V* to, int t) {
    const V a = q[s] + q[2 * s], b = q[s] - q[2 * s];
    const V c = q[3 * s] + q[4 * s], f = q[3 * s] - q[4 * s];
    to[0] = q[0] + a + c;
    to[t] = b + 2 * f;
    to[2 * t] = a + 4 * c;
    to[3 * t] = b + 8 * f + q[5 * s];
  }
  template <class V>
  static void output_transposed(const V* g, int s, V* to, int t) {
    const V a = g[0] + g[2 * s], b = g[s] + g[3 * s];
    const V c = g[0] + 4 * g[2 * s], f = 2 * g[s] + 8 * g[3 * s];
    to[0] = g[0];
    to[t] = a + b;
    to[2 * t] = a - b;
    to[3 * t] = c + f;
    to[4 * t] = c - f;
    to[5 * t] = g[3 * s];
  }
  template <class V>
  static void weight_transposed(const V* q, int s, V* to, int t) {
    const V a = q[s] + q[2 * s], b = q[2 * s] - q[s];
    const V c = q[3 * s] + q[4 * s], f = q[3 * s] - q[4 * s];
    to[0] = q[0] / 4 - a / 6 + c / 24;
    to[t] = b / 6 + f / 12;
    to[2 * t] = (c - a) / 6 + q[5 * s];
  }
};

// A tile's two-dimensional transform: `one` (columns, then rows) takes `from` numbers to `to`.
//   get(r, s) -> the vector at row r, column s;  put(r, s, vector)
template <class V, int from, int to, class One, class Get, class Put>
[[gnu::always_inline]] inline void transform_tile(One one, Get get, Put put) {
  V half[to * from];
#pragma GCC unroll 6
  for (int s = 0; s < from; ++s) {
    V d[from];
#pragma GCC unroll 6
    for (int r = 0; r < from; ++r) d[r] = get(r, s);
    one(d, 1, half + s, from);
  }
#pragma GCC unroll 6
  for (int r = 0; r < to; ++r) {
    V u[to];
    one(half + r * from, 1, u, 1);
#pragma GCC unroll 6
    for (int s = 0; s < to; ++s) put(r, s, u[s]);
  }
}

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

// Where C and M are one vector each, tiles go row by row: what is computed of a row stays in the
// first cache beside the weights or sums.
//
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
  void prefetch(int64_t i, int64_t c) const {
    prefetch_rows(static_cast<const T*>(a.x) + c * a.H * a.W, F::m * (a.row + i) - a.ph + F::e, a.H,
                  a.W);
  }
  // Rows [first, first + F::m), those there are, of a plane (H, W).
  static void prefetch_rows(const T* plane, int64_t first, int64_t H, int64_t W) {
    const int64_t end = first + F::m < H ? first + F::m : H;
    for (int64_t p = first * W; p < end * W; p += L) __builtin_prefetch(plane + p);
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
    for (int64_t k = 0; k < F::e * F::e; ++k)
      lanes_outer_block<T>(
          {v + k * Rows::kPlane, q + k * Rows::kPlane, 0, &all, 1,
           static_cast<T*>(a.sum) + k * winograd_matrix(a.C, a.M, L), a.add || i > 0},
          int(a.C), 1);
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
  k.rows[m][t] = winograd_rows<T, F>;
  k.gradients[m][t] = winograd_gradients<T, F>;
  k.outer[m][t] = winograd_outer<T, F>;
  k.outer_rows[m][t] = winograd_outer_rows<T, F>;
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
