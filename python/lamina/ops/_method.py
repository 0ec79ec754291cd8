"""How a function of this package becomes a method of Tensor too."""

from __future__ import annotations

from collections import namedtuple

from .._core import Tensor

TYPE_CHECKING = False  # typing itself is slow to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar, overload

    F = TypeVar("F", bound=Callable[..., object])

    @overload
    def method(function: F) -> F: ...
    @overload
    def method(function: str) -> Callable[[F], F]: ...
    def method(function: Any) -> Any: ...

else:

    def method(function):
        """Attach a function to Tensor, under its own name or (``@method("name")``) another one."""
        if isinstance(function, str):

            def attach(f):
                setattr(Tensor, function, f)
                return f

            return attach
        setattr(Tensor, function.__name__, function)
        return function


def results(name, *fields):
    """The named tuple of a function's results: ``results("sort", "values", "indices")``."""
    return namedtuple(name, fields)


_warned: set = set()


def older(name: str, tensors: int, *args) -> tuple:
    """The arguments of PyTorch's older positional form, numbers before what they multiply, as
    (tensors, numbers): ``add_(x, -lr, g)`` gives ((x, g), (-lr,)).

    Warns once per function. Raises TypeError when `args` are not so many tensors, the last one
    among them, and at least one number.
    """
    found = tuple(a for a in args if isinstance(a, Tensor))
    numbers = tuple(a for a in args if not isinstance(a, Tensor))
    if len(found) != tensors or not numbers or args[-1] is not found[-1]:
        raise TypeError(f"{name}() takes {tensors} positional arguments but {len(args)} were given")
    if name not in _warned:
        import warnings

        _warned.add(name)
        warnings.warn(
            f"This overload of {name} is deprecated: it takes numbers before tensors; pass them by "
            "name (alpha, beta, value) after the tensors",
            stacklevel=3,
        )
    return found, numbers
