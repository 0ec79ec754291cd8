"""The Laplace distribution."""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from ..random import rand
from . import constraints
from .distribution import Distribution
from .utils import broadcast_all, eps_of

__all__ = ["Laplace"]


class Laplace(Distribution):
    """Density exp(-|x - loc| / scale) / (2 scale).

    Args:
        loc: the mean. scale: > 0. Numbers or tensors that broadcast.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """loc."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """loc."""
        return self.loc

    @property
    def stddev(self) -> Tensor:
        """scale sqrt 2."""
        return math.sqrt(2) * self.scale

    @property
    def variance(self) -> Tensor:
        """2 scale^2."""
        return 2 * self.scale.square()

    def rsample(self, sample_shape=()) -> Tensor:
        """loc - scale sign(u) log(1 - |u|), u uniform on (-1, 1)."""
        dtype = self.loc.dtype
        u = 2 * rand(self._extended_shape(sample_shape), dtype=dtype) - 1
        u = u.clamp(min=eps_of(dtype) / 2 - 1)
        return self.loc - self.scale * u.sign() * (-u.abs()).log1p()

    def log_prob(self, value) -> Tensor:
        """-log(2 scale) - |x - loc| / scale."""
        if self._validate_args:
            self._validate_sample(value)
        return -(2 * self.scale).log() - (value - self.loc).abs() / self.scale

    def cdf(self, value) -> Tensor:
        """exp(z) / 2 below loc, 1 - exp(-z) / 2 above; z = (x - loc) / scale."""
        if self._validate_args:
            self._validate_sample(value)
        z = (value - self.loc) / self.scale
        tail = 0.5 * (-z.abs()).exp()
        return _core.where(z < 0, tail, 1 - tail)

    def icdf(self, value) -> Tensor:
        """loc - scale sign(p - 1/2) log(1 - 2 |p - 1/2|)."""
        t = value - 0.5
        return self.loc - self.scale * t.sign() * (-2 * t.abs()).log1p()

    def entropy(self) -> Tensor:
        """1 + log(2 scale)."""
        return 1 + (2 * self.scale).log()
