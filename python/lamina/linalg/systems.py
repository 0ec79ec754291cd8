"""Systems of equations: solve, inverse, determinant, triangular solve, least squares.

"..." are batch dimensions, which broadcast. Matrices are float32 or float64 (DTypeError otherwise),
for solve, inv, det and slogdet also complex64 or complex128; with gradients. Source: Golub and Van
Loan, Matrix Computations, 4th ed., 2013.
"""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from ..ops._method import results
from . import _complex
from .errors import broadcast_batches, call, check, write

__all__ = [
    "solve", "solve_ex", "inv", "inv_ex", "det", "slogdet", "solve_triangular", "lstsq", "pinv",
    "tensorsolve", "tensorinv",
]  # fmt: skip

_SolveEx = results("linalg_solve_ex", "result", "info")
_InvEx = results("linalg_inv_ex", "inverse", "info")
_Slogdet = results("linalg_slogdet", "sign", "logabsdet")
_Lstsq = results("linalg_lstsq", "solution", "residuals", "rank", "singular_values")
_SINGULAR = "singular: element {info} of the diagonal of U is zero; use pinv or lstsq"


def solve(A, B, *, left=True, out=None) -> Tensor:
    """X with A X = B (X A = B without `left`).

    A: (..., n, n). B: (..., n, k), or a vector: (n,), or of shape A.shape[:-1]. Raises LinAlgError
    for a singular matrix, ShapeError when sizes do not fit.
    """
    X, info = solve_ex(A, B, left=left)
    check("solve", A, info, _SINGULAR)
    return write(out, X)


def solve_ex(A, B, *, left=True, check_errors=False, out=None):
    """`solve` as (result, info): info (...), int32, is 0 or which diagonal element of U is zero;
    the result is then NaN. An error only with `check_errors`."""
    vector = B.dim() == 1 or (B.dim() == A.dim() - 1 and B.shape == A.shape[:-1])
    if vector:
        if not left:
            raise ValueError("solve: left=False needs a matrix B, got a vector")
        B = B.unsqueeze(-1)
    if not left:
        A, B = A.mT, B.mT
    A, B = broadcast_batches(A, B)
    complex = A.dtype.is_complex or B.dtype.is_complex
    X, info = _complex.solve(A, B) if complex else call("linalg_solve", A, B)
    if check_errors:
        check("solve_ex", A, info, _SINGULAR)
    X = X.squeeze(-1) if vector else X if left else X.mT
    return write(out, _SolveEx(X, info))


def inv(A, *, out=None) -> Tensor:
    """A^-1 of A (..., n, n). Raises LinAlgError for a singular matrix."""
    inverse, info = _inv(A)
    check("inv", A, info, _SINGULAR)
    return write(out, inverse)


def _inv(A):
    return _complex.inv(A) if A.dtype.is_complex else call("linalg_inv", A)


def inv_ex(A, *, check_errors=False, out=None):
    """`inv` as (inverse, info), NaN where info (...) is not 0; an error only with
    `check_errors`."""
    inverse, info = _inv(A)
    if check_errors:
        check("inv_ex", A, info, _SINGULAR)
    return write(out, _InvEx(inverse, info))


def det(A, *, out=None) -> Tensor:
    """The determinants (...) of A (..., n, n), from its LU factorisation. The gradient of a
    singular real matrix is that of its cofactors."""
    if A.dtype.is_complex:
        pivots, sign = _complex.pivots("det", A)
        return write(out, pivots.prod(-1) * sign)
    value = call("linalg_det", A)
    return write(out, value)


def slogdet(A, *, out=None):
    """(sign, logabsdet), both (...), of the determinants of A (..., n, n); (0, -inf) for a singular
    matrix. A complex sign has magnitude 1."""
    if A.dtype.is_complex:
        pivots, sign = _complex.pivots("slogdet", A)
        value = _Slogdet(pivots.sgn().prod(-1) * sign, pivots.abs().log().sum(-1))
        return write(out, value)
    return write(out, _Slogdet(*call("linalg_slogdet", A)))


def solve_triangular(A, B, *, upper, left=True, unitriangular=False, out=None) -> Tensor:
    """X with A X = B (X A = B without `left`), A (..., n, n) triangular, B (..., n, k).

    Only the triangle `upper` says is read, and not the diagonal with `unitriangular`. A zero on the
    diagonal gives infinities.
    """
    if not left:
        X = solve_triangular(A.mT, B.mT, upper=not upper, unitriangular=unitriangular).mT
    else:
        A, B = broadcast_batches(A, B)
        X = call("linalg_solve_triangular", A, B, upper, unitriangular)
    return write(out, X)


