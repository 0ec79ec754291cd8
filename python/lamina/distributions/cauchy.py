"""The Cauchy distribution and its positive half."""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from ..ops.creation import empty
from . import constraints
from .distribution import Distribution
from .folded import Folded
from .utils import broadcast_all

__all__ = ["Cauchy", "HalfCauchy"]


class Cauchy(Distribution):
    """Density 1 / (pi scale (1 + ((x - loc) / scale)^2)); it has no mean.

    Args:
        loc: the median. scale: half the width at half the height, > 0.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """NaN."""
        return self.loc * math.nan

    @property
    def mode(self) -> Tensor:
        """loc."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """Infinite."""
        return _core.full(self.loc.shape, math.inf, self.loc.dtype)

    def rsample(self, sample_shape=()) -> Tensor:
        """loc + scale times a standard Cauchy draw."""
        z = empty(self._extended_shape(sample_shape), dtype=self.loc.dtype).cauchy_()
        return self.loc + z * self.scale

    def log_prob(self, value) -> Tensor:
        """-log(pi scale) - log(1 + z^2), z = (x - loc) / scale."""
        if self._validate_args:
            self._validate_sample(value)
        z = (value - self.loc) / self.scale
        return -math.log(math.pi) - self.scale.log() - z.square().log1p()

    def cdf(self, value) -> Tensor:
        """atan(z) / pi + 1/2."""
        if self._validate_args:
            self._validate_sample(value)
        return ((value - self.loc) / self.scale).atan() / math.pi + 0.5

    def icdf(self, value) -> Tensor:
        """loc + scale tan(pi (p - 1/2))."""
        return (math.pi * (value - 0.5)).tan() * self.scale + self.loc

    def entropy(self) -> Tensor:
        """log(4 pi scale)."""
        return math.log(4 * math.pi) + self.scale.log()


class HalfCauchy(Folded):
    """|x| of a Cauchy variable around 0: density 2 / (pi scale (1 + (x / scale)^2)), x >= 0.

    Args:
        scale: > 0.
    """

    @property
    def _base(self):
        return Cauchy(0, self.scale, validate_args=False)

    @property
    def mean(self) -> Tensor:
        """Infinite."""
        return _core.full(self.scale.shape, math.inf, self.scale.dtype)

    @property
    def variance(self) -> Tensor:
        """Infinite."""
        return self._base.variance
