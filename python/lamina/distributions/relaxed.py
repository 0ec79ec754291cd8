"""Continuous relaxations of Bernoulli and categorical variables (Maddison et al. and Jang et al.,
both ICLR 2017)."""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from ..ops.creation import empty
from ..random import rand
from . import constraints
from .bernoulli import one_of
from .categorical import Categorical
from .distribution import Distribution
from .utils import broadcast_all, clamp_probs, lazy_property, logits_to_probs, probs_to_logits

__all__ = ["RelaxedBernoulli", "RelaxedOneHotCategorical"]


class RelaxedBernoulli(Distribution):
    """sigmoid((logits + a logistic variable) / temperature), on (0, 1).

    Args:
        temperature: > 0; the smaller, the closer to 0 or 1. probs or logits, as for `Bernoulli`.
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        self.temperature = temperature
        if one_of("RelaxedBernoulli", probs, logits):
            (self.probs,) = broadcast_all(probs)
        else:
            (self.logits,) = broadcast_all(logits)
        given = self.logits if probs is None else self.probs
        super().__init__(given.shape, validate_args=validate_args)

    def _expand_rest(self, new, shape):
        new.temperature = self.temperature

    @lazy_property
    def logits(self) -> Tensor:
        """log(p / (1 - p))."""
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> Tensor:
        """p."""
        return logits_to_probs(self.logits, is_binary=True)

    def rsample(self, sample_shape=()) -> Tensor:
        """Draws differentiable in logits and temperature."""
        shape = self._extended_shape(sample_shape)
        u = clamp_probs(rand(shape, dtype=self.logits.dtype))
        logistic = u.log() - (-u).log1p()
        return clamp_probs(((self.logits + logistic) / self.temperature).sigmoid())

    def log_prob(self, value) -> Tensor:
        """log t + d - 2 log(1 + e^d) - log(x (1 - x)), d = logits - t logit(x)."""
        if self._validate_args:
            self._validate_sample(value)
        x = clamp_probs(value)
        log_x, log_rest = x.log(), (-x).log1p()
        d = self.logits - (log_x - log_rest) * self.temperature
        density = d - 2 * _core.softplus(d, 1.0, 20.0) - log_x - log_rest
        return density + _log(self.temperature)


def _log(temperature):
    return temperature.log() if isinstance(temperature, Tensor) else math.log(temperature)


class RelaxedOneHotCategorical(Distribution):
    """softmax((logits + Gumbel variables) / temperature), on the simplex; event_shape (K,).

    Args:
        temperature: > 0; the smaller, the closer to a unit vector. probs or logits, (..., K), as
            for `Categorical`.
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        self.temperature = temperature
        self._categorical = Categorical(probs, logits, validate_args)
        super().__init__(self._categorical.batch_shape, self._categorical.param_shape[-1:],
                         validate_args=validate_args)  # fmt: skip

    def expand(self, batch_shape, _instance=None):
        """With the parameters expanded to a larger batch shape."""
        new = self._get_checked_instance(type(self), _instance)
        new.temperature = self.temperature
        new._categorical = self._categorical.expand(batch_shape)
        Distribution.__init__(new, batch_shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def probs(self) -> Tensor:
        """Probabilities (..., K)."""
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        """Log probabilities (..., K)."""
        return self._categorical.logits

    def rsample(self, sample_shape=()) -> Tensor:
        """Draws differentiable in logits and temperature."""
        e = empty(self._extended_shape(sample_shape), dtype=self.logits.dtype).exponential_()
        return ((self.logits - e.log()) / self.temperature).softmax(-1)

    def log_prob(self, value) -> Tensor:
        """log Gamma(K) + (K - 1) log t + sum_k (s_k - logsumexp s) - sum_k log x_k,
        s = logits - t log x."""
        if self._validate_args:
            self._validate_sample(value)
        k = self._event_shape[0]
        log_x = value.log()
        score = self.logits - log_x * self.temperature
        score = (score - score.logsumexp(-1, keepdim=True)).sum(-1) - log_x.sum(-1)
        return score + math.lgamma(k) + (k - 1) * _log(self.temperature)
