// What convolutions with channels in the lanes of vectors share. A tensor of planes (C, positions)
// lies as blocks of L channels, (C / L, positions, L): a position's L channels are one vector, and
// the channels past C are zeros.
//   interleave    planes -> blocks, L x L numbers at a time transposed in registers; and back
//   lanes_tile    R positions x N blocks of outputs, one broadcast per position and channel
#pragma once
#include "kernels/conv_epilogue.h"
#include "kernels/kernels.h"
#include "kernels/prefetch.h"
#include "kernels/vec.h"
#include "kernels/vec_shuffle.h"
#include "kernels/vec_tile.h"

namespace lamina::LAMINA_ISA {
namespace {

constexpr int kLaneRows = kPairRows;
constexpr int kLaneVecs = 2;  // blocks of outputs in a tile

// The places of pixels, in order: column[w] of rows `row` elements apart, W to a row.
template <class T>
struct Walk {
  T* at;
  const int64_t* column;
  int64_t W, row, w = 0;
  T* next() {
    T* const here = at + column[w];
    if (++w == W) w = 0, at += row;
    return here;
  }
};

// Asks by `ask` for rows [first, first + n), those there are, of a plane (H, W).
template <class T, class Ask>
void ask_rows(const T* plane, int64_t first, int64_t n, int64_t H, int64_t W, Ask ask) {
  const int64_t begin = first < 0 ? 0 : first, end = first + n < H ? first + n : H;
  for (int64_t p = begin * W; p < end * W; p += kLanes<typename VecOf<T>::V>) ask(plane + p);
}

// `n` <= L planes of `count` numbers, `plane` apart, into pixels of L channels.
template <class T>
void interleave(const T* x, int64_t plane, int n, int64_t count, const Walk<T>& first) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  Walk<T> pixel = first;
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
// The way back, of sums to results by the epilogue of these channels and of y; only the first n
// channels are written.
template <class T>
void deinterleave(const Walk<const T>& first, T* y, int64_t plane, int n, int64_t count,
                  const ConvEpilogue& e) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  Walk<const T> pixel = first;
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
    if (e.bias) {
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i)
        if (i < n) r[i] = epilogue_bias(e, i, r[i]);
    }
    if (e.mean) {
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i)
        if (i < n) r[i] = epilogue_norm(e, i, r[i]);
    }
    if (e.summand) {
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i)
        if (i < n) r[i] = epilogue_end(e, i * plane + p, pixels, r[i]);
    } else if (e.relu) {
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i) r[i] = max(V{}, r[i]);
    }
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

template <class T>
void gather_pixels(const ConvPixels& a) {
  constexpr int L = kLanes<typename VecOf<T>::V>;
  for (int64_t c = 0; c < a.C; c += L)
    for (int64_t i = 0; i < a.images; ++i)
      interleave(static_cast<const T*>(a.x) + i * a.x_image + c * a.plane + a.row * a.W, a.plane,
                 a.C - c < L ? int(a.C - c) : L, a.rows * a.W,
                 Walk<T>{static_cast<T*>(a.pixels) + c / L * a.block + i * a.image, a.column, a.W,
                         a.pixel_row});
}
// Blocks [first, last), whose first lies at a.pixels, back into planes.
template <class T>
void scatter_pixels(const ConvPixels& a, int64_t first, int64_t last, const ConvEpilogue& e) {
  constexpr int L = kLanes<typename VecOf<T>::V>;
  for (int64_t c = first * L; c < a.C && c < last * L; c += L)
    for (int64_t i = 0; i < a.images; ++i) {
      const int64_t at = i * a.x_image + c * a.plane + a.row * a.W;
      deinterleave(
          Walk<const T>{static_cast<const T*>(a.pixels) + (c / L - first) * a.block + i * a.image,
                        a.column, a.W, a.pixel_row},
          static_cast<T*>(const_cast<void*>(a.x)) + at, a.plane, a.C - c < L ? int(a.C - c) : L,
          a.rows * a.W, e.from<T>(c, at));
    }
}

