"""Norms, condition numbers, ranks. Shapes and dtypes as in PyTorch; "..." are batch dimensions."""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from ..ops.creation import zeros
from .errors import write
from .factor import eigvalsh, svdvals
from .systems import inv_ex

__all__ = ["norm", "vector_norm", "matrix_norm", "cond", "matrix_rank"]


def _dims(dim) -> tuple:
    return () if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)


def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None, out=None) -> Tensor:
    """(sum |x|^ord)^(1/ord) over `dim` (all by default): inf the largest, -inf the smallest, 0 the
    number of nonzero elements. Floating or complex tensors (DTypeError otherwise)."""
    x = x if dtype is None else x.to(dtype)
    if not (x.dtype.is_floating_point or x.dtype.is_complex):
        raise _core.DTypeError(f"vector_norm: expected a floating tensor, got {x.dtype}")
    value = _core.norm(x, float(ord), _dims(dim), keepdim)
    return write(out, value)


def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None, out=None) -> Tensor:
    """Norms of the matrices in the two dimensions `dim`.

    ord: "fro" sqrt(sum a^2); "nuc" the sum of the singular values; 2 and -2 the largest and the
    smallest one; 1 and -1 the largest and smallest column sum of |a|; inf and -inf of row sums.
    Raises ValueError for anything else, ShapeError for fewer than two dimensions.
    """
    A = A if dtype is None else A.to(dtype)
    if A.dim() < 2:
        raise _core.ShapeError(
            f"matrix_norm: expected at least 2 dimensions, got shape {tuple(A.shape)}"
        )
    rows, columns = (d % A.dim() for d in dim)
    if rows == columns:
        raise ValueError(f"matrix_norm: dim must name two dimensions, got {tuple(dim)}")
    if ord == "fro":
        value = vector_norm(A, 2, (rows, columns), keepdim)
    elif ord in ("nuc", 2, -2):
        s = svdvals(A.movedim((rows, columns), (-2, -1)))
        value = s.sum(-1) if ord == "nuc" else s.amax(-1) if ord == 2 else s.amin(-1)
        if keepdim:
            low, high = sorted((rows, columns))
            value = value.unsqueeze(low).unsqueeze(high)
    elif ord in (1, -1, math.inf, -math.inf):
        first, second = (rows, columns) if abs(ord) == 1 else (columns, rows)
        sums = A.abs().sum(first, keepdim=True)
        value = sums.amax(second, keepdim=True) if ord > 0 else sums.amin(second, keepdim=True)
        if not keepdim:
            value = value.squeeze((rows, columns))
    else:
        raise ValueError(
            f"matrix_norm: ord must be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, got {ord!r}"
        )
    return write(out, value)


def norm(A, ord=None, dim=None, keepdim=False, *, out=None, dtype=None) -> Tensor:
    """`matrix_norm` for two dimensions, `vector_norm` for one; without `ord` the 2-norm of all
    elements (of `dim`). ord with dim None: A must be 1-D or 2-D (ShapeError)."""
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype, out=out)
    if dim is None and A.dim() not in (1, 2):
        raise _core.ShapeError(
            f"norm: with ord and no dim expects 1 or 2 dimensions, got shape {tuple(A.shape)}"
        )
    dims = tuple(range(A.dim())) if dim is None else _dims(dim)
    if len(dims) == 2:
        return matrix_norm(A, ord, dims, keepdim, dtype=dtype, out=out)
    return vector_norm(A, ord, dims, keepdim, dtype=dtype, out=out)


def cond(A, p=None, *, out=None) -> Tensor:
    """The condition numbers (...) of A (..., m, n): |A| |A^-1| in the norm p; p None or 2 (-2):
    s_max / s_min (its inverse), for any shape. inf for singular matrices."""
    if p in (None, 2, -2):
        s = svdvals(A)
        if s.shape[-1] == 0:
            return write(out, zeros(A.shape[:-2], dtype=A.dtype))
        return write(out, s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1])
    inverse, info = inv_ex(A)
    value = matrix_norm(A, p) * matrix_norm(inverse, p)
    return write(out, _core.where(info != 0, math.inf, value))


def matrix_rank(A, tol=None, hermitian=False, *, atol=None, rtol=None, out=None) -> Tensor:
    """How many singular values (|eigenvalues| with `hermitian`) exceed max(atol, rtol s_max).

    A: (..., m, n); int64 (...). atol (or `tol`) is 0 and, unless atol is given, rtol is
    eps max(m, n) by default; numbers or tensors (...).
    """
    atol = tol if atol is None else atol
    values = eigvalsh(A.detach()).abs() if hermitian else svdvals(A.detach())
    if values.shape[-1] == 0:
        return write(out, zeros(A.shape[:-2], dtype=_core.int64))
    if rtol is None:
        eps = 2.0**-52 if A.dtype is _core.float64 else 2.0**-23
        rtol = 0.0 if atol is not None else eps * max(A.shape[-2:])
    limit = values.amax(-1) * rtol
    limit = _core.maximum(limit, limit * 0 + (0.0 if atol is None else atol))
    return write(out, (values > limit.unsqueeze(-1)).sum(-1))
