"""Factorisations: Cholesky, LU, QR, singular values, eigenvalues.

"..." are batch dimensions throughout. Matrices are float32 or float64 (DTypeError otherwise), with
gradients unless a function says otherwise. Source: Golub and Van Loan, Matrix Computations, 2013.
"""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from ..autograd import is_grad_enabled
from ..ops._method import results
from ..ops.creation import empty, eye
from .errors import broadcast_batches, call, check, write

__all__ = [
    "cholesky", "cholesky_ex", "lu", "lu_factor", "lu_factor_ex", "lu_solve", "qr", "svd",
    "svdvals", "eigh", "eigvalsh", "eig", "eigvals", "householder_product",
]  # fmt: skip

_CholeskyEx = results("linalg_cholesky_ex", "L", "info")
_LuFactor = results("linalg_lu_factor", "LU", "pivots")
_LuFactorEx = results("linalg_lu_factor_ex", "LU", "pivots", "info")
_Lu = results("linalg_lu", "P", "L", "U")
_Qr = results("linalg_qr", "Q", "R")
_Svd = results("linalg_svd", "U", "S", "Vh")
_Eigh = results("linalg_eigh", "eigenvalues", "eigenvectors")
_Eig = results("linalg_eig", "eigenvalues", "eigenvectors")
_NOT_POSITIVE = (
    "not positive definite: its leading minor of order {info} is not; add a multiple of the "
    "identity, or use eigh"
)
_SINGULAR = "singular: element {info} of the diagonal of U is zero; use pinv or lstsq"
_NO_CONVERGENCE = "the iteration did not converge ({info} values are missing)"


def _wants_gradient(x) -> bool:
    return x.requires_grad and is_grad_enabled()


def cholesky(A, *, upper=False, out=None) -> Tensor:
    """L, lower triangular with positive diagonal, such that A = L L^T (or `upper` L^T).

    A: (..., n, n), symmetric; only one triangle is read. Raises LinAlgError when a matrix is not
    positive definite, ShapeError when it is not square.
    """
    L, info = call("linalg_cholesky", A, upper)
    check("cholesky", A, info, _NOT_POSITIVE)
    return write(out, L)


def cholesky_ex(A, *, upper=False, check_errors=False):
    """`cholesky` as (L, info): info (...), int32, is 0, or the order of the minor that is not
    positive definite; an error only with `check_errors`."""
    L, info = call("linalg_cholesky", A, upper)
    if check_errors:
        check("cholesky_ex", A, info, _NOT_POSITIVE)
    return _CholeskyEx(L, info)


def lu_factor(A, *, pivot=True):
    """P A = L U packed: (LU (..., m, n), pivots (..., min(m, n)) int32, counted from 1).

    No gradient. Raises LinAlgError for NaN; NotImplementedError without pivoting.
    """
    return _LuFactor(*lu_factor_ex(A, pivot=pivot, check_errors=False)[:2])


def lu_factor_ex(A, *, pivot=True, check_errors=False):
    """`lu_factor` with info (...), int32: 0, or which diagonal element of U is zero."""
    if not pivot:
        raise NotImplementedError("lu_factor: pivot=False is not available; leave it True")
    LU, pivots, info = call("linalg_lu_factor", A)
    if check_errors:
        check("lu_factor_ex", A, info, _SINGULAR)
    return _LuFactorEx(LU, pivots, info)


def lu_solve(LU, pivots, B, *, left=True, adjoint=False) -> Tensor:
    """X with A X = B (A^T X = B with `adjoint`; X A = B without `left`), A given by `lu_factor`.

    LU: (..., n, n); B: (..., n, k). No gradient.
    """
    if not left:
        return lu_solve(LU, pivots, B.mT, adjoint=not adjoint).mT
    LU, B = broadcast_batches(LU, B)
    pivots = pivots.expand(LU.shape[:-1])
    return call("linalg_lu_solve", LU, pivots, B, adjoint)


def lu(A, *, pivot=True):
    """(P, L, U) with A = P L U: P (..., m, m) a permutation, L (..., m, k) with a unit diagonal, U
    (..., k, n), k = min(m, n). No gradient."""
    return _Lu(*unpack(*lu_factor(A, pivot=pivot)))


def unpack(LU, pivots, data=True, pivot=True):
    """(P, L, U) from `lu_factor`'s packed form; L and U are empty tensors without `data`, P without
    `pivot`."""
    m, n = LU.shape[-2:]
    k = min(m, n)
    P = L = U = empty(0, dtype=LU.dtype)
    if data:
        L = LU[..., :k].tril(-1) + eye(m, k, dtype=LU.dtype)
        U = LU[..., :k, :].triu()
    if pivot:
        P = eye(m, dtype=LU.dtype).expand(LU.shape[:-2] + (m, m)).clone()
        flat = P.reshape(LU.shape[:-2].numel(), m, m)
        for permutation, exchanges in zip(flat, pivots.reshape(-1, k).tolist() if k else []):
            order = list(range(m))
            for i, p in enumerate(exchanges):
                order[i], order[p - 1] = order[p - 1], order[i]
            permutation.copy_(eye(m, dtype=LU.dtype)[order].mT)
    return P, L, U


