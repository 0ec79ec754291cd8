"""Schedules made of schedules."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from ... import compiler
from .base import LRScheduler, group_values, set_group_value
from .plateau import ReduceLROnPlateau


class _OfSchedulers(LRScheduler):
    """What sequences and chains share: the checks, saving and loading."""

    _schedulers: list[LRScheduler]

    def _check(self, optimizer, schedulers) -> None:
        name = type(self).__name__
        for i, scheduler in enumerate(schedulers):
            if not hasattr(scheduler, "optimizer"):
                raise TypeError(f"{name} at index {i} should have `optimizer` as its attribute.")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(
                    f"{name} does not support `ReduceLROnPlateau` scheduler as it requires "
                    "additional kwargs to be specified when calling `step`, but got one at index "
                    f"{i} in the given schedulers sequence."
                )
            if scheduler.optimizer is not optimizer:
                raise ValueError(
                    f"{name} expects all schedulers to belong to the same optimizer, but got "
                    f"scheduler {type(scheduler).__name__} at index {i} with another one"
                )

    def state_dict(self) -> dict[str, Any]:
        """As `LRScheduler.state_dict`, with those of the parts in ``_schedulers``."""
        state = super().state_dict()
        state["_schedulers"] = [s.state_dict() for s in self._schedulers]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned, the parts too."""
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "_schedulers"})
        for scheduler, saved in zip(self._schedulers, state_dict["_schedulers"]):
            scheduler.load_state_dict(saved)


class SequentialLR(_OfSchedulers):
    """One schedule after another: schedulers[i] from epoch milestones[i - 1] on, starting at 0.

    optimizer: that of all schedulers. milestones: epochs, one fewer than schedulers. Raises
    ValueError for other counts, another optimizer, or a ReduceLROnPlateau.
    """

    def __init__(self, optimizer, schedulers, milestones: list[int], last_epoch: int = -1):
        if len(schedulers) < 1:
            raise ValueError(
                f"{type(self).__name__} expects at least one scheduler, but got no scheduler."
            )
        self._check(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                "Sequential Schedulers expects number of schedulers provided to be one more than "
                f"the number of milestone points, but got number of schedulers {len(schedulers)} "
                f"and the number of milestones to be equal to {len(milestones)}"
            )
        self._schedulers = list(schedulers)
        self._milestones = list(milestones)
        self.last_epoch = last_epoch + 1
        self.optimizer = optimizer
        # Every part has taken its step to epoch 0: take that back, and let the first one do it.
        for group in optimizer.param_groups:
            set_group_value(group, "lr", group["initial_lr"])
        _step_back(self._schedulers)
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def step(self) -> None:  # type: ignore[override]
        """Go to the next epoch of the schedule whose turn it is."""
        compiler.refuse("a schedule sets the learning rate: step it outside")
        self.last_epoch += 1
        i = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[i]
        if i > 0 and self._milestones[i - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


def _step_back(schedulers: list[LRScheduler]) -> None:
    for scheduler in schedulers:
        if isinstance(scheduler, _OfSchedulers):
            _step_back(scheduler._schedulers)
        else:
            scheduler.last_epoch -= 1


class ChainedScheduler(_OfSchedulers):
    """Several schedules at once: each step takes a step of all of them, in order.

    schedulers: of one optimizer. Raises ValueError for none, another optimizer, or a
    ReduceLROnPlateau.
    """

    def __init__(self, schedulers, optimizer=None):
        if len(schedulers) < 1:
            raise ValueError(
                f"{type(self).__name__} expects at least one scheduler to be chained, but got no "
                "scheduler."
            )
        if optimizer is None:
            optimizer = getattr(schedulers[0], "optimizer", None)
        self._check(optimizer, schedulers)
        self._schedulers = list(schedulers)
        self.optimizer = optimizer
        self._last_lr = group_values(optimizer, "lr")

    def _initial_step(self) -> None:  # as the part of a sequence
        for scheduler in self._schedulers:
            scheduler._initial_step()
        self._last_lr = group_values(self.optimizer, "lr")

    def step(self) -> None:  # type: ignore[override]
        """Take a step of every schedule."""
        compiler.refuse("a schedule sets the learning rate: step it outside")
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = group_values(self.optimizer, "lr")
