"""Parameters and gradients as one vector, for the methods that solve with a matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .._core import Tensor
from ..autograd import grad
from ..ops.creation import from_numpy, zeros_like
from ..ops.join import cat

if TYPE_CHECKING:  # imported when first used
    import numpy as np


def flat_gradient(loss: Tensor, params: Sequence[Tensor], create_graph: bool = False) -> Tensor:
    """The gradient of a number by all parameters, as one vector; zeros where it does not depend
    on one."""
    parts = grad(
        loss, list(params), retain_graph=True, create_graph=create_graph, allow_unused=True
    )
    rows = [(zeros_like(p) if g is None else g).reshape(-1) for g, p in zip(parts, params)]
    return cat(rows, 0)


def array(x: Tensor) -> np.ndarray:
    """The values as a float64 array."""
    return x.detach().double().numpy()


def move(params: Sequence[Tensor], direction: np.ndarray, lr: float) -> None:
    """p = p - lr * (its part of direction), in place. To be called without gradients."""
    import numpy as np

    start = 0
    for p in params:
        n = math.prod(p.shape)
        part = np.ascontiguousarray(direction[start : start + n]).reshape(tuple(p.shape))
        p.sub_(from_numpy(part).to(p.dtype), alpha=lr)
        start += n


def solve(name: str, matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """matrix^-1 vector by LU (no inverse is formed); ValueError when the matrix is singular."""
    import numpy as np

    try:
        return np.linalg.solve(matrix, vector)
    except np.linalg.LinAlgError:
        raise ValueError(
            f"{name}: the {len(vector)} x {len(vector)} matrix is singular; use damping > 0"
        ) from None
