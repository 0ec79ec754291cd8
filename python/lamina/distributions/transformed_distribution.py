"""The distribution of a function of a random variable."""

from __future__ import annotations

from .._core import Tensor
from ..autograd import no_grad
from . import constraints
from .distribution import Distribution
from .independent import Independent
from .transforms import ComposeTransform, Transform
from .utils import sum_rightmost

__all__ = ["TransformedDistribution"]


class TransformedDistribution(Distribution):
    """Y = f(X), X of the base distribution: log p(y) = log p(f^-1(y)) - log |dy / dx|.

    Args:
        base_distribution. transforms: a Transform or a list of them, applied in order.
    Raises ValueError for anything else.
    """

    arg_constraints: dict = {}

    def __init__(self, base_distribution, transforms, validate_args=None):
        transforms = [transforms] if isinstance(transforms, Transform) else list(transforms)
        if not all(isinstance(t, Transform) for t in transforms):
            raise ValueError(
                f"TransformedDistribution: expected a Transform or a list of them, got {transforms}"
            )
        self.transforms, whole = transforms, ComposeTransform(transforms)
        base, before = base_distribution, whole.domain.event_dim
        events = len(base.event_shape)
        shape = base.batch_shape + base.event_shape
        if len(shape) < before:
            raise ValueError(
                f"TransformedDistribution: the transforms need a base of {before} dimensions or "
                f"more, got shape {tuple(shape)}"
            )
        result = tuple(whole.forward_shape(shape))
        wide = tuple(whole.inverse_shape(result))
        if wide != tuple(shape):
            base = base.expand(wide[: len(wide) - events])
        if before > events:
            base = Independent(base, before - events)
        self.base_dist = base
        after = whole.codomain.event_dim
        cut = len(result) - max(after, events + after - before)
        super().__init__(result[:cut], result[cut:], validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        """With the base expanded to a larger batch shape."""
        new = self._get_checked_instance(type(self), _instance)
        new.transforms = self.transforms
        whole = ComposeTransform(self.transforms)
        base = tuple(whole.inverse_shape((*batch_shape, *self._event_shape)))
        events = len(self.base_dist.event_shape)
        new.base_dist = self.base_dist.expand(base[: len(base) - events])
        Distribution.__init__(new, batch_shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def has_rsample(self):  # type: ignore[override]
        """As the base distribution."""
        return self.base_dist.has_rsample

    @constraints.dependent_property
    def support(self):
        """The last transform's codomain, over the whole event."""
        if not self.transforms:
            return self.base_dist.support
        support = self.transforms[-1].codomain
        more = len(self._event_shape) - support.event_dim
        return constraints.independent(support, more) if more > 0 else support

    def sample(self, sample_shape=()) -> Tensor:
        """The transforms of a sample of the base."""
        with no_grad():
            return self._forward(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape=()) -> Tensor:
        """The transforms of a differentiable sample of the base."""
        return self._forward(self.base_dist.rsample(sample_shape))

    def _forward(self, x):
        for transform in self.transforms:
            x = transform(x)
        return x

    def log_prob(self, value) -> Tensor:
        """The base's at f^-1(value), less log |dy / dx|."""
        if self._validate_args:
            self._validate_sample(value)
        events, y = len(self._event_shape), value
        total: Tensor | float = 0.0
        for transform in reversed(self.transforms):
            x = transform._inv_call(y)
            events += transform.domain.event_dim - transform.codomain.event_dim
            term = transform.log_abs_det_jacobian(x, y)
            total = total - sum_rightmost(term, events - transform.domain.event_dim)
            y = x
        base = self.base_dist.log_prob(y)
        return sum_rightmost(base, events - len(self.base_dist.event_shape)) + total

    def _monotone(self, value):
        """Flips a probability where the transforms decrease."""
        sign = ComposeTransform(self.transforms).sign
        return value if isinstance(sign, int) and sign == 1 else sign * (value - 0.5) + 0.5

    def cdf(self, value) -> Tensor:
        """The base's cdf at f^-1(value), flipped where f decreases."""
        if self._validate_args:
            self._validate_sample(value)
        for transform in reversed(self.transforms):
            value = transform._inv_call(value)
        return self._monotone(self.base_dist.cdf(value))

    def icdf(self, value) -> Tensor:
        """f of the base's quantile."""
        return self._forward(self.base_dist.icdf(self._monotone(value)))
