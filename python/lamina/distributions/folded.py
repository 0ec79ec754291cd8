"""The absolute value of a variable symmetric around 0: what the half distributions share."""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from . import constraints
from .distribution import Distribution
from .utils import broadcast_all


class Folded(Distribution):
    """|x| of a symmetric variable: twice its density on x >= 0, of shape ``scale.shape``.

    A subclass gives ``_base``, the distribution of x around 0 with the same scale. ValueError for
    a scale that is not positive (`validate_args`).

    Args:
        scale: of the variable, > 0.
    """

    arg_constraints = {"scale": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, scale, validate_args=None):
        (self.scale,) = broadcast_all(scale)
        super().__init__(self.scale.shape, validate_args=validate_args)

    @property
    def _base(self) -> Distribution:
        raise NotImplementedError

    @property
    def mode(self) -> Tensor:
        """0."""
        return self.scale * 0

    def rsample(self, sample_shape=()) -> Tensor:
        """The absolute value of a draw of x."""
        return self._base.rsample(sample_shape).abs()

    def log_prob(self, value) -> Tensor:
        """log 2 + the logarithm of x's density; -inf below 0."""
        if self._validate_args:
            self._validate_sample(value)
        inside = self._base.log_prob(value) + math.log(2)
        return _core.where(value >= 0, inside, -math.inf)

    def cdf(self, value) -> Tensor:
        """2 F(value) - 1, F that of x."""
        if self._validate_args:
            self._validate_sample(value)
        return 2 * self._base.cdf(value) - 1

    def icdf(self, value) -> Tensor:
        """The quantile (value + 1) / 2 of x."""
        return self._base.icdf((value + 1) / 2)

    def entropy(self) -> Tensor:
        """That of x, less log 2."""
        return self._base.entropy() - math.log(2)
