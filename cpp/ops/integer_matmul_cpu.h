// Products of int64 matrices modulo 2^64: C (M, N) = A (M, K) B (K, N), or added to C.
//
// Layout: see GemmArgs. Where B's rows are dense, a tile of four rows and two vectors of C stays in
// registers over all of K; else every element is one sum along K. Cost: M N K multiplications, each
// row of B read once for four rows of A.
#pragma once
#include "kernels/kernels.h"
#include "kernels/vec.h"

namespace lamina::LAMINA_ISA {
namespace {

typedef uint64_t U64u __attribute__((vector_size(LAMINA_VEC_BYTES), aligned(8)));
constexpr int64_t kIntLanes = sizeof(U64) / 8;

inline U64 load_words(const uint64_t* p) { return *reinterpret_cast<const U64u*>(p); }

// Rows [0, rows) of C, columns [0, 2 lanes).
template <int rows>
void integer_tile(const GemmArgs& g, const uint64_t* a, const uint64_t* b, uint64_t* c) {
  U64 sum[rows][2];
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < 2; ++v)
      sum[r][v] = g.accumulate ? load_words(c + r * g.c_row + v * kIntLanes) : U64{};
  for (int64_t k = 0; k < g.K; ++k, a += g.a_k, b += g.b_k) {
    const U64 b0 = load_words(b), b1 = load_words(b + kIntLanes);
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) {
      const uint64_t x = a[r * g.a_row];
      sum[r][0] += x * b0;
      sum[r][1] += x * b1;
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < 2; ++v)
      *reinterpret_cast<U64u*>(c + r * g.c_row + v * kIntLanes) = sum[r][v];
}

// Columns [begin, N) of one row, an element at a time.
void integer_row(const GemmArgs& g, const uint64_t* a, const uint64_t* b, uint64_t* c,
                 int64_t begin) {
  for (int64_t j = begin; j < g.N; ++j) {
    const uint64_t* const column = b + j * g.b_col;
    uint64_t sum = g.accumulate ? c[j] : 0;
    if (g.a_k == 1 && g.b_k == 1) {
      for (int64_t k = 0; k < g.K; ++k) sum += a[k] * column[k];
    } else {
      for (int64_t k = 0; k < g.K; ++k) sum += a[k * g.a_k] * column[k * g.b_k];
    }
    c[j] = sum;
  }
}

void integer_gemm(const GemmArgs& g) {
  const uint64_t *a = static_cast<const uint64_t*>(g.a), *b = static_cast<const uint64_t*>(g.b);
  uint64_t* c = static_cast<uint64_t*>(g.c);
  const int64_t tiled = g.b_col == 1 ? g.N / (2 * kIntLanes) * (2 * kIntLanes) : 0;
  for (int64_t i = 0; i < g.M; i += 4, a += 4 * g.a_row, c += 4 * g.c_row) {
    const int rows = g.M - i < 4 ? int(g.M - i) : 4;
    for (int64_t j = 0; j < tiled; j += 2 * kIntLanes) {
      if (rows == 4)
        integer_tile<4>(g, a, b + j, c + j);
      else
        for (int r = 0; r < rows; ++r)
          integer_tile<1>(g, a + r * g.a_row, b + j, c + r * g.c_row + j);
    }
    for (int r = 0; r < rows; ++r) integer_row(g, a + r * g.a_row, b, c + r * g.c_row, tiled);
  }
}

}  // namespace

void fill_integer_matmul(Kernels& k) {
  k.matmul.gemm[kI64] = integer_gemm;
  k.matmul.tile_rows[kI64] = k.matmul.tile_columns[kI64] = 8;
}

}  // namespace lamina::LAMINA_ISA
