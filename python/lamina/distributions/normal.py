"""The normal distribution."""

from __future__ import annotations

import math

from .._core import Tensor
from ..random import randn
from . import constraints
from .distribution import ExponentialFamily
from .utils import broadcast_all

__all__ = ["Normal"]


class Normal(ExponentialFamily):
    """Density exp(-(x - loc)^2 / (2 scale^2)) / (scale sqrt(2 pi)).

    Args:
        loc: the mean. scale: the standard deviation, > 0. Numbers or tensors that broadcast.

    >>> lamina.distributions.Normal(0.0, 1.0).log_prob(lamina.tensor(0.0))
    tensor(-0.9189)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """loc."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """loc."""
        return self.loc

    @property
    def stddev(self) -> Tensor:
        """scale."""
        return self.scale

    @property
    def variance(self) -> Tensor:
        """scale^2."""
        return self.scale.square()

    def rsample(self, sample_shape=()) -> Tensor:
        """loc + scale z, z standard normal (Kingma and Welling, ICLR 2014)."""
        z = randn(self._extended_shape(sample_shape), dtype=self.loc.dtype)
        return self.loc + z * self.scale

    def log_prob(self, value) -> Tensor:
        """-(x - loc)^2 / (2 scale^2) - log scale - log sqrt(2 pi)."""
        if self._validate_args:
            self._validate_sample(value)
        z = (value - self.loc) / self.scale
        return -0.5 * z * z - self.scale.log() - 0.5 * math.log(2 * math.pi)

    def cdf(self, value) -> Tensor:
        """erfc((loc - x) / (scale sqrt 2)) / 2: no digits are lost in the lower tail."""
        if self._validate_args:
            self._validate_sample(value)
        return 0.5 * ((self.loc - value) / (self.scale * math.sqrt(2))).erfc()

    def icdf(self, value) -> Tensor:
        """loc + scale sqrt 2 erfinv(2 p - 1)."""
        return self.loc + self.scale * (2 * value - 1).erfinv() * math.sqrt(2)

    def entropy(self) -> Tensor:
        """log(scale sqrt(2 pi e))."""
        return self.scale.log() + 0.5 * math.log(2 * math.pi * math.e)
