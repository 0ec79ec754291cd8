"""Schedules that multiply: steps, powers, ramps, and functions of the user's."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from typing import Any

from .base import LRScheduler, state_of_function


class StepLR(LRScheduler):
    """lr_t = initial_lr * gamma ** (t // step_size): multiplied by gamma every step_size epochs.

    optimizer, last_epoch: see `LRScheduler`. step_size: int > 0. gamma: float.
    """

    def __init__(self, optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1):
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """The present rates, times gamma at multiples of step_size."""
        self._check_within_step()
        if self.last_epoch == 0 or self.last_epoch % self.step_size:
            return self._unchanged()
        return self._scaled(self.gamma)

    def _get_closed_form_lr(self):
        return [lr * self.gamma ** (self.last_epoch // self.step_size) for lr in self.base_lrs]


class MultiStepLR(LRScheduler):
    """lr_t = initial_lr * gamma ** (number of milestones <= t).

    optimizer, last_epoch: see `LRScheduler`. milestones: epochs, one or more times each.
    """

    def __init__(self, optimizer, milestones, gamma: float = 0.1, last_epoch: int = -1):
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """The present rates, times gamma (as often as it is listed) at a milestone."""
        self._check_within_step()
        if self.last_epoch not in self.milestones:
            return self._unchanged()
        return self._scaled(self.gamma ** self.milestones[self.last_epoch])

    def _get_closed_form_lr(self):
        passed = bisect_right(sorted(self.milestones.elements()), self.last_epoch)
        return [lr * self.gamma**passed for lr in self.base_lrs]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned (milestones may have become strings in JSON)."""
        super().load_state_dict(state_dict)
        self.milestones = Counter({int(k): int(v) for k, v in self.milestones.items()})


class ExponentialLR(LRScheduler):
    """lr_t = initial_lr * gamma ** t.

    optimizer, last_epoch: see `LRScheduler`. gamma: float.
    """

    def __init__(self, optimizer, gamma: float, last_epoch: int = -1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """The present rates times gamma."""
        self._check_within_step()
        return self._unchanged() if self._is_initial else self._scaled(self.gamma)

    def _get_closed_form_lr(self):
        return [lr * self.gamma**self.last_epoch for lr in self.base_lrs]


class ConstantLR(LRScheduler):
    """lr_t = initial_lr * factor for t < total_iters, then initial_lr.

    optimizer, last_epoch: see `LRScheduler`. factor: in [0, 1], else ValueError.
    """

    def __init__(
        self, optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ):
        if not 0 <= factor <= 1.0:
            raise ValueError("Constant multiplicative factor expected to be between 0 and 1.")
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """The present rates, times factor at epoch 0 and divided by it at total_iters."""
        self._check_within_step()
        if self.last_epoch == 0:
            return self._scaled(self.factor)
        if self.last_epoch == self.total_iters:
            return self._scaled(1.0 / self.factor)
        return self._unchanged()

    def _get_closed_form_lr(self):
        factor = 1 if self.last_epoch >= self.total_iters else self.factor
        return [lr * factor for lr in self.base_lrs]


class LinearLR(LRScheduler):
    """lr_t = initial_lr * f_t; f goes from start_factor to end_factor in total_iters epochs.

    f_t = start_factor + (end_factor - start_factor) * min(t, total_iters) / total_iters.
    optimizer, last_epoch: see `LRScheduler`. ValueError unless 0 < start_factor <= 1 and
    0 <= end_factor <= 1.
    """

    def __init__(
        self,
        optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        if not 0 < start_factor <= 1.0:
            raise ValueError(
                "Starting multiplicative factor expected to be greater than 0 and less or equal "
                "to 1."
            )
        if not 0 <= end_factor <= 1.0:
            raise ValueError("Ending multiplicative factor expected to be between 0 and 1.")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch: int) -> float:
        share = min(epoch, self.total_iters) / self.total_iters
        return self.start_factor + (self.end_factor - self.start_factor) * share

    def get_lr(self) -> list[Any]:
        """The present rates times f_t / f_(t-1)."""
        self._check_within_step()
        if self.last_epoch == 0:
            return self._scaled(self.start_factor)
        if self._is_initial or self.last_epoch > self.total_iters:
            return self._unchanged()
        return self._scaled(self._factor(self.last_epoch) / self._factor(self.last_epoch - 1))

    def _get_closed_form_lr(self):
        return [lr * self._factor(self.last_epoch) for lr in self.base_lrs]


class PolynomialLR(LRScheduler):
    """lr_t = initial_lr * (1 - min(t, total_iters) / total_iters) ** power.

    optimizer, last_epoch: see `LRScheduler`.
    """

    def __init__(self, optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1):
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """The present rates times ((T - t) / (T - t + 1)) ** power, T = total_iters."""
        self._check_within_step()
        if self._is_initial or self.last_epoch > self.total_iters:
            return self._unchanged()
        left = self.total_iters - self.last_epoch
        return self._scaled((left / (left + 1)) ** self.power)

    def _get_closed_form_lr(self):
        left = 1.0 - min(self.total_iters, self.last_epoch) / self.total_iters
        return [lr * left**self.power for lr in self.base_lrs]


class _OfFunctions(LRScheduler):
    """A schedule given by one function of the epoch for all groups, or one for each."""

    def __init__(self, optimizer, lr_lambda, last_epoch: int = -1):
        count = len(optimizer.param_groups)
        if isinstance(lr_lambda, (list, tuple)):
            if len(lr_lambda) != count:
                raise ValueError(f"Expected {count} lr_lambdas, but got {len(lr_lambda)}")
            self.lr_lambdas = list(lr_lambda)
        else:
            self.lr_lambdas = [lr_lambda] * count
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(
                    f"lr_lambda should be a function, but got {type(function).__name__}"
                )
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """As `LRScheduler.state_dict`; of the functions, the attributes of callable objects."""
        state = super().state_dict()
        state["lr_lambdas"] = [state_of_function(f) for f in self.lr_lambdas]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned; the functions themselves stay."""
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "lr_lambdas"})
        for function, saved in zip(self.lr_lambdas, state_dict["lr_lambdas"]):
            if saved is not None:
                function.__dict__.update(saved)


class LambdaLR(_OfFunctions):
    """lr_t = initial_lr * lr_lambda(t).

    optimizer, last_epoch: see `LRScheduler`. lr_lambda: a function of the epoch, or a list with
    one for each group (ValueError when their number differs).
    """

    def get_lr(self) -> list[Any]:
        """The initial rates times lr_lambda(last_epoch)."""
        self._check_within_step()
        return [lr * f(self.last_epoch) for lr, f in zip(self.base_lrs, self.lr_lambdas)]


class MultiplicativeLR(_OfFunctions):
    """lr_t = lr_(t-1) * lr_lambda(t).

    optimizer, last_epoch: see `LRScheduler`. lr_lambda: a function of the epoch, or a list with
    one for each group (ValueError when their number differs).
    """

    def get_lr(self) -> list[Any]:
        """The present rates times lr_lambda(last_epoch)."""
        self._check_within_step()
        now = self._unchanged()
        if self._is_initial:
            return now
        return [lr * f(self.last_epoch) for lr, f in zip(now, self.lr_lambdas)]
