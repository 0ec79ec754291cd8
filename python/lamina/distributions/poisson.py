"""The Poisson distribution."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from ..autograd import no_grad
from ..random import poisson as draw
from . import constraints
from .distribution import ExponentialFamily
from .utils import broadcast_all

__all__ = ["Poisson"]


class Poisson(ExponentialFamily):
    """P(k) = rate^k exp(-rate) / k!.

    Args:
        rate: the mean, >= 0; a number or a tensor.
    """

    arg_constraints = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer

    def __init__(self, rate, validate_args=None):
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """rate."""
        return self.rate

    @property
    def mode(self) -> Tensor:
        """floor(rate)."""
        return self.rate.floor()

    @property
    def variance(self) -> Tensor:
        """rate."""
        return self.rate

    def sample(self, sample_shape=()) -> Tensor:
        """Counts of the parameter's dtype (Hoermann, 1993)."""
        with no_grad():
            return draw(self.rate.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value) -> Tensor:
        """k log rate - rate - log k!."""
        if self._validate_args:
            self._validate_sample(value)
        return _core.xlogy(value, self.rate) - self.rate - (value + 1).lgamma()
