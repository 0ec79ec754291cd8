"""NAdam."""

from __future__ import annotations

from .._core import float32, nadam_step
from ..ops.creation import ones
from ._fused import FusedOptimizer, check_betas, check_not_negative, place, write_numbers


class NAdam(FusedOptimizer):
    r"""NAdam: Adam with Nesterov's momentum.

    With gradient g (negated when maximize) at step t = 1, 2, ...::

        g = g + weight_decay * p       (decoupled_weight_decay: p = p - lr * weight_decay * p)
        mu_t = beta1 * (1 - 0.96**(t * momentum_decay) / 2),  M_t = mu_1 * ... * mu_t
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        n = (1 - mu_t) / (1 - M_t) * g + mu_{t+1} / (1 - M_{t+1}) * m
        p = p - lr * n / (sqrt(v / (1 - beta2**t)) + eps)

    params: Tensors, (name, Tensor) pairs or group dicts, float32 or float64 (halves through
    float32). State: ``step`` and ``mu_product`` (M_t; float32 numbers), ``exp_avg`` (m),
    ``exp_avg_sq`` (v). foreach: accepted and ignored (every step is one fused launch). capturable:
    on CUDA the counters and the learning rate lie on the device, not on the CPU. differentiable:
    only False.

    Raises ValueError for negative options and betas outside [0, 1).

    Dozat, "Incorporating Nesterov momentum into Adam" (2016).
    """

    _forms_numbers = True

    _counters = frozenset({"step", "mu_product"})

    def __init__(
        self,
        params,
        lr=2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
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
        if not momentum_decay >= 0.0:
            raise ValueError(f"Invalid momentum_decay value: {momentum_decay}")
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
            },
        )

    def _state_names(self, group):
        return ("step", "mu_product", "exp_avg", "exp_avg_sq")

    def _new_state(self, name, param, group):
        if name == "mu_product":
            return ones((), dtype=float32, device=place(group, param))
        return super()._new_state(name, param, group)

    def _write_numbers(self, group, numbers):
        beta1, beta2 = group["betas"]
        flags = bool(group["maximize"]) + 2 * bool(group["decoupled_weight_decay"])
        write_numbers(
            numbers, group["lr"], beta1, beta2, group["eps"], group["weight_decay"],
            group["momentum_decay"], flags,
        )  # fmt: skip

    def _launch(self, group, plan):
        steps, products, means, squares = plan.states
        return nadam_step(plan.numbers, plan.params, means, squares, steps, products)
