"""What a step is called with and what it returns, beside the tensors in it."""

from __future__ import annotations

import copy
from typing import Any

from ._core import Tensor

NUMBERS = (int, float)


class Same:
    """Equal for the same object only, which it keeps."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, Same) and other.value is self.value

    def __hash__(self):
        return id(self.value)


def _filled(like, entries: dict):
    made = copy.copy(like)
    made.update(entries)
    return made


def flatten(value, tensors: list) -> Any:
    """What `value` is beside its tensors, as something hashable; the tensors are appended."""
    if isinstance(value, Tensor):
        tensors.append(value)
        return (value.dtype, value.shape, value.stride())
    if isinstance(value, (tuple, list)):
        return (type(value), *(flatten(v, tensors) for v in value))
    if isinstance(value, dict):
        return (type(value), *((k, flatten(v, tensors)) for k, v in value.items()))
    for kind in (float, complex):
        if isinstance(value, kind):
            return (type(value), kind.__repr__(value))  # -0.0 is not 0.0, and NaN is NaN
    if value is None or isinstance(value, (str, bytes, int)):
        return (type(value), value)
    return Same(value)


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
    if isinstance(value, dict):
        pairs = [(k, structure(v, tensors, refuse)) for k, v in value.items()]
        if type(value) is dict:
            return lambda it: {k: p(it) for k, p in pairs}
        return lambda it: _filled(value, {k: p(it) for k, p in pairs})
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
