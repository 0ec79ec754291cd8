"""Metrics by name."""

from __future__ import annotations

import re

from .base import Metric
from .classification import Accuracy


def get(metric) -> Metric:
    """A metric from "accuracy" (or "acc"), "top3" (any k), a Metric, or a class of metrics.

    Raises ValueError for an unknown name, TypeError for anything else.
    """
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, type) and issubclass(metric, Metric):
        return metric()
    if isinstance(metric, str):
        if metric in ("accuracy", "acc"):
            return Accuracy()
        if found := re.fullmatch(r"top[-_]?(\d+)", metric):
            return Accuracy(k=int(found[1]))
        raise ValueError(
            f"metrics: unknown metric {metric!r}; choose 'accuracy', 'top5' (any number), or pass "
            "a Metric such as metrics.F1(num_classes)"
        )
    raise TypeError(f"metrics: expected a name or a Metric, got {type(metric).__name__}")
