// Dense linear algebra on (batches of) matrices, float32 and float64, through LAPACK (lapack.h).
//
// Shapes: "..." are batch dimensions. `info` is int32, one number per matrix: 0 where the routine
// succeeded; > 0: the leading minor or the diagonal element at fault, or the values that did not
// converge; < 0: the matrix holds NaN. Whoever calls decides whether that is an error.
// Sources: Golub and Van Loan, Matrix Computations, 4th ed., 2013; gradients: linalg_grad.cpp.
#pragma once
#include "ops/apply.h"

namespace lamina {

// (..., n, n) symmetric positive definite -> (L, info), A = L L^T; upper: L^T.
Outputs linalg_cholesky(const Tensor& a, bool upper);
// (..., m, n) -> (LU packed, pivots (..., k) int32 from 1, info), P A = L U. No gradient.
Outputs linalg_lu_factor(const Tensor& a);
// LU and pivots of linalg_lu_factor, B (..., n, k) -> X with A X = B (A^T X = B). No gradient.
Tensor linalg_lu_solve(const Tensor& lu, const Tensor& pivots, const Tensor& b, bool transposed);
// A (..., n, n), B (..., n, k), of one batch shape -> (X, info), A X = B.
Outputs linalg_solve(const Tensor& a, const Tensor& b);
// (..., n, n) -> (A^-1, info).
Outputs linalg_inv(const Tensor& a);
// (..., n, n) -> determinants (...).
Tensor linalg_det(const Tensor& a);
// (..., n, n) -> (sign, log |det|), both (...); (0, -inf) for a singular matrix.
Outputs linalg_slogdet(const Tensor& a);
// A (..., n, n) of which one triangle is read, B (..., n, k) -> X with A X = B. unit: ones on the
// diagonal, which is not read. A zero on it gives infinities.
Tensor linalg_solve_triangular(const Tensor& a, const Tensor& b, bool upper, bool unit);
// (..., m, n) -> (Q (..., m, k), R (..., k, n)), k = min(m, n), or m when `complete`.
Outputs linalg_qr(const Tensor& a, bool complete);
// (..., m, n) -> (U, S, V^T, info), A = U diag(S) V^T, S descending; `full`: U and V square.
Outputs linalg_svd(const Tensor& a, bool full);
// (..., m, n) -> (S, info): the singular values alone. No gradient.
Outputs linalg_svdvals(const Tensor& a);
// (..., n, n), one triangle of a symmetric matrix -> (w ascending, V, info), A = V diag(w) V^T.
Outputs linalg_eigh(const Tensor& a, bool upper);
// The eigenvalues alone: (w, info). No gradient.
Outputs linalg_eigvalsh(const Tensor& a, bool upper);
// (..., n, n) -> (w (..., n, 2), V (..., n, n, 2), info): real and imaginary parts last; columns of
// V have length 1.
Outputs linalg_eig(const Tensor& a);
// The eigenvalues alone: (w, info). No gradient.
Outputs linalg_eigvals(const Tensor& a);
// A (..., m, n), B (..., m, k) -> (X (..., n, k) of least norm minimising |A X - B|, rank (...)
// int64, singular values (..., min(m, n)), info). Singular values <= rcond times the largest count
// as 0. They are found only if asked for; else the rank is that of a QR factorisation with columns
// exchanged, which costs a fraction.
Outputs linalg_lstsq(const Tensor& a, const Tensor& b, double rcond, bool values);
// (..., m, n) -> (pseudo-inverse (..., n, m), info): singular values <= max(atol, rtol s_max) count
// as 0.
Outputs linalg_pinv(const Tensor& a, double atol, double rtol);

}  // namespace lamina
