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
