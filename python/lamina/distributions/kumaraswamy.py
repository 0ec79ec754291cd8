"""The Kumaraswamy distribution."""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from ..ops.creation import ones_like, zeros_like
from . import constraints
from .gumbel import EULER
from .transformed_distribution import TransformedDistribution
from .transforms import AffineTransform, PowerTransform
from .uniform import Uniform
from .utils import broadcast_all

__all__ = ["Kumaraswamy"]


class Kumaraswamy(TransformedDistribution):
    """Density a b x^(a-1) (1 - x^a)^(b-1) on (0, 1) (Jones, "Kumaraswamy's distribution", 2009).

    Args:
        concentration1: a > 0. concentration0: b > 0. Numbers or tensors that broadcast.
    """

    arg_constraints = {
        "concentration1": constraints.positive, "concentration0": constraints.positive,
    }  # fmt: skip
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, concentration1, concentration0, validate_args=None):
        self.concentration1, self.concentration0 = broadcast_all(concentration1, concentration0)
        zero = zeros_like(self.concentration0)
        base = Uniform(zero, ones_like(zero), validate_args=validate_args)
        steps = [
            PowerTransform(1 / self.concentration0), AffineTransform(1, -1),
            PowerTransform(1 / self.concentration1),
        ]  # fmt: skip
        super().__init__(base, steps, validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        """With a larger batch shape."""
        a, b = self.concentration1.expand(batch_shape), self.concentration0.expand(batch_shape)
        return Kumaraswamy(a, b, validate_args=self._validate_args)

    def _moment(self, n: int) -> Tensor:
        """E[x^n] = b B(1 + n / a, b)."""
        b, first = self.concentration0, 1 + n / self.concentration1
        return (b.log() + first.lgamma() + b.lgamma() - (first + b).lgamma()).exp()

    @property
    def mean(self) -> Tensor:
        """b B(1 + 1 / a, b)."""
        return self._moment(1)

    @property
    def mode(self) -> Tensor:
        """((a - 1) / (a b - 1))^(1 / a), NaN unless a, b >= 1 and one is larger."""
        a, b = self.concentration1, self.concentration0
        found = ((a - 1) / (a * b - 1)) ** (1 / a)
        return _core.where((a < 1) | (b < 1) | (a * b == 1), math.nan, found)

    @property
    def variance(self) -> Tensor:
        """E[x^2] - E[x]^2."""
        return self._moment(2) - self._moment(1).square()

    def entropy(self) -> Tensor:
        """1 - 1 / b + (1 - 1 / a) (digamma(b + 1) + gamma) - log(a b)."""
        a, b = self.concentration1, self.concentration0
        harmonic = (b + 1).digamma() + EULER
        return (1 - 1 / b) + (1 - 1 / a) * harmonic - a.log() - b.log()
