"""Where the parameters and the values of a distribution may lie.

A constraint's `check(value)` returns bools: of the value's shape, without its last `event_dim`
dimensions, over which the constraint speaks as a whole (a simplex: 1, a matrix: 2).
"""

from __future__ import annotations

from .._core import Tensor

__all__ = [
    "Constraint", "boolean", "cat", "corr_cholesky", "dependent", "dependent_property",
    "greater_than", "greater_than_eq", "half_open_interval", "independent", "integer_interval",
    "interval", "is_dependent", "less_than", "lower_cholesky", "lower_triangular", "multinomial",
    "nonnegative", "nonnegative_integer", "one_hot", "positive", "positive_definite",
    "positive_integer", "positive_semidefinite", "real", "real_vector", "simplex", "square",
    "stack", "symmetric", "unit_interval",
]  # fmt: skip


class Constraint:
    """A set of allowed values. `check(value)`: which elements lie in it."""

    is_discrete = False
    event_dim = 0

    def check(self, value: Tensor) -> Tensor:
        """Bools of shape ``value.shape[:value.dim() - event_dim]``."""
        raise NotImplementedError(f"{type(self).__name__}.check: this constraint is abstract")

    def __repr__(self) -> str:
        return type(self).__name__.lstrip("_").lower() + "()"


class _Dependent(Constraint):
    """A support that depends on the parameters; the distribution's property gives the real one."""

    def __init__(self, *, is_discrete=False, event_dim=0):
        self.is_discrete, self.event_dim = is_discrete, event_dim

    def check(self, value):
        raise ValueError("constraints.dependent: ask the distribution's instance for its support")


class dependent_property(property):
    """A property that is a constraint on instances, and says its event_dim on the class."""

    def __init__(self, fget=None, *, is_discrete=False, event_dim=0):
        super().__init__(fget)
        self.is_discrete, self.event_dim = is_discrete, event_dim

    def __call__(self, fget):
        return dependent_property(fget, is_discrete=self.is_discrete, event_dim=self.event_dim)


def is_dependent(constraint) -> bool:
    """Whether the constraint is only known from a distribution's parameters."""
    return isinstance(constraint, (_Dependent, dependent_property))


class independent(Constraint):
    """`base_constraint` over the last `reinterpreted_batch_ndims` dimensions at once."""

    def __init__(self, base_constraint, reinterpreted_batch_ndims):
        self.base_constraint = base_constraint
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims
        self.is_discrete = base_constraint.is_discrete
        self.event_dim = base_constraint.event_dim + reinterpreted_batch_ndims

    def check(self, value):
        """True where every one of the reinterpreted elements is allowed."""
        result = self.base_constraint.check(value)
        keep = result.dim() - self.reinterpreted_batch_ndims
        return result.reshape(*result.shape[:keep], -1).all(-1)


class _Boolean(Constraint):
    is_discrete = True

    def check(self, value):
        return (value == 0) | (value == 1)


class _OneHot(Constraint):
    is_discrete, event_dim = True, 1

    def check(self, value):
        return ((value == 0) | (value == 1)).all(-1) & (value.sum(-1) == 1)


class integer_interval(Constraint):
    """Integers in [lower_bound, upper_bound]."""

    is_discrete = True

    def __init__(self, lower_bound, upper_bound):
        self.lower_bound, self.upper_bound = lower_bound, upper_bound

    def check(self, value):
        """Whole and within the bounds."""
        return (value % 1 == 0) & (value >= self.lower_bound) & (value <= self.upper_bound)

    def __repr__(self):
        return f"integer_interval(lower_bound={self.lower_bound}, upper_bound={self.upper_bound})"


class _IntegerGreaterThan(Constraint):
    is_discrete = True

    def __init__(self, lower_bound):
        self.lower_bound = lower_bound

    def check(self, value):
        return (value % 1 == 0) & (value >= self.lower_bound)

    def __repr__(self):
        return f"integer_greater_than(lower_bound={self.lower_bound})"


class _Real(Constraint):
    def check(self, value):
        return value == value  # not NaN


class _Bounded(Constraint):
    def __init__(self, *bounds):
        self.bounds = bounds

    def __repr__(self):
        names = ("lower_bound", "upper_bound")
        if len(self.bounds) == 1:
            names = ("upper_bound",) if isinstance(self, less_than) else ("lower_bound",)
        inside = ", ".join(f"{n}={b}" for n, b in zip(names, self.bounds))
        return f"{type(self).__name__}({inside})"


class greater_than(_Bounded):
    """value > lower_bound."""

    def check(self, value):
        """Above the bound."""
        return value > self.bounds[0]


class greater_than_eq(_Bounded):
    """value >= lower_bound."""

    def check(self, value):
        """Not below the bound."""
        return value >= self.bounds[0]


