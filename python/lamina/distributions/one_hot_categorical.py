"""The categorical distribution over one-hot vectors."""

from __future__ import annotations

from .._core import Tensor
from ..ops.creation import eye
from . import constraints
from .categorical import Categorical
from .distribution import Distribution

__all__ = ["OneHotCategorical", "OneHotCategoricalStraightThrough"]


class OneHotCategorical(Distribution):
    """The k-th unit vector with probability probs[..., k]; event_shape (K,).

    Args: probs or logits, (..., K), as for `Categorical`.
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.one_hot
    has_enumerate_support = True

    def __init__(self, probs=None, logits=None, validate_args=None):
        self._categorical = Categorical(probs, logits, validate_args)
        super().__init__(self._categorical.batch_shape, self._categorical.param_shape[-1:],
                         validate_args=validate_args)  # fmt: skip

    def expand(self, batch_shape, _instance=None):
        """With the parameters expanded to a larger batch shape."""
        new = self._get_checked_instance(type(self), _instance)
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

    @property
    def param_shape(self):
        """The parameter's shape, (..., K)."""
        return self._categorical.param_shape

    @property
    def mean(self) -> Tensor:
        """probs."""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """The unit vector of the most probable category."""
        return self._one_hot(self.probs.argmax(-1))

    @property
    def variance(self) -> Tensor:
        """p (1 - p)."""
        return self.probs * (1 - self.probs)

    def _one_hot(self, index) -> Tensor:
        return eye(self._event_shape[0], dtype=self.probs.dtype)[index]

    def sample(self, sample_shape=()) -> Tensor:
        """Unit vectors, of shape sample_shape + batch_shape + (K,), of the parameter's dtype."""
        return self._one_hot(self._categorical.sample(sample_shape))

    def log_prob(self, value) -> Tensor:
        """The log probability of the category whose place holds the 1."""
        if self._validate_args:
            self._validate_sample(value)
        return self._categorical.log_prob(value.argmax(-1))

    def entropy(self) -> Tensor:
        """-sum_k p_k log p_k."""
        return self._categorical.entropy()

    def enumerate_support(self, expand=True) -> Tensor:
        """All unit vectors along a new first dimension."""
        n = self._event_shape[0]
        batch = tuple(self._batch_shape)
        values = eye(n, dtype=self.probs.dtype).reshape(n, *([1] * len(batch)), n)
        return values.expand((n,) + batch + (n,)) if expand else values


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """`OneHotCategorical` whose rsample lets gradients pass to probs unchanged (Bengio et al.,
    arXiv 1308.3432)."""

    has_rsample = True

    def rsample(self, sample_shape=()) -> Tensor:
        """sample + probs - probs.detach()."""
        return self.sample(sample_shape) + (self.probs - self.probs.detach())
