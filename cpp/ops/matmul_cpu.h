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

namespace lamina::LAMINA_ISA {
namespace {

// Accumulators + two vectors of B + one broadcast fit the registers: 32 of them on AVX-512 and
// NEON, 16 on AVX2 and SSE2 (which needs one more for the product).
#if defined(LAMINA_ISA_AVX512)
constexpr int kMR = 14;
#elif defined(LAMINA_ISA_NEON)
constexpr int kMR = 12;
#elif defined(LAMINA_ISA_AVX2)
constexpr int kMR = 6;
#else
constexpr int kMR = 4;
#endif
constexpr int kNV = 2;  // vectors per row of a tile
template <class V>
constexpr int kNR = kNV * kLanes<V>;

// ---- transposing in registers ------------------------------------------------------------------
template <int... l>
struct Lanes {};
template <int n>
struct LanesOf;
template <>
struct LanesOf<2> {
  using type = Lanes<0, 1>;
};
template <>
struct LanesOf<4> {
  using type = Lanes<0, 1, 2, 3>;
};
template <>
struct LanesOf<8> {
  using type = Lanes<0, 1, 2, 3, 4, 5, 6, 7>;
};
template <>
struct LanesOf<16> {
  using type = Lanes<0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15>;
};

// (x, y) -> their s-wide blocks exchanged across the diagonal: lanes with bit s clear come from x.
template <int s, class V, int... l>
inline void exchange(V& x, V& y, Lanes<l...>) {
  constexpr int n = sizeof...(l);
#if defined(__clang__)
  const V lo = __builtin_shufflevector(x, y, ((l & s) ? n + l - s : l)...);
  const V hi = __builtin_shufflevector(x, y, ((l & s) ? n + l : l + s)...);
#else
  const V lo = __builtin_shuffle(x, y, Mask<V>{((l & s) ? n + l - s : l)...});
  const V hi = __builtin_shuffle(x, y, Mask<V>{((l & s) ? n + l : l + s)...});
#endif
  x = lo;
  y = hi;
}
template <int s, class V>
inline void transpose_step(V* r) {
  if constexpr (s < kLanes<V>) {
#pragma GCC unroll 16
    for (int i = 0; i < kLanes<V>; ++i)
      if (!(i & s)) exchange<s>(r[i], r[i + s], typename LanesOf<kLanes<V>>::type{});
    transpose_step<2 * s>(r);
  }
}

// dst[k * width + i] = src[i * row + k], i < rows <= width, k < depth. Lanes past `rows` of the
// last vector are written with zeros when they fit `width`, and else (rows == width) left alone or
// overwritten by the next k; dst has room for one vector past its end.
template <class V>
static void pack_rows(const Scalar<V>* src, int64_t row, int rows, int64_t depth, Scalar<V>* dst,
                      int width) {
  constexpr int L = kLanes<V>;
  for (int64_t k = 0; k < depth; k += L) {
    const int kn = depth - k < L ? int(depth - k) : L;
    for (int i = 0; i < width; i += L) {
      const int n = rows - i < L ? rows - i : L;        // rows that exist
      const int w = width - i < L ? width - i : L;      // lanes that may be written
      const bool spill = w < L && i > 0;                // would hit rows of the next k made before
      V r[L];
      const Scalar<V>* p = src + i * row + k;
      if (n == L && kn == L) {
#pragma GCC unroll 16
        for (int t = 0; t < L; ++t) r[t] = load<V>(p + t * row);
      } else {
#pragma GCC unroll 16
        for (int t = 0; t < L; ++t) r[t] = t < n ? load<V>(p + t * row, kn) : V{};
      }
      transpose_step<1>(r);
      Scalar<V>* q = dst + k * width + i;
      if (kn == L && !spill) {
#pragma GCC unroll 16
        for (int t = 0; t < L; ++t) store(q + t * width, r[t]);
      } else {
#pragma GCC unroll 16
        for (int t = 0; t < L; ++t)
          if (t < kn) {
            if (spill)
              store(q + t * width, r[t], w);
            else
              store(q + t * width, r[t]);
          }
      }
    }
  }
}

// dst[k * width + i] = src[k * step + i]; lanes from `rows` to `width` become 0. Room as above.
template <class V>
static void pack_columns(const Scalar<V>* src, int64_t step, int rows, int64_t depth,
                         Scalar<V>* dst, int width) {
  constexpr int L = kLanes<V>;
  for (int64_t k = 0; k < depth; ++k, src += step, dst += width)
    for (int i = 0; i < width; i += L) {
      const int n = rows - i;
      if (n >= L)
        store(dst + i, load<V>(src + i));
      else if (i + L <= width || i == 0)
        store(dst + i, n > 0 ? load<V>(src + i, n) : V{});
      else
        store(dst + i, n > 0 ? load<V>(src + i, n) : V{}, width - i);
    }
}

// Any strides.
template <class V>
static void pack_any(const Scalar<V>* src, int64_t row, int64_t step, int rows, int64_t depth,
                     Scalar<V>* dst, int width) {
  if (step == 1) return pack_rows<V>(src, row, rows, depth, dst, width);
  if (row == 1) return pack_columns<V>(src, step, rows, depth, dst, width);
  for (int64_t k = 0; k < depth; ++k)
    for (int i = 0; i < width; ++i)
      dst[k * width + i] = i < rows ? src[i * row + k * step] : Scalar<V>(0);
}

// ---- the inner loop ----------------------------------------------------------------------------
template <class V>
struct Tile {
  using T = Scalar<V>;
  const T* a;  // a[k * a_k + i]
  int64_t a_k;
  const T* b;  // b[k * b_k + j]
  int64_t b_k, depth;
  T* c;
  int64_t c_row;
  int columns;  // of this tile that exist
  bool add;     // to what c holds
  const T *column_bias, *row_bias;  // of this tile, or null
  bool relu;
};

template <class V, int R, int C>
static void tile(const Tile<V>& t) {
  using T = Scalar<V>;
  constexpr int L = kLanes<V>;
  V acc[R][C];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < C; ++j) acc[i][j] = V{};
  const T *a = t.a, *b = t.b;
  const int64_t a_k = t.a_k, b_k = t.b_k;
  for (int64_t k = t.depth; k > 0; --k) {
    V bv[C];
#pragma GCC unroll 8
    for (int j = 0; j < C; ++j) bv[j] = load<V>(b + j * L);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const V av = set1<V>(a[i]);
#pragma GCC unroll 8
      for (int j = 0; j < C; ++j) acc[i][j] = fma(av, bv[j], acc[i][j]);
    }
    a += a_k;
    b += b_k;
  }
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

template <class V>
using TileFn = void (*)(const Tile<V>&);
template <class V, int R>
static constexpr void fill_tiles(TileFn<V> (*table)[kNV]) {
  table[R - 1][0] = tile<V, R, 1>;
  table[R - 1][1] = tile<V, R, 2>;
  if constexpr (R > 1) fill_tiles<V, R - 1>(table);
}
template <class V>
struct Tiles {
  TileFn<V> f[kMR][kNV] = {};
  constexpr Tiles() { fill_tiles<V, kMR>(f); }
};

// ---- the loops around it -----------------------------------------------------------------------
// Piece i of `n` cut into `pieces` whose lengths differ by at most one: where it begins.
inline int64_t cut(int64_t n, int64_t pieces, int64_t i) {
  const int64_t q = n / pieces, r = n % pieces;
  return i * q + (i < r ? i : r);
}

template <class V>
static void gemm(const GemmArgs& g) {
  using T = Scalar<V>;
  static constexpr Tiles<V> tiles;
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
  T* const packed_a =
      packed_b + depth0 * ((g.N < columns ? g.N : columns) + NR - 1) / NR * NR + NR;
  // Column-major A feeds the inner loop as it is; packing pays once it is read three times.
  const bool a_in_place = g.a_row == 1 && g.N <= 2 * NR;
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
          pack_any<V>(b + k * g.b_k + j * g.b_col, g.b_col, g.b_k,
                      int(j1 - j < NR ? j1 - j : NR), depth, packed_b + (j - j0) * depth, NR);
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
          Tile<V> t;
          t.b = whole ? b_block + (j - j0) : packed_b + (j - j0) * depth;
          t.b_k = whole ? g.b_k : NR;
          t.depth = depth;
          t.c_row = g.c_row;
          t.columns = int(j1 - j < NR ? j1 - j : NR);
          t.add = g.accumulate || k > 0;
          t.relu = end && g.epilogue.relu;
          t.column_bias = end && column_bias ? column_bias + j : nullptr;
          const int vectors = t.columns > kLanes<V> ? 2 : 1;
          for (int64_t h = 0; h < heights; ++h) {
            const int64_t i = cut(i1 - i0, heights, h);
            const int rows = int(cut(i1 - i0, heights, h + 1) - i);
            t.a = a_in_place ? a + i0 + i + k * g.a_k : packed_a + i * depth;
            t.a_k = a_in_place ? g.a_k : rows;
            t.c = c + (i0 + i) * g.c_row + j;
            t.row_bias = end && row_bias ? row_bias + i0 + i : nullptr;
            tiles.f[rows - 1][vectors - 1](t);
          }
        }
      }
    }
  }
}

