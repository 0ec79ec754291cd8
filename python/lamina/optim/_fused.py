"""What the built-in optimizers share: one launch per parameter group and step.

The lists a launch needs (states by name, in the order of the parameters) are kept between steps
and rebuilt when the parameters, the state or the options that decide which states exist change.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import is_
from typing import Any

from .._core import Tensor, float32, float64, set_numbers
from .._types import device
from ..autograd import enable_grad, no_grad
from ..ops.creation import tensor, zeros, zeros_like
from ._state import edits
from .optimizer import Optimizer


def place(group: dict[str, Any], param: Tensor) -> Any:
    """Where a group's numbers and counters lie: with ``capturable`` or ``fused`` beside its
    parameters, so that the device forms what follows from them and counts by itself; else on the
    CPU."""
    return param.device if group.get("capturable") or group.get("fused") else device("cpu")


def write_numbers(numbers: Tensor, *options: Any) -> None:
    """Write a group's 7 numbers to where launches read them.

    A tensor among them is copied by an operation, which a compiled step replays: it counts with the
    value it has when the step comes to it.
    """
    if Tensor not in map(type, options):
        return set_numbers(numbers, *options)
    set_numbers(numbers, *(0.0 if isinstance(o, Tensor) else o for o in options))
    with no_grad():
        for i, option in enumerate(options):
            if isinstance(option, Tensor):
                numbers[i].copy_(option.reshape(()))


class Plan:
    """The lists of one group: parameters, states by name, and its numbers (a float64 tensor)."""

    __slots__ = ("edits", "group", "names", "numbers", "params", "states")

    def __init__(
        self, group: dict[str, Any], names: tuple[str, ...], state, fresh: set[int],
        counters: frozenset[str],
    ):  # fmt: skip
        self.group = group
        self.names = names
        self.params = list(group["params"])
        found = [state[p] if p in state else {} for p in self.params]
        where = place(group, self.params[0]) if self.params else device("cpu")
        for s in found:
            for name in counters:
                if name in s and s[name].device != where:
                    s[name] = s[name].to(where)
        self.states = [[s.get(name) for s in found] for name in names]
        # 8 numbers, then per parameter whether its first state has been started.
        started = [
            float(bool(names) and s.get(names[0]) is not None and id(p) not in fresh)
            for p, s in zip(self.params, found)
        ]
        self.numbers = tensor([0.0] * 8 + started, dtype=float64, device=where)
        self.edits = edits()

    def holds(self, group: dict[str, Any], names: tuple[str, ...]) -> bool:
        """Whether the lists are still those of this group."""
        params = group["params"]
        return (
            self.group is group
            and self.edits == edits()
            and self.names == names
            and len(params) == len(self.params)
            and all(map(is_, params, self.params))
        )


class FusedOptimizer(Optimizer):
    """An optimizer whose step over a group is one call of the core.

    A subclass says which states a group needs (`_state_names`), writes the group's numbers
    (`_write_numbers`) and launches the step (`_launch`).
    """

    def __init__(self, params, defaults: dict[str, Any]):
        if defaults.get("differentiable"):
            raise NotImplementedError(
                f"{type(self).__name__}: differentiable=True is not supported, a fused step "
                "records no gradients; write the update with tensor operations"
            )
        if defaults.get("fused") and defaults.get("foreach"):
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
        super().__init__(params, defaults)

    # ---- what a subclass defines -----------------------------------------------------------
    _forms_numbers = False  # a step's numbers come from its counter, and not only as Adam's

    def _guard(self, device_type: str) -> str:
        """Why a launch cannot find out by itself that the step is to be skipped; empty: it can."""
        there = all(g.get("capturable") or g.get("fused") for g in self.param_groups)
        if device_type != "cpu" and self._forms_numbers and not there:
            return "the host forms its numbers from the count of steps; pass capturable=True"
        return ""

    def _state_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        raise NotImplementedError

    def _write_numbers(self, group: dict[str, Any], numbers: Tensor) -> None:
        raise NotImplementedError

    def _launch(self, group: dict[str, Any], plan: Plan) -> int:
        raise NotImplementedError

    def _new_state(self, name: str, param: Tensor, group: dict[str, Any]) -> Tensor:
        if name == "step":
            return zeros((), dtype=float32, device=place(group, param))
        return zeros_like(param.detach())

    # ---- the step --------------------------------------------------------------------------
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient, in place.

        closure: computes the loss and returns it; called first, with gradients enabled. Returns
        the closure's result, or None. Raises ShapeError (naming the parameter's position in its
        group) when a gradient's shape or dtype is not its parameter's.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        plans, groups = self._plans, self.param_groups
        if len(plans) != len(groups):
            plans = self._plans = [None] * len(groups)
        for i, group in enumerate(groups):
            names = self._state_names(group)
            plan = plans[i]
            if plan is None or not plan.holds(group, names):
                plan = plans[i] = Plan(group, names, self.state, set(), self._counters)
            self._write_numbers(group, plan.numbers)
            if self._launch(group, plan):  # some state is missing: nothing was done yet
                fresh = self._start(group, names)
                plan = plans[i] = Plan(group, names, self.state, fresh, self._counters)
                self._write_numbers(group, plan.numbers)
                self._launch(group, plan)
        return loss

    def _start(self, group: dict[str, Any], names: tuple[str, ...]) -> set[int]:
        """Make the missing states of parameters with a gradient; the ids of those that got their
        first state now."""
        fresh = set()
        for p in group["params"]:
            if p.grad is None:
                continue
            state = self.state[p]
            if names and state.get(names[0]) is None:
                fresh.add(id(p))
            # `step` comes first in a saved state, as in PyTorch.
            for name in sorted(names, key=lambda n: n != "step"):
                if state.get(name) is None:
                    state[name] = self._new_state(name, p, group)
        return fresh

    def _refresh_numbers(self) -> None:
        """Write every group's options (learning rate, ...) to where launches read them: what a
        replayed step needs after a schedule has changed them."""
        for group, plan in zip(self.param_groups, self._plans):
            if plan is not None:
                self._write_numbers(group, plan.numbers)


def check_not_negative(lr=None, eps=None, momentum=None, weight_decay=None) -> None:
    """Raises ValueError, with PyTorch's words, for a negative (or NaN) option."""
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    for value, what in (
        (lr, "learning rate"),
        (eps, "epsilon value"),
        (momentum, "momentum value"),
        (weight_decay, "weight_decay value"),
    ):
        if value is not None and not value >= 0.0:
            raise ValueError(f"Invalid {what}: {value}")


def check_betas(betas) -> None:
    """Raises ValueError, with PyTorch's words, for a decay rate outside [0, 1)."""
    for i, beta in enumerate(betas):
        if isinstance(beta, Tensor) and beta.numel() != 1:
            raise ValueError(f"Tensor betas[{i}] must be 1-element")
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