def lstsq(A, B, rcond=None, *, driver=None):
    """X of least norm that minimises |A X - B| (through singular values).

    A: (..., m, n), B: (..., m, k) or (..., m). Returns (solution (..., n, k), residuals (..., k),
    rank (...), singular_values): residuals, the squared lengths of the columns of A X - B, are
    empty unless m > n and every rank is n; singular_values are empty unless `driver` is "gelsd" or
    "gelss". Singular values <= rcond s_max count as 0, rcond = eps max(m, n) by default; other
    drivers estimate them by a QR factorisation with column exchanges. Raises LinAlgError for NaN.
    """
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(
            f"lstsq: driver must be None, 'gels', 'gelsy', 'gelsd' or 'gelss', got {driver!r}"
        )
    vector = B.dim() == 1 or (B.dim() == A.dim() - 1 and B.shape == A.shape[:-1])
    if vector:
        B = B.unsqueeze(-1)
    A, B = broadcast_batches(A, B)
    m, n = A.shape[-2:]
    if rcond is None:
        rcond = _eps(A) * max(m, n)
    wanted = driver in ("gelsd", "gelss")
    X, rank, values, info = call("linalg_lstsq", A, B, rcond, wanted)
    check("lstsq", A, info, "the iteration did not converge ({info} values are missing)")
    empty = _core.empty((0,), A.dtype)
    residuals = empty
    if m > n and bool((rank == n).all()):
        residuals = (A @ X - B).square().sum(-2)
    if driver == "gels":
        rank = _core.empty((0,), _core.int64)
    solution = X.squeeze(-1) if vector else X
    return _Lstsq(solution, residuals, rank, values if wanted else empty)


def _eps(A) -> float:
    return 2.0**-52 if A.dtype is _core.float64 else 2.0**-23


def pinv(A, rcond=None, hermitian=False, *, atol=None, rtol=None, out=None) -> Tensor:
    """The Moore-Penrose inverse (..., n, m) of A (..., m, n).

    Singular values <= max(atol, rtol s_max) count as 0; atol 0 and, unless atol is given,
    rtol = eps max(m, n) by default (numbers; `rcond` is rtol's old name). With `hermitian`
    only the lower triangle is read. The gradient holds while the rank does not change (Golub and
    Pereyra, 1973).
    """
    if hermitian:
        A = A.tril() + A.tril(-1).mT
    rtol = rcond if rtol is None else rtol
    if rtol is None:
        rtol = 0.0 if atol is not None and float(atol) > 0 else _eps(A) * max(A.shape[-2:])
    value, info = call("linalg_pinv", A, float(atol or 0.0), float(rtol))
    check("pinv", A, info, "the iteration did not converge ({info} values are missing)")
    return write(out, value)


def tensorsolve(A, B, dims=None, *, out=None) -> Tensor:
    """X with tensordot(A, X, X.dim()) = B: A's first dimensions, of B's shape, against the rest.

    `dims`: dimensions of A moved last before. ShapeError unless they make a square matrix.
    """
    if dims is not None:
        dims = [d % A.dim() for d in dims]
        A = A.permute(*[d for d in range(A.dim()) if d not in dims], *dims)
    rest = A.shape[B.dim() :]
    if math.prod(rest) != B.numel():
        raise _core.ShapeError(
            f"tensorsolve: A of shape {tuple(A.shape)} is not square beside B of {tuple(B.shape)}"
        )
    X = solve(A.reshape(B.numel(), B.numel()), B.reshape(-1)).reshape(rest)
    return write(out, X)


def tensorinv(A, ind=2, *, out=None) -> Tensor:
    """The inverse of A for tensordot(A, ., A.dim() - ind): its first `ind` dimensions against the
    rest, which must have equal products (ShapeError). ValueError unless ind > 0."""
    if ind <= 0:
        raise ValueError(f"tensorinv: ind must be positive, got {ind}")
    first, rest = A.shape[:ind], A.shape[ind:]
    if math.prod(first) != math.prod(rest):
        raise _core.ShapeError(
            f"tensorinv: A of shape {tuple(A.shape)} is not square with ind {ind}"
        )
    value = inv(A.reshape(math.prod(first), -1)).reshape(tuple(rest) + tuple(first))
    return write(out, value)
