// C (+)= A B: packed, register-blocked matrix product.
//
// Layout (Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS 34,
// 2008; Van Zee and van de Geijn, "BLIS", ACM TOMS 41, 2015): K is cut into blocks of kGemmDepth;
// B's block is packed into panels of kNR columns, b[k][kNR], A's into tiles of up to kMR rows,
// a[k][rows]; the inner loop keeps a tile of C (rows x kNR) in registers and runs along k. Heights
// are balanced: 64 rows are 5 tiles of 13, not 4 of 14 and one of 8. Row-major B that is read few
// times stays where it is, and so does column-major A.
// Cost: 2 M N K operations; packing moves (M + N) K elements per pass over the other operand.
#pragma once
#include "kernels/kernels.h"
#include "kernels/vec.h"
#include "kernels/vec_pack.h"
#include "kernels/vec_tile.h"

namespace lamina::LAMINA_ISA {
namespace {

constexpr int kMR = kPairRows;
constexpr int kNV = 2;  // vectors per row of a tile
template <class V>
constexpr int kNR = kNV * kLanes<V>;

// Few rows over row-major B: vectors per row of a tile, or 0. Long runs of each row of B are read,
// which is what memory is fast at (measured, 4 MB of B, one row: 20 GB/s with 128 bytes of each row
// at a time, 85 with 512).
constexpr int wide_vectors(int rows) {
  return kMR >= 12 ? (rows <= 3 ? 8 : rows <= 6 ? 4 : 0) : (rows == 1 ? 8 : rows <= 3 ? 4 : 0);
}
// Where fewer columns are left: half of them, while that is more than other tiles have.
constexpr int half_vectors(int rows) { return wide_vectors(rows) > 2 * kNV ? 2 * kNV : 0; }

// ---- the inner loop ----------------------------------------------------------------------------
template <class V>
struct Tile {
  using T = Scalar<V>;
  const T* a;  // a[i * a_row + k * a_k]; packed or column-major: a_row is 1
  int64_t a_row, a_k;
  const T* b;  // b[k * b_k + j]
  int64_t b_k, depth;
  T* c;
  int64_t c_row;
  int columns;                      // of this tile that exist
  bool add;                         // to what c holds
  const T *column_bias, *row_bias;  // of this tile, or null
  bool relu;
};

// acc into rows [0, R) of C.
template <class V, int R, int C>
[[gnu::always_inline]] inline void store_tile(const Tile<V>& t, const V (&acc)[R][C]) {
  using T = Scalar<V>;
  constexpr int L = kLanes<V>;
  T* c = t.c;
  const int last = t.columns - (C - 1) * L;  // lanes of the last vector
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < C; ++j) {
      const bool part = j == C - 1 && last < L;
      V v = acc[i][j];
      if (t.add) v = (part ? load<V>(c + j * L, last) : load<V>(c + j * L)) + v;
      if (t.column_bias)
        v = v + (part ? load<V>(t.column_bias + j * L, last) : load<V>(t.column_bias + j * L));
      if (t.row_bias) v = v + set1<V>(t.row_bias[i]);
      if (t.relu) v = max(V{}, v);  // NaN stays
      if (part)
        store(c + j * L, v, last);
      else
        store(c + j * L, v);
    }
    c += t.c_row;
  }
}

// R rows, C vectors of columns. strided: a_row is not 1.
template <class V, int R, int C, bool strided>
static void tile(const Tile<V>& t) {
  using T = Scalar<V>;
  constexpr int L = kLanes<V>;
  V acc[R][C];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < C; ++j) acc[i][j] = V{};
  const T *a = t.a, *b = t.b;
  const int64_t a_row = strided ? t.a_row : 1, a_k = t.a_k, b_k = t.b_k;
  if (t.depth >= 192)  // C arrives while the depth runs: 8% more with matrices past the caches
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
      for (int j = 0; j < C; ++j) __builtin_prefetch(t.c + i * t.c_row + j * L, 1);
  for (int64_t k = t.depth; k > 0; --k) {
    V bv[C];
#pragma GCC unroll 8
    for (int j = 0; j < C; ++j) bv[j] = load<V>(b + j * L);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const V av = set1<V>(a[i * a_row]);
#pragma GCC unroll 8
      for (int j = 0; j < C; ++j) acc[i][j] = fma(av, bv[j], acc[i][j]);
    }
    a += a_k;
    b += b_k;
  }
  store_tile<V, R, C>(t, acc);
}

