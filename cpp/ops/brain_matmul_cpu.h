// C = A B for bfloat16, products summed in float32.
//
// Panels as in matmul_cpu.h, of one of two kinds:
//   pairs   32 bits hold elements k and k + 1; vdpbf16ps adds both products to a lane. For AVX-512
//           on CPUs that have AVX512_BF16 (asked at run time). It rounds after each of the two
//           sums, to nearest even, and counts denormals as 0, in C too.
//   single  every element as a float: exact products, one chain of multiply-adds over k.
// Blocks of kBrainDepth steps of k follow each other in order, C in float32 between them, so an
// element's bits depend on its row of A, its column of B and K only. C is rounded to bfloat16 once.
// Cost: 2 M N K operations at up to twice the rate of float32 (pairs).
#pragma once
#include "kernels/kernels.h"
#include "kernels/vec.h"
#include "kernels/vec_pack.h"

#if defined(LAMINA_ISA_AVX512)
#define LAMINA_PAIRS [[gnu::target("avx512bf16")]]
#endif

namespace lamina::LAMINA_ISA {
namespace {

#if defined(LAMINA_ISA_AVX512)
constexpr int kRows = 14;
#elif defined(LAMINA_ISA_NEON)
constexpr int kRows = 12;
#else
constexpr int kRows = 4;
#endif
constexpr int kLane = kLanes<F32>, kColumns = 2 * kLane;

inline F32 as_f32(U32 v) { return F32(v); }
// The bits of bfloat16 in the low half of each lane, rounded to nearest even.
inline U32 rounded(F32 v) {
  const U32 b = U32(bits(v)), r = (b + 0x7fffu + ((b >> 16) & 1)) >> 16;
  return U32(select(v != v, I32((b >> 16) | 0x40u), I32(r)));
}
inline float widen(uint16_t v) { return __builtin_bit_cast(float, uint32_t(v) << 16); }

struct BrainTile {
  const uint32_t *a, *b;  // a[k * rows + i], b[k * kColumns + j], k counts lanes' contents
  int64_t steps;
  float* sums;  // C in float32, rows sums_row apart; null: one block of k
  int64_t sums_row;
  uint16_t* c;  // where the result goes, null before the last block
  int64_t c_row;
  int columns;
  bool add;  // to what sums holds
  bool accumulate;
  const uint16_t *column_bias, *row_bias;
  bool relu;
};

// The columns of c that exist become floats, and back.
inline F32 load_brain(const uint16_t* p, int n) {
  U32 v{};
  for (int i = 0; i < kLane; ++i) v[i] = i < n ? uint32_t(p[i]) << 16 : 0;
  return as_f32(v);
}
inline void store_brain(uint16_t* p, F32 v, int n) {
  const U32 r = rounded(v);
#if defined(LAMINA_ISA_AVX512)
  _mm512_mask_cvtepi32_storeu_epi16(p, first16(n), __m512i(r));
#else
  for (int i = 0; i < n; ++i) p[i] = uint16_t(r[i]);
#endif
}

template <int R>
[[gnu::always_inline]] inline void finish_tile(const BrainTile& t, const F32 (&acc)[R][2]) {
  for (int i = 0; i < R; ++i)
    for (int j = 0; j < 2; ++j) {
      const int n = t.columns - j * kLane < kLane ? t.columns - j * kLane : kLane;
      if (n <= 0) break;
      F32 v = acc[i][j];
      float* const sums = t.sums + i * t.sums_row + j * kLane;
      if (t.add) v = load<F32>(sums, n) + v;
      if (!t.c) {
        store(sums, v, n);
        continue;
      }
      uint16_t* const c = t.c + i * t.c_row + j * kLane;
      if (t.accumulate) v = load_brain(c, n) + v;
      if (t.column_bias) v = v + load_brain(t.column_bias + j * kLane, n);
      if (t.row_bias) v = v + set1<F32>(widen(t.row_bias[i]));
      if (t.relu) v = max(F32{}, v);
      store_brain(c, v, n);
    }
}

template <int R>
static void tile_single(const BrainTile& t) {
  F32 acc[R][2] = {};
  const uint32_t *a = t.a, *b = t.b;
  for (int64_t k = t.steps; k > 0; --k, a += R, b += kColumns) {
    const F32 b0 = load<F32>(reinterpret_cast<const float*>(b));
    const F32 b1 = load<F32>(reinterpret_cast<const float*>(b) + kLane);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const F32 x = set1<F32>(__builtin_bit_cast(float, a[i]));
      acc[i][0] = fma(x, b0, acc[i][0]);
      acc[i][1] = fma(x, b1, acc[i][1]);
    }
  }
  finish_tile<R>(t, acc);
}
#if defined(LAMINA_PAIRS)
template <int R>
LAMINA_PAIRS static void tile_pairs(const BrainTile& t) {
  __m512 acc[R][2];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) acc[i][0] = acc[i][1] = _mm512_setzero_ps();
  const uint32_t *a = t.a, *b = t.b;
  for (int64_t k = t.steps; k > 0; --k, a += R, b += kColumns) {
    const __m512bh b0 = __m512bh(_mm512_loadu_si512(b));
    const __m512bh b1 = __m512bh(_mm512_loadu_si512(b + kLane));
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const __m512bh x = __m512bh(_mm512_set1_epi32(int32_t(a[i])));
      acc[i][0] = _mm512_dpbf16_ps(acc[i][0], x, b0);
      acc[i][1] = _mm512_dpbf16_ps(acc[i][1], x, b1);
    }
  }
  F32 out[R][2];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
    for (int j = 0; j < 2; ++j) out[i][j] = F32(acc[i][j]);
  finish_tile<R>(t, out);
}
#endif

