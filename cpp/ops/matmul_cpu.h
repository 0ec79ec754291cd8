// Matrix products by register tiles: C (M x N) = A (M x K) B (K x N), row-major.
//
// Layout: B is read in panels of NR = two vectors of columns, packed as (depth, NR); A is read in
// place, one broadcast per element; a tile of up to MR rows x NR columns of C stays in registers
// while the depth runs. The rows of a block are shared evenly among its tiles, so none is thin.
// Every element of C is one chain of fused multiply-adds over the depth, from 0, added to C at the
// end: its bits do not depend on the tile it is in, on M, or on how the work was split.
// Cost: 2 M N K operations; a block reads NR x depth of B from cache once per tile.
#pragma once
#include "kernels/kernels.h"
#include "kernels/vec.h"

namespace lamina::LAMINA_ISA {
namespace {

// Accumulators fill the registers: 28 of 32 with AVX-512, 12 of 16 with AVX2 and SSE, 24 on ARM.
#if defined(LAMINA_ISA_AVX512)
constexpr int kTileRows = 14;
#elif defined(LAMINA_ISA_NEON)
constexpr int kTileRows = 12;
#else
constexpr int kTileRows = 6;
#endif

template <class V>
inline V read(const Scalar<V>* p, int n) {
  return n >= kLanes<V> ? load<V>(p) : n > 0 ? load<V>(p, n) : V{};
}

template <class V, int R, int NV>
inline void tile(const GemmBlock& g, int64_t row) {
  using T = Scalar<V>;
  const T* a = static_cast<const T*>(g.a) + row * g.a_row;
  const T* b = static_cast<const T*>(g.b);
  const int64_t rs = g.a_row, ks = g.a_depth, bs = g.b_depth;
  V acc[R][NV] = {};
  if (g.packed || g.columns == NV * kLanes<V>) {
    for (int64_t k = 0; k < g.depth; ++k, a += ks, b += bs) {
      V bv[NV];
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) bv[v] = load<V>(b + v * kLanes<V>);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const V av = set1<V>(a[r * rs]);
#pragma GCC unroll 2
        for (int v = 0; v < NV; ++v) acc[r][v] = fma(av, bv[v], acc[r][v]);
      }
    }
  } else {
    for (int64_t k = 0; k < g.depth; ++k, a += ks, b += bs) {
      V bv[NV];
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v)
        bv[v] = read<V>(b + v * kLanes<V>, int(g.columns) - v * kLanes<V>);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const V av = set1<V>(a[r * rs]);
#pragma GCC unroll 2
        for (int v = 0; v < NV; ++v) acc[r][v] = fma(av, bv[v], acc[r][v]);
      }
    }
  }
  const Epilogue* const e = g.epilogue;
  T* c = static_cast<T*>(g.c) + row * g.ldc;
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r, c += g.ldc) {
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) {
      const int at = v * kLanes<V>, n = int(g.columns) - at;
      V y = acc[r][v];
      if (g.add) y = read<V>(c + at, n) + y;
      if (e) {
        if (e->column_bias) y = y + read<V>(static_cast<const T*>(e->column_bias) + at, n);
        if (e->row_bias) y = y + set1<V>(static_cast<const T*>(e->row_bias)[row + r]);
        if (e->relu) y = max(V{}, y);
      }
      if (n >= kLanes<V>)
        store(c + at, y);
      else if (n > 0)
        store(c + at, y, n);
    }
  }
}

template <class V, int NV, int R = kTileRows>
inline void tile_of(int rows, const GemmBlock& g, int64_t row) {
  if (rows == R) return tile<V, R, NV>(g, row);
  if constexpr (R > 1) tile_of<V, NV, R - 1>(rows, g, row);
}

template <class V>
void block(const GemmBlock& g) {
  const int64_t tiles = (g.rows + kTileRows - 1) / kTileRows;
  const bool narrow = g.columns <= kLanes<V>;
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t from = g.rows * t / tiles, to = g.rows * (t + 1) / tiles;
    if (narrow)
      tile_of<V, 1>(int(to - from), g, from);
    else
      tile_of<V, 2>(int(to - from), g, from);
  }
}

// rows[j][l] -> rows[l][j], by exchanging ever smaller off-diagonal blocks.
template <class V>
inline void transpose(V (&rows)[kLanes<V>]) {
  constexpr int L = kLanes<V>;
  using I = Mask<V>;
#pragma GCC unroll 5
  for (int s = L / 2; s > 0; s /= 2) {
    I low, high;
    for (int l = 0; l < L; ++l) {
      const bool odd = l / s % 2;
      low[l] = odd ? L + l - s : l;
      high[l] = odd ? L + l : l + s;
    }
#pragma GCC unroll 16
    for (int i = 0; i < L; ++i) {
      if (i / s % 2) continue;
      const V x = rows[i], y = rows[i + s];
      rows[i] = __builtin_shuffle(x, y, low);
      rows[i + s] = __builtin_shuffle(x, y, high);
    }
  }
}

template <class V>
void pack(void* out, const void* from, int64_t ldb, bool transposed, int64_t depth,
          int64_t columns) {
  using T = Scalar<V>;
  constexpr int L = kLanes<V>, NR = 2 * L;
  T* y = static_cast<T*>(out);
  const T* b = static_cast<const T*>(from);
  if (!transposed) {
    for (int64_t k = 0; k < depth; ++k, y += NR, b += ldb) {
      store(y, read<V>(b, int(columns)));
      store(y + L, read<V>(b + L, int(columns) - L));
    }
    return;
  }
  for (int half = 0; half < 2; ++half) {
    const int n = int(columns) - half * L;
    for (int64_t k = 0; k < depth; k += L) {
      const int m = depth - k < L ? int(depth - k) : L;
      V rows[L];
#pragma GCC unroll 16
      for (int j = 0; j < L; ++j) rows[j] = j < n ? read<V>(b + (half * L + j) * ldb + k, m) : V{};
      transpose<V>(rows);
      for (int l = 0; l < m; ++l) store(y + (k + l) * NR + half * L, rows[l]);
    }
  }
}

}  // namespace

void fill_matmul(Kernels& k) {
  k.matmul.block[kF32] = block<F32>;
  k.matmul.block[kF64] = block<F64>;
  k.matmul.pack[kF32] = pack<F32>;
  k.matmul.pack[kF64] = pack<F64>;
  k.matmul.nr[kF32] = 2 * kLanes<F32>;
  k.matmul.nr[kF64] = 2 * kLanes<F64>;
  k.matmul.mr[kF32] = k.matmul.mr[kF64] = kTileRows;
}

}  // namespace lamina::LAMINA_ISA
