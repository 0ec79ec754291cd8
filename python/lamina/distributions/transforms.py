"""Invertible maps with the logarithm of their derivative, for `TransformedDistribution`."""

from __future__ import annotations

import copy
import math

from .. import _core
from .._core import Tensor
from . import constraints
from .utils import sum_rightmost

__all__ = [
    "AbsTransform", "AffineTransform", "ComposeTransform", "ExpTransform", "PowerTransform",
    "SigmoidTransform", "TanhTransform", "Transform", "identity_transform",
]  # fmt: skip


class Transform:
    """y = f(x), called as ``t(x)``; ``t.inv(y)`` is x.

    `log_abs_det_jacobian(x, y)` is log |dy / dx|, element by element. With cache_size 1 the last
    pair is remembered, so that the inverse of a sample is exact.
    """

    bijective = True
    domain: constraints.Constraint = constraints.real
    codomain: constraints.Constraint = constraints.real
    event_dim = 0

    def __init__(self, cache_size=0):
        if cache_size not in (0, 1):
            raise ValueError(f"Transform: cache_size must be 0 or 1, got {cache_size}")
        self._cache_size = cache_size
        self._last = (None, None)

    @property
    def inv(self) -> Transform:
        """The inverse map."""
        return _Inverse(self)

    @property
    def sign(self):
        """1 where increasing, -1 where decreasing."""
        raise NotImplementedError(f"{type(self).__name__}: has no sign")

    def __call__(self, x) -> Tensor:
        if self._cache_size and self._last[0] is x:
            return self._last[1]
        y = self._call(x)
        if self._cache_size:
            self._last = (x, y)
        return y

    def _inv_call(self, y) -> Tensor:
        if self._cache_size and self._last[1] is y:
            return self._last[0]
        x = self._inverse(y)
        if self._cache_size:
            self._last = (x, y)
        return x

    def _call(self, x):
        raise NotImplementedError(f"{type(self).__name__}: has no _call")

    def _inverse(self, y):
        raise NotImplementedError(f"{type(self).__name__}: has no inverse")

    def log_abs_det_jacobian(self, x, y) -> Tensor:
        """log |dy / dx|."""
        raise NotImplementedError(f"{type(self).__name__}: has no log_abs_det_jacobian")

    def forward_shape(self, shape):
        """The shape of f(x) for an x of this shape."""
        return shape

    def inverse_shape(self, shape):
        """The shape of x for a y of this shape."""
        return shape

    def with_cache(self, cache_size=1):
        """A copy that remembers the last pair (1) or does not (0)."""
        new = copy.copy(self)
        Transform.__init__(new, cache_size)
        return new

    def __eq__(self, other):
        return self is other

    __hash__ = object.__hash__

    def __repr__(self):
        return type(self).__name__ + "()"


class _Inverse(Transform):
    def __init__(self, forward):
        super().__init__()
        self._forward = forward
        self.domain, self.codomain = forward.codomain, forward.domain
        self.event_dim, self.bijective = forward.codomain.event_dim, forward.bijective

    def forward_shape(self, shape):
        return self._forward.inverse_shape(shape)

    def inverse_shape(self, shape):
        return self._forward.forward_shape(shape)

    @property
    def inv(self):
        return self._forward

    @property
    def sign(self):
        return self._forward.sign

    def __call__(self, x):
        return self._forward._inv_call(x)

    def _inv_call(self, y):
        return self._forward(y)

    def log_abs_det_jacobian(self, x, y):
        return -self._forward.log_abs_det_jacobian(y, x)

    def __eq__(self, other):
        return isinstance(other, _Inverse) and self._forward == other._forward

    __hash__ = object.__hash__


def _over(constraint, events: int):
    """The constraint as one on events of that many dimensions."""
    more = events - constraint.event_dim
    return constraints.independent(constraint, more) if more > 0 else constraint


