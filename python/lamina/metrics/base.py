"""The base of all metrics, and means."""

from __future__ import annotations

import math

import lamina


class Metric:
    """What a metric is: ``reset()``, ``update(output, target)`` once per batch, ``compute()``.

    A subclass keeps what it counts in attributes named in `counts` (tensors or numbers), so that a
    checkpoint can hold a half-finished epoch. ``update`` should leave results in tensors and not
    read their values: reading is for ``compute``, once per epoch.

    Attributes: `name` (its column in histories), `higher_is_better`, `percent` (shown as such).
    """

    name = "metric"
    higher_is_better = True
    percent = False
    counts: tuple[str, ...] = ()

    def reset(self) -> None:
        """Forget everything seen."""
        raise NotImplementedError(f"{type(self).__name__}: a Metric must define reset()")

    def update(self, output, target) -> None:
        """Take in one batch: the model's output and the target."""
        raise NotImplementedError(f"{type(self).__name__}: a Metric must define update()")

    def compute(self):
        """The metric over everything since the last reset (a float, or a tensor)."""
        raise NotImplementedError(f"{type(self).__name__}: a Metric must define compute()")

    def state_dict(self) -> dict:
        """What has been counted so far; tensors are copies."""
        return {
            k: v.clone() if isinstance(v, lamina.Tensor) else v
            for k, v in ((k, getattr(self, k)) for k in self.counts)
        }

    def load_state_dict(self, state: dict) -> None:
        """Go on from a `state_dict`. KeyError when a count is missing."""
        for k in self.counts:
            setattr(self, k, state[k])

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"


class Mean(Metric):
    """The weighted mean of values: sum_i w_i v_i / sum_i w_i, summed in float64.

    Values are scalars: numbers, or tensors of one element, which are kept and read 64 at a time.
    `first_bad` is the position (from 0) of the first value that was NaN or infinite, or None; it is
    known for what has been read, that is after `read` or `compute`.
    """

    name = "mean"
    higher_is_better = False
    counts = ("total", "weight", "seen", "first_bad")
    READ_EVERY = 64

    def __init__(self, name: str = "mean"):
        self.name = name
        self.reset()

    def reset(self) -> None:
        """Forget everything seen."""
        self.total, self.weight, self.seen = 0.0, 0.0, 0
        self.first_bad: int | None = None
        self.bad_value = 0.0
        self._waiting: list = []

    def update(self, value, weight: float = 1) -> None:
        """Take in one value (a number or a tensor of one element) with its weight."""
        waiting = self._waiting
        waiting.append((value.detach() if isinstance(value, lamina.Tensor) else value, weight))
        if len(waiting) >= self.READ_EVERY:
            self.read()

    def read(self) -> None:
        """Add up the values that wait."""
        for value, weight in self._waiting:
            value = float(value)
            if not math.isfinite(value) and self.first_bad is None:
                self.first_bad, self.bad_value = self.seen, value
            self.total += value * weight
            self.weight += weight
            self.seen += 1
        self._waiting.clear()

    def compute(self) -> float:
        """The mean; NaN when nothing was seen."""
        self.read()
        return self.total / self.weight if self.weight else math.nan

    def state_dict(self) -> dict:
        """What has been added up so far."""
        self.read()
        return super().state_dict()


class MeanLoss(Mean):
    """The mean of a loss over samples: ``loss(output, target)`` weighted by the batch size.

    sum_b n_b loss_b / sum_b n_b for batches of n_b samples: equal to the mean over all samples when
    the loss is a mean over its batch.
    """

    def __init__(self, loss, name: str = "loss"):
        super().__init__(name)
        self._loss = loss

    def update(self, output, target) -> None:  # type: ignore[override]
        """Take in one batch."""
        super().update(self._loss(output, target), len(target))
