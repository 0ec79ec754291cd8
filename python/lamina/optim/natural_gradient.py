"""The natural gradient."""

from __future__ import annotations

from typing import Any

from .._core import ShapeError, Tensor, float64
from ..autograd import enable_grad, no_grad
from ..ops.creation import eye
from ..ops.join import stack
from ._fused import check_not_negative
from ._vectors import flat_gradient, move, plain, solve
from .optimizer import Optimizer


class NaturalGradient(Optimizer):
    r"""The natural gradient: p = p - lr * (F + damping I)^-1 g.

    g is the mean over a batch of the gradients g_i of the losses -log p(y_i | x_i), and F the
    Fisher information matrix, the mean of g_i g_i^T. The step does not depend on how the
    distribution is parametrised, as far as it is small.

    ``step(closure)``: the closure returns the losses of the batch, a tensor (N), without backward;
    F then is the empirical Fisher matrix. Or it returns a pair (losses, drawn) where `drawn` (M)
    are losses at labels drawn from the model itself: their gradients make F, the true Fisher
    matrix up to sampling.

    params: Tensors, (name, Tensor) pairs or group dicts; few: a step costs N (+ M) backward passes
    and, for n parameters, n^3 / 3 multiplications (float64 LU); see `KFAC` for networks. No state.
    PyTorch has no such optimizer.

    Raises ValueError for a negative lr or damping, a step without closure, a singular matrix;
    ShapeError when the losses are not a vector.

    Amari, "Natural gradient works efficiently in learning" (1998); Martens, "New insights and
    perspectives on the natural gradient method" (2020) on the two matrices.
    """

    def __init__(self, params, lr: float = 1.0, damping: float = 1e-3):
        check_not_negative(lr=lr)
        if not damping >= 0:
            raise ValueError(f"Invalid damping value: {damping}")
        super().__init__(params, {"lr": lr, "damping": damping})

    def step(self, closure=None) -> Any:
        """One step; returns the mean loss."""
        if closure is None:
            raise ValueError("NaturalGradient: step(closure) needs a closure, see its class")
        with enable_grad():
            result = closure()
            losses, drawn = result if isinstance(result, (tuple, list)) else (result, result)
            for x in (losses, drawn):
                if not isinstance(x, Tensor) or x.dim() != 1:
                    raise ShapeError(
                        "NaturalGradient: the closure must return one loss per sample, a tensor "
                        f"(N), got {x!r}; use reduction='none'"
                    )
            mean = losses.mean()
            moves = []
            for group in self.param_groups:
                params = group["params"]
                gradient = plain(flat_gradient(mean, params))
                fisher = group["damping"] * eye(gradient.shape[0], dtype=float64)
                rows = [plain(flat_gradient(drawn[i], params)) for i in range(drawn.shape[0])]
                if rows:
                    scores = stack(rows)
                    fisher = fisher + scores.t() @ scores / len(rows)
                moves.append((group, solve("NaturalGradient", fisher, gradient)))
        with no_grad():
            for group, direction in moves:
                move(group["params"], direction, float(group["lr"]))
        return mean.detach()
