"""The inverse gamma distribution."""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from . import constraints
from .gamma import Gamma
from .transformed_distribution import TransformedDistribution
from .transforms import PowerTransform

__all__ = ["InverseGamma"]


class InverseGamma(TransformedDistribution):
    """1 / X of X ~ Gamma(a, rate): density rate^a x^(-a-1) exp(-rate / x) / Gamma(a) for x > 0.

    Args:
        concentration: a > 0. rate: > 0. Numbers or tensors that broadcast.
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.positive
    has_rsample = True

    def __init__(self, concentration, rate, validate_args=None):
        base = Gamma(concentration, rate, validate_args=validate_args)
        super().__init__(base, PowerTransform(-1.0), validate_args=validate_args)

    @property
    def concentration(self) -> Tensor:
        """a."""
        return self.base_dist.concentration

    @property
    def rate(self) -> Tensor:
        """The gamma variable's rate."""
        return self.base_dist.rate

    @property
    def mean(self) -> Tensor:
        """rate / (a - 1), infinite for a <= 1."""
        a = self.concentration
        return _core.where(a > 1, self.rate / (a - 1), math.inf)

    @property
    def mode(self) -> Tensor:
        """rate / (a + 1)."""
        return self.rate / (self.concentration + 1)

    @property
    def variance(self) -> Tensor:
        """rate^2 / ((a - 1)^2 (a - 2)), infinite for a <= 2."""
        a = self.concentration
        return _core.where(a > 2, self.rate.square() / ((a - 1).square() * (a - 2)), math.inf)

    def entropy(self) -> Tensor:
        """a + log rate + log Gamma(a) - (1 + a) digamma(a)."""
        a = self.concentration
        return a + self.rate.log() + a.lgamma() - (1 + a) * a.digamma()
