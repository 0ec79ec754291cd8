"""What a step is called with, what it returns, and which Python numbers it reads from outside."""

from __future__ import annotations

import os
import types
from typing import Any

from ._core import Tensor

NUMBERS = (int, float)
_HERE = os.path.dirname(__file__)


def flatten(value, tensors: list) -> Any:
    """What `value` is beside its tensors, as something hashable; the tensors are appended."""
    if isinstance(value, Tensor):
        tensors.append(value)
        return (value.dtype, value.shape, value.stride())
    if isinstance(value, (tuple, list)):
        return (type(value), *(flatten(v, tensors) for v in value))
    if isinstance(value, dict):
        return (dict, *((k, flatten(v, tensors)) for k, v in value.items()))
    if value is None or isinstance(value, (str, bytes, bool, int, float, complex)):
        return (type(value), value)
    return (object, id(value))


def structure(value, tensors: list, refuse) -> Any:
    """A function that builds `value` anew from an iterator over its tensors."""
    if isinstance(value, Tensor):
        tensors.append(value)
        return next
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        parts, kind = [structure(v, tensors, refuse) for v in value], type(value)
        return lambda it: kind(*(p(it) for p in parts))
    if isinstance(value, (tuple, list)):
        items, sort = [structure(v, tensors, refuse) for v in value], type(value)
        return lambda it: sort(p(it) for p in items)
    if type(value) is dict:
        pairs = [(k, structure(v, tensors, refuse)) for k, v in value.items()]
        return lambda it: {k: p(it) for k, p in pairs}
    if value is None or isinstance(value, (str, bytes, bool, *NUMBERS)):
        return lambda it: value
    refuse(f"the step returns a {type(value).__name__}; return tensors, tuples, lists or dicts")
    return lambda it: value


def plain(value) -> Any:
    """The numbers inside a result, for comparing two of them."""
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value if isinstance(value, (str, bytes, bool, *NUMBERS)) else None


def numbers_of(function, seen: set | None = None) -> list[tuple[dict, str, Any]]:
    """Python numbers that `function` and the functions it names read from outside: (where, name,
    value)."""
    seen = set() if seen is None else seen
    found: list[tuple[dict, str, Any]] = []
    if isinstance(function, types.MethodType):
        own = getattr(function.__self__, "__dict__", {})
        for name in function.__func__.__code__.co_names:
            if isinstance(own.get(name), NUMBERS):
                found.append((own, name, own[name]))
        function = function.__func__
    code = getattr(function, "__code__", None)
    if code is None or id(function) in seen or code.co_filename.startswith(_HERE):
        return found
    seen.add(id(function))
    names = function.__globals__
    for name in code.co_names:
        value = names.get(name)
        if isinstance(value, NUMBERS):
            found.append((names, name, value))
        elif isinstance(value, types.FunctionType):
            found += numbers_of(value, seen)
    for name, cell in zip(code.co_freevars, function.__closure__ or ()):
        try:
            value = cell.cell_contents
        except ValueError:
            continue
        if isinstance(value, NUMBERS):
            found.append((Cell(cell), name, value))  # type: ignore[arg-type]
        elif isinstance(value, (types.FunctionType, types.MethodType)):
            found += numbers_of(value, seen)
    return found


class Cell:
    """A closure's variable, read as a dict is."""

    def __init__(self, cell):
        self.cell = cell

    def get(self, name):
        return self.cell.cell_contents
