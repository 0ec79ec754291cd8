// C = A B on raw row-major memory, for the ops that are built on matrix products.
#pragma once
#include <cstdint>

#include "kernels/kernels.h"

namespace lamina {

// C (M x N, leading dimension ldc) = op(A) op(B), or += with accumulate. ta: A is stored as
// (K x M) with leading dimension lda, else (M x K); tb: B as (N x K), else (K x N).
// Spread over the pool; T is float or double. Bits do not depend on the number of threads.
template <class T>
void gemm(bool ta, bool tb, int64_t M, int64_t N, int64_t K, const T* A, int64_t lda, const T* B,
          int64_t ldb, T* C, int64_t ldc, bool accumulate = false,
          const Epilogue* epilogue = nullptr);
// The same on the calling thread, for use inside a parallel region.
template <class T>
void gemm_serial(bool ta, bool tb, int64_t M, int64_t N, int64_t K, const T* A, int64_t lda,
                 const T* B, int64_t ldb, T* C, int64_t ldc, bool accumulate = false,
                 const Epilogue* epilogue = nullptr);

}  // namespace lamina