class ComposeTransform(Transform):
    """The transforms `parts`, one after the other."""

    def __init__(self, parts, cache_size=0):
        super().__init__(cache_size)
        self.parts = list(parts)
        if not self.parts:
            return
        self.bijective = all(p.bijective for p in self.parts)
        first, last = self.parts[0].domain, self.parts[-1].codomain
        events = last.event_dim  # how many dimensions an event has before each part
        for p in reversed(self.parts):
            events = max(events + p.domain.event_dim - p.codomain.event_dim, p.domain.event_dim)
        self.domain, self.event_dim = _over(first, events), events
        events = first.event_dim  # and after it
        for p in self.parts:
            events = max(events + p.codomain.event_dim - p.domain.event_dim, p.codomain.event_dim)
        self.codomain = _over(last, events)

    @property
    def sign(self):
        """The product of the signs."""
        sign = 1
        for p in self.parts:
            sign = sign * p.sign
        return sign

    def _call(self, x):
        for p in self.parts:
            x = p(x)
        return x

    def _inverse(self, y):
        for p in reversed(self.parts):
            y = p._inv_call(y)
        return y

    def log_abs_det_jacobian(self, x, y):
        """The sum of the parts', each with its event dimensions summed."""
        total, events = 0.0 * x if not self.parts else 0.0, self.event_dim
        for p in self.parts:
            next_x = p(x)
            term = p.log_abs_det_jacobian(x, next_x)
            total = total + sum_rightmost(term, events - p.domain.event_dim)
            events += p.codomain.event_dim - p.domain.event_dim
            x = next_x
        return total

    def forward_shape(self, shape):
        """Through all parts."""
        for p in self.parts:
            shape = p.forward_shape(shape)
        return shape

    def inverse_shape(self, shape):
        """Back through all parts."""
        for p in reversed(self.parts):
            shape = p.inverse_shape(shape)
        return shape

    def __eq__(self, other):
        return isinstance(other, ComposeTransform) and self.parts == other.parts

    __hash__ = object.__hash__


identity_transform = ComposeTransform([])


class ExpTransform(Transform):
    """y = e^x."""

    codomain = constraints.positive
    sign = 1

    def _call(self, x):
        return x.exp()

    def _inverse(self, y):
        return y.log()

    def log_abs_det_jacobian(self, x, y):
        """x."""
        return x

    def __eq__(self, other):
        return isinstance(other, ExpTransform)

    __hash__ = object.__hash__


class PowerTransform(Transform):
    """y = x^exponent, for x > 0."""

    domain = codomain = constraints.positive

    def __init__(self, exponent, cache_size=0):
        super().__init__(cache_size)
        self.exponent = exponent

    @property
    def sign(self):
        """The exponent's sign."""
        e = self.exponent
        return e.sign() if isinstance(e, Tensor) else (e > 0) - (e < 0)

    def _call(self, x):
        return x**self.exponent

    def _inverse(self, y):
        return y ** (1 / self.exponent)

    def log_abs_det_jacobian(self, x, y):
        """log |exponent y / x|."""
        return (self.exponent * y / x).abs().log()


class SigmoidTransform(Transform):
    """y = 1 / (1 + e^-x)."""

    codomain = constraints.unit_interval
    sign = 1

    def _call(self, x):
        from .utils import clamp_probs

        return clamp_probs(x.sigmoid())

    def _inverse(self, y):
        from .utils import clamp_probs

        y = clamp_probs(y)
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x, y):
        """-softplus(x) - softplus(-x)."""
        return -_core.softplus(-x, 1.0, 20.0) - _core.softplus(x, 1.0, 20.0)

    def __eq__(self, other):
        return isinstance(other, SigmoidTransform)

    __hash__ = object.__hash__


class TanhTransform(Transform):
    """y = tanh(x)."""

    codomain = constraints.interval(-1.0, 1.0)
    sign = 1

    def _call(self, x):
        return x.tanh()

    def _inverse(self, y):
        return y.atanh()

    def log_abs_det_jacobian(self, x, y):
        """2 (log 2 - x - softplus(-2 x)): no digits are lost for large |x|."""
        return 2.0 * (math.log(2.0) - x - _core.softplus(-2.0 * x, 1.0, 20.0))

    def __eq__(self, other):
        return isinstance(other, TanhTransform)

    __hash__ = object.__hash__


class AbsTransform(Transform):
    """y = |x|; not invertible, its inverse takes the positive x."""

    bijective = False
    codomain = constraints.positive

    def _call(self, x):
        return x.abs()

    def _inverse(self, y):
        return y

    def __eq__(self, other):
        return isinstance(other, AbsTransform)

    __hash__ = object.__hash__


class AffineTransform(Transform):
    """y = loc + scale x. event_dim: how many last dimensions are one event."""

    def __init__(self, loc, scale, event_dim=0, cache_size=0):
        super().__init__(cache_size)
        self.loc, self.scale, self.event_dim = loc, scale, event_dim
        if event_dim:
            self.domain = self.codomain = constraints.independent(constraints.real, event_dim)

    @property
    def sign(self):
        """The scale's sign."""
        s = self.scale
        return s.sign() if isinstance(s, Tensor) else (s > 0) - (s < 0)

    def _call(self, x):
        return self.loc + self.scale * x

    def _inverse(self, y):
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x, y):
        """log |scale|, for each element of x."""
        if isinstance(self.scale, Tensor):
            result = self.scale.abs().log().expand(x.shape)
        else:
            result = x * 0 + math.log(abs(self.scale))
        return sum_rightmost(result, self.event_dim)


def __getattr__(name: str):
    """The transforms of other files, which build on this one: StickBreakingTransform, ..."""
    from . import more_transforms, vector_transforms

    for module in (more_transforms, vector_transforms):
        if name in module.__all__:
            return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
