"""The Weibull distribution."""

from __future__ import annotations

from .._core import Tensor
from ..ops.creation import ones_like
from . import constraints
from .exponential import Exponential
from .gumbel import EULER
from .transformed_distribution import TransformedDistribution
from .transforms import AffineTransform, PowerTransform
from .utils import broadcast_all

__all__ = ["Weibull"]


class Weibull(TransformedDistribution):
    """P(X > x) = exp(-(x / scale)^k) for x > 0.

    Args:
        scale: > 0. concentration: k > 0. Numbers or tensors that broadcast.
    """

    arg_constraints = {"scale": constraints.positive, "concentration": constraints.positive}
    support = constraints.positive

    def __init__(self, scale, concentration, validate_args=None):
        self.scale, self.concentration = broadcast_all(scale, concentration)
        base = Exponential(ones_like(self.scale), validate_args=validate_args)
        steps = [PowerTransform(1 / self.concentration), AffineTransform(0, self.scale)]
        super().__init__(base, steps, validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        """With a larger batch shape."""
        return Weibull(self.scale.expand(batch_shape), self.concentration.expand(batch_shape),
                       validate_args=self._validate_args)  # fmt: skip

    def _gamma(self, n: int) -> Tensor:
        """Gamma(1 + n / k)."""
        return (1 + n / self.concentration).lgamma().exp()

    @property
    def mean(self) -> Tensor:
        """scale Gamma(1 + 1 / k)."""
        return self.scale * self._gamma(1)

    @property
    def mode(self) -> Tensor:
        """scale ((k - 1) / k)^(1 / k), 0 for k <= 1."""
        k = self.concentration
        return self.scale * ((k - 1).clamp(min=0) / k) ** (1 / k)

    @property
    def variance(self) -> Tensor:
        """scale^2 (Gamma(1 + 2 / k) - Gamma(1 + 1 / k)^2)."""
        return self.scale.square() * (self._gamma(2) - self._gamma(1).square())

    def entropy(self) -> Tensor:
        """gamma (1 - 1 / k) + log(scale / k) + 1, gamma Euler's constant."""
        k = self.concentration
        return EULER * (1 - 1 / k) + (self.scale / k).log() + 1
