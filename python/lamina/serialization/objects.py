"""Whole modules in a file: the name of the class and the attributes, never code.

Reading one makes objects of the named classes without calling anything of theirs but
``__new__``. Only classes of lamina, those given to `safe_globals`, or, with
``weights_only=False``, those that can be imported by name, are made.
"""

from __future__ import annotations

import functools
import importlib
import sys
from typing import Any

_allowed: dict[tuple[str, str], Any] = {}
_OWN = __name__.partition(".")[0]


def name_of(obj) -> tuple[str, str]:
    """(module, qualified name) of a class or function."""
    return obj.__module__, getattr(obj, "__qualname__", obj.__name__)


def add_safe_globals(safe_globals: list) -> None:
    """Lets `lamina.load` make objects of these classes (or refer to these functions)."""
    for obj in safe_globals:
        obj, name = obj if isinstance(obj, tuple) else (obj, None)
        key = tuple(name.rsplit(".", 1)) if name else name_of(obj)
        _allowed[key] = obj


def get_safe_globals() -> list:
    """What was given to `add_safe_globals`."""
    return list(_allowed.values())


def clear_safe_globals() -> None:
    """Forgets what was given to `add_safe_globals`."""
    _allowed.clear()


def allowed(module: str, name: str) -> Any:
    """What was given to `add_safe_globals` under that name, or None."""
    return _allowed.get((module, name))


class safe_globals:
    """``with safe_globals([MyModel]): model = lamina.load(path)``."""

    def __init__(self, safe_globals: list):
        self._given = safe_globals
        self._before: dict = {}

    def __enter__(self):
        self._before = dict(_allowed)
        add_safe_globals(self._given)
        return self

    def __exit__(self, *_) -> None:
        _allowed.clear()
        _allowed.update(self._before)


def find(module: str, name: str, everything: bool) -> Any:
    """The class or function of that name. ValueError when it is not allowed or not there."""
    if (module, name) in _allowed:
        return _allowed[module, name]
    if not everything and module.partition(".")[0] != _OWN:
        raise ValueError(
            f"it holds a {module}.{name}; allow it with "
            "lamina.serialization.safe_globals([...]), or pass weights_only=False for a file you "
            "trust"
        )
    try:
        where = sys.modules.get(module) or importlib.import_module(module)
        found = functools.reduce(getattr, name.split("."), where)
    except (ImportError, AttributeError):
        raise ValueError(f"its class {module}.{name} is not there; import its module") from None
    if module.partition(".")[0] == _OWN and not everything and not _is_part(found):
        raise ValueError(f"it holds {module}.{name}, which is no part of a module")
    return found


def _is_part(found) -> bool:
    """Whether a file may name this of lamina: modules, and functions that compute."""
    from ..nn import Module

    if isinstance(found, type):
        return issubclass(found, Module)
    return getattr(found, "__module__", "").startswith((f"{_OWN}.ops", f"{_OWN}.nn"))


def is_saved_whole(obj) -> bool:
    """Whether `state_of` can save the object."""
    from ..nn import Module

    return isinstance(obj, Module)


def state_of(obj) -> dict:
    """The attributes of a module to save: all but hooks, which are functions."""
    from ..nn._hooks import HookDict

    return {
        key: sorted(value) if isinstance(value, set) else value
        for key, value in vars(obj).items()
        if not isinstance(value, HookDict)
    }


def make(cls, state: dict):
    """An object of the class with these attributes."""
    from ..nn import Module

    obj = cls.__new__(cls)
    Module.__init__(obj)
    for key, value in state.items():
        old = vars(obj).get(key)
        vars(obj)[key] = set(value) if isinstance(old, set) else value
    return obj
