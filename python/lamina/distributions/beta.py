"""The beta distribution."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from . import constraints
from .dirichlet import dirichlet_draw
from .distribution import ExponentialFamily
from .utils import broadcast_all

__all__ = ["Beta"]


class Beta(ExponentialFamily):
    """Density x^(a-1) (1-x)^(b-1) / B(a, b) on [0, 1].

    Args:
        concentration1: a > 0. concentration0: b > 0. Numbers or tensors that broadcast.
    """

    arg_constraints = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, concentration1, concentration0, validate_args=None):
        self.concentration1, self.concentration0 = broadcast_all(concentration1, concentration0)
        super().__init__(self.concentration1.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """a / (a + b)."""
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def mode(self) -> Tensor:
        """(a - 1) / (a + b - 2); where neither exceeds 1: the end with the larger parameter."""
        a, b = (self.concentration1 - 1).clamp(min=0), (self.concentration0 - 1).clamp(min=0)
        end = (self.concentration1 >= self.concentration0).to(a.dtype)
        return _core.where(a + b > 0, a / (a + b), end)

    @property
    def variance(self) -> Tensor:
        """a b / ((a + b)^2 (a + b + 1))."""
        total = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (total.square() * (total + 1))

    def rsample(self, sample_shape=()) -> Tensor:
        """x / (x + y) of two gamma draws, with their gradients."""
        both = _core.stack([self.concentration1, self.concentration0], -1)
        return dirichlet_draw(both.expand(self._extended_shape(sample_shape) + (2,)))[..., 0]

    def _log_beta(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        return a.lgamma() + b.lgamma() - (a + b).lgamma()

    def log_prob(self, value) -> Tensor:
        """(a - 1) log x + (b - 1) log(1 - x) - log B(a, b)."""
        if self._validate_args:
            self._validate_sample(value)
        a, b = self.concentration1 - 1, self.concentration0 - 1
        return _core.xlogy(a, value) + _core.xlogy(b, 1 - value) - self._log_beta()

    def entropy(self) -> Tensor:
        """log B(a, b) - (a-1) digamma(a) - (b-1) digamma(b) + (a+b-2) digamma(a+b)."""
        a, b = self.concentration1, self.concentration0
        total = a + b
        ends = (a - 1) * a.digamma() + (b - 1) * b.digamma()
        return self._log_beta() - ends + (total - 2) * total.digamma()
