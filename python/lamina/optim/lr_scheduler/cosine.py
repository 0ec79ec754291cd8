"""Cosine schedules."""

from __future__ import annotations

import math
from typing import Any

from ... import compiler
from .base import LRScheduler


class CosineAnnealingLR(LRScheduler):
    r"""lr_t = eta_min + (initial_lr - eta_min) * (1 + cos(pi * t / T_max)) / 2.

    optimizer, last_epoch: see `LRScheduler`. T_max: epochs until eta_min is reached; afterwards
    the rate rises again. Computed from the present rates (so it can be combined with other
    schedules) with the recurrence that has this closed form.

    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts" (2017).
    """

    def __init__(self, optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1):
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def _height(self, epoch: int) -> float:
        return 1 + math.cos(math.pi * epoch / self.T_max)

    def get_lr(self) -> list[Any]:
        """The rates at last_epoch, from the present ones."""
        self._check_within_step()
        t, low, now = self.last_epoch, self.eta_min, self._unchanged()
        if self._is_initial:
            return now
        if self._step_count == 1 and t > 0:  # resumed in the middle
            return self._get_closed_form_lr()
        if (t - 1 - self.T_max) % (2 * self.T_max) == 0:  # the rate was eta_min: nothing to scale
            rise = (1 - math.cos(math.pi / self.T_max)) / 2
            return [lr + (base - low) * rise for lr, base in zip(now, self.base_lrs)]
        ratio = self._height(t) / self._height(t - 1)
        return [low + (lr - low) * ratio for lr in now]

    def _get_closed_form_lr(self):
        low, height = self.eta_min, self._height(self.last_epoch)
        return [low + (base - low) * height / 2 for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    r"""lr = eta_min + (initial_lr - eta_min) * (1 + cos(pi * T_cur / T_i)) / 2, restarted.

    T_cur counts epochs since the last restart; a period lasts T_i epochs: T_0 at first, then
    T_mult times the one before. optimizer, last_epoch: see `LRScheduler`. ``step(epoch)`` takes
    fractions too (``step(epoch + i / batches)``). ValueError unless T_0 > 0 and T_mult >= 1 are
    ints and eta_min a number.

    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts" (2017).
    """

    def __init__(
        self, optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ):
        if not isinstance(T_0, int) or T_0 <= 0:
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if not isinstance(T_mult, int) or T_mult < 1:
            raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
        if not isinstance(eta_min, (float, int)):
            raise ValueError(
                f"Expected float or int eta_min, but got {eta_min} of type {type(eta_min)}"
            )
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """The rates T_cur epochs after the last restart."""
        self._check_within_step()
        height = 1 + math.cos(math.pi * self.T_cur / self.T_i)
        low = self.eta_min
        return [low + (base - low) * height / 2 for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Go to the next epoch, or to `epoch` >= 0, which may be a fraction (else ValueError)."""
        compiler.refuse("a schedule sets the learning rate: step it outside")
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        elif epoch < 0:
            raise ValueError(f"Expected non-negative epoch, but got {epoch}")
        else:
            self._place(epoch)
        self.last_epoch = math.floor(epoch)
        self._get_lr_called_within_step = True
        try:
            values = self.get_lr()
        finally:
            self._get_lr_called_within_step = False
        self._set(values)

    def _place(self, epoch: float) -> None:
        """Sets T_cur and T_i for an epoch: periods before it last T_0 (1 + T_mult + ...)."""
        if self.T_mult == 1:
            self.T_cur, self.T_i = epoch % self.T_0, self.T_0
            return
        start, self.T_i = 0, self.T_0
        while epoch >= start + self.T_i:
            start += self.T_i
            self.T_i *= self.T_mult
        self.T_cur = epoch - start
