"""Distribution: what all probability distributions have."""

from __future__ import annotations

from .._core import Tensor
from .._expect import fails
from .._types import Size
from ..autograd import no_grad
from ..ops.view import broadcast_shapes
from . import constraints
from .utils import lazy_property

__all__ = ["Distribution", "ExponentialFamily"]


class Distribution:
    """A family of distributions, one for each index of `batch_shape`.

    A draw of one of them has shape `event_shape`; ``sample(S)`` has shape S + batch_shape +
    event_shape, and ``log_prob(value)`` takes any value that broadcasts with batch_shape +
    event_shape and returns the shape without the event's part. Constructing one, and `log_prob`,
    check what they are given unless `validate_args` is False.

    Args:
        batch_shape, event_shape: tuples of ints.
        validate_args: whether to check; None: as `set_default_validate_args` says (True).
    Raises ValueError for parameters or values outside `arg_constraints` or `support`.
    """

    has_rsample = False
    has_enumerate_support = False
    _validate_args = __debug__

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions made from now on check their arguments. True or False."""
        if value not in (True, False):
            raise ValueError(f"set_default_validate_args: expected True or False, got {value!r}")
        Distribution._validate_args = value

    def __init__(self, batch_shape=(), event_shape=(), validate_args=None):
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if not self._validate_args:
            return
        for name, constraint in self.arg_constraints.items():
            lazy = isinstance(getattr(type(self), name, None), lazy_property)
            if constraints.is_dependent(constraint) or (lazy and name not in self.__dict__):
                continue  # not a constant constraint, or a parameter that was not given
            value = getattr(self, name)
            what = f"{type(self).__name__}: parameter {name} must satisfy {constraint!r}"
            if fails(constraint.check(value), ValueError, what):
                raise ValueError(
                    f"{type(self).__name__}: parameter {name} (shape {tuple(value.shape)}) must "
                    f"satisfy {constraint!r}; got\n{value}"
                )

    def expand(self, batch_shape, _instance=None) -> Distribution:
        """The same distribution with its parameters expanded to a larger batch shape."""
        shape = Size(batch_shape)
        new = self._get_checked_instance(type(self), _instance)
        for name in self.arg_constraints:
            if name in self.__dict__:
                value = self.__dict__[name]
                tail = value.shape[value.dim() - self._parameter_dims(name) :]
                setattr(new, name, value.expand(shape + tail))
        self._expand_rest(new, shape)
        Distribution.__init__(new, shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _parameter_dims(self, name) -> int:
        """How many of a parameter's last dimensions belong to one distribution."""
        constraint = self.arg_constraints[name]
        return constraint.event_dim

    def _expand_rest(self, new, shape) -> None:
        """For subclasses: attributes that are not parameters."""

    def _get_checked_instance(self, cls, instance=None):
        return cls.__new__(cls) if instance is None else instance

    @property
    def batch_shape(self) -> Size:
        """The shape of the family."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of one draw of one member."""
        return self._event_shape

    arg_constraints: dict = {}

    @property
    def support(self):
        """The constraint on values."""
        raise NotImplementedError(f"{type(self).__name__}: has no support")

    @property
    def mean(self) -> Tensor:
        """The mean, of shape batch_shape + event_shape."""
        raise NotImplementedError(f"{type(self).__name__}: has no mean")

    @property
    def mode(self) -> Tensor:
        """The most likely value, of shape batch_shape + event_shape."""
        raise NotImplementedError(f"{type(self).__name__}: has no mode")

    @property
    def variance(self) -> Tensor:
        """The variance, of shape batch_shape + event_shape."""
        raise NotImplementedError(f"{type(self).__name__}: has no variance")

    @property
    def stddev(self) -> Tensor:
        """The square root of the variance."""
        return self.variance.sqrt()

    def sample(self, sample_shape=()) -> Tensor:
        """Draws of shape sample_shape + batch_shape + event_shape, without a gradient."""
        with no_grad():
            return self.rsample(sample_shape).detach()

    def rsample(self, sample_shape=()) -> Tensor:
        """Draws that are differentiable functions of the parameters (where has_rsample)."""
        raise NotImplementedError(f"{type(self).__name__}: has no rsample; use sample()")

    def sample_n(self, n) -> Tensor:
        """n draws: ``sample((n,))``."""
        return self.sample((n,))

    def log_prob(self, value) -> Tensor:
        """The log of the density or probability at `value`."""
        raise NotImplementedError(f"{type(self).__name__}: has no log_prob")

    def cdf(self, value) -> Tensor:
        """P(X <= value)."""
        raise NotImplementedError(f"{type(self).__name__}: has no cdf")

    def icdf(self, value) -> Tensor:
        """The quantile function, inverse of `cdf`."""
        raise NotImplementedError(f"{type(self).__name__}: has no icdf")

    def enumerate_support(self, expand=True) -> Tensor:
        """All values of a discrete distribution, along a new first dimension."""
        raise NotImplementedError(f"{type(self).__name__}: its support cannot be enumerated")

    def entropy(self) -> Tensor:
        """-E[log p(X)], of shape batch_shape, in nats."""
        raise NotImplementedError(f"{type(self).__name__}: has no entropy")

    def perplexity(self) -> Tensor:
        """exp(entropy)."""
        return self.entropy().exp()

    def _extended_shape(self, sample_shape=()) -> Size:
        return Size(tuple(sample_shape)) + self._batch_shape + self._event_shape

    def _validate_sample(self, value) -> None:
        name = type(self).__name__
        if not isinstance(value, Tensor):
            raise ValueError(f"{name}: the value must be a Tensor, got {type(value).__name__}")
        events = len(self._event_shape)
        if tuple(value.shape[value.dim() - events :]) != tuple(self._event_shape):
            raise ValueError(
                f"{name}: the right-most size of the value must be the event shape "
                f"{tuple(self._event_shape)}, got {tuple(value.shape)}"
            )
        try:
            broadcast_shapes(value.shape, self._batch_shape + self._event_shape)
        except RuntimeError:
            raise ValueError(
                f"{name}: a value of shape {tuple(value.shape)} does not broadcast with batch shape"
                f" {tuple(self._batch_shape)} and event shape {tuple(self._event_shape)}"
            )
        what = f"{name}: the value must lie in the support {self.support!r}"
        if fails(self.support.check(value), ValueError, what):
            raise ValueError(
                f"{name}: the value (shape {tuple(value.shape)}) must lie in the support "
                f"{self.support!r}; got\n{value}"
            )

    def __repr__(self) -> str:
        found = [n for n in self.arg_constraints if n in self.__dict__]
        inside = ", ".join(
            f"{n}: {v if v.numel() == 1 else v.shape}"
            for n, v in ((n, self.__dict__[n]) for n in found)
        )
        return f"{type(self).__name__}({inside})"


class ExponentialFamily(Distribution):
    """Distributions of the form exp(t(x) . theta - F(theta) + k(x)); a name to test for."""
