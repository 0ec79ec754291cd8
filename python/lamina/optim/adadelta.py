"""Adadelta."""

from __future__ import annotations

from .._core import set_numbers, two_state_step
from ._fused import FusedOptimizer, check_not_negative


class Adadelta(FusedOptimizer):
    r"""Adadelta: steps of the size of recent steps, per element.

    With gradient g (negated when maximize)::

        g = g + weight_decay * p
        v = rho * v + (1 - rho) * g * g
        d = sqrt(a + eps) / sqrt(v + eps) * g
        a = rho * a + (1 - rho) * d * d
        p = p - lr * d

    State: ``step``, ``square_avg`` (v), ``acc_delta`` (a). params: Tensors, (name, Tensor) pairs or group
    dicts, float32 or float64 (halves through float32). foreach, capturable: accepted and ignored
    (every step is one fused launch). differentiable: only False.

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
        return ("square_avg", "acc_delta", "step")

    def _write_numbers(self, group, numbers):
        set_numbers(
            numbers, group["lr"], group["rho"], group["eps"], group["weight_decay"],
            group["maximize"], 0.0, 0.0,
        )  # fmt: skip

    def _launch(self, group, plan):
        first, second, steps = plan.states
        return two_state_step(plan.numbers, plan.params, first, second, steps, "adadelta")
