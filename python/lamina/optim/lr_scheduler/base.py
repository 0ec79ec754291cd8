"""The base of the learning-rate schedules."""

from __future__ import annotations

import types
import warnings
from typing import Any

from ... import compiler
from ..._core import Tensor
from ..optimizer import Optimizer


def group_values(optimizer: Optimizer, key: str) -> list[Any]:
    """group[key] of every group; tensors are copied."""
    return _copied([group[key] for group in optimizer.param_groups])


def _copied(values: list[Any]) -> list[Any]:
    return [v.clone() if isinstance(v, Tensor) else v for v in values]


def set_group_value(group: dict[str, Any], key: str, value: Any) -> None:
    """Set group[key]; a tensor that is there keeps its identity and is filled."""
    if isinstance(group[key], Tensor):
        group[key].fill_(float(value))
    else:
        group[key] = value


def per_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """One value for each group, from a number or a list of the right length (else ValueError);
    tensors are copied."""
    count = len(optimizer.param_groups)
    values = list(value) if isinstance(value, (list, tuple)) else [value] * count
    if len(values) != count:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has "
            f"{len(values)} values, param_groups has {count}."
        )
    return _copied(values)


def state_of_function(function: Any) -> dict[str, Any] | None:
    """What can be saved of a user's function: the attributes of a callable object."""
    if function is None or isinstance(function, types.FunctionType):
        return None
    return dict(getattr(function, "__dict__", {}))


class LRScheduler:
    """Base class of schedules: sets ``group["lr"]`` of an optimizer, step by step.

    optimizer: its groups get ``initial_lr`` (their lr now) unless they have one.
    last_epoch: the number of the last step taken, -1 to start; another number is for resuming and
        needs groups with ``initial_lr`` (KeyError).

    A subclass defines `get_lr` (the new learning rates, from ``last_epoch`` and the present ones)
    and, where it has one, ``_get_closed_form_lr``, which ``step(epoch)`` uses. Attributes:
    ``base_lrs`` (the initial ones), ``last_epoch``. Raises TypeError when `optimizer` is none.

    Call ``scheduler.step()`` after ``optimizer.step()``.
    """

    _get_lr_called_within_step = False
    _is_initial = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                lr = group["lr"]
                group.setdefault("initial_lr", lr.clone() if isinstance(lr, Tensor) else lr)
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming "
                    "scheduler with last_epoch >= 0; load the optimizer's state first"
                )
        self.base_lrs = group_values(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        """The step to epoch 0, which a new schedule takes by itself."""
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def state_dict(self) -> dict[str, Any]:
        """All attributes but the optimizer, as a dict."""
        return {k: v for k, v in self.__dict__.items() if k != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.__dict__.update(state_dict)

    def get_last_lr(self) -> list[Any]:
        """The learning rate of every group as the schedule last set it."""
        return self._last_lr

    def get_lr(self) -> list[Any]:
        """The learning rates at ``last_epoch``, from those now in the groups. For `step`; to look
        at the present rates use `get_last_lr`."""
        raise NotImplementedError(f"{type(self).__name__} does not define get_lr()")

    def step(self, epoch: int | None = None) -> None:
        """Go to the next epoch and set the learning rates (or to `epoch`: deprecated)."""
        compiler.refuse("a schedule sets the learning rate: step it outside")
        if self._step_count == 1 and not self.optimizer._opt_called:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in "
                "the opposite order, or the first value of the schedule is skipped.",
                UserWarning,
                stacklevel=2,
            )
        self._step_count += 1
        if epoch is not None:
            warn_epoch()
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self._get_lr_called_within_step = True
        try:
            if epoch is None:
                self.last_epoch += 1
                values = self.get_lr()
            else:
                self.last_epoch = epoch
                closed = getattr(self, "_get_closed_form_lr", None)
                values = self.get_lr() if closed is None else closed()
        finally:
            self._get_lr_called_within_step = False
        self._set(values)

    def _set(self, values: list[Any]) -> None:
        groups = self.optimizer.param_groups
        if len(values) != len(groups):
            raise ValueError(
                f"{type(self).__name__}: {len(values)} learning rates for {len(groups)} parameter "
                "groups; add groups before making the scheduler"
            )
        for group, value in zip(groups, values):
            set_group_value(group, "lr", value)
        self._last_lr = group_values(self.optimizer, "lr")

    # ---- for subclasses --------------------------------------------------------------------
    def _check_within_step(self) -> None:
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use "
                "`get_last_lr()`.",
                UserWarning,
                stacklevel=3,
            )

    def _scaled(self, factor: float) -> list[Any]:
        """The groups' learning rates times a factor."""
        return [lr * factor for lr in group_values(self.optimizer, "lr")]

    def _unchanged(self) -> list[Any]:
        return group_values(self.optimizer, "lr")


def warn_epoch() -> None:
    """The warning of ``step(epoch)``."""
    warnings.warn(
        "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated "
        "where possible. Please use `scheduler.step()` to step the scheduler.",
        UserWarning,
        stacklevel=3,
    )