// c[n * c_n + i * c_row] = sum over taps t and channels k < C of
//   a[t.a + k / L * a_block + k % L + i * L] b[(t.b + k) * N * L + n * L]
// for R positions i from `from` on and n < N blocks of outputs: one chain of FMAs per output, taps
// outermost.
template <class T>
struct LanesTile {
  const T* a;
  int64_t a_block, C;
  const ConvTap* taps;
  int64_t n_taps;
  const T* b;
  T* c;
  int64_t c_n, c_row;
};
template <class T, int R, int N>
void lanes_tile(const LanesTile<T>& t, int64_t from) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  V sum[R][N];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) sum[i][n] = V{};
  for (int64_t tap = 0; tap < t.n_taps; ++tap) {
    const T *a = t.a + t.taps[tap].a + from * L, *b = t.b + t.taps[tap].b * N * L;
    for (int64_t left = t.C; left > 0; left -= L, a += t.a_block) {
      const int64_t steps = left < L ? left : L;
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
  }
  T* c = t.c + from * t.c_row;
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i, c += t.c_row)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) store(c + n * t.c_n, sum[i][n]);
}
// The same for positions [0, rows), a multiple of kHeldRows, one tap, one block of a and one of
// outputs: all of b stays in registers, where there are enough (AVX-512 and NEON), so that a
// position and channel costs one load.
constexpr int kHeldRows = 8;
template <class T>
[[gnu::noinline]] void lanes_held(const LanesTile<T>& t, int64_t rows) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>, R = kHeldRows;
  const T *a = t.a + t.taps[0].a, *from = t.b + t.taps[0].b * L;
  T* c = t.c;
  V b[L];
#pragma GCC unroll 16
  for (int k = 0; k < L; ++k) b[k] = load<V>(from + k * L);
  for (; rows > 0; rows -= R, a += R * L, c += R * t.c_row) {
    V sum[R];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) sum[i] = V{};
#pragma GCC unroll 16
    for (int k = 0; k < L; ++k)
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) sum[i] = fma(set1<V>(a[k + i * L]), b[k], sum[i]);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) store(c + i * t.c_row, sum[i]);
  }
}
// `rows` positions in tiles of nearly equal height.
template <class T>
void lanes_tiles(const LanesTile<T>& t, int64_t rows, int64_t vecs) {
  int64_t from = 0;
  // What is left of a few rows would be short tiles: those go in tiles of equal height instead.
#if defined(LAMINA_ISA_AVX512) || defined(LAMINA_ISA_NEON)
  if (vecs == 1 && t.n_taps == 1 && t.C == kLanes<typename VecOf<T>::V> &&
      (rows > 3 * kHeldRows || rows % kHeldRows == 0))
    lanes_held<T>(t, from = rows / kHeldRows * kHeldRows);
#endif
#define LAMINA_ROW(R) {lanes_tile<T, R, 1>, lanes_tile<T, R, 2>}
  static constexpr void (*table[kLaneRows][kLaneVecs])(const LanesTile<T>&, int64_t) = {
      LAMINA_ROW(1),  LAMINA_ROW(2),  LAMINA_ROW(3), LAMINA_ROW(4),
#if defined(LAMINA_ISA_AVX2) || defined(LAMINA_ISA_AVX512) || defined(LAMINA_ISA_NEON)
      LAMINA_ROW(5),  LAMINA_ROW(6),
#endif
#if defined(LAMINA_ISA_AVX512) || defined(LAMINA_ISA_NEON)
      LAMINA_ROW(7),  LAMINA_ROW(8),  LAMINA_ROW(9), LAMINA_ROW(10), LAMINA_ROW(11), LAMINA_ROW(12),
#endif
#if defined(LAMINA_ISA_AVX512)
      LAMINA_ROW(13), LAMINA_ROW(14),
#endif
  };
#undef LAMINA_ROW
  for (int64_t tiles = conv_tiles(rows - from, kLaneRows); tiles > 0; --tiles) {
    const int64_t R = (rows - from + tiles - 1) / tiles;
    table[R - 1][vecs - 1](t, from);
    from += R;
  }
}

