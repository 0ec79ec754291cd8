"""Adam for embeddings: rows without a gradient keep their values and their moments."""

from __future__ import annotations

import math

from ..autograd import enable_grad, no_grad
from ..ops.creation import zeros_like
from ._fused import check_betas
from .optimizer import Optimizer


class SparseAdam(Optimizer):
    r"""Adam that changes only the rows (of dimension 0) in which the gradient is not zero.

    With gradient g (negated when maximize) at step t = 1, 2, ..., in those rows::

        m = m + (1 - beta1) * (g - m)
        v = v + (1 - beta2) * (g * g - v)
        p = p - lr * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + eps)

    The other rows' m, v and p stay, where Adam's moments would decay and its steps go on. Gradients
    are dense tensors, as ``nn.Embedding(sparse=True)`` gives them here; a row of zeros counts as
    not looked up. State: ``step`` (an int), ``exp_avg`` (m), ``exp_avg_sq`` (v).

    params: Tensors, (name, Tensor) pairs or group dicts. Raises ValueError for options that are not
    positive and betas outside of [0, 1).

    Kingma and Ba, "Adam: a method for stochastic optimization" (2015), section 2, by rows.
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, maximize: bool = False):
        if not lr > 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not eps > 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        check_betas(betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})

    def step(self, closure=None):
        """Moves the parameters once; returns the loss of `closure`, when given."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        self._update(p, -p.grad if group["maximize"] else p.grad, group)
        return loss

    def _update(self, p, g, group) -> None:
        state = self.state[p]
        if not state:
            state.update(step=0, exp_avg=zeros_like(p), exp_avg_sq=zeros_like(p))
        state["step"] += 1
        (beta1, beta2), t = group["betas"], state["step"]
        rows = (g != 0).reshape(g.shape[0], -1).any(1).nonzero().squeeze(1)
        g, m, v = g[rows], state["exp_avg"][rows], state["exp_avg_sq"][rows]
        m = m.lerp(g, 1 - beta1)
        v = v.lerp(g * g, 1 - beta2)
        state["exp_avg"][rows], state["exp_avg_sq"][rows] = m, v
        size = group["lr"] * math.sqrt(1 - beta2**t) / (1 - beta1**t)
        p[rows] -= size * m / (v.sqrt() + group["eps"])
