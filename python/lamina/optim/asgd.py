"""Averaged stochastic gradient descent."""

from __future__ import annotations

from .._core import asgd_step, float32
from ..ops.creation import ones
from ._fused import FusedOptimizer, check_not_negative, place, write_numbers


class ASGD(FusedOptimizer):
    r"""Stochastic gradient descent that also keeps the average of its parameters.

    With gradient g (negated when maximize) at step t = 1, 2, ...::

        g = g + weight_decay * p
        p = p - lambd * eta * p - eta * g
        ax = ax + mu * (p - ax)
        eta = lr / (1 + lambd * lr * t)**alpha;  mu = 1 / max(1, t - t0)   (for the next step)

    The average, in ``optimizer.state[p]["ax"]``, starts after t0 steps; before it is p.

    params: Tensors, (name, Tensor) pairs or group dicts, float32 or float64 (halves through
    float32). State: ``step``, ``eta``, ``mu`` (float32 numbers), ``ax``. foreach: accepted and
    ignored (every step is one fused launch). capturable: on CUDA the counters and the learning rate
    lie on the device, not on the CPU. differentiable: only False.

    Raises ValueError for a negative lr or weight_decay.

    Polyak and Juditsky, "Acceleration of stochastic approximation by averaging" (1992).
    """

    _forms_numbers = True

    _counters = frozenset({"step", "eta", "mu"})

    def __init__(
        self,
        params,
        lr=1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ):
        check_not_negative(lr=lr, weight_decay=weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "lambd": lambd,
                "alpha": alpha,
                "t0": t0,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _state_names(self, group):
        return ("step", "eta", "mu", "ax")

    def _new_state(self, name, param, group):
        if name == "eta":
            return ones((), dtype=float32, device=place(group, param)).mul_(group["lr"])
        if name == "mu":
            return ones((), dtype=float32, device=place(group, param))
        return super()._new_state(name, param, group)

    def _write_numbers(self, group, numbers):
        write_numbers(
            numbers, group["lr"], group["lambd"], group["alpha"], group["t0"],
            group["weight_decay"], group["maximize"], 0.0,
        )  # fmt: skip

    def _launch(self, group, plan):
        steps, etas, mus, averages = plan.states
        return asgd_step(plan.numbers, plan.params, averages, steps, etas, mus)
