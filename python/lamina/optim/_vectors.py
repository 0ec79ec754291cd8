"""Parameters and gradients as one vector, for the methods that solve with a matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .._core import Tensor
from ..autograd import grad
from ..ops.creation import zeros_like
from ..ops.join import cat


def flat_gradient(loss: Tensor, params: Sequence[Tensor], create_graph: bool = False) -> Tensor:
    """The gradient of a number by all parameters, as one vector; zeros where it does not depend
    on one."""
    parts = grad(
        loss, list(params), retain_graph=True, create_graph=create_graph, allow_unused=True
    )
    rows = [(zeros_like(p) if g is None else g).reshape(-1) for g, p in zip(parts, params)]
    return cat(rows, 0)


def plain(x: Tensor) -> Tensor:
    """The values in float64, without gradient."""
    return x.detach().double()


def move(params: Sequence[Tensor], direction: Tensor, lr: float) -> None:
    """p = p - lr * (its part of direction), in place. To be called without gradients."""
    start = 0
    for p in params:
        n = math.prod(p.shape)
        p.sub_(direction[start : start + n].reshape(p.shape).to(p.dtype), alpha=lr)
        start += n


def solve(name: str, matrix: Tensor, right: Tensor) -> Tensor:
    """matrix^-1 right by LU (no inverse is formed); ValueError when the matrix is singular."""
    from ..linalg import LinAlgError
    from ..linalg import solve as lu_solve

    try:
        return lu_solve(matrix, right)
    except LinAlgError:
        n = matrix.shape[0]
        raise ValueError(f"{name}: the {n} x {n} matrix is singular; use damping > 0") from None
