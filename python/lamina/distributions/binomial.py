"""The binomial distribution."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from ..autograd import no_grad
from ..ops.creation import arange
from . import constraints
from .bernoulli import one_of
from .distribution import Distribution
from .utils import broadcast_all, lazy_property, logits_to_probs, probs_to_logits

__all__ = ["Binomial"]


class Binomial(Distribution):
    """P(k) = C(n, k) p^k (1 - p)^(n - k), k = 0 ... n.

    Args:
        total_count: n, a number or tensor. probs: p in [0, 1], or logits: log(p / (1 - p)).
    """

    arg_constraints = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    has_enumerate_support = True

    def __init__(self, total_count=1, probs=None, logits=None, validate_args=None):
        if one_of("Binomial", probs, logits):
            self.total_count, self.probs = broadcast_all(total_count, probs)
            self._param = self.probs
        else:
            self.total_count, self.logits = broadcast_all(total_count, logits)
            self._param = self.logits
        self.total_count = self.total_count.to(self._param.dtype)
        super().__init__(self._param.shape, validate_args=validate_args)

    def _expand_rest(self, new, shape):
        new._param = self._param.expand(shape)

    @constraints.dependent_property(is_discrete=True)
    def support(self):
        """0 ... n."""
        return constraints.integer_interval(0, self.total_count)

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
        """n p."""
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        """floor((n + 1) p), n for p = 1."""
        return _core.minimum(((self.total_count + 1) * self.probs).floor(), self.total_count)

    @property
    def variance(self) -> Tensor:
        """n p (1 - p)."""
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape=()) -> Tensor:
        """Counts of the parameter's dtype (geometric gaps; Hoermann, 1993)."""
        shape = self._extended_shape(sample_shape)
        with no_grad():
            return _core.random_binomial(
                self.total_count.expand(shape), self.probs.expand(shape), None
            )

    def log_prob(self, value) -> Tensor:
        """log C(n, k) + k l - n log(1 + e^l), l the logit."""
        if self._validate_args:
            self._validate_sample(value)
        n, l = self.total_count, self.logits
        choose = (n + 1).lgamma() - (value + 1).lgamma() - (n - value + 1).lgamma()
        norm = n * (l.clamp(min=0) + (-l.abs()).exp().log1p())
        return choose + value * l - norm

    def entropy(self) -> Tensor:
        """-sum_k P(k) log P(k), over the support; the same n in the whole batch."""
        log_p = self.log_prob(self.enumerate_support(True))
        return -(log_p.exp() * log_p).sum(0)

    def enumerate_support(self, expand=True) -> Tensor:
        """0 ... n along a new first dimension. NotImplementedError when n differs in the batch."""
        n = int(self.total_count.max().item())
        if int(self.total_count.min().item()) != n:
            raise NotImplementedError("Binomial: total_count differs within the batch")
        batch = tuple(self._batch_shape)
        values = arange(n + 1, dtype=self._param.dtype).reshape(-1, *([1] * len(batch)))
        return values.expand((n + 1,) + batch) if expand else values
