"""Lion."""

from __future__ import annotations

from .._core import lion_step
from ._fused import FusedOptimizer, check_betas, check_not_negative, write_numbers


class Lion(FusedOptimizer):
    r"""Lion: steps of one size in the direction of the sign of a mixed momentum.

    With gradient g (negated when maximize)::

        p = p - lr * weight_decay * p
        p = p - lr * sign(beta1 * m + (1 - beta1) * g)
        m = beta2 * m + (1 - beta2) * g

    Its learning rate is usually a third to a tenth of Adam's, its weight_decay that much larger.

    params: Tensors, (name, Tensor) pairs or group dicts, float32 or float64 (halves through
    float32). State: ``exp_avg`` (m). foreach: accepted and ignored (every step is one fused
    launch). PyTorch has no Lion; the arguments are those of its Adam.

    Raises ValueError for negative options and betas outside [0, 1).

    Chen et al., "Symbolic discovery of optimization algorithms" (2023), algorithm 2.
    """

    def __init__(
        self,
        params,
        lr=1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ):
        check_not_negative(lr=lr)
        check_betas(betas)
        check_not_negative(weight_decay=weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
            },
        )

    def _state_names(self, group):
        return ("exp_avg",)

    def _write_numbers(self, group, numbers):
        beta1, beta2 = group["betas"]
        write_numbers(
            numbers, group["lr"], beta1, beta2, group["weight_decay"], group["maximize"], 0.0, 0.0
        )

    def _launch(self, group, plan):
        return lion_step(plan.numbers, plan.params, plan.states[0])
