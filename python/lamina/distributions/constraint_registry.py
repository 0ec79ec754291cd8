"""Transforms from unconstrained numbers onto constraints: `biject_to` and `transform_to`.

>>> scale = transform_to(constraints.positive)(parameter)

`biject_to` gives one-to-one maps with a Jacobian (for densities); `transform_to` may give cheaper
ones (for optimisation): softmax onto the simplex instead of stick breaking.
"""

from __future__ import annotations

from . import constraints, transforms
from .more_transforms import CatTransform, IndependentTransform, StackTransform
from .vector_transforms import (
    CorrCholeskyTransform,
    LowerCholeskyTransform,
    PositiveDefiniteTransform,
    SoftmaxTransform,
    StickBreakingTransform,
)

__all__ = ["ConstraintRegistry", "biject_to", "transform_to"]


class ConstraintRegistry:
    """Functions from a constraint to a transform onto it, by the constraint's class."""

    def __init__(self):
        self._factories: dict = {}

    def register(self, constraint, factory=None):
        """``@registry.register(MyConstraint)`` for a class or an instance; the function takes the
        constraint. Raises TypeError for anything else."""
        if factory is None:
            return lambda factory: self.register(constraint, factory)
        kind = type(constraint) if isinstance(constraint, constraints.Constraint) else constraint
        if not (isinstance(kind, type) and issubclass(kind, constraints.Constraint)):
            raise TypeError(
                f"register: expected a Constraint or a class of them, got {constraint!r}"
            )
        self._factories[kind] = factory
        return factory

    def __call__(self, constraint):
        """A transform from unconstrained numbers onto the constraint. NotImplementedError when
        none is registered."""
        factory = self._factories.get(type(constraint))
        if factory is None:
            raise NotImplementedError(f"no transform onto {constraint!r}; register one")
        return factory(constraint)


biject_to, transform_to = ConstraintRegistry(), ConstraintRegistry()


def _both(*kinds):
    def decorate(factory):
        for kind in kinds:
            for registry in (biject_to, transform_to):
                registry.register(kind, lambda c, r=registry: factory(c, r))
        return factory

    return decorate


@_both(constraints.real)
def _real(constraint, registry):
    return transforms.identity_transform


@_both(constraints.independent)
def _independent(constraint, registry):
    base = registry(constraint.base_constraint)
    return IndependentTransform(base, constraint.reinterpreted_batch_ndims)


def _beyond(bound, sign: int):
    """e^x from a bound upwards or downwards."""
    if isinstance(bound, (int, float)) and bound == 0 and sign == 1:
        return transforms.ExpTransform()
    moved = transforms.AffineTransform(bound, sign)
    return transforms.ComposeTransform([transforms.ExpTransform(), moved])


@_both(constraints.greater_than, constraints.greater_than_eq)
def _greater(constraint, registry):
    return _beyond(constraint.bounds[0], 1)


@_both(constraints.less_than)
def _less(constraint, registry):
    return _beyond(constraint.bounds[0], -1)


@_both(constraints.interval, constraints.half_open_interval)
def _interval(constraint, registry):
    low, high = constraint.bounds
    if all(isinstance(b, (int, float)) for b in (low, high)) and (low, high) == (0, 1):
        return transforms.SigmoidTransform()
    moved = transforms.AffineTransform(low, high - low)
    return transforms.ComposeTransform([transforms.SigmoidTransform(), moved])


@_both(constraints.lower_cholesky)
def _lower_cholesky(constraint, registry):
    return LowerCholeskyTransform()


@_both(constraints.positive_definite, constraints.positive_semidefinite)
def _positive_definite(constraint, registry):
    return PositiveDefiniteTransform()


@_both(constraints.corr_cholesky)
def _corr_cholesky(constraint, registry):
    return CorrCholeskyTransform()


@_both(constraints.cat)
def _cat(constraint, registry):
    parts = [registry(c) for c in constraint.cseq]
    return CatTransform(parts, constraint.dim, constraint.lengths)


@_both(constraints.stack)
def _stack(constraint, registry):
    return StackTransform([registry(c) for c in constraint.cseq], constraint.dim)


biject_to.register(constraints.simplex, lambda constraint: StickBreakingTransform())
transform_to.register(constraints.simplex, lambda constraint: SoftmaxTransform())
