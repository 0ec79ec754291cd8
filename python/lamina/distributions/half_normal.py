"""The half-normal distribution."""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from . import constraints
from .distribution import Distribution
from .normal import Normal
from .utils import broadcast_all

__all__ = ["HalfNormal"]


class HalfNormal(Distribution):
    """|x| of a normal variable of mean 0: density 2 phi(x / scale) / scale, x >= 0.

    Args:
        scale: the normal's standard deviation, > 0.
    """

    arg_constraints = {"scale": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, scale, validate_args=None):
        (self.scale,) = broadcast_all(scale)
        super().__init__(self.scale.shape, validate_args=validate_args)

    @property
    def _base(self):
        return Normal(0, self.scale, validate_args=False)

    @property
    def mean(self) -> Tensor:
        """scale sqrt(2 / pi)."""
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def mode(self) -> Tensor:
        """0."""
        return self.scale * 0

    @property
    def variance(self) -> Tensor:
        """scale^2 (1 - 2 / pi)."""
        return self.scale.square() * (1 - 2 / math.pi)

    def rsample(self, sample_shape=()) -> Tensor:
        """The absolute value of a normal draw."""
        return self._base.rsample(sample_shape).abs()

    def log_prob(self, value) -> Tensor:
        """log 2 + the normal density's logarithm; -inf below 0."""
        if self._validate_args:
            self._validate_sample(value)
        inside = self._base.log_prob(value) + math.log(2)
        return _core.where(value >= 0, inside, -math.inf)

    def cdf(self, value) -> Tensor:
        """2 Phi(x / scale) - 1."""
        if self._validate_args:
            self._validate_sample(value)
        return 2 * self._base.cdf(value) - 1

    def icdf(self, value) -> Tensor:
        """The normal quantile of (p + 1) / 2."""
        return self._base.icdf((value + 1) / 2)

    def entropy(self) -> Tensor:
        """The normal's entropy - log 2."""
        return self._base.entropy() - math.log(2)