def qr(A, mode="reduced", *, out=None):
    """(Q, R): A = Q R with orthonormal columns of Q and upper triangular R (Householder).

    A: (..., m, n); Q: (..., m, k), R: (..., k, n), k = min(m, n). mode "complete": k = m (with a
    gradient only for m <= n). mode "r": R alone, Q empty, no gradient.
    """
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(f"qr: mode must be 'reduced', 'complete' or 'r', got {mode!r}")
    if mode == "r":
        R = call("linalg_qr", A.detach(), False)[1]
        return write(out, _Qr(empty(0, dtype=A.dtype), R))
    return write(out, _Qr(*call("linalg_qr", A, mode == "complete")))


def svd(A, full_matrices=True, *, driver=None, out=None):
    """(U, S, Vh): A = U diag(S) Vh, S descending and not negative.

    A: (..., m, n); U: (..., m, m), Vh: (..., n, n), or k = min(m, n) columns and rows of them
    without `full_matrices`. Gradients of U and Vh exist for distinct singular values, and only
    without `full_matrices` (unless m = n). Raises LinAlgError for NaN. `driver` is accepted.
    """
    U, S, Vh, info = call("linalg_svd", A, full_matrices)
    check("svd", A, info, _NO_CONVERGENCE)
    return write(out, _Svd(U, S, Vh))


def svdvals(A, *, driver=None, out=None) -> Tensor:
    """The singular values (..., min(m, n)) of A (..., m, n), descending."""
    if _wants_gradient(A):
        return write(out, svd(A, full_matrices=False).S)
    S, info = call("linalg_svdvals", A)
    check("svdvals", A, info, _NO_CONVERGENCE)
    return write(out, S)


def _upper(name, UPLO) -> bool:
    if UPLO not in ("L", "U", "l", "u"):
        raise ValueError(f"{name}: UPLO must be 'L' or 'U', got {UPLO!r}")
    return UPLO in "Uu"


def eigh(A, UPLO="L", *, out=None):
    """(eigenvalues (..., n) ascending, eigenvectors (..., n, n)) of a symmetric A (..., n, n).

    Only the triangle `UPLO` is read. Gradients of the vectors exist for distinct eigenvalues.
    Raises LinAlgError for NaN.
    """
    w, V, info = call("linalg_eigh", A, _upper("eigh", UPLO))
    check("eigh", A, info, _NO_CONVERGENCE)
    return write(out, _Eigh(w, V))


def eigvalsh(A, UPLO="L", *, out=None) -> Tensor:
    """The eigenvalues (..., n), ascending, of a symmetric A (..., n, n)."""
    if _wants_gradient(A):
        return write(out, eigh(A, UPLO).eigenvalues)
    w, info = call("linalg_eigvalsh", A, _upper("eigvalsh", UPLO))
    check("eigvalsh", A, info, _NO_CONVERGENCE)
    return write(out, w)


def eig(A, *, out=None):
    """(eigenvalues (..., n), eigenvectors (..., n, n)) of a general real A (..., n, n), complex.

    Vectors are columns of length 1; gradients exist for distinct eigenvalues.
    """
    w, V, info = call("linalg_eig", A)
    check("eig", A, info, _NO_CONVERGENCE)
    return write(out, _Eig(_core.view_as_complex(w), _core.view_as_complex(V)))


def eigvals(A, *, out=None) -> Tensor:
    """The eigenvalues (..., n) of a general real A (..., n, n), complex."""
    if _wants_gradient(A):
        return write(out, eig(A).eigenvalues)
    w, info = call("linalg_eigvals", A)
    check("eigvals", A, info, _NO_CONVERGENCE)
    return write(out, _core.view_as_complex(w))


def householder_product(input, tau, *, out=None) -> Tensor:
    """The first k columns of H_1 H_2 ... H_m, H_j = I - tau_j v_j v_j^T, of reflections kept as by
    LAPACK's geqrf: v_j is 0 above row j, 1 there and input[..., j + 1:, j] below.

    input: (..., n, k), n >= k; tau: (..., m), m <= k. Result (..., n, k), by the compact form
    I - V T V^T, T = (I + D triu(V^T V, 1))^-1 D with D = diag(tau) (Schreiber and Van Loan, 1989).
    Raises ShapeError for other shapes.
    """
    n, k = input.shape[-2:] if input.dim() >= 2 else (0, 1)
    if n < k or tau.dim() != input.dim() - 1 or tau.shape[-1] > k:
        raise _core.ShapeError(
            "householder_product: expected input (..., n, k) with n >= k and tau (..., m) with "
            f"m <= k, got {tuple(input.shape)} and {tuple(tau.shape)}"
        )
    from .systems import solve_triangular

    m = tau.shape[-1]
    start = eye(n, k, dtype=input.dtype)
    if m == 0:
        return write(out, start.expand(input.shape).clone())
    V = input[..., :m].tril(-1) + eye(n, m, dtype=input.dtype)
    scaled = tau.unsqueeze(-1) * (V.mT @ V).triu(1)
    right = tau.unsqueeze(-1) * V[..., :k, :].mT
    Q = start - V @ solve_triangular(scaled, right, upper=True, unitriangular=True)
    return write(out, Q)
