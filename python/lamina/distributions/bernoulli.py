"""The Bernoulli distribution."""

from __future__ import annotations

from .._core import Tensor
from ..autograd import no_grad
from ..ops.creation import tensor
from ..random import bernoulli as draw
from . import constraints
from .distribution import ExponentialFamily
from .utils import broadcast_all, lazy_property, logits_to_probs, probs_to_logits

__all__ = ["Bernoulli"]


def one_of(name, probs, logits) -> bool:
    """Whether `probs` was given. ValueError unless exactly one was."""
    if (probs is None) == (logits is None):
        raise ValueError(f"{name}: give either probs or logits, not both and not none")
    return probs is not None


def binary_cross_entropy_with_logits(logits: Tensor, target: Tensor) -> Tensor:
    """log(1 + e^l) - t l, element by element, without overflow."""
    return logits.clamp(min=0) - logits * target + (-logits.abs()).exp().log1p()


class Bernoulli(ExponentialFamily):
    """1 with probability p, else 0.

    Args:
        probs: p in [0, 1], or logits: log(p / (1 - p)); a number or a tensor.
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.boolean
    has_enumerate_support = True

    def __init__(self, probs=None, logits=None, validate_args=None):
        if one_of("Bernoulli", probs, logits):
            (self.probs,) = broadcast_all(probs)
            self._param = self.probs
        else:
            (self.logits,) = broadcast_all(logits)
            self._param = self.logits
        super().__init__(self._param.shape, validate_args=validate_args)

    def _expand_rest(self, new, shape):
        new._param = self._param.expand(shape)

    @lazy_property
    def logits(self) -> Tensor:
        """log(p / (1 - p))."""
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> Tensor:
        """p."""
        return logits_to_probs(self.logits, is_binary=True)

    @property
    def param_shape(self):
        """The parameter's shape."""
        return self._param.shape

    @property
    def mean(self) -> Tensor:
        """p."""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """1 where p > 1/2, 0 below, NaN at 1/2."""
        p = self.probs
        mode = (p >= 0.5).to(p.dtype)
        return mode.masked_fill(p == 0.5, float("nan"))

    @property
    def variance(self) -> Tensor:
        """p (1 - p)."""
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape=()) -> Tensor:
        """Zeros and ones of the parameter's dtype."""
        with no_grad():
            return draw(self.probs.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value) -> Tensor:
        """x log p + (1 - x) log(1 - p)."""
        if self._validate_args:
            self._validate_sample(value)
        return -binary_cross_entropy_with_logits(self.logits, value)

    def entropy(self) -> Tensor:
        """-p log p - (1 - p) log(1 - p)."""
        return binary_cross_entropy_with_logits(self.logits, self.probs)

    def enumerate_support(self, expand=True) -> Tensor:
        """0 and 1, of shape (2,) + batch_shape (sizes 1 unless `expand`)."""
        values = tensor([0.0, 1.0], dtype=self._param.dtype)
        values = values.reshape(2, *([1] * len(self._batch_shape)))
        return values.expand((2,) + tuple(self._batch_shape)) if expand else values
