"""Schedules found in textbooks that PyTorch has no class for.

Others are options of PyTorch's: exp(-k t) is ``ExponentialLR(optimizer, math.exp(-k))``, linear
warm-up from a fraction ``LinearLR``, and a sequence of schedules ``SequentialLR``.
"""

from __future__ import annotations

from typing import Any

from .base import LRScheduler


class InverseTimeLR(LRScheduler):
    """lr_t = initial_lr / (1 + decay * t) (Robbins and Monro, 1951, whose conditions it meets).

    optimizer, last_epoch: see `LRScheduler`. decay: float >= 0, else ValueError.
    """

    def __init__(self, optimizer, decay: float, last_epoch: int = -1):
        if not decay >= 0:
            raise ValueError(f"InverseTimeLR: decay must not be negative, got {decay}")
        self.decay = decay
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """The initial rates over 1 + decay * t."""
        self._check_within_step()
        return self._get_closed_form_lr()

    def _get_closed_form_lr(self):
        return [lr / (1 + self.decay * self.last_epoch) for lr in self.base_lrs]


class WarmupLR(LRScheduler):
    """Rises to the initial rate within `steps` steps and stays there:
    lr_t = initial_lr * (start + (1 - start) x), x = min(t / steps, 1), or, with
    shape="exponential", initial_lr * start ** (1 - x).

    optimizer, last_epoch: see `LRScheduler`. start: the first factor, in (0, 1]. Raises ValueError
    for other values, shapes and steps < 1.

    Goyal et al., "Accurate, large minibatch SGD" (2017), section 2.2, for the linear shape.
    """

    def __init__(self, optimizer, steps: int, start: float = 0.1, shape: str = "linear",
                 last_epoch: int = -1):  # fmt: skip
        if steps < 1 or not 0 < start <= 1:
            raise ValueError(
                f"WarmupLR: steps must be positive and start within (0, 1], got {steps}, {start}"
            )
        if shape not in ("linear", "exponential"):
            raise ValueError(f"WarmupLR: shape must be 'linear' or 'exponential', got {shape!r}")
        self.steps, self.start, self.shape = steps, start, shape
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """The initial rates times the factor of this step."""
        self._check_within_step()
        return self._get_closed_form_lr()

    def _get_closed_form_lr(self):
        x = min(self.last_epoch / self.steps, 1.0)
        linear = self.start + (1 - self.start) * x
        factor = linear if self.shape == "linear" else self.start ** (1 - x)
        return [lr * factor for lr in self.base_lrs]
