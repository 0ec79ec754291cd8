"""The gamma distribution."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from . import constraints
from .distribution import ExponentialFamily
from .utils import broadcast_all

__all__ = ["Gamma"]

_TINY = {_core.float64: 2.0**-1022, _core.float16: 2.0**-14}


def standard_gamma(concentration: Tensor) -> Tensor:
    """Draws of Gamma(concentration, 1), never 0, with the gradient of their quantile."""
    log_x = _core.log_gamma_draw(concentration, None)
    tiny = _TINY.get(concentration.dtype, 2.0**-126)
    return log_x.exp().to(concentration.dtype).clamp(min=tiny)


class Gamma(ExponentialFamily):
    """Density rate^a x^(a-1) exp(-rate x) / Gamma(a) for x > 0.

    Args:
        concentration: a > 0. rate: > 0. Numbers or tensors that broadcast.
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, concentration, rate, validate_args=None):
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.concentration.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """a / rate."""
        return self.concentration / self.rate

    @property
    def mode(self) -> Tensor:
        """(a - 1) / rate, 0 for a < 1."""
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self) -> Tensor:
        """a / rate^2."""
        return self.concentration / self.rate.square()

    def rsample(self, sample_shape=()) -> Tensor:
        """Draws (Marsaglia and Tsang, 2000) with implicit gradients (Figurnov et al., 2018)."""
        shape = self._extended_shape(sample_shape)
        return standard_gamma(self.concentration.expand(shape)) / self.rate

    def log_prob(self, value) -> Tensor:
        """a log rate + (a - 1) log x - rate x - log Gamma(a)."""
        if self._validate_args:
            self._validate_sample(value)
        a, rate = self.concentration, self.rate
        return _core.xlogy(a, rate) + _core.xlogy(a - 1, value) - rate * value - a.lgamma()

    def entropy(self) -> Tensor:
        """a - log rate + log Gamma(a) + (1 - a) digamma(a)."""
        a = self.concentration
        return a - self.rate.log() + a.lgamma() + (1 - a) * a.digamma()
