"""Adagrad."""

from __future__ import annotations

from .._core import adagrad_step
from ..ops.creation import full_like
from ._fused import FusedOptimizer, check_not_negative, write_numbers


class Adagrad(FusedOptimizer):
    r"""Adagrad: steps divided by the root of the sum of all squared gradients so far.

    With gradient g (negated when maximize) at step t = 1, 2, ...::

        g = g + weight_decay * p
        s = s + g * g                     (s starts at initial_accumulator_value)
        p = p - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)
        eps_inside_root:  the division by sqrt(s + eps)

    params: Tensors, (name, Tensor) pairs or group dicts, float32 or float64 (halves through
    float32). State, from the start: ``step`` (a float32 number), ``sum`` (s). foreach: accepted and
    ignored (every step is one fused launch). fused: on CUDA the counters and the learning rate lie
    on the device, not on the CPU. differentiable: only False. eps_inside_root: not PyTorch's; a
    form found in textbooks, usually with eps=1e-8.

    Raises ValueError for negative options.

    Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization" (2011).
    """

    _forms_numbers = True

    def __init__(
        self,
        params,
        lr=1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        eps_inside_root: bool = False,
    ):
        check_not_negative(lr=lr)
        if not lr_decay >= 0.0:
            raise ValueError(f"Invalid lr_decay value: {lr_decay}")
        check_not_negative(weight_decay=weight_decay)
        if not initial_accumulator_value >= 0.0:
            raise ValueError(
                f"Invalid initial_accumulator_value value: {initial_accumulator_value}"
            )
        check_not_negative(eps=eps)
        own = {"eps_inside_root": True} if eps_inside_root else {}
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "fused": fused,
                **own,
            },
        )
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                state["step"] = self._new_state("step", p, group)
                state["sum"] = self._new_state("sum", p, group)

    def _new_state(self, name, param, group):
        if name == "sum":
            return full_like(param.detach(), group["initial_accumulator_value"])
        return super()._new_state(name, param, group)

    def _state_names(self, group):
        return ("sum", "step")

    def _write_numbers(self, group, numbers):
        inside = group["eps"] if group.get("eps_inside_root") else 0.0
        write_numbers(
            numbers, group["lr"], group["lr_decay"], 0.0 if inside else group["eps"],
            group["weight_decay"], group["maximize"], inside, 0.0,
        )  # fmt: skip

    def _launch(self, group, plan):
        sums, steps = plan.states
        return adagrad_step(plan.numbers, plan.params, sums, steps)
