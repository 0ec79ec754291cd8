"""RMSprop."""

from __future__ import annotations

from .._core import rmsprop_step
from ._fused import FusedOptimizer, check_not_negative, write_numbers


class RMSprop(FusedOptimizer):
    r"""RMSprop: steps divided by the root of a running mean of the squared gradient.

    With gradient g (negated when maximize)::

        g = g + weight_decay * p
        v = alpha * v + (1 - alpha) * g * g
        r = sqrt(v) + eps,  or centered: a = alpha * a + (1 - alpha) * g, r = sqrt(v - a * a) + eps
        eps_inside_root: r = sqrt(v + eps) or sqrt(v - a * a + eps)
        p = p - lr * g / r,  or with momentum: b = momentum * b + g / r, p = p - lr * b

    params: Tensors, (name, Tensor) pairs or group dicts, float32 or float64 (halves through
    float32). State: ``step`` (a float32 number), ``square_avg`` (v), ``momentum_buffer`` (b),
    ``grad_avg`` (a). foreach: accepted and ignored (every step is one fused launch). capturable: on
    CUDA the counters and the learning rate lie on the device, not on the CPU. differentiable: only
    False. eps_inside_root: not PyTorch's; the form of Goodfellow, Bengio and Courville, Deep
    Learning (2016), algorithm 8.5.

    Raises ValueError for negative options.

    Hinton, "Neural networks for machine learning", lecture 6 (2012); Graves, "Generating sequences
    with recurrent neural networks" (2013) for the centered form.
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        *,
        eps_inside_root: bool = False,
    ):
        check_not_negative(lr=lr, eps=eps, momentum=momentum, weight_decay=weight_decay)
        if not alpha >= 0.0:
            raise ValueError(f"Invalid alpha value: {alpha}")
        own = {"eps_inside_root": True} if eps_inside_root else {}
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "capturable": capturable,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                **own,
            },
        )

    def _state_names(self, group):
        names = ("square_avg", "step")
        if group["momentum"] > 0:
            names += ("momentum_buffer",)
        if group["centered"]:
            names += ("grad_avg",)
        return names

    def _write_numbers(self, group, numbers):
        inside = group["eps"] if group.get("eps_inside_root") else 0.0
        write_numbers(
            numbers, group["lr"], group["alpha"], 0.0 if inside else group["eps"],
            group["weight_decay"], group["maximize"], group["momentum"], inside,
        )  # fmt: skip

    def _launch(self, group, plan):
        states = dict(zip(plan.names, plan.states))
        return rmsprop_step(
            plan.numbers,
            plan.params,
            states["square_avg"],
            states.get("momentum_buffer", ()),
            states.get("grad_avg", ()),
            states["step"],
        )
