"""Rprop."""

from __future__ import annotations

from .._core import rprop_step
from ..ops.creation import full_like
from ._fused import FusedOptimizer, check_not_negative, write_numbers


class Rprop(FusedOptimizer):
    r"""Resilient back-propagation: steps of their own size per element, from signs alone. For
    gradients of all the data, not of mini-batches.

    With gradient g (negated when maximize) and the previous one o::

        s = s * eta_plus where g * o > 0,  s * eta_minus where g * o < 0,  within step_sizes
        g = 0 where g * o < 0
        p = p - s * sign(g);  o = g

    params: Tensors, (name, Tensor) pairs or group dicts, float32 or float64 (halves through
    float32). lr: the first step size. etas: (eta_minus, eta_plus). step_sizes: (smallest, largest).
    State: ``step`` (a float32 number), ``prev`` (o), ``step_size`` (s). foreach: accepted and
    ignored (every step is one fused launch). capturable: on CUDA the counters and the learning rate
    lie on the device, not on the CPU. differentiable: only False.

    Raises ValueError for a negative lr and unless 0 < eta_minus < 1 < eta_plus.

    Riedmiller and Braun, "A direct adaptive method for faster backpropagation learning" (1993).
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        check_not_negative(lr=lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        super().__init__(
            params,
            {
                "lr": lr,
                "etas": etas,
                "step_sizes": step_sizes,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _state_names(self, group):
        return ("step", "prev", "step_size")

    def _new_state(self, name, param, group):
        if name == "step_size":
            one = 1 + 1j if param.dtype.is_complex else 1.0  # both parts of a complex number
            return full_like(param.detach(), one).mul_(group["lr"])
        return super()._new_state(name, param, group)

    def _write_numbers(self, group, numbers):
        write_numbers(numbers, *group["etas"], *group["step_sizes"], group["maximize"], 0.0, 0.0)

    def _launch(self, group, plan):
        steps, previous, sizes = plan.states
        return rprop_step(plan.numbers, plan.params, previous, sizes, steps)
