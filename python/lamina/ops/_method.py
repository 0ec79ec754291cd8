"""How a function of this package becomes a method of Tensor too."""

from __future__ import annotations

from collections import namedtuple

from .._core import DTypeError, Tensor, autocast_anywhere, copy_
from .._core import bool as bool_

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
    def takes_tensors(function: F) -> F: ...
    def under_autocast(cpu: str = "", cuda: str = "") -> Callable[[F], F]: ...

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

    def takes_tensors(function):
        """A function that reads attributes of its arguments: one that is no tensor is named."""

        def checked(*args, **kwargs):
            try:
                return function(*args, **kwargs)
            except AttributeError as error:
                for k, v in (*enumerate(args, 1), *kwargs.items()):
                    for x in v if isinstance(v, (list, tuple)) else (v,):
                        if x is error.obj and not isinstance(x, Tensor):
                            text = f"argument {k} must be a Tensor, not {type(x).__name__}"
                            raise TypeError(f"{function.__name__}: {text}") from None
                raise

        return _as(checked, function)

    def under_autocast(cpu="", cuda=""):
        """A function composed in Python with a rule for autocast regions of the CPU and of CUDA:
        its tensors are converted to "float32", the "lower" type or the "widest" among them; "":
        none; "unsafe": RuntimeError. Those of one C++ function have theirs in bind_<stem>.cpp."""

        def decorate(function):
            def converted(*args, **kwargs):
                if not autocast_anywhere():
                    return function(*args, **kwargs)
                from ..amp.autocast_mode import call_converted

                return call_converted(function, args, kwargs, cpu, cuda)

            return _as(converted, function)

        return decorate

    def _as(wrapper, function):
        """`wrapper` with the name and the rest of `function` (functools is slow to import)."""
        wrapper.__wrapped__ = function
        for name in ("__module__", "__name__", "__qualname__", "__doc__", "__annotations__"):
            setattr(wrapper, name, getattr(function, name))
        return wrapper


def kind_of(dtype) -> int:
    """0 for bool, 1 for integers, 2 for floating and 3 for complex dtypes."""
    return 3 if dtype.is_complex else 2 if dtype.is_floating_point else 0 if dtype is bool_ else 1


def overwrite(x, value):
    """x with `value` written into it; DTypeError when that is of a higher kind."""
    if kind_of(value.dtype) > kind_of(x.dtype):
        raise DTypeError(f"a result of {value.dtype} cannot be written into a tensor of {x.dtype}")
    return copy_(x, value)


def write(out, value):
    """value, or `out`, resized to fit, after value was written into it."""
    if out is None:
        return value
    if out.shape != value.shape:
        if out.numel():
            import warnings

            warnings.warn(
                f"an output of shape {tuple(out.shape)} was resized to {tuple(value.shape)}; pass "
                "one of the right shape, or an empty one",
                stacklevel=3,
            )
        out.resize_(value.shape)
    return overwrite(out, value)


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
