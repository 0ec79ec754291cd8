"""The Gumbel distribution."""

from __future__ import annotations

import math

from .._core import Tensor
from ..ops.creation import empty
from . import constraints
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["Gumbel"]

EULER = 0.57721566490153286060


class Gumbel(Distribution):
    """The largest of many: cdf exp(-exp(-(x - loc) / scale)).

    Args:
        loc: the mode. scale: > 0.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """loc + 0.5772 scale."""
        return self.loc + self.scale * EULER

    @property
    def mode(self) -> Tensor:
        """loc."""
        return self.loc

    @property
    def stddev(self) -> Tensor:
        """pi scale / sqrt 6."""
        return math.pi / math.sqrt(6) * self.scale

    @property
    def variance(self) -> Tensor:
        """pi^2 scale^2 / 6."""
        return self.stddev.square()

    def rsample(self, sample_shape=()) -> Tensor:
        """loc - scale log(e), e exponential."""
        e = empty(self._extended_shape(sample_shape), dtype=self.loc.dtype).exponential_()
        return self.loc - self.scale * e.log()

    def log_prob(self, value) -> Tensor:
        """-z - exp(-z) - log scale, z = (x - loc) / scale."""
        if self._validate_args:
            self._validate_sample(value)
        z = (value - self.loc) / self.scale
        return -z - (-z).exp() - self.scale.log()

    def cdf(self, value) -> Tensor:
        """exp(-exp(-z))."""
        if self._validate_args:
            self._validate_sample(value)
        return (-((self.loc - value) / self.scale).exp()).exp()

    def icdf(self, value) -> Tensor:
        """loc - scale log(-log p)."""
        return self.loc - self.scale * (-value.log()).log()

    def entropy(self) -> Tensor:
        """log scale + 1.5772."""
        return self.scale.log() + (1 + EULER)