// acc += kn <= L steps of k of R rows of A times C vectors of columns of B, which are transposed in
// registers on the way: b[j * b_col + k]; a_k is 1. whole: kn is L and all columns exist.
template <class V, int R, int C, bool whole>
[[gnu::always_inline]] inline void step_transposing(const Tile<V>& t, int64_t b_col, int64_t k,
                                                    int kn, V (&acc)[R][C]) {
  using T = Scalar<V>;
  constexpr int L = kLanes<V>;
#pragma GCC unroll 4
  for (int v = 0; v < C; ++v) {  // the chains of several vectors run side by side
    const T *a = t.a + k, *b = t.b + k + v * L * b_col;
    V r[L];
#pragma GCC unroll 16
    for (int j = 0; j < L; ++j)
      r[j] = whole                   ? load<V>(b + j * b_col)
             : v * L + j < t.columns ? load<V>(b + j * b_col, kn)
                                     : V{};
    transpose_square(r);
#pragma GCC unroll 16
    for (int l = 0; l < L; ++l) {
      if (!whole && l == kn) break;
#pragma GCC unroll 4
      for (int i = 0; i < R; ++i) acc[i][v] = fma(set1<V>(a[i * t.a_row + l]), r[l], acc[i][v]);
    }
  }
}
template <class V, int R, int C>
[[gnu::noinline]] static void tile_transposing(const Tile<V>& t, int64_t b_col) {
  constexpr int L = kLanes<V>;
  V acc[R][C] = {};
  int64_t k = 0;
  if (t.columns == C * L)
    for (; k + L <= t.depth; k += L) step_transposing<V, R, C, true>(t, b_col, k, L, acc);
  for (; k < t.depth; k += L)
    step_transposing<V, R, C, false>(t, b_col, k, t.depth - k < L ? int(t.depth - k) : L, acc);
  store_tile<V, R, C>(t, acc);
}
// Two vectors keep the shuffles busy; with four, more rows of B are read at once than L1 has ways.
template <class V, int R>
static void tile_transposing(const Tile<V>& t, int64_t b_col) {
  constexpr int L = kLanes<V>;
  if (t.columns > L) return tile_transposing<V, R, kNV>(t, b_col);
  tile_transposing<V, R, 1>(t, b_col);
}

template <class V>
using TileFn = void (*)(const Tile<V>&);
template <class V, int R>
static constexpr void fill_tiles(TileFn<V> (*table)[kNV][2], TileFn<V> (*wide)[2]) {
  table[R - 1][0][0] = tile<V, R, 1, false>;
  table[R - 1][1][0] = tile<V, R, 2, false>;
  table[R - 1][0][1] = tile<V, R, 1, true>;
  table[R - 1][1][1] = tile<V, R, 2, true>;
  if constexpr (wide_vectors(R) > 0) wide[R - 1][0] = tile<V, R, wide_vectors(R), false>;
  if constexpr (half_vectors(R) > 0) wide[R - 1][1] = tile<V, R, half_vectors(R), false>;
  if constexpr (R > 1) fill_tiles<V, R - 1>(table, wide);
}
template <class V>
struct Tiles {
  TileFn<V> f[kMR][kNV][2] = {};  // rows, vectors, strided
  TileFn<V> wide[kMR][2] = {};    // full, half
  constexpr Tiles() { fill_tiles<V, kMR>(f, wide); }
};
template <class V>
constexpr Tiles<V> kTiles;

// ---- the loops around it -----------------------------------------------------------------------
// Piece i of `n` cut into `pieces` whose lengths differ by at most one: where it begins.
inline int64_t cut(int64_t n, int64_t pieces, int64_t i) {
  const int64_t q = n / pieces, r = n % pieces;
  return i * q + (i < r ? i : r);
}

// One column of C: the transposed product, whose columns lie side by side.
inline GemmArgs column_as_row(const GemmArgs& g) {
  GemmArgs t = g;
  t.M = g.N;
  t.N = g.M;
  t.a = g.b;
  t.a_row = g.b_col;
  t.a_k = g.b_k;
  t.b = g.a;
  t.b_k = g.a_k;
  t.b_col = g.a_row;
  t.epilogue.column_bias = g.epilogue.row_bias;
  t.epilogue.row_bias = g.epilogue.column_bias;
  return t;
}

