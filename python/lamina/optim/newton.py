"""Newton's method."""

from __future__ import annotations

from typing import Any

from .._core import float64
from ..autograd import enable_grad, no_grad
from ..ops.creation import eye
from ..ops.join import stack
from ._fused import check_not_negative
from ._vectors import flat_gradient, move, plain, solve
from .optimizer import Optimizer


class Newton(Optimizer):
    r"""Newton's method: p = p - lr * (H + damping I)^-1 g, with the gradient g and the Hessian H
    of the loss by all parameters of a group.

    One step with lr = 1 solves a quadratic loss. Far from a minimum H may have negative
    eigenvalues, along which the step climbs: damping above their size turns it downhill.

    params: Tensors, (name, Tensor) pairs or group dicts; few, as H has n^2 elements for n of them,
    costs n backward passes and n^3 / 3 multiplications a step (float64 LU). ``step(closure)``: the
    closure computes the loss and returns it, without backward; every op in it needs a second
    derivative. No state. PyTorch has no Newton.

    Raises ValueError for a negative lr or damping, a step without closure, a singular
    H + damping I.

    Nocedal and Wright, Numerical Optimization (2006), section 3.3.
    """

    def __init__(self, params, lr: float = 1.0, damping: float = 0.0):
        check_not_negative(lr=lr)
        if not damping >= 0:
            raise ValueError(f"Invalid damping value: {damping}")
        super().__init__(params, {"lr": lr, "damping": damping})

    def step(self, closure=None) -> Any:
        """One step; returns the closure's loss."""
        if closure is None:
            raise ValueError("Newton: step(closure) needs a closure that returns the loss")
        with enable_grad():
            loss = closure()
            moves = []
            for group in self.param_groups:
                params = group["params"]
                gradient = flat_gradient(loss, params, create_graph=True)
                n = gradient.numel()
                hessian = group["damping"] * eye(n, dtype=float64)
                if gradient.requires_grad:  # else the loss is linear
                    rows = [plain(flat_gradient(gradient[i], params)) for i in range(n)]
                    hessian = hessian + stack(rows)
                moves.append((group, solve("Newton", hessian, plain(gradient))))
        with no_grad():
            for group, direction in moves:
                move(group["params"], direction, float(group["lr"]))
        return loss
