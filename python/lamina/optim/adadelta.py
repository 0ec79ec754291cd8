"""Adadelta."""

from __future__ import annotations

from .._core import adadelta_step
from ._fused import FusedOptimizer, check_not_negative, write_numbers


class Adadelta(FusedOptimizer):
    r"""Adadelta: steps as large as the recent steps were, divided by the gradient's root mean
    square.

    With gradient g (negated when maximize)::

        g = g + weight_decay * p
        v = rho * v + (1 - rho) * g * g
        d = sqrt(u + eps) / sqrt(v + eps) * g
        u = rho * u + (1 - rho) * d * d
        p = p - lr * d

    params: Tensors, (name, Tensor) pairs or group dicts, float32 or float64 (halves through
    float32). State: ``step`` (a float32 number), ``square_avg`` (v), ``acc_delta`` (u). foreach:
    accepted and ignored (every step is one fused launch). capturable: on CUDA the counters and the
    learning rate lie on the device, not on the CPU. differentiable: only False.

    Raises ValueError for negative options and rho outside [0, 1].

    Zeiler, "ADADELTA: an adaptive learning rate method" (2012).
    """

    def __init__(
        self,
        params,
        lr=1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        check_not_negative(lr=lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_not_negative(eps=eps, weight_decay=weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "rho": rho,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "capturable": capturable,
                "foreach": foreach,
                "differentiable": differentiable,
            },
        )

    def _state_names(self, group):
        return ("step", "square_avg", "acc_delta")

    def _write_numbers(self, group, numbers):
        write_numbers(
            numbers, group["lr"], group["rho"], group["eps"], group["weight_decay"],
            group["maximize"], 0.0, 0.0,
        )  # fmt: skip

    def _launch(self, group, plan):
        steps, squares, deltas = plan.states
        return adadelta_step(plan.numbers, plan.params, squares, deltas, steps)