// Integers: plain loops over rows of B, modulo 2^64.
static void gemm_i64(const GemmArgs& g) {
  const uint64_t *a = static_cast<const uint64_t*>(g.a), *b = static_cast<const uint64_t*>(g.b);
  for (int64_t i = 0; i < g.M; ++i) {
    uint64_t* c = static_cast<uint64_t*>(g.c) + i * g.c_row;
    if (!g.accumulate)
      for (int64_t j = 0; j < g.N; ++j) c[j] = 0;
    for (int64_t k = 0; k < g.K; ++k) {
      const uint64_t x = a[i * g.a_row + k * g.a_k];
      const uint64_t* row = b + k * g.b_k;
      for (int64_t j = 0; j < g.N; ++j) c[j] += x * row[j * g.b_col];
    }
  }
}

}  // namespace

void fill_matmul(Kernels& k) {
  k.matmul.gemm[kF32] = gemm<F32>;
  k.matmul.gemm[kF64] = gemm<F64>;
  k.matmul.gemm[kI64] = gemm_i64;
  k.matmul.tile_rows[kF32] = k.matmul.tile_rows[kF64] = kMR;
  k.matmul.tile_columns[kF32] = kNR<F32>;
  k.matmul.tile_columns[kF64] = kNR<F64>;
  k.matmul.tile_rows[kI64] = k.matmul.tile_columns[kI64] = 8;
}

}  // namespace lamina::LAMINA_ISA