// Few rows, row-major B: the first columns, as many as wide tiles cover; how many these are.
template <class V>
static int64_t gemm_wide(const GemmArgs& g) {
  using T = Scalar<V>;
  int vectors = g.M <= kMR && g.b_col == 1 ? wide_vectors(int(g.M)) : 0;
  const bool half = vectors && g.N < vectors * kLanes<V>;
  if (half) vectors = half_vectors(int(g.M));
  const int64_t width = vectors * kLanes<V>;
  if (!vectors || g.N < width) return 0;
  const int rows = int(g.M);
  for (int64_t k = 0; k == 0 || k < g.K; k += kGemmDepth) {
    const int64_t depth = g.K - k < kGemmDepth ? g.K - k : kGemmDepth;
    const bool end = k + depth == g.K;
    Tile<V> t{};
    t.a = static_cast<const T*>(g.a) + k * g.a_k;
    t.a_k = g.a_k;
    if (g.a_row != 1 && rows > 1) {
      pack_any<V>(t.a, g.a_row, g.a_k, rows, depth, static_cast<T*>(g.scratch), rows);
      t.a = static_cast<const T*>(g.scratch);
      t.a_k = rows;
    }
    t.b_k = g.b_k;
    t.depth = depth;
    t.c_row = g.c_row;
    t.columns = int(width);
    t.add = g.accumulate || k > 0;
    t.relu = end && g.epilogue.relu;
    if (end) t.row_bias = static_cast<const T*>(g.epilogue.row_bias);
    for (int64_t j = 0; j + width <= g.N; j += width) {
      t.b = static_cast<const T*>(g.b) + k * g.b_k + j;
      t.c = static_cast<T*>(g.c) + j;
      if (end && g.epilogue.column_bias)
        t.column_bias = static_cast<const T*>(g.epilogue.column_bias) + j;
      kTiles<V>.wide[rows - 1][half](t);
    }
  }
  return g.N / width * width;
}

// At most kThinRows rows, B by columns (b_k = 1), which are read once: no packing.
constexpr int kThinRows = 3;
template <class V>
static void gemm_thin(const GemmArgs& g) {
  using T = Scalar<V>;
  for (int64_t k = 0; k == 0 || k < g.K; k += kGemmDepth) {
    Tile<V> t{};
    t.a = static_cast<const T*>(g.a) + k * g.a_k;
    t.a_row = g.a_row;
    t.depth = g.K - k < kGemmDepth ? g.K - k : kGemmDepth;
    if (g.a_k != 1) {
      T* const dense = static_cast<T*>(g.scratch);
      for (int64_t i = 0; i < g.M; ++i)
        for (int64_t l = 0; l < t.depth; ++l) dense[i * t.depth + l] = t.a[i * g.a_row + l * g.a_k];
      t.a = dense;
      t.a_row = t.depth;
    }
    t.c_row = g.c_row;
    t.add = g.accumulate || k > 0;
    const bool end = k + t.depth == g.K;
    t.relu = end && g.epilogue.relu;
    if (end) t.row_bias = static_cast<const T*>(g.epilogue.row_bias);
    for (int64_t j = 0; j < g.N; j += kNR<V>) {
      t.b = static_cast<const T*>(g.b) + k + j * g.b_col;
      t.c = static_cast<T*>(g.c) + j;
      t.columns = g.N - j < kNR<V> ? int(g.N - j) : kNR<V>;
      if (end && g.epilogue.column_bias)
        t.column_bias = static_cast<const T*>(g.epilogue.column_bias) + j;
      switch (g.M) {
        case 1:
          tile_transposing<V, 1>(t, g.b_col);
          break;
        case 2:
          tile_transposing<V, 2>(t, g.b_col);
          break;
        default:
          tile_transposing<V, 3>(t, g.b_col);
      }
    }
  }
}

// Few steps of k and rows of C 4096 bytes apart, which share the sets of L1: C is made in long runs
// of three rows (measured, 1024 x 1024 floats: K = 1 38 GFLOP/s instead of 8, K = 8 125 for 52).
template <class V>
inline bool shallow(const GemmArgs& g) {
  return g.K <= 8 && g.M > 3 && g.b_col == 1 && g.N >= wide_vectors(3) * kLanes<V> &&
         g.c_row * int64_t(sizeof(Scalar<V>)) % 4096 == 0;
}
template <class V>
static void gemm(const GemmArgs& given);
template <class V>
static void gemm_shallow(const GemmArgs& g) {
  using T = Scalar<V>;
  for (int64_t i = 0; i < g.M; i += 3) {
    GemmArgs p = g;
    p.M = g.M - i < 3 ? g.M - i : 3;
    p.a = static_cast<const T*>(g.a) + i * g.a_row;
    p.c = static_cast<T*>(g.c) + i * g.c_row;
    if (p.epilogue.row_bias) p.epilogue.row_bias = static_cast<const T*>(p.epilogue.row_bias) + i;
    gemm<V>(p);
  }
}

