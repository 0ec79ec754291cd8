"""The geometric distribution."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from .._expect import fails
from ..random import rand
from . import constraints
from .bernoulli import binary_cross_entropy_with_logits, one_of
from .distribution import Distribution
from .utils import (
    broadcast_all,
    clamp_probs,
    eps_of,
    lazy_property,
    logits_to_probs,
    probs_to_logits,
)

__all__ = ["Geometric"]


class Geometric(Distribution):
    """P(k) = (1 - p)^k p: k failures before the first success, k >= 0.

    Args:
        probs: p in (0, 1], or logits: log(p / (1 - p)); a number or a tensor.
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(self, probs=None, logits=None, validate_args=None):
        if one_of("Geometric", probs, logits):
            (self.probs,) = broadcast_all(probs)
        else:
            (self.logits,) = broadcast_all(logits)
        given = self.logits if probs is None else self.probs
        super().__init__(given.shape, validate_args=validate_args)
        if (
            self._validate_args
            and probs is not None
            and fails(self.probs > 0, ValueError, "Geometric: probs must be positive")
        ):
            raise ValueError(f"Geometric: probs must be positive, got\n{self.probs}")

    @lazy_property
    def logits(self) -> Tensor:
        """log(p / (1 - p))."""
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> Tensor:
        """p."""
        return logits_to_probs(self.logits, is_binary=True)

    @property
    def mean(self) -> Tensor:
        """1 / p - 1."""
        return 1.0 / self.probs - 1.0

    @property
    def mode(self) -> Tensor:
        """0."""
        return self.probs * 0

    @property
    def variance(self) -> Tensor:
        """(1 / p - 1) / p."""
        return (1.0 / self.probs - 1.0) / self.probs

    def sample(self, sample_shape=()) -> Tensor:
        """floor(log u / log(1 - p))."""
        p = self.probs.detach()
        u = rand(self._extended_shape(sample_shape), dtype=p.dtype).clamp(min=eps_of(p.dtype) / 2)
        return (u.log() / (-p).log1p()).floor()

    def log_prob(self, value) -> Tensor:
        """k log(1 - p) + log p."""
        if self._validate_args:
            self._validate_sample(value)
        return _core.xlogy(value, 1 - clamp_probs(self.probs)) + self.probs.log()

    def entropy(self) -> Tensor:
        """(-p log p - (1 - p) log(1 - p)) / p."""
        return binary_cross_entropy_with_logits(self.logits, self.probs) / self.probs
