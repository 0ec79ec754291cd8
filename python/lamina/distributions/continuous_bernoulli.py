"""The continuous Bernoulli distribution."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from ..nn import functional as F
from ..random import rand
from . import constraints
from .distribution import ExponentialFamily
from .utils import broadcast_all, clamp_probs, lazy_property, logits_to_probs, probs_to_logits

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli(ExponentialFamily):
    """Density C p^x (1 - p)^(1 - x) on [0, 1], C = 2 artanh(1 - 2 p) / (1 - 2 p), 2 at p = 1/2
    (Loaiza-Ganem and Cunningham, "The continuous Bernoulli", NeurIPS 2019).

    Args:
        probs: p in (0, 1); or logits: log(p / (1 - p)). lims: between these p the formulas are
            replaced by their expansion at 1/2, where they divide 0 by 0.
    Raises ValueError unless exactly one of probs and logits is given.
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, probs=None, logits=None, lims=(0.499, 0.501), validate_args=None):
        if (probs is None) == (logits is None):
            raise ValueError("ContinuousBernoulli: give either probs or logits")
        if probs is not None:
            (given,) = broadcast_all(probs)
            if validate_args is not False and not bool(self.support.check(given).all()):
                raise ValueError(f"ContinuousBernoulli: probs must lie in [0, 1], got\n{given}")
            self.probs = clamp_probs(given)
        else:
            (self.logits,) = broadcast_all(logits)
        self._lims = lims
        shape = (self.probs if probs is not None else self.logits).shape
        super().__init__(shape, validate_args=validate_args)

    def _expand_rest(self, new, shape):
        new._lims = self._lims

    @lazy_property
    def probs(self) -> Tensor:
        """p."""
        return clamp_probs(logits_to_probs(self.logits, is_binary=True))

    @lazy_property
    def logits(self) -> Tensor:
        """log(p / (1 - p))."""
        return probs_to_logits(self.probs, is_binary=True)

    @property
    def param_shape(self):
        """The shape of the parameter."""
        return self._batch_shape

    def _outside(self) -> Tensor:
        return (self.probs <= self._lims[0]) | (self.probs > self._lims[1])

    def _cut(self) -> Tensor:
        """p, moved away from 1/2."""
        return _core.where(self._outside(), self.probs, self._lims[0])

    def _log_norm(self) -> Tensor:
        """log C."""
        p = self._cut()
        exact = ((-p).log1p() - p.log()).abs().log() - (1 - 2 * p).abs().log()
        d = (self.probs - 0.5).square()
        near = 0.6931471805599453 + (4 / 3 + 104 / 45 * d) * d
        return _core.where(self._outside(), exact, near)

    @property
    def mean(self) -> Tensor:
        """p / (2 p - 1) + 1 / (2 artanh(1 - 2 p)), 1/2 at p = 1/2."""
        p, d = self._cut(), self.probs - 0.5
        exact = p / (2 * p - 1) + 1 / ((-p).log1p() - p.log())
        near = 0.5 + (1 / 3 + 16 / 45 * d.square()) * d
        return _core.where(self._outside(), exact, near)

    @property
    def variance(self) -> Tensor:
        """p (p - 1) / (1 - 2 p)^2 + 1 / (2 artanh(1 - 2 p))^2, 1/12 at p = 1/2."""
        p, d = self._cut(), (self.probs - 0.5).square()
        exact = p * (p - 1) / (1 - 2 * p).square() + 1 / ((-p).log1p() - p.log()).square()
        near = 1 / 12 - (1 / 15 - 128 / 945 * d) * d
        return _core.where(self._outside(), exact, near)

    @property
    def stddev(self) -> Tensor:
        """The square root of the variance."""
        return self.variance.sqrt()

    def rsample(self, sample_shape=()) -> Tensor:
        """The quantile of a uniform number."""
        return self.icdf(rand(self._extended_shape(sample_shape), dtype=self.probs.dtype))

    def log_prob(self, value) -> Tensor:
        """x log p + (1 - x) log(1 - p) + log C."""
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        inside = -F.binary_cross_entropy_with_logits(logits, value, reduction="none")
        return inside + self._log_norm()

    def _safe_logits(self) -> tuple[Tensor, Tensor]:
        """The logits, 1 where they are 0, and where that is."""
        flat = self.logits == 0
        return self.logits.masked_fill(flat, 1), flat

    def cdf(self, value) -> Tensor:
        """(e^(l x) - 1) / (e^l - 1) of the logit l, x for l = 0."""
        if self._validate_args:
            self._validate_sample(value)
        logits, flat = self._safe_logits()
        found = (logits * value).expm1() / logits.expm1()
        return _core.where(flat.expand(found.shape), value, found).clamp(0, 1)

    def icdf(self, value) -> Tensor:
        """log(1 + u (e^l - 1)) / l of the logit l, u for l = 0."""
        logits, flat = self._safe_logits()
        found = (value * logits.expm1()).log1p() / logits
        return _core.where(flat.expand(found.shape), value, found)

    def entropy(self) -> Tensor:
        """mean (log(1 - p) - log p) - log C - log(1 - p)."""
        below, above = (-self.probs).log1p(), self.probs.log()
        return self.mean * (below - above) - self._log_norm() - below
