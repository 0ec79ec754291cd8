"""RAdam."""

from __future__ import annotations

from .._core import radam_step
from ._fused import FusedOptimizer, check_betas, check_not_negative, write_numbers


class RAdam(FusedOptimizer):
    r"""RAdam: Adam that waits with the division until the mean of squares can be trusted.

    With gradient g (negated when maximize) at step t = 1, 2, ...::

        g = g + weight_decay * p       (decoupled_weight_decay: p = p - lr * weight_decay * p)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        R = 2 / (1 - beta2) - 1,  r_t = R - 2 * t * beta2**t / (1 - beta2**t)
        k = sqrt((r_t - 4) * (r_t - 2) * R / ((R - 4) * (R - 2) * r_t))
        d = k * sqrt(1 - beta2**t) / (sqrt(v) + eps)  where r_t > 5, else 1
        p = p - lr / (1 - beta1**t) * m * d

    params: Tensors, (name, Tensor) pairs or group dicts, float32 or float64 (halves through
    float32). State: ``step`` (a float32 number), ``exp_avg`` (m), ``exp_avg_sq`` (v). foreach:
    accepted and ignored (every step is one fused launch). capturable: on CUDA the counters and the
    learning rate lie on the device, not on the CPU. differentiable: only False.

    Raises ValueError for negative options and betas outside [0, 1).

    Liu et al., "On the variance of the adaptive learning rate and beyond" (2020).
    """

    _forms_numbers = True

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
        check_betas(betas)
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
        return ("step", "exp_avg", "exp_avg_sq")

    def _write_numbers(self, group, numbers):
        beta1, beta2 = group["betas"]
        write_numbers(
            numbers, group["lr"], beta1, beta2, group["eps"], group["weight_decay"],
            group["maximize"], group["decoupled_weight_decay"],
        )  # fmt: skip

    def _launch(self, group, plan):
        steps, means, squares = plan.states
        return radam_step(plan.numbers, plan.params, means, squares, steps)
