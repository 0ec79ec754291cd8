"""Linear algebra under ``torch``'s own names, and as methods; `lamina.linalg` does the work.

"..." are batch dimensions. Matrices are float32 or float64, with gradients.
"""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from ._method import method, results, takes_tensors, under_autocast
from .creation import eye, zeros

__all__ = [
    "inverse", "det", "logdet", "slogdet", "cholesky", "cholesky_solve", "cholesky_inverse", "qr",
    "svd", "pinverse", "matrix_power", "matrix_exp", "triangular_solve", "cross", "lu_solve",
    "lu_unpack",
]  # fmt: skip

_Qr = results("qr", "Q", "R")
_Unpacked = results("lu_unpack", "P", "L", "U")
_Svd = results("svd", "U", "S", "V")
_Triangular = results("triangular_solve", "solution", "cloned_coefficient")


def _linalg():
    from .. import linalg  # when first used: programs without linear algebra need not load it

    return linalg


def _write(out, value):
    from ..linalg.errors import write

    return write(out, value)


@method
def inverse(input: Tensor, *, out=None) -> Tensor:
    """A^-1 of A (..., n, n); LinAlgError for a singular matrix."""
    return _linalg().inv(input, out=out)


@method
def det(input: Tensor) -> Tensor:
    """The determinants (...) of (..., n, n)."""
    return _linalg().det(input)


@method
def logdet(input: Tensor) -> Tensor:
    """log det (...) of (..., n, n): NaN where the determinant is negative, -inf where it is 0."""
    sign, value = _linalg().slogdet(input)
    if input.dtype.is_complex:
        return sign.log() + value
    return _core.where(sign < 0, float("nan"), value)


@method
def slogdet(input: Tensor):
    """(sign, logabsdet) of the determinants of (..., n, n)."""
    return _linalg().slogdet(input)


@method
def cholesky(input: Tensor, upper=False, *, out=None) -> Tensor:
    """L with A = L L^T (`upper`: L^T) of A (..., n, n); LinAlgError when not positive definite."""
    return _linalg().cholesky(input, upper=upper, out=out)


@method
def cholesky_solve(input: Tensor, L: Tensor, upper=False, *, out=None) -> Tensor:
    """X with L L^T X = B (L^T L X = B for `upper`): B = input (..., n, k), L (..., n, n)."""
    solve = _linalg().solve_triangular
    L = L.mT if upper else L
    value = solve(L.mT, solve(L, input, upper=False), upper=True)
    return _write(out, value)


@method
def cholesky_inverse(L: Tensor, upper=False, *, out=None) -> Tensor:
    """(L L^T)^-1 ((L^T L)^-1 for `upper`) of a triangular L (..., n, n)."""
    return cholesky_solve(eye(L.shape[-1], dtype=L.dtype), L, upper, out=out)


@method
def qr(input: Tensor, some=True, *, out=None):
    """(Q, R) of (..., m, n); `some`: with min(m, n) columns of Q, else m."""
    return _Qr(*_linalg().qr(input, "reduced" if some else "complete", out=out))


@method
def svd(input: Tensor, some=True, compute_uv=True, *, out=None):
    """(U, S, V) with A = U diag(S) V^T (V itself, not its transpose): A (..., m, n).

    `some`: min(m, n) columns of U and V, else m and n. Without `compute_uv` U and V are zeros.
    """
    if not compute_uv:
        m, n = input.shape[-2:]
        batch = tuple(input.shape[:-2])
        U, V = (zeros(batch + (k, k), dtype=input.dtype) for k in (m, n))
        return _write(out, _Svd(U, _linalg().svdvals(input), V))
    U, S, Vh = _linalg().svd(input, full_matrices=not some)
    return _write(out, _Svd(U, S, Vh.mT))


@method
def pinverse(input: Tensor, rcond=1e-15) -> Tensor:
    """The Moore-Penrose inverse (..., n, m) of (..., m, n)."""
    return _linalg().pinv(input, rtol=rcond)


@method
def matrix_power(input: Tensor, n, *, out=None) -> Tensor:
    """A^n of A (..., m, m), n an int."""
    return _linalg().matrix_power(input, n, out=out)


@method
def matrix_exp(input: Tensor) -> Tensor:
    """sum_k A^k / k! of A (..., n, n)."""
    return _linalg().matrix_exp(input)


@method
def triangular_solve(input: Tensor, A: Tensor, upper=True, transpose=False, unitriangular=False):
    """(X, A) with A X = B (A^T X = B with `transpose`): B = input (..., n, k), A triangular."""
    matrix, triangle = (A.mT, not upper) if transpose else (A, upper)
    X = _linalg().solve_triangular(matrix, input, upper=triangle, unitriangular=unitriangular)
    return _Triangular(X, A)


@method
@takes_tensors
@under_autocast(cuda="widest")
def cross(input: Tensor, other: Tensor, dim=None, *, out=None) -> Tensor:
    """The cross product along `dim`, by default the first dimension of size 3."""
    if dim is None:
        dim = next((d for d, n in enumerate(input.shape) if n == 3), None)
        if dim is None:
            raise _core.ShapeError(f"cross: no dimension of size 3 in shape {tuple(input.shape)}")
    return _linalg().cross(input, other, dim=dim, out=out)


@method("lu_solve")
def _lu_solve_method(self: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """X with A X = self, A given by its LU factorisation."""
    return _linalg().lu_solve(LU_data, LU_pivots, self)


def lu_solve(b: Tensor, LU_data: Tensor, LU_pivots: Tensor, *, out=None) -> Tensor:
    """X with A X = b (..., n, k), A given by its LU factorisation (`linalg.lu_factor`)."""
    return _write(out, _linalg().lu_solve(LU_data, LU_pivots, b))


@method
def lu(self: Tensor, pivot=True, get_infos=False):
    """The older form of `linalg.lu_factor`: (LU, pivots), with `get_infos` also info."""
    LU, pivots, info = _linalg().lu_factor_ex(self, pivot=pivot)
    return (LU, pivots, info) if get_infos else (LU, pivots)


def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data=True, unpack_pivots=True, *,
              out=None):  # fmt: skip
    """(P, L, U) with A = P L U from `linalg.lu_factor`'s (LU, pivots).

    LU_data: (..., m, n); LU_pivots: (..., min(m, n)), counted from 1. P: (..., m, m) a
    permutation; L: (..., m, k) with a unit diagonal; U: (..., k, n), k = min(m, n). L and U are
    empty without `unpack_data`, P without `unpack_pivots`. Gradients flow from L and U to LU_data.
    Source: Golub and Van Loan, Matrix Computations, 2013, section 3.4.
    """
    from ..linalg.factor import unpack

    parts = unpack(LU_data, LU_pivots, unpack_data, unpack_pivots)
    return _Unpacked(*(map(_write, out, parts) if out is not None else parts))
