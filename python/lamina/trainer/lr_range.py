"""The learning-rate range test: the loss while the learning rate rises."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass
class LRRange:
    """What `lr_range_test` found: ``rates`` tried and the smoothed ``losses`` there."""

    rates: list[float]
    losses: list[float]

    @property
    def suggestion(self) -> float:
        """The rate where the loss falls fastest, over a fifth of the rates tried: a good largest
        rate of a one-cycle schedule, or a third to a tenth of it for a constant one. NaN for fewer
        than three steps."""
        best, slope = math.nan, math.inf
        reach = max(1, len(self.losses) // 10)
        for i in range(reach, len(self.losses) - reach):
            d = self.losses[i + reach] - self.losses[i - reach]
            if d < slope:
                best, slope = self.rates[i], d
        return best


def lr_range_test(model, loss: Callable, optimizer, batches: Iterable, low: float = 1e-5,
                  high: float = 1.0, steps: int = 100, smoothing: float = 0.9,
                  stop: float = 4.0) -> LRRange:  # fmt: skip
    """Trains for some steps with a learning rate that rises from `low` to `high` by a constant
    factor, and notes the loss; then puts model and optimizer back as they were.

    Args:
        model, optimizer: as for training. loss: from (outputs, targets) to a number.
        batches: gives (inputs, targets); started again when it ends.
        smoothing: of the running mean of losses, corrected for its start as Adam's.
        stop: ends when the smoothed loss is that many times its least value, or not finite.

    >>> found = lr_range_test(model, nn.functional.cross_entropy, optimizer, loader)
    >>> found.suggestion

    Raises ValueError unless 0 < low < high and steps > 1, and when there are no batches.
    Smith, "Cyclical learning rates for training neural networks" (2017), section 3.3.
    """
    if not (0 < low < high and steps > 1):
        raise ValueError(
            f"lr_range_test: needs 0 < low < high and steps > 1, got {low}, {high}, {steps}"
        )
    weights = {k: v.detach().clone() for k, v in model.state_dict().items()}
    saved, training = copy.deepcopy(optimizer.state_dict()), model.training
    given = [group["lr"] for group in optimizer.param_groups]
    found = LRRange([], [])
    mean, least = 0.0, math.inf
    model.train()
    try:
        source = iter(batches)
        for step in range(steps):
            batch = next(source, None)
            if batch is None:
                source = iter(batches)
                batch = next(source, None)
                if batch is None:
                    raise ValueError("lr_range_test: there are no batches")
            inputs, targets = batch
            rate = low * (high / low) ** (step / (steps - 1))
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            value = loss(model(inputs), targets)
            value.backward()
            optimizer.step()
            mean = smoothing * mean + (1 - smoothing) * value.item()
            smooth = mean / (1 - smoothing ** (step + 1))
            if not math.isfinite(smooth):
                break
            found.rates.append(rate)
            found.losses.append(smooth)
            least = min(least, smooth)
            if smooth > stop * least:
                break
    finally:
        optimizer.zero_grad()
        model.load_state_dict(weights)
        optimizer.load_state_dict(saved)
        for group, lr in zip(optimizer.param_groups, given):
            group["lr"] = lr  # itself, where it is a tensor
        model.train(training)
    return found