using BrainFn = void (*)(const BrainTile&);
struct BrainTiles {
  BrainFn f[kRows] = {};
};
template <bool pairs, int R>
static constexpr void fill_brain(BrainTiles& t) {
#if defined(LAMINA_PAIRS)
  if constexpr (pairs) t.f[R - 1] = tile_pairs<R>;
#endif
  if constexpr (!pairs) t.f[R - 1] = tile_single<R>;
  if constexpr (R > 1) fill_brain<pairs, R - 1>(t);
}
template <bool pairs>
static constexpr BrainTiles brain_tiles() {
  BrainTiles t;
  fill_brain<pairs, kRows>(t);
  return t;
}
template <bool pairs>
constexpr BrainTiles kBrainTiles = brain_tiles<pairs>();

// ---- packing -----------------------------------------------------------------------------------
// to[k * width + i], k < steps: what lane i of step k holds; 0 where rows or k end.
template <bool pairs>
static void pack_brain(const uint16_t* from, int64_t row, int64_t step, int rows, int64_t depth,
                       uint32_t* to, int width) {
  const int64_t steps = pairs ? (depth + 1) / 2 : depth;
  int64_t k = 0;
  if (pairs && step == 1 && row % 2 == 0 && reinterpret_cast<uintptr_t>(from) % 4 == 0) {
    k = depth / 2;  // pairs as they lie
    pack_rows<F32>(reinterpret_cast<const float*>(from), row / 2, rows, k,
                   reinterpret_cast<float*>(to), width);
  }
  for (; k < steps; ++k) {
    uint32_t* const out = to + k * width;
    const uint16_t* const p = from + (pairs ? 2 * k : k) * step;
    if (pairs && 2 * k + 1 < depth) {
      const uint16_t* const q = p + step;
      if (row == 1)
        for (int i = 0; i < rows; ++i) out[i] = uint32_t(p[i]) | uint32_t(q[i]) << 16;
      else
        for (int i = 0; i < rows; ++i) out[i] = uint32_t(p[i * row]) | uint32_t(q[i * row]) << 16;
    } else {
      const int shift = pairs ? 0 : 16;
      for (int i = 0; i < rows; ++i) out[i] = uint32_t(p[i * row]) << shift;
    }
    for (int i = rows; i < width; ++i) out[i] = 0;
  }
}

