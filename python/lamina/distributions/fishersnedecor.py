"""The F distribution."""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from . import constraints
from .distribution import Distribution
from .gamma import Gamma
from .utils import broadcast_all

__all__ = ["FisherSnedecor"]


class FisherSnedecor(Distribution):
    """(X1 / df1) / (X2 / df2) of chi-squared variables with df1 and df2 degrees of freedom.

    Args:
        df1, df2: > 0. Numbers or tensors that broadcast.
    """

    arg_constraints = {"df1": constraints.positive, "df2": constraints.positive}
    support = constraints.positive
    has_rsample = True

    def __init__(self, df1, df2, validate_args=None):
        self.df1, self.df2 = broadcast_all(df1, df2)
        super().__init__(self.df1.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """df2 / (df2 - 2), NaN for df2 <= 2."""
        return _core.where(self.df2 > 2, self.df2 / (self.df2 - 2), math.nan)

    @property
    def mode(self) -> Tensor:
        """(df1 - 2) df2 / (df1 (df2 + 2)), NaN for df1 <= 2."""
        found = (self.df1 - 2) / self.df1 * self.df2 / (self.df2 + 2)
        return _core.where(self.df1 > 2, found, math.nan)

    @property
    def variance(self) -> Tensor:
        """2 df2^2 (df1 + df2 - 2) / (df1 (df2 - 2)^2 (df2 - 4)), NaN for df2 <= 4."""
        a, b = self.df1, self.df2
        found = 2 * b.square() * (a + b - 2) / (a * (b - 2).square() * (b - 4))
        return _core.where(b > 4, found, math.nan)

    def rsample(self, sample_shape=()) -> Tensor:
        """A quotient of gamma draws."""
        shape = tuple(sample_shape)
        parts = [Gamma(d / 2, d / 2, validate_args=False) for d in (self.df1, self.df2)]
        above, below = (p.rsample(shape) for p in parts)
        return above / below

    def log_prob(self, value) -> Tensor:
        """With r = df1 / df2 and half degrees a, b: a log r + (a - 1) log x - (a + b) log(1 + r x)
        - log B(a, b)."""
        if self._validate_args:
            self._validate_sample(value)
        a, b, ratio = self.df1 / 2, self.df2 / 2, self.df1 / self.df2
        log_beta = a.lgamma() + b.lgamma() - (a + b).lgamma()
        shape = a * ratio.log() + (a - 1) * value.log() - (a + b) * (ratio * value).log1p()
        return shape - log_beta
