"""Adam."""

from __future__ import annotations

from .._core import adam_step
from ._fused import FusedOptimizer, check_betas, check_not_negative, write_numbers


class Adam(FusedOptimizer):
    r"""Adam: steps scaled by running means of the gradient and of its square.

    With gradient g (negated when maximize) at step t = 1, 2, ...::

        g = g + weight_decay * p       (decoupled_weight_decay: p = p - lr * weight_decay * p)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        u = v,  or with amsgrad the largest v so far
        p = p - lr / (1 - beta1**t) * m / (sqrt(u / (1 - beta2**t)) + eps)

    params: Tensors, (name, Tensor) pairs or group dicts, float32 or float64 (halves through
    float32). State: ``step`` (a float32 number), ``exp_avg`` (m), ``exp_avg_sq`` (v),
    ``max_exp_avg_sq`` (u, with amsgrad). foreach: accepted and ignored (every step is one fused
    launch). capturable, fused: on CUDA the counters and the learning rate lie on the device, not on
    the CPU. differentiable: only False.

    Raises ValueError for negative options and betas outside [0, 1).

    Kingma and Ba, "Adam: a method for stochastic optimization" (2015); Reddi, Kale and Kumar,
    "On the convergence of Adam and beyond" (2018).
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
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
                "amsgrad": amsgrad,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def _state_names(self, group):
        if group["amsgrad"]:
            return ("exp_avg", "exp_avg_sq", "step", "max_exp_avg_sq")
        return ("exp_avg", "exp_avg_sq", "step")

    def _write_numbers(self, group, numbers):
        beta1, beta2 = group["betas"]
        write_numbers(
            numbers, group["lr"], beta1, beta2, group["eps"], group["weight_decay"],
            group["maximize"], group["decoupled_weight_decay"],
        )  # fmt: skip

    def _launch(self, group, plan):
        means, squares, steps, *largest = plan.states
        return adam_step(
            plan.numbers, plan.params, means, squares, largest[0] if largest else (), steps
        )
