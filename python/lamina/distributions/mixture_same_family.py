"""Mixtures of distributions of one family."""

from __future__ import annotations

from .._core import Tensor
from ..autograd import no_grad
from . import constraints
from .categorical import Categorical
from .distribution import Distribution

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """p(x) = sum_k w_k p_k(x).

    Args:
        mixture_distribution: a Categorical whose K probabilities are the weights.
        component_distribution: a distribution whose last batch dimension has size K.
    Raises ValueError when these do not fit.
    """

    arg_constraints: dict = {}

    def __init__(self, mixture_distribution, component_distribution, validate_args=None):
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(
                "MixtureSameFamily: mixture_distribution must be a Categorical, got "
                f"{type(mixture_distribution).__name__}"
            )
        shape = component_distribution.batch_shape
        count = mixture_distribution.probs.shape[-1]
        if not shape or shape[-1] != count:
            raise ValueError(
                f"MixtureSameFamily: {count} weights, but the components have batch shape "
                f"{tuple(shape)}; its last size must be {count}"
            )
        batch = shape[:-1]
        self._mixture_distribution = mixture_distribution.expand(batch)
        self._component_distribution = component_distribution
        self._num_component = count
        super().__init__(batch, component_distribution.event_shape, validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        """With a larger batch shape."""
        shape = tuple(batch_shape)
        return MixtureSameFamily(
            self._mixture_distribution.expand(shape),
            self._component_distribution.expand(shape + (self._num_component,)),
            validate_args=self._validate_args,
        )

    @property
    def mixture_distribution(self) -> Categorical:
        """The weights."""
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Distribution:
        """The components."""
        return self._component_distribution

    @constraints.dependent_property
    def support(self):
        """The components' support."""
        return self._component_distribution.support

    def _weights(self) -> Tensor:
        probs = self._mixture_distribution.probs
        return probs.reshape(*probs.shape, *([1] * len(self._event_shape)))

    @property
    def _mixture_dim(self) -> int:
        return -1 - len(self._event_shape)

    @property
    def mean(self) -> Tensor:
        """sum_k w_k mean_k."""
        return (self._weights() * self._component_distribution.mean).sum(self._mixture_dim)

    @property
    def variance(self) -> Tensor:
        """sum_k w_k (var_k + (mean_k - mean)^2), the law of total variance."""
        d, dim = self._component_distribution, self._mixture_dim
        within = (self._weights() * d.variance).sum(dim)
        apart = (d.mean - self.mean.unsqueeze(dim)).square()
        return within + (self._weights() * apart).sum(dim)

    def sample(self, sample_shape=()) -> Tensor:
        """A component's draw, the component drawn by weight."""
        with no_grad():
            x = self._component_distribution.sample(sample_shape)
            k = self._mixture_distribution.sample(sample_shape)
            dim = x.dim() + self._mixture_dim
            k = k.reshape(*k.shape, *([1] * (len(self._event_shape) + 1)))
            shape = tuple(x.shape[:dim]) + (1,) + tuple(x.shape[dim + 1 :])
            return x.gather(dim, k.expand(shape)).squeeze(dim)

    def log_prob(self, value) -> Tensor:
        """logsumexp_k(log w_k + log p_k(x))."""
        if self._validate_args:
            self._validate_sample(value)
        value = value.unsqueeze(value.dim() + self._mixture_dim + 1)
        log_p = self._component_distribution.log_prob(value)
        return (log_p + self._mixture_distribution.logits).logsumexp(-1)

    def cdf(self, value) -> Tensor:
        """sum_k w_k cdf_k(x)."""
        value = value.unsqueeze(value.dim() + self._mixture_dim + 1)
        return (self._component_distribution.cdf(value) * self._mixture_distribution.probs).sum(-1)

    def __repr__(self) -> str:
        return f"MixtureSameFamily({self._mixture_distribution}, {self._component_distribution})"
