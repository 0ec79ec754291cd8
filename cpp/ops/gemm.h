// The matrix product over raw pointers, for ops whose loops contain one (matmul, convolution).
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace lamina {

// C[M, N] (+)= op(A)[M, K] op(B)[K, N], row-major; op(X) = X^T when ta (tb) is set. lda, ldb, ldc:
// elements from one stored row to the next. T is float, double or int64_t. C must not overlap A
// or B. Each element's bits depend only on its row of A, its column of B and K (kGemmDepth), unless
// LAMINA_BLAS=openblas. Splits C over the pool's threads.
template <class T>
void gemm(bool ta, bool tb, int64_t M, int64_t N, int64_t K, const T* A, int64_t lda, const T* B,
          int64_t ldb, T* C, int64_t ldc, bool accumulate = false,
          const Epilogue* epilogue = nullptr);

// The same on the calling thread, for use inside parallel regions.
template <class T>
void gemm_serial(bool ta, bool tb, int64_t M, int64_t N, int64_t K, const T* A, int64_t lda,
                 const T* B, int64_t ldb, T* C, int64_t ldc, bool accumulate = false,
                 const Epilogue* epilogue = nullptr);

// `batches` products of one size with any strides, split over the pool's threads: the operands of
// product p lie at offsets(p, ...) elements from args.a, .b and .c. compute: a Compute or
// kProductBF16.
struct GemmOffsets {
  int64_t a, b, c;
};
using GemmOffsetsFn = GemmOffsets (*)(const void* context, int64_t product);
void gemm_batched(int compute, const GemmArgs& args, int64_t batches, GemmOffsetsFn offsets,
                  const void* context);

// The product of few rows with B in panels: columns [p W, p W + W) of B (the last ones fewer),
// row-major, one panel behind the other from g.b on; g.b_k and g.b_col are not read. W: that of so
// many rows, 0 where they are too many for panels to bring anything. The same bits as from any
// other layout, and every thread reads memory in one long run.
int64_t gemm_panel_columns(int compute, int64_t rows);
void gemm_panels(int compute, const GemmArgs& g);

// ---- OpenBLAS, found at run time (blas.cpp) ----------------------------------------------------
// Where the library lies; opened when it is first needed.
void set_blas_library(const char* path);
// A function of the library by its usual name ("cblas_sgemm", "LAPACKE_dpotrf"), for `who`: an
// error of that name says what is missing.
void* openblas_symbol(const char* who, const char* name);
// "own" or "openblas"; what computes float32 and float64 products now.
const char* blas_in_use();
// Whether OpenBLAS did the product (args with adjacent rows or columns in A and B, K > 0).
bool blas_gemm(int compute, const GemmArgs& args);

}  // namespace lamina
