"""The multinomial distribution."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from ..ops.creation import zeros
from . import constraints
from .binomial import Binomial
from .categorical import Categorical
from .distribution import Distribution

__all__ = ["Multinomial"]


class Multinomial(Distribution):
    """Counts of K categories in total_count independent draws; event_shape (K,).

    Args:
        total_count: an int. probs or logits: (..., K), as for `Categorical`.
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def __init__(self, total_count=1, probs=None, logits=None, validate_args=None):
        if not isinstance(total_count, int):
            raise NotImplementedError(
                f"Multinomial: total_count must be an int, got {type(total_count).__name__}"
            )
        self.total_count = total_count
        self._categorical = Categorical(probs=probs, logits=logits, validate_args=validate_args)
        super().__init__(self._categorical.batch_shape, self._categorical.param_shape[-1:],
                         validate_args=validate_args)  # fmt: skip

    def expand(self, batch_shape, _instance=None):
        """With the parameters expanded to a larger batch shape."""
        new = self._get_checked_instance(type(self), _instance)
        new.total_count = self.total_count
        new._categorical = self._categorical.expand(batch_shape)
        Distribution.__init__(new, batch_shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self):
        """Counts that sum to total_count."""
        return constraints.multinomial(self.total_count)

    @property
    def probs(self) -> Tensor:
        """Probabilities (..., K)."""
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        """Log probabilities (..., K)."""
        return self._categorical.logits

    @property
    def param_shape(self):
        """The parameter's shape, (..., K)."""
        return self._categorical.param_shape

    @property
    def mean(self) -> Tensor:
        """n p."""
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        """n p (1 - p)."""
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape=()) -> Tensor:
        """Counts of the parameter's dtype, of shape sample_shape + batch_shape + (K,)."""
        shape = tuple(sample_shape)
        drawn = self._categorical.sample((self.total_count,) + shape)
        drawn = drawn.permute(*range(1, drawn.dim()), 0)
        counts = zeros(*self._extended_shape(shape), dtype=self.probs.dtype)
        return counts.scatter_add(-1, drawn, zeros(*drawn.shape, dtype=counts.dtype) + 1)

    def log_prob(self, value) -> Tensor:
        """log n! - sum_k log x_k! + sum_k x_k log p_k."""
        if self._validate_args:
            self._validate_sample(value)
        x = value.to(self.logits.dtype)
        impossible = (x == 0) & (self.logits == float("-inf"))
        logits = _core.where(impossible, 0.0, self.logits)
        return (x.sum(-1) + 1).lgamma() - (x + 1).lgamma().sum(-1) + (logits * x).sum(-1)

    def entropy(self) -> Tensor:
        """n H(p) - log n! + sum_k E[log x_k!], x_k binomial (Johnson, Kotz and Balakrishnan,
        Discrete Multivariate Distributions, 1997, ch. 35)."""
        n = self.total_count
        binomial = Binomial(n, probs=self.probs, validate_args=False)
        support = binomial.enumerate_support(expand=False)
        expected = (binomial.log_prob(support).exp() * (support + 1).lgamma()).sum((0, -1))
        factorial = (self.probs.sum(-1) * 0 + (n + 1)).lgamma()
        return n * self._categorical.entropy() - factorial + expected
