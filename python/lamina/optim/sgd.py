"""Stochastic gradient descent."""

from __future__ import annotations

from .._core import set_numbers, sgd_step
from ._fused import FusedOptimizer, check_not_negative


class SGD(FusedOptimizer):
    r"""Stochastic gradient descent with momentum.

    With gradient g (negated when maximize)::

        g = g + weight_decay * p
        b = momentum * b + (1 - dampening) * g        (b = g at the first step)
        d = g + momentum * b  (nesterov),  b  (momentum),  g  (momentum = 0)
        p = p - lr * d

    params: Tensors, (name, Tensor) pairs or group dicts, float32 or float64 (halves through
    float32). State: ``momentum_buffer``, when momentum != 0. foreach, fused: accepted and ignored
    (every step is one fused launch). differentiable: only False.

    Raises ValueError for negative options, and for nesterov without momentum or with dampening.

    Polyak, "Some methods of speeding up the convergence of iteration methods" (1964); Sutskever
    et al., "On the importance of initialization and momentum in deep learning" (2013).
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        check_not_negative(lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
                "foreach": foreach,
                "differentiable": differentiable,
                "fused": fused,
            },
        )

    def _state_names(self, group):
        return ("momentum_buffer",) if group["momentum"] != 0 else ()

    def _write_numbers(self, group, numbers):
        set_numbers(
            numbers, group["lr"], group["momentum"], group["dampening"], group["weight_decay"],
            group["maximize"], 0.0, 0.0,
        )  # fmt: skip

    def _launch(self, group, plan):
        buffers = plan.states[0] if plan.states else ()
        return sgd_step(plan.numbers, plan.params, buffers, group["nesterov"])
