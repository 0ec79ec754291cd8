"""The categorical distribution."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from ..autograd import no_grad
from ..ops.creation import arange
from ..ops.view import broadcast_shapes
from ..random import multinomial
from . import constraints
from .bernoulli import one_of
from .distribution import Distribution
from .utils import lazy_property, logits_to_probs, probs_to_logits

__all__ = ["Categorical"]


class Categorical(Distribution):
    """k with probability probs[..., k]; batch_shape is the parameter's without its last size.

    Args:
        probs: (..., K), not negative; divided by its sum. Or logits: (..., K), of any size;
            ``logits - logsumexp(logits)`` are the log probabilities.
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True

    def __init__(self, probs=None, logits=None, validate_args=None):
        given = probs if one_of("Categorical", probs, logits) else logits
        if given.dim() < 1:
            raise ValueError(
                f"Categorical: {'logits' if probs is None else 'probs'} must have at least one "
                "dimension, got a scalar tensor"
            )
        if probs is not None:
            self.probs = probs / probs.sum(-1, keepdim=True)
        else:
            self.logits = logits - logits.logsumexp(-1, keepdim=True)
        self._param = self.probs if probs is not None else self.logits
        self._num_events = self._param.shape[-1]
        super().__init__(self._param.shape[:-1], validate_args=validate_args)

    def _expand_rest(self, new, shape):
        new._param = self._param.expand(shape + self._param.shape[-1:])
        new._num_events = self._num_events

    @constraints.dependent_property(is_discrete=True)
    def support(self):
        """0 ... K - 1."""
        return constraints.integer_interval(0, self._num_events - 1)

    @lazy_property
    def logits(self) -> Tensor:
        """Log probabilities (..., K)."""
        return probs_to_logits(self.probs)

    @lazy_property
    def probs(self) -> Tensor:
        """Probabilities (..., K)."""
        return logits_to_probs(self.logits)

    @property
    def param_shape(self):
        """The parameter's shape, (..., K)."""
        return self._param.shape

    @property
    def mean(self) -> Tensor:
        """NaN: categories have no order."""
        return self.probs.sum(-1) * float("nan")

    @property
    def mode(self) -> Tensor:
        """The most probable category, int64."""
        return self.probs.argmax(-1)

    @property
    def variance(self) -> Tensor:
        """NaN: categories have no order."""
        return self.probs.sum(-1) * float("nan")

    def sample(self, sample_shape=()) -> Tensor:
        """Categories, int64, of shape sample_shape + batch_shape."""
        shape = tuple(sample_shape)
        count = 1
        for size in shape:
            count *= size
        with no_grad():
            rows = self.probs.reshape(-1, self._num_events)
            if count == 0 or rows.shape[0] == 0:
                return _core.empty(self._extended_shape(shape), _core.int64)
            drawn = multinomial(rows, count, True).t()
            return drawn.reshape(self._extended_shape(shape))

    def log_prob(self, value) -> Tensor:
        """log probs[..., value]; value broadcasts with batch_shape."""
        if self._validate_args:
            self._validate_sample(value)
        value = value.long().unsqueeze(-1)
        shape = broadcast_shapes(value.shape, self.logits[..., :1].shape)
        table = self.logits.expand(tuple(shape)[:-1] + tuple(self.logits.shape[-1:]))
        return table.gather(-1, value.expand(shape)).squeeze(-1)

    def entropy(self) -> Tensor:
        """-sum_k p_k log p_k; an impossible category counts 0."""
        lowest = -3.4e38 if self.logits.dtype is not _core.float64 else -1.79e308
        return -(self.logits.clamp(min=lowest) * self.probs).sum(-1)

    def enumerate_support(self, expand=True) -> Tensor:
        """0 ... K - 1 along a new first dimension."""
        batch = tuple(self._batch_shape)
        values = arange(self._num_events).reshape(-1, *([1] * len(batch)))
        return values.expand((self._num_events,) + batch) if expand else values
