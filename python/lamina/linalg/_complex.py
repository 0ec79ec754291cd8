"""Complex systems of equations. A + iB acts on pairs of real vectors as [[A, -B], [B, A]], so the
real routines solve them: at twice the multiplications of complex ones, with their gradients and
error bounds."""

from __future__ import annotations

from .._core import ShapeError, Tensor, promote_types
from ..ops.complex import complex, imag, real
from ..ops.creation import arange, ones, ones_like
from ..ops.elementwise import where
from ..ops.join import cat, stack
from .errors import call


def as_real(x: Tensor) -> Tensor:
    """[[A, -B], [B, A]] (..., 2m, 2n) of A + iB (..., m, n)."""
    a, b = real(x), imag(x)
    return cat([cat([a, -b], -1), cat([b, a], -1)], -2)


def as_complex(x: Tensor) -> Tensor:
    """The complex (..., n, k) of which x (..., 2n, k) holds the real parts above the others."""
    n = x.shape[-2] // 2
    return complex(x.narrow(-2, 0, n).contiguous(), x.narrow(-2, n, n).contiguous())


def _check_square(name: str, A: Tensor) -> None:
    if A.dim() < 2 or A.shape[-1] != A.shape[-2]:
        raise ShapeError(
            f"{name}: expected square matrices (..., n, n), got shape {tuple(A.shape)}"
        )


def alike(*matrices: Tensor) -> tuple[Tensor, ...]:
    """All in one dtype, the complex one."""
    dtype = matrices[0].dtype
    for m in matrices[1:]:
        dtype = promote_types(dtype, m.dtype)
    return tuple(m.to(dtype) for m in matrices)


def _place(info: Tensor, n: int) -> Tensor:
    """Of an element of the diagonal of 2n: which of the n it belongs to."""
    return where(info > n, info - n, info)


def solve(A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    """(X, info) with A X = B, as ``_core.linalg_solve``."""
    _check_square("solve", A)
    A, B = alike(A, B)
    X, info = call("linalg_solve", as_real(A), cat([real(B), imag(B)], -2))
    return as_complex(X), _place(info, A.shape[-1])


def inv(A: Tensor) -> tuple[Tensor, Tensor]:
    """(A^-1, info), as ``_core.linalg_inv``."""
    _check_square("inv", A)
    n = A.shape[-1]
    inverse, info = call("linalg_inv", as_real(A))
    return as_complex(inverse.narrow(-1, 0, n)), _place(info, n)


def pivots(name: str, A: Tensor) -> tuple[Tensor, Tensor]:
    """What elimination with row exchanges leaves on the diagonal (..., n), and 1 or -1 (...) by the
    number of exchanges (Golub and Van Loan, 3.4): det A is their product."""
    _check_square(name, A)
    n = A.shape[-1]
    found = []
    sign = ones(A.shape[:-2], dtype=real(A).dtype)
    for _ in range(n):
        column = A.narrow(-1, 0, 1)
        at = column.detach().abs().argmax(-2, True)
        row = A.gather(-2, at.expand((*at.shape[:-1], A.shape[-1])))
        first = A.narrow(-2, 0, 1)
        sign = where(at.reshape(sign.shape) == 0, sign, -sign)
        pivot = row.narrow(-1, 0, 1)
        found.append(pivot.reshape(sign.shape))
        if A.shape[-1] == 1:
            break
        # The first row goes where the pivot's stood.
        rows = arange(A.shape[-2]).reshape(-1, 1)
        A = where(rows == at, first, A).narrow(-2, 1, A.shape[-2] - 1)
        safe = where(pivot == 0, ones_like(pivot), pivot)
        rest = A.shape[-1] - 1
        A = A.narrow(-1, 1, rest) - A.narrow(-1, 0, 1) * (row.narrow(-1, 1, rest) / safe)
    if not found:
        return A.new_ones((*A.shape[:-2], 0)), sign
    return stack(found, -1), sign
