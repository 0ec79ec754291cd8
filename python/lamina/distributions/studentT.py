"""Student's t distribution."""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from ..random import randn
from . import constraints
from .distribution import Distribution
from .gamma import standard_gamma
from .utils import broadcast_all

__all__ = ["StudentT"]


class StudentT(Distribution):
    """loc + scale z / sqrt(c / df), z standard normal, c chi-squared with df degrees of freedom.

    Args:
        df: > 0. loc. scale: > 0. Numbers or tensors that broadcast.
    """

    arg_constraints = {
        "df": constraints.positive,
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    support = constraints.real
    has_rsample = True

    def __init__(self, df, loc=0.0, scale=1.0, validate_args=None):
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        super().__init__(self.df.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """loc; NaN for df <= 1."""
        return _core.where(self.df > 1, self.loc, math.nan)

    @property
    def mode(self) -> Tensor:
        """loc."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """scale^2 df / (df - 2); infinite for 1 < df <= 2, NaN for df <= 1."""
        finite = self.scale.square() * self.df / (self.df - 2).clamp(min=1e-30)
        value = _core.where(self.df > 2, finite, math.inf)
        return _core.where(self.df > 1, value, math.nan)

    def rsample(self, sample_shape=()) -> Tensor:
        """A normal draw over the root of a chi-squared one, with their gradients."""
        shape = self._extended_shape(sample_shape)
        z = randn(shape, dtype=self.df.dtype)
        chi2 = 2 * standard_gamma((self.df / 2).expand(shape))
        return self.loc + self.scale * z * (chi2 / self.df).rsqrt()

    def _log_norm(self) -> Tensor:
        half = self.df / 2
        root = 0.5 * (self.df.log() + math.log(math.pi))
        return self.scale.log() + root + half.lgamma() - (half + 0.5).lgamma()

    def log_prob(self, value) -> Tensor:
        """-(df + 1) / 2 log(1 + z^2 / df) - log(scale sqrt(df) B(df / 2, 1 / 2))."""
        if self._validate_args:
            self._validate_sample(value)
        z = (value - self.loc) / self.scale
        return -0.5 * (self.df + 1) * (z.square() / self.df).log1p() - self._log_norm()

    def entropy(self) -> Tensor:
        """(df + 1) / 2 (digamma((df + 1) / 2) - digamma(df / 2)) + log(scale sqrt(df) B(.))."""
        half = self.df / 2
        return (half + 0.5) * ((half + 0.5).digamma() - half.digamma()) + self._log_norm()