// sum[i * N * L + n * L] (+)= over runs r and p < r.rows of
//   a[r.a + p * L + i] b[n * b_n + r.b + p * L]
// for R channels of one block of a against N blocks of b.
template <class T>
struct LanesOuter {
  const T *a, *b;
  int64_t b_n;
  const ConvRun* runs;
  int64_t n_runs;
  T* sum;
  bool add;
};
template <class T, int R, int N>
void lanes_outer(const LanesOuter<T>& t, int from) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  T* const sum = t.sum + from * N * L;
  V acc[R][N];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) acc[i][n] = t.add ? load<V>(sum + (i * N + n) * L) : V{};
  for (int64_t run = 0; run < t.n_runs; ++run) {
    const T *a = t.a + t.runs[run].a + from, *b = t.b + t.runs[run].b;
    for (int64_t p = t.runs[run].rows; p > 0; --p, a += L, b += L) {
      V f[N];
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) f[n] = load<V>(b + n * t.b_n);
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) {
        const V x = set1<V>(a[i]);
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) acc[i][n] = fma(x, f[n], acc[i][n]);
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) store(sum + (i * N + n) * L, acc[i][n]);
}
// All `rows` <= L channels of a block of a.
template <class T, int N>
void lanes_outer_rows(const LanesOuter<T>& t, int rows) {
  constexpr int R = kLaneRows >= 12 ? (N == 1 ? 16 : 8) : 4, L = kLanes<typename VecOf<T>::V>;
  constexpr int most = R < L ? R : L;
  int i = 0;
  for (; i + most <= rows; i += most) lanes_outer<T, most, N>(t, i);
  if constexpr (most == 16)
    if (i + 8 <= rows) lanes_outer<T, 8, N>(t, i), i += 8;
  switch (rows - i) {
    case 1:
      return lanes_outer<T, 1, N>(t, i);
    case 2:
      return lanes_outer<T, 2, N>(t, i);
    case 3:
      return lanes_outer<T, 3, N>(t, i);
#if defined(LAMINA_ISA_AVX512) || defined(LAMINA_ISA_NEON)
    case 4:
      return lanes_outer<T, 4, N>(t, i);
    case 5:
      return lanes_outer<T, 5, N>(t, i);
    case 6:
      return lanes_outer<T, 6, N>(t, i);
    case 7:
      return lanes_outer<T, 7, N>(t, i);
#endif
  }
}
template <class T>
void lanes_outer_block(const LanesOuter<T>& t, int rows, int vecs) {
  (vecs == 2 ? lanes_outer_rows<T, 2> : lanes_outer_rows<T, 1>)(t, rows);
}

// ---- panels ------------------------------------------------------------------------------------
// Blocks of outputs go together in panels of kLaneVecs: the first block of block m's, and how many.
inline int64_t panel_first(int64_t block) { return block / kLaneVecs * kLaneVecs; }
inline int64_t panel_vecs(int64_t blocks, int64_t first) {
  return blocks - first < kLaneVecs ? blocks - first : kLaneVecs;
}
// n <= L runs of `count` numbers, `step` apart, one run to a lane: f(k, vector of the k-th
// numbers).
template <class V, class F>
inline void load_runs(const Scalar<V>* w, int64_t step, int n, int64_t count, F&& f) {
  constexpr int L = kLanes<V>;
  for (int64_t k = 0; k < count; k += L) {
    const int left = count - k < L ? int(count - k) : L;
    V r[L];
#pragma GCC unroll 16
    for (int i = 0; i < L; ++i) r[i] = i < n ? load<V>(w + i * step + k, left) : V{};
    transpose_step<1>(r);
#pragma GCC unroll 16
    for (int i = 0; i < L; ++i)
      if (i < left) f(k + i, r[i]);
  }
}
template <class V, class F>
inline void store_runs(Scalar<V>* w, int64_t step, int n, int64_t count, F&& f) {
  constexpr int L = kLanes<V>;
  for (int64_t k = 0; k < count; k += L) {
    const int left = count - k < L ? int(count - k) : L;
    V r[L];
#pragma GCC unroll 16
    for (int i = 0; i < L; ++i) r[i] = i < left ? f(k + i) : V{};
    transpose_step<1>(r);
#pragma GCC unroll 16
    for (int i = 0; i < L; ++i)
      if (i < n) store(w + i * step + k, r[i], left);
  }
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
