"""The half-normal distribution."""

from __future__ import annotations

import math

from .._core import Tensor
from .folded import Folded
from .normal import Normal

__all__ = ["HalfNormal"]


class HalfNormal(Folded):
    """|x| of a normal variable of mean 0: density 2 phi(x / scale) / scale, x >= 0.

    Args:
        scale: the normal's standard deviation, > 0.
    """

    @property
    def _base(self):
        return Normal(0, self.scale, validate_args=False)

    @property
    def mean(self) -> Tensor:
        """scale sqrt(2 / pi)."""
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self) -> Tensor:
        """scale^2 (1 - 2 / pi)."""
        return self.scale.square() * (1 - 2 / math.pi)