class less_than(_Bounded):
    """value < upper_bound."""

    def check(self, value):
        """Below the bound."""
        return value < self.bounds[0]


class interval(_Bounded):
    """lower_bound <= value <= upper_bound."""

    def check(self, value):
        """Within both bounds."""
        return (value >= self.bounds[0]) & (value <= self.bounds[1])


class half_open_interval(_Bounded):
    """lower_bound <= value < upper_bound."""

    def check(self, value):
        """Within both bounds, the upper one excluded."""
        return (value >= self.bounds[0]) & (value < self.bounds[1])


class _Simplex(Constraint):
    event_dim = 1

    def check(self, value):
        return (value >= 0).all(-1) & ((value.sum(-1) - 1).abs() < 1e-6)


class multinomial(Constraint):
    """Vectors of counts >= 0 that sum to `upper_bound`."""

    is_discrete, event_dim = True, 1

    def __init__(self, upper_bound):
        self.upper_bound = upper_bound

    def check(self, x):
        """Not negative, with the right sum."""
        return (x >= 0).all(-1) & (x.sum(-1) == self.upper_bound)


class _LowerTriangular(Constraint):
    event_dim = 2

    def check(self, value):
        return (value.tril() == value).reshape(*value.shape[:-2], -1).all(-1)


class _LowerCholesky(_LowerTriangular):
    def check(self, value):
        return super().check(value) & (value.diagonal(0, -2, -1) > 0).all(-1)


class _Square(Constraint):
    event_dim = 2

    def check(self, value):
        from ..ops.creation import full

        return full(value.shape[:-2], value.shape[-2] == value.shape[-1]).bool()


class _Symmetric(_Square):
    def check(self, value):
        square_check = super().check(value)
        if value.shape[-2] != value.shape[-1]:
            return square_check
        close = (value - value.transpose(-2, -1)).abs() <= 1e-6 + 1e-5 * value.abs()
        return close.all(-1).all(-1)


class _PositiveDefinite(_Symmetric):
    def check(self, value):
        from ..linalg import cholesky_ex

        symmetric = super().check(value)
        if value.shape[-2] != value.shape[-1]:
            return symmetric
        return symmetric & (cholesky_ex(value.detach()).info == 0)


class _PositiveSemidefinite(_Symmetric):
    def check(self, value):
        from ..linalg import eigvalsh

        symmetric = super().check(value)
        if value.shape[-2] != value.shape[-1]:
            return symmetric
        lowest = eigvalsh(value.detach()).amin(-1)
        return symmetric & (lowest >= -1e-6 * value.detach().abs().amax((-2, -1)))


class _CorrCholesky(_LowerCholesky):
    def check(self, value):
        from .utils import eps_of

        tolerance = eps_of(value.dtype) * value.shape[-1] * 10
        norms = value.detach().square().sum(-1).sqrt()
        return super().check(value) & ((norms - 1).abs() <= tolerance).all(-1)


class cat(Constraint):
    """Constraints on slices of `lengths` elements (1 each by default) along `dim`."""

    def __init__(self, cseq, dim=0, lengths=None):
        self.cseq, self.dim = list(cseq), dim
        self.lengths = [1] * len(self.cseq) if lengths is None else list(lengths)
        self.is_discrete = any(c.is_discrete for c in self.cseq)
        self.event_dim = max(c.event_dim for c in self.cseq)

    def check(self, value):
        """The parts' checks side by side."""
        from ..ops.join import cat as join

        pieces = value.split(self.lengths, self.dim)
        return join([c.check(v) for c, v in zip(self.cseq, pieces)], self.dim)


class stack(Constraint):
    """A constraint for each index of `dim`."""

    def __init__(self, cseq, dim=0):
        self.cseq, self.dim = list(cseq), dim
        self.is_discrete = any(c.is_discrete for c in self.cseq)
        most = max(c.event_dim for c in self.cseq)
        self.event_dim = most + 1 if self.dim + most < 0 else most

    def check(self, value):
        """The parts' checks, stacked."""
        from ..ops.join import stack as join

        return join([c.check(v) for c, v in zip(self.cseq, value.unbind(self.dim))], self.dim)


dependent = _Dependent()
boolean = _Boolean()
one_hot = _OneHot()
nonnegative_integer = _IntegerGreaterThan(0)
positive_integer = _IntegerGreaterThan(1)
real = _Real()
real_vector = independent(real, 1)
positive = greater_than(0.0)
nonnegative = greater_than_eq(0.0)
unit_interval = interval(0.0, 1.0)
simplex = _Simplex()
lower_triangular = _LowerTriangular()
lower_cholesky = _LowerCholesky()
square = _Square()
symmetric = _Symmetric()
positive_semidefinite = _PositiveSemidefinite()
positive_definite = _PositiveDefinite()
corr_cholesky = _CorrCholesky()
