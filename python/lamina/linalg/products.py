"""Products of matrices and vectors. "..." are batch dimensions, which broadcast."""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from ..ops._method import under_autocast
from ..ops.creation import eye
from .errors import write
from .systems import inv, solve

__all__ = [
    "matmul", "vecdot", "multi_dot", "matrix_power", "matrix_exp", "cross", "diagonal", "vander",
]  # fmt: skip


def matmul(input, other, *, out=None) -> Tensor:
    """The matrix product (..., m, k) @ (..., k, n)."""
    value = _core.matmul(input, other)
    return write(out, value)


@under_autocast("lower", "lower")
def vecdot(x, y, *, dim=-1, out=None) -> Tensor:
    """sum conj(x) y over one dimension; the others broadcast."""
    value = (_core.conj(x) * y).sum(dim)
    return write(out, value)


def multi_dot(tensors, *, out=None) -> Tensor:
    """The product of two or more matrices in the cheapest order (Cormen et al., Introduction to
    Algorithms, 15.2); the first and the last may be vectors.

    Raises ValueError for fewer than two, ShapeError when sizes do not fit.
    """
    factors = list(tensors)
    n = len(factors)
    if n < 2:
        raise ValueError(f"multi_dot: expected at least two tensors, got {n}")
    for i, x in enumerate(factors):
        if x.dim() != 2 and not (x.dim() == 1 and i in (0, n - 1)):
            raise _core.ShapeError(
                f"multi_dot: tensor {i} must be a matrix (the ends may be vectors), got shape "
                f"{tuple(x.shape)}"
            )
    row, column = factors[0].dim() == 1, factors[-1].dim() == 1
    if row:
        factors[0] = factors[0].unsqueeze(0)
    if column:
        factors[-1] = factors[-1].unsqueeze(-1)
    sizes = [x.shape[0] for x in factors] + [factors[-1].shape[1]]
    cost = [[0] * n for _ in range(n)]
    split = [[0] * n for _ in range(n)]
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i][j], split[i][j] = min(
                (cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            )

    def product(i, j):
        if i == j:
            return factors[i]
        return product(i, split[i][j]) @ product(split[i][j] + 1, j)

    value = product(0, n - 1)
    if row:
        value = value.squeeze(0)
    if column:
        value = value.squeeze(-1)
    return write(out, value)


def matrix_power(A, n, *, out=None) -> Tensor:
    """A^n of A (..., m, m) for an int n, by repeated squaring; a negative n inverts A first."""
    if A.dim() < 2 or A.shape[-1] != A.shape[-2]:
        raise _core.ShapeError(
            f"matrix_power: expected square matrices, got shape {tuple(A.shape)}"
        )
    power = inv(A) if n < 0 else A
    n = abs(int(n))
    value = None
    while n:
        if n & 1:
            value = power if value is None else value @ power
        n >>= 1
        if n:
            power = power @ power
    if value is None:
        value = eye(A.shape[-1], dtype=A.dtype).expand(A.shape).clone()
    return write(out, value)


# Coefficients of the diagonal Pade approximant of degree 13, and the norm up to which it is exact
# to double precision (Higham, 2005, table 2.3).
_PADE = [
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0,
    129060195264000.0, 10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0,
    960960.0, 16380.0, 182.0, 1.0,
]  # fmt: skip
_PADE_REACH = 5.371920351148152


def matrix_exp(A) -> Tensor:
    """sum_k A^k / k! of A (..., n, n): scaling and squaring with a Pade approximant of degree 13
    (Higham, SIAM J. Matrix Anal. Appl. 26 (2005))."""
    if A.dim() < 2 or A.shape[-1] != A.shape[-2]:
        raise _core.ShapeError(f"matrix_exp: expected square matrices, got shape {tuple(A.shape)}")
    if A.numel() == 0:
        return A.clone()
    largest = float(A.detach().abs().sum(-2).max())
    if not math.isfinite(largest):
        return A * math.nan
    squarings = max(0, math.ceil(math.log2(largest / _PADE_REACH))) if largest > 0 else 0
    X = A / 2.0**squarings
    one = eye(A.shape[-1], dtype=A.dtype)
    b = [c / _PADE[0] for c in _PADE]
    X2 = X @ X
    X4 = X2 @ X2
    X6 = X4 @ X2
    odd = X6 @ (b[13] * X6 + b[11] * X4 + b[9] * X2)
    odd = X @ (odd + b[7] * X6 + b[5] * X4 + b[3] * X2 + b[1] * one)
    even = X6 @ (b[12] * X6 + b[10] * X4 + b[8] * X2)
    even = even + b[6] * X6 + b[4] * X4 + b[2] * X2 + b[0] * one
    value = solve(even - odd, even + odd)
    for _ in range(squarings):
        value = value @ value
    return value


def cross(input, other, *, dim=-1, out=None) -> Tensor:
    """The cross product of vectors of 3 elements along `dim`; the other dimensions broadcast."""
    if input.dim() != other.dim() or input.shape[dim] != 3 or other.shape[dim] != 3:
        raise _core.ShapeError(
            f"cross: dimension {dim} of both must have size 3, got shapes {tuple(input.shape)} and "
            f"{tuple(other.shape)}"
        )
    a, b = input.unbind(dim), other.unbind(dim)
    value = _core.stack(
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]],
        dim % input.dim(),
    )
    return write(out, value)


def diagonal(A, *, offset=0, dim1=-2, dim2=-1) -> Tensor:
    """The diagonals of the matrices in dimensions dim1 and dim2, as a view, in the last one."""
    return A.diagonal(offset, dim1, dim2)


def vander(x, N=None) -> Tensor:
    """x^0 ... x^(N-1) in the last dimension: (..., n) -> (..., n, N), N = n by default."""
    N = x.shape[-1] if N is None else N
    powers = x.unsqueeze(-1).expand(tuple(x.shape) + (max(N - 1, 0),))
    start = (x * 0 + 1).unsqueeze(-1)
    return _core.cat([start, powers.cumprod(-1)], -1) if N > 1 else start[..., :N]
