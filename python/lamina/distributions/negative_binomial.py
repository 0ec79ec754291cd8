"""The negative binomial distribution."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from ..autograd import no_grad
from ..random import poisson
from . import constraints
from .bernoulli import one_of
from .distribution import Distribution
from .gamma import standard_gamma
from .utils import broadcast_all, lazy_property, logits_to_probs, probs_to_logits

__all__ = ["NegativeBinomial"]


class NegativeBinomial(Distribution):
    """P(k) = C(k + n - 1, k) (1 - p)^n p^k: successes of probability p before the n-th failure.

    Args:
        total_count: n >= 0, not necessarily whole. probs: p in [0, 1), or logits: log(p / (1 - p)).
    """

    arg_constraints = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer

    def __init__(self, total_count, probs=None, logits=None, validate_args=None):
        if one_of("NegativeBinomial", probs, logits):
            self.total_count, self.probs = broadcast_all(total_count, probs)
            self.total_count = self.total_count.to(self.probs.dtype)
        else:
            self.total_count, self.logits = broadcast_all(total_count, logits)
            self.total_count = self.total_count.to(self.logits.dtype)
        super().__init__(self.total_count.shape, validate_args=validate_args)

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
        """n p / (1 - p)."""
        return self.total_count * self.logits.exp()

    @property
    def mode(self) -> Tensor:
        """floor((n - 1) p / (1 - p)), 0 for n <= 1."""
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0)

    @property
    def variance(self) -> Tensor:
        """n p / (1 - p)^2."""
        return self.mean / (-self.logits).sigmoid()

    def sample(self, sample_shape=()) -> Tensor:
        """Poisson draws with gamma-distributed rates."""
        shape = self._extended_shape(sample_shape)
        with no_grad():
            return poisson(standard_gamma(self.total_count.expand(shape)) * self.logits.exp())

    def log_prob(self, value) -> Tensor:
        """n log(1 - p) + k log p + log Gamma(n + k) - log k! - log Gamma(n)."""
        if self._validate_args:
            self._validate_sample(value)
        n = self.total_count
        tails = n * _core.log_sigmoid(-self.logits) + value * _core.log_sigmoid(self.logits)
        ways = (n + value).lgamma() - (1 + value).lgamma() - n.lgamma()
        return tails + ways.masked_fill(n + value == 0, 0.0)