template <class V>
static void gemm(const GemmArgs& given) {
  using T = Scalar<V>;
  const bool column = given.N == 1 && given.c_row == 1 && given.M > 1;
  GemmArgs g = column ? column_as_row(given) : given;
  if (g.M <= kThinRows && g.b_k == 1 && g.b_col != 1) return gemm_thin<V>(g);
  if (shallow<V>(g)) return gemm_shallow<V>(g);
  if (const int64_t done = gemm_wide<V>(g)) {
    if (done == g.N) return;
    g.N -= done;
    g.b = static_cast<const T*>(g.b) + done;
    g.c = static_cast<T*>(g.c) + done;
    if (g.epilogue.column_bias)
      g.epilogue.column_bias = static_cast<const T*>(g.epilogue.column_bias) + done;
  }
  constexpr int NR = kNR<V>;
  const T *a = static_cast<const T*>(g.a), *b = static_cast<const T*>(g.b);
  T* c = static_cast<T*>(g.c);
  const T* column_bias = static_cast<const T*>(g.epilogue.column_bias);
  const T* row_bias = static_cast<const T*>(g.epilogue.row_bias);
  const int64_t depth0 = g.K < kGemmDepth ? g.K : kGemmDepth;
  const int64_t row_blocks = (g.M + kGemmRows - 1) / kGemmRows;
  // Few rows: one panel of B at a time, used while it is in L1.
  const int64_t columns = row_blocks == 1 ? NR : kGemmColumns;
  T* const packed_b = static_cast<T*>(g.scratch);
  T* const packed_a = packed_b + depth0 * ((g.N < columns ? g.N : columns) + NR - 1) / NR * NR + NR;
  // A that is read once or twice feeds the inner loop as it is; more often, packing pays.
  const bool a_in_place = g.M == 1 || g.N <= 8 * NR;
  // So does row-major B, while the block fits in L2 beside A's.
  const bool b_in_place = g.b_col == 1 && row_blocks == 1 &&
                          (g.M <= kMR || depth0 * g.N * int64_t(sizeof(T)) <= 256 * 1024);
  for (int64_t k = 0; k == 0 || k < g.K; k += kGemmDepth) {
    const int64_t depth = g.K - k < kGemmDepth ? g.K - k : kGemmDepth;
    const bool end = k + depth == g.K;
    for (int64_t j0 = 0; j0 < g.N; j0 += columns) {
      const int64_t j1 = j0 + columns < g.N ? j0 + columns : g.N;
      const T* const b_block = b + k * g.b_k + j0 * g.b_col;
      const bool whole = b_in_place && (j1 - j0) % NR == 0;
      if (!whole)
        for (int64_t j = j0; j < j1; j += NR)
          pack_any<V>(b + k * g.b_k + j * g.b_col, g.b_col, g.b_k, int(j1 - j < NR ? j1 - j : NR),
                      depth, packed_b + (j - j0) * depth, NR);
      for (int64_t block = 0; block < row_blocks; ++block) {
        const int64_t i0 = cut(g.M, row_blocks, block), i1 = cut(g.M, row_blocks, block + 1);
        const int64_t heights = (i1 - i0 + kMR - 1) / kMR;
        if (!a_in_place && (row_blocks > 1 || j0 == 0))
          for (int64_t h = 0; h < heights; ++h) {
            const int64_t i = cut(i1 - i0, heights, h);
            const int rows = int(cut(i1 - i0, heights, h + 1) - i);
            pack_any<V>(a + (i0 + i) * g.a_row + k * g.a_k, g.a_row, g.a_k, rows, depth,
                        packed_a + i * depth, rows);
          }
        for (int64_t j = j0; j < j1; j += NR) {
          Tile<V> t{};
          t.b = whole ? b_block + (j - j0) : packed_b + (j - j0) * depth;
          t.b_k = whole ? g.b_k : NR;
          t.depth = depth;
          t.c_row = g.c_row;
          t.columns = int(j1 - j < NR ? j1 - j : NR);
          t.add = g.accumulate || k > 0;
          t.relu = end && g.epilogue.relu;
          t.column_bias = end && column_bias ? column_bias + j : nullptr;
          const int vectors = t.columns > kLanes<V> ? 2 : 1;
          const bool strided = a_in_place && g.a_row != 1;
          for (int64_t h = 0; h < heights; ++h) {
            const int64_t i = cut(i1 - i0, heights, h);
            const int rows = int(cut(i1 - i0, heights, h + 1) - i);
            t.a = a_in_place ? a + (i0 + i) * g.a_row + k * g.a_k : packed_a + i * depth;
            t.a_row = g.a_row;
            t.a_k = a_in_place ? g.a_k : rows;
            t.c = c + (i0 + i) * g.c_row + j;
            t.row_bias = end && row_bias ? row_bias + i0 + i : nullptr;
            kTiles<V>.f[rows - 1][vectors - 1][strided](t);
          }
        }
      }
    }
  }
}

}  // namespace

void fill_matmul(Kernels& k) {
  k.matmul.gemm[kF32] = gemm<F32>;
  k.matmul.gemm[kF64] = gemm<F64>;
  k.matmul.tile_rows[kF32] = k.matmul.tile_rows[kF64] = kMR;
  k.matmul.tile_columns[kF32] = kNR<F32>;
  k.matmul.tile_columns[kF64] = kNR<F64>;
  k.matmul.panel_columns[kF32] = 2 * kNR<F32>;
  k.matmul.panel_columns[kF64] = 2 * kNR<F64>;
}

}  // namespace lamina::LAMINA_ISA
