"""Transforms made of others, and of a distribution's own functions."""

from __future__ import annotations

import math

from .._core import Tensor
from ..nn import functional as F
from ..ops.join import cat, stack
from . import constraints
from .transforms import Transform
from .utils import sum_rightmost

__all__ = [
    "CatTransform", "CumulativeDistributionTransform", "IndependentTransform", "ReshapeTransform",
    "SoftplusTransform", "StackTransform",
]  # fmt: skip


class SoftplusTransform(Transform):
    """y = log(1 + e^x)."""

    codomain = constraints.positive
    sign = 1

    def _call(self, x):
        return F.softplus(x)

    def _inverse(self, y):
        return (-y).expm1().neg().log() + y

    def log_abs_det_jacobian(self, x, y):
        """-softplus(-x)."""
        return -F.softplus(-x)

    def __eq__(self, other):
        return isinstance(other, SoftplusTransform)

    __hash__ = object.__hash__


class CumulativeDistributionTransform(Transform):
    """y = P(X <= x) of a distribution of numbers that has cdf and icdf.

    Its inverse maps uniform numbers to draws of the distribution.
    """

    codomain = constraints.unit_interval
    sign = 1

    def __init__(self, distribution, cache_size=0):
        super().__init__(cache_size)
        self.distribution, self.domain = distribution, distribution.support

    def _call(self, x):
        return self.distribution.cdf(x)

    def _inverse(self, y):
        return self.distribution.icdf(y)

    def log_abs_det_jacobian(self, x, y):
        """The log density."""
        return self.distribution.log_prob(x)


class IndependentTransform(Transform):
    """`base_transform`, the last `reinterpreted_batch_ndims` dimensions counted as one event."""

    def __init__(self, base_transform, reinterpreted_batch_ndims, cache_size=0):
        super().__init__(cache_size)
        self.base_transform, n = base_transform, reinterpreted_batch_ndims
        self.reinterpreted_batch_ndims = n
        self.bijective = base_transform.bijective
        self.domain = constraints.independent(base_transform.domain, n)
        self.codomain = constraints.independent(base_transform.codomain, n)
        self.event_dim = self.domain.event_dim

    @property
    def sign(self):
        """The base's."""
        return self.base_transform.sign

    def _call(self, x):
        return self.base_transform(x)

    def _inverse(self, y):
        return self.base_transform._inv_call(y)

    def log_abs_det_jacobian(self, x, y):
        """The base's, summed over the event."""
        term = self.base_transform.log_abs_det_jacobian(x, y)
        return sum_rightmost(term, self.reinterpreted_batch_ndims)

    def forward_shape(self, shape):
        """The base's."""
        return self.base_transform.forward_shape(shape)

    def inverse_shape(self, shape):
        """The base's."""
        return self.base_transform.inverse_shape(shape)


class ReshapeTransform(Transform):
    """The last dimensions `in_shape` as `out_shape`; ValueError for other numbers of elements."""

    def __init__(self, in_shape, out_shape, cache_size=0):
        super().__init__(cache_size)
        self.in_shape, self.out_shape = tuple(in_shape), tuple(out_shape)
        if math.prod(self.in_shape) != math.prod(self.out_shape):
            raise ValueError(
                f"ReshapeTransform: {self.in_shape} and {self.out_shape} have different numbers of "
                "elements"
            )
        self.domain = constraints.independent(constraints.real, len(self.in_shape))
        self.codomain = constraints.independent(constraints.real, len(self.out_shape))
        self.event_dim = len(self.in_shape)

    def _call(self, x):
        return x.reshape(self.forward_shape(x.shape))

    def _inverse(self, y):
        return y.reshape(self.inverse_shape(y.shape))

    def log_abs_det_jacobian(self, x, y):
        """0."""
        return x.new_zeros(x.shape[: x.dim() - len(self.in_shape)])

    def _change(self, shape, old, new):
        at = len(shape) - len(old)
        if at < 0 or tuple(shape[at:]) != old:
            raise ValueError(f"ReshapeTransform: expected a shape ending in {old}, got {shape}")
        return (*shape[:at], *new)

    def forward_shape(self, shape):
        """in_shape becomes out_shape."""
        return self._change(shape, self.in_shape, self.out_shape)

    def inverse_shape(self, shape):
        """out_shape becomes in_shape."""
        return self._change(shape, self.out_shape, self.in_shape)


class CatTransform(Transform):
    """Transforms of slices next to each other along `dim`: of `lengths` elements each (1 each by
    default), in the order of `tseq`. Raises ValueError for a size that is not their sum."""

    def __init__(self, tseq, dim=0, lengths=None, cache_size=0):
        super().__init__(cache_size)
        self.transforms, self.dim = list(tseq), dim
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        self.length = sum(self.lengths)
        self.event_dim = max(t.event_dim for t in self.transforms)
        self.bijective = all(t.bijective for t in self.transforms)
        self.domain = constraints.cat([t.domain for t in self.transforms], dim, self.lengths)
        self.codomain = constraints.cat([t.codomain for t in self.transforms], dim, self.lengths)

    def _pieces(self, x: Tensor):
        if not -x.dim() <= self.dim < x.dim() or x.shape[self.dim] != self.length:
            raise ValueError(
                f"CatTransform: expected {self.length} elements along dimension {self.dim}, got "
                f"shape {tuple(x.shape)}"
            )
        return x.split(self.lengths, self.dim)

    def _call(self, x):
        return cat([t(v) for t, v in zip(self.transforms, self._pieces(x))], self.dim)

    def _inverse(self, y):
        return cat([t._inv_call(v) for t, v in zip(self.transforms, self._pieces(y))], self.dim)

    def log_abs_det_jacobian(self, x, y):
        """The parts' side by side; along a dimension of the event their sum."""
        parts = []
        for t, u, v in zip(self.transforms, self._pieces(x), self._pieces(y)):
            term = t.log_abs_det_jacobian(u, v)
            parts.append(sum_rightmost(term, self.event_dim - t.event_dim))
        dim = self.dim if self.dim < 0 else self.dim - x.dim()
        dim += self.event_dim
        return cat(parts, dim) if dim < 0 else sum(parts[1:], parts[0])


class StackTransform(Transform):
    """A transform for each index of `dim`. Raises ValueError for another size."""

    def __init__(self, tseq, dim=0, cache_size=0):
        super().__init__(cache_size)
        self.transforms, self.dim = list(tseq), dim
        self.bijective = all(t.bijective for t in self.transforms)
        self.domain = constraints.stack([t.domain for t in self.transforms], dim)
        self.codomain = constraints.stack([t.codomain for t in self.transforms], dim)

    def _slices(self, x: Tensor):
        if not -x.dim() <= self.dim < x.dim() or x.shape[self.dim] != len(self.transforms):
            raise ValueError(
                f"StackTransform: expected {len(self.transforms)} elements along dimension "
                f"{self.dim}, got shape {tuple(x.shape)}"
            )
        return x.unbind(self.dim)

    def _call(self, x):
        return stack([t(v) for t, v in zip(self.transforms, self._slices(x))], self.dim)

    def _inverse(self, y):
        return stack([t._inv_call(v) for t, v in zip(self.transforms, self._slices(y))], self.dim)

    def log_abs_det_jacobian(self, x, y):
        """The parts', stacked."""
        pairs = zip(self.transforms, self._slices(x), self._slices(y))
        return stack([t.log_abs_det_jacobian(u, v) for t, u, v in pairs], self.dim)
