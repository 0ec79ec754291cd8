"""The Pareto and the generalized Pareto distributions."""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from ..random import rand
from . import constraints
from .distribution import Distribution
from .exponential import Exponential
from .transformed_distribution import TransformedDistribution
from .transforms import AffineTransform, ExpTransform
from .utils import broadcast_all

__all__ = ["GeneralizedPareto", "Pareto"]


class Pareto(TransformedDistribution):
    """Density alpha scale^alpha / x^(alpha + 1) for x >= scale.

    Args:
        scale: the least value, > 0. alpha: > 0. Numbers or tensors that broadcast.
    """

    arg_constraints = {"alpha": constraints.positive, "scale": constraints.positive}

    def __init__(self, scale, alpha, validate_args=None):
        self.scale, self.alpha = broadcast_all(scale, alpha)
        base = Exponential(self.alpha, validate_args=validate_args)
        steps = [ExpTransform(), AffineTransform(0, self.scale)]
        super().__init__(base, steps, validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        """With a larger batch shape."""
        return Pareto(self.scale.expand(batch_shape), self.alpha.expand(batch_shape),
                      validate_args=self._validate_args)  # fmt: skip

    @constraints.dependent_property
    def support(self):
        """[scale, infinity)."""
        return constraints.greater_than_eq(self.scale)

    @property
    def mean(self) -> Tensor:
        """alpha scale / (alpha - 1), infinite for alpha <= 1."""
        a = self.alpha.clamp(min=1)
        return a * self.scale / (a - 1)

    @property
    def mode(self) -> Tensor:
        """scale."""
        return self.scale

    @property
    def variance(self) -> Tensor:
        """scale^2 alpha / ((alpha - 1)^2 (alpha - 2)), infinite for alpha <= 2."""
        a = self.alpha.clamp(min=2)
        return self.scale.square() * a / ((a - 1).square() * (a - 2))

    def entropy(self) -> Tensor:
        """log(scale / alpha) + 1 + 1 / alpha."""
        return (self.scale / self.alpha).log() + 1 + 1 / self.alpha


class GeneralizedPareto(Distribution):
    """P(X > x) = (1 + c z)^(-1 / c), z = (x - loc) / scale >= 0; e^-z for c = 0 (Coles, An
    introduction to statistical modeling of extreme values, 2001, chapter 4).

    Args:
        loc: the least value. scale: > 0. concentration: c; below 0 the support ends at
            loc - scale / c. Numbers or tensors that broadcast.
    """

    arg_constraints = {
        "loc": constraints.real, "scale": constraints.positive, "concentration": constraints.real,
    }  # fmt: skip
    has_rsample = True

    def __init__(self, loc, scale, concentration, validate_args=None):
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @constraints.dependent_property
    def support(self):
        """[loc, infinity), or up to loc - scale / c for c < 0."""
        c = self.concentration
        end = _core.where(c < 0, self.loc - self.scale / c, math.inf)
        return constraints.interval(self.loc, end)

    def _z(self, value) -> Tensor:
        return (value - self.loc) / self.scale

    def _log_survival(self, value) -> Tensor:
        """log P(X > value): -log(1 + c z) / c, -z at c = 0."""
        z, c = self._z(value), self.concentration.expand(value.shape)
        flat = c == 0
        safe = c.masked_fill(flat, 1)
        return _core.where(flat, -z, -(safe * z).log1p() / safe)

    def log_prob(self, value) -> Tensor:
        """-(1 + c) log(1 + c z) / c - log scale, -z - log scale at c = 0."""
        if self._validate_args:
            self._validate_sample(value)
        value = value.expand(_shape_of(value, self.loc))
        result = (1 + self.concentration) * self._log_survival(value) - self.scale.log()
        inside = self.support.check(value)
        return _core.where(inside, result, -math.inf)

    def cdf(self, value) -> Tensor:
        """1 - P(X > value)."""
        if self._validate_args:
            self._validate_sample(value)
        return -self._log_survival(value.expand(_shape_of(value, self.loc))).expm1()

    def icdf(self, value) -> Tensor:
        """loc + scale ((1 - p)^-c - 1) / c, at c = 0 loc - scale log(1 - p)."""
        log_rest = (-value).log1p()
        c = self.concentration
        flat = c == 0
        safe = c.masked_fill(flat, 1)
        z = _core.where(flat, -log_rest, (-safe * log_rest).expm1() / safe)
        return self.loc + self.scale * z

    def rsample(self, sample_shape=()) -> Tensor:
        """The quantile of a uniform number."""
        return self.icdf(rand(self._extended_shape(sample_shape), dtype=self.loc.dtype))

    @property
    def mean(self) -> Tensor:
        """loc + scale / (1 - c), infinite for c >= 1."""
        c = self.concentration
        return _core.where(c < 1, self.loc + self.scale / (1 - c), math.inf)

    @property
    def mode(self) -> Tensor:
        """loc."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """scale^2 / ((1 - c)^2 (1 - 2 c)), infinite for c >= 1/2."""
        c = self.concentration
        finite = self.scale.square() / ((1 - c).square() * (1 - 2 * c))
        return _core.where(c < 0.5, finite, math.inf)

    def entropy(self) -> Tensor:
        """log scale + c + 1."""
        return self.scale.log() + self.concentration + 1


def _shape_of(value, parameter):
    from ..ops.view import broadcast_shapes

    return broadcast_shapes(value.shape, parameter.shape)
