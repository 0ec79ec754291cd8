"""RAdam."""

from __future__ import annotations

from .._core import set_numbers, two_state_step
from ._fused import FusedOptimizer, check_not_negative


class RAdam(FusedOptimizer):
    r"""RAdam: Adam without its scaling while the estimate of the variance is poor.

    With gradient g (negated when maximize) at step t = 1, 2, ...::

        g = g + weight_decay * p       (decoupled_weight_decay: p = p - lr * weight_decay * p)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        r = 2 / (1 - beta2) - 1,  s = r - 2 * t * beta2**t / (1 - beta2**t)
        s > 5:  q = sqrt((s - 4) * (s - 2) * r / ((r - 4) * (r - 2) * s))
                p = p - lr / (1 - beta1**t) * m * q * sqrt(1 - beta2**t) / (sqrt(v) + eps)
        else    p = p - lr / (1 - beta1**t) * m

    State: ``step``, ``exp_avg`` (m), ``exp_avg_sq`` (v). params: Tensors, (name, Tensor) pairs or group
    dicts, float32 or float64 (halves through float32). foreach, capturable: accepted and ignored
    (every step is one fused launch). differentiable: only False.

    Raises ValueError for negative options and betas outside [0, 1).

    Liu et al., "On the variance of the adaptive learning rate and beyond" (2020).
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ):
        check_not_negative(lr=lr, eps=eps)
        for i, beta in enumerate(betas):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
        check_not_negative(weight_decay=weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "decoupled_weight_decay": decoupled_weight_decay,
                "differentiable": differentiable,
            },
        )

    def _state_names(self, group):
        return ("exp_avg", "exp_avg_sq", "step")

    def _write_numbers(self, group, numbers):
        beta1, beta2 = group["betas"]
        set_numbers(
            numbers, group["lr"], beta1, beta2, group["eps"], group["weight_decay"],
            group["maximize"], group["decoupled_weight_decay"],
        )  # fmt: skip

    def _launch(self, group, plan):
        first, second, steps = plan.states
        return two_state_step(plan.numbers, plan.params, first, second, steps, "radam")
