"""Adamax."""

from __future__ import annotations

from .._core import adamax_step
from ._fused import FusedOptimizer, check_betas, check_not_negative, write_numbers


class Adamax(FusedOptimizer):
    r"""Adamax: Adam with the largest recent gradient in place of the root mean square.

    With gradient g (negated when maximize) at step t = 1, 2, ...::

        g = g + weight_decay * p
        m = beta1 * m + (1 - beta1) * g
        u = max(beta2 * u, abs(g) + eps)
        p = p - lr / (1 - beta1**t) * m / u

    params: Tensors, (name, Tensor) pairs or group dicts, float32 or float64 (halves through
    float32). State: ``step`` (a float32 number), ``exp_avg`` (m), ``exp_inf`` (u). foreach:
    accepted and ignored (every step is one fused launch). capturable: on CUDA the counters and the
    learning rate lie on the device, not on the CPU. differentiable: only False.

    Raises ValueError for negative options and betas outside [0, 1).

    Kingma and Ba, "Adam: a method for stochastic optimization" (2015), section 7.1.
    """

    _forms_numbers = True

    def __init__(
        self,
        params,
        lr=2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ):
        check_not_negative(lr=lr, eps=eps)
        check_betas(betas)
        check_not_negative(weight_decay=weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _state_names(self, group):
        return ("step", "exp_avg", "exp_inf")

    def _write_numbers(self, group, numbers):
        beta1, beta2 = group["betas"]
        write_numbers(
            numbers, group["lr"], beta1, beta2, group["eps"], group["weight_decay"],
            group["maximize"], 0.0,
        )  # fmt: skip

    def _launch(self, group, plan):
        steps, means, largest = plan.states
        return adamax_step(plan.numbers, plan.params, means, largest, steps)