// ---- the loops around it -----------------------------------------------------------------------
inline int64_t begin_of(int64_t n, int64_t pieces, int64_t i) {  // lengths differ by at most one
  const int64_t q = n / pieces, r = n % pieces;
  return i * q + (i < r ? i : r);
}
template <bool pairs>
static void brain_gemm(const GemmArgs& g) {
  const uint16_t *const a = static_cast<const uint16_t*>(g.a), *const b =
                                                                   static_cast<const uint16_t*>(
                                                                       g.b);
  uint16_t* const c = static_cast<uint16_t*>(g.c);
  const uint16_t* const column_bias = static_cast<const uint16_t*>(g.epilogue.column_bias);
  const uint16_t* const row_bias = static_cast<const uint16_t*>(g.epilogue.row_bias);
  constexpr int64_t block_depth = pairs ? kBrainDepth : kBrainDepth / 2;
  const bool one_block = g.K <= block_depth;
  const int64_t row_blocks = (g.M + kGemmRows - 1) / kGemmRows;
  const int64_t columns = row_blocks == 1 ? kColumns : kGemmColumns;
  float* const sums = static_cast<float*>(g.scratch);
  uint32_t* const packed = static_cast<uint32_t*>(g.scratch) + (g.K > block_depth ? g.M * g.N : 0);
  const int64_t depth0 = g.K < block_depth ? g.K : block_depth;
  const int64_t steps0 = pairs ? (depth0 + 1) / 2 : depth0;
  uint32_t* const packed_a =
      packed + steps0 * (((g.N < columns ? g.N : columns) + kColumns - 1) / kColumns * kColumns) +
      kLane;
  for (int64_t k = 0; k == 0 || k < g.K; k += block_depth) {
    const int64_t depth = g.K - k < block_depth ? g.K - k : block_depth;
    const int64_t steps = pairs ? (depth + 1) / 2 : depth;
    const bool end = k + depth == g.K;
    for (int64_t j0 = 0; j0 < g.N; j0 += columns) {
      const int64_t j1 = j0 + columns < g.N ? j0 + columns : g.N;
      for (int64_t j = j0; j < j1; j += kColumns)
        pack_brain<pairs>(b + k * g.b_k + j * g.b_col, g.b_col, g.b_k,
                          int(j1 - j < kColumns ? j1 - j : kColumns), depth,
                          packed + (j - j0) * steps, kColumns);
      for (int64_t block = 0; block < row_blocks; ++block) {
        const int64_t i0 = begin_of(g.M, row_blocks, block);
        const int64_t i1 = begin_of(g.M, row_blocks, block + 1);
        const int64_t heights = (i1 - i0 + kRows - 1) / kRows;
        if (row_blocks > 1 || j0 == 0)
          for (int64_t h = 0; h < heights; ++h) {
            const int64_t i = begin_of(i1 - i0, heights, h);
            const int rows = int(begin_of(i1 - i0, heights, h + 1) - i);
            pack_brain<pairs>(a + (i0 + i) * g.a_row + k * g.a_k, g.a_row, g.a_k, rows, depth,
                              packed_a + i * steps, rows);
          }
        for (int64_t j = j0; j < j1; j += kColumns) {
          BrainTile t{};
          t.b = packed + (j - j0) * steps;
          t.steps = steps;
          t.sums_row = g.N;
          t.c_row = g.c_row;
          t.columns = int(j1 - j < kColumns ? j1 - j : kColumns);
          t.add = k > 0;
          t.accumulate = g.accumulate;
          t.relu = g.epilogue.relu;
          if (column_bias) t.column_bias = column_bias + j;
          for (int64_t h = 0; h < heights; ++h) {
            const int64_t i = begin_of(i1 - i0, heights, h);
            const int rows = int(begin_of(i1 - i0, heights, h + 1) - i);
            t.a = packed_a + i * steps;
            t.sums = one_block ? nullptr : sums + (i0 + i) * g.N + j;
            t.c = end ? c + (i0 + i) * g.c_row + j : nullptr;
            if (row_bias) t.row_bias = row_bias + i0 + i;
            kBrainTiles<pairs>.f[rows - 1](t);
          }
        }
      }
    }
  }
}

}  // namespace

void fill_brain_matmul(Kernels& k) {
  k.matmul.gemm[kProductBF16] = brain_gemm<false>;
#if defined(LAMINA_PAIRS)
  if (__builtin_cpu_supports("avx512bf16")) k.matmul.gemm[kProductBF16] = brain_gemm<true>;
#endif
  k.matmul.tile_rows[kProductBF16] = kRows;
  k.matmul.tile_columns[kProductBF16] = kColumns;
}

}  // namespace lamina::LAMINA_ISA
