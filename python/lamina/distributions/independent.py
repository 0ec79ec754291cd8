"""Batch dimensions counted as part of the event."""

from __future__ import annotations

from .._core import Tensor
from .._types import Size
from . import constraints
from .distribution import Distribution
from .utils import sum_rightmost

__all__ = ["Independent"]


class Independent(Distribution):
    """The last batch dimensions of a distribution become event dimensions: log_prob and entropy
    sum over them.

    Args:
        base_distribution. reinterpreted_batch_ndims: how many. ValueError when there are fewer.
    """

    arg_constraints: dict = {}

    def __init__(self, base_distribution, reinterpreted_batch_ndims, validate_args=None):
        n, batch = reinterpreted_batch_ndims, base_distribution.batch_shape
        if n > len(batch):
            raise ValueError(
                f"Independent: reinterpreted_batch_ndims is {n}, but the batch shape is "
                f"{tuple(batch)}"
            )
        shape = batch + base_distribution.event_shape
        at = len(batch) - n
        self.base_dist = base_distribution
        self.reinterpreted_batch_ndims = n
        super().__init__(shape[:at], shape[at:], validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        """With a larger batch shape."""
        n = self.reinterpreted_batch_ndims
        base = self.base_dist.expand(Size(batch_shape) + self._event_shape[:n])
        return Independent(base, n, validate_args=self._validate_args)

    @property
    def has_rsample(self):  # type: ignore[override]
        """As the base distribution."""
        return self.base_dist.has_rsample

    @property
    def has_enumerate_support(self):  # type: ignore[override]
        """Only with no reinterpreted dimension."""
        return self.reinterpreted_batch_ndims == 0 and self.base_dist.has_enumerate_support

    @constraints.dependent_property
    def support(self):
        """The base's support, over the whole event."""
        if not self.reinterpreted_batch_ndims:
            return self.base_dist.support
        return constraints.independent(self.base_dist.support, self.reinterpreted_batch_ndims)

    @property
    def mean(self) -> Tensor:
        """The base's mean."""
        return self.base_dist.mean

    @property
    def mode(self) -> Tensor:
        """The base's mode."""
        return self.base_dist.mode

    @property
    def variance(self) -> Tensor:
        """The base's variance."""
        return self.base_dist.variance

    def sample(self, sample_shape=()) -> Tensor:
        """The base's draws."""
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape=()) -> Tensor:
        """The base's differentiable draws."""
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value) -> Tensor:
        """The base's, summed over the reinterpreted dimensions."""
        return sum_rightmost(self.base_dist.log_prob(value), self.reinterpreted_batch_ndims)

    def entropy(self) -> Tensor:
        """The base's, summed over the reinterpreted dimensions."""
        return sum_rightmost(self.base_dist.entropy(), self.reinterpreted_batch_ndims)

    def __repr__(self) -> str:
        return f"Independent({self.base_dist}, {self.reinterpreted_batch_ndims})"
