"""What a step reads from outside beside tensors' contents: numbers, and which objects they are.

A `Spot` is a place where a value stands: an entry of a dict (an object's attributes, globals), a
closure's variable, an item of a list. `spots_of` finds those that the step may read, going from
the function through what it names to modules, objects and containers. Names are those in the code
of functions outside lamina; what is looked up in another way (``getattr`` with a computed name,
iterators, large containers, files, clocks) is not seen.
"""

from __future__ import annotations

import collections
import copy
import functools
import os
import sys
import types
from typing import Any, NamedTuple

from . import _core
from ._core import Tensor

_HERE = os.path.dirname(__file__)
_LONG = 64  # entries of containers beyond this are not watched one by one,
_ENDLESS = 4096  # and beyond this, only their number
_PLAIN = (int, float, complex, str, bytes, bool, type(None), slice, range, type(...), _core.dtype)
_LIBRARIES = {*sys.stdlib_module_names, "lamina", "numpy", "torch", "scipy", "pytest"} - {
    "__main__"
}
_OPAQUE = {"lamina", "numpy", "torch", "scipy", "builtins"}

DICT, CELL, ITEM, SIZE, ATTRIBUTE, CONTENTS, TYPE = range(7)
MISSING: Any = type("Missing", (), {"__repr__": lambda self: "nothing"})()


class Spot(NamedTuple):
    """Where a value stands, the value, and what to call it in messages."""

    kind: int
    where: Any
    key: Any
    value: Any
    label: str

    def now(self) -> Any:
        """What stands there now."""
        where, key = self.where, self.key
        if self.kind == DICT:
            return where.get(key, MISSING)
        if self.kind == CELL:
            try:
                return where.cell_contents
            except ValueError:
                return MISSING
        if self.kind == ITEM:
            return where[key] if key < len(where) else MISSING
        if self.kind == CONTENTS:
            return copy.copy(where)
        if self.kind == TYPE:
            return type(where)
        return len(where) if self.kind == SIZE else getattr(where, key, MISSING)

    def put(self, value) -> None:
        """Let `value` stand there."""
        if self.kind == CELL:
            self.where.cell_contents = value
        elif self.kind == ATTRIBUTE:
            setattr(self.where, self.key, value)
        else:
            self.where[self.key] = value

    def plain(self) -> bool:
        """Whether a number or the like stands there: a change asks for another plan."""
        return is_plain(self.value) or self.value is MISSING

    def same(self) -> bool:
        """Whether an equal number, or the same object, stands there now."""
        now = self.now()
        if now is self.value:
            return True
        if self.kind == CONTENTS:
            try:
                return bool(self.where == self.value)
            except RuntimeError:  # other tensors
                return False
        if type(now) is not type(self.value) or not is_plain(now):
            return False
        return now == self.value and repr(now) == repr(self.value)  # -0.0 is not 0.0


class Option(Spot):
    """An optimizer's option: numbers may change, as long as those that are zero stay so."""

    __slots__ = ()

    def plain(self) -> bool:
        """Always False: the plan is made anew when an option changes."""
        return False

    def same(self) -> bool:
        """Whether the option, or what matters of it, is as it was."""
        return Spot.same(self) or _kind_of(self.now()) == _kind_of(self.value)


def _kind_of(value) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "number", bool(value)
    if isinstance(value, (tuple, list)):
        return tuple(_kind_of(v) for v in value)
    return value if is_plain(value) else id(value)


def is_plain(value) -> bool:
    """Whether `value` is a number, a string or the like, or a tuple of such."""
    if isinstance(value, tuple):
        return all(is_plain(v) for v in value)
    return isinstance(value, _PLAIN)


def spots_of(function, arguments, modules) -> list[Spot]:
    """The spots that `function`, called with `arguments`, and `modules` may read."""
    names: set[str] = set()
    for _ in range(6):  # until no function brings new names
        walk = _Walk(names)
        walk.visit(function, getattr(function, "__name__", "the step"))
        walk.visit(arguments, "an argument")
        for m in modules:
            walk.visit(m, type(m).__name__)
        if len(walk.names) == len(names):
            break
        names = walk.names
    return walk.spots


class _Walk:
    def __init__(self, names: set[str]):
        self.names = set(names)
        self.spots: list[Spot] = []
        self.seen: dict[int, Any] = {}  # the values too: their ids stay theirs

    def note(self, kind, where, key, value, label) -> None:
        self.spots.append(Spot(kind, where, key, value, label))
        self.visit(value, label)

    def visit(self, value, label: str) -> None:
        if isinstance(value, (*_PLAIN, Tensor)) or id(value) in self.seen:
            return
        self.seen[id(value)] = value
        kind = type(value)
        if kind is types.FunctionType:
            self.function(value)
        elif kind is types.MethodType:
            self.visit(value.__func__, label)
            self.visit(value.__self__, label)
        elif isinstance(value, functools.partial):
            self.visit((value.func, value.args, value.keywords), label)
        elif isinstance(value, (list, tuple)):
            self.sequence(value, label)
        elif isinstance(value, dict):
            self.entries(value, label)
        elif isinstance(value, (set, collections.deque)):
            self.contents(value, label)
        elif isinstance(value, types.ModuleType):
            if value.__name__.partition(".")[0] not in _LIBRARIES:
                self.named(vars(value), value.__name__)
        elif isinstance(value, type):
            self.methods(value, value.__name__)
        elif hasattr(value, "_parameters") and hasattr(value, "_modules"):
            self.module(value, label)
        elif kind.__name__ == "CompiledFunction":
            self.visit(value._function, label)
        elif kind.__module__.partition(".")[0] not in _OPAQUE:
            self.instance(value, label)

    def function(self, f) -> None:
        code = f.__code__
        if code.co_filename.startswith(_HERE):
            return
        self.code(code)
        for name in _names_of(code):
            if name in f.__globals__:
                value = f.__globals__[name]
                if not isinstance(value, (type, types.BuiltinFunctionType)) or not _of_library(
                    value
                ):
                    self.note(DICT, f.__globals__, name, value, name)
        for name, cell in zip(code.co_freevars, f.__closure__ or ()):
            try:
                self.note(CELL, cell, 0, cell.cell_contents, name)
            except ValueError:  # not assigned yet
                continue
        if f.__defaults__:
            self.note(ATTRIBUTE, f, "__defaults__", f.__defaults__, f"{f.__name__}'s defaults")
        self.visit(f.__kwdefaults__, f.__name__)

    def code(self, code) -> None:
        self.names.update(code.co_names)
        for part in code.co_consts:
            if isinstance(part, types.CodeType):
                self.code(part)

    def contents(self, value, label) -> None:
        if len(value) <= _ENDLESS:
            self.spots.append(Spot(CONTENTS, value, 0, copy.copy(value), f"what is in {label}"))

    def sequence(self, value, label) -> None:
        short = len(value) <= _LONG
        if isinstance(value, list):
            self.spots.append(Spot(SIZE, value, 0, len(value), f"the length of {label}"))
            if not short:
                return self.contents(value, label)
            for i in range(len(value)):
                self.note(ITEM, value, i, value[i], f"{label}[{i}]")
        elif short:
            for i, part in enumerate(value):
                self.visit(part, f"{label}[{i}]")

    def entries(self, value, label) -> None:
        self.spots.append(Spot(SIZE, value, 0, len(value), f"the length of {label}"))
        if len(value) <= _LONG:
            for key, part in list(value.items()):
                self.note(DICT, value, key, part, f"{label}[{key!r}]")
        else:
            self.contents(value, label)

    def named(self, where: dict, label: str) -> None:
        for name in self.names & where.keys():
            self.note(DICT, where, name, where[name], f"{label}.{name}")

    def methods(self, kind: type, label: str, own=None) -> None:
        for base in kind.__mro__:
            if _of_library(base):
                continue
            for name in (self.names | {"forward", "__call__"}) & base.__dict__.keys():
                value = base.__dict__[name]
                if isinstance(value, (types.FunctionType, property)):
                    self.spots.append(Spot(ATTRIBUTE, base, name, value, f"{label}.{name}"))
                value = getattr(value, "fget", None) or getattr(value, "__func__", value)
                if is_plain(value) or isinstance(value, (Tensor, list, dict)):
                    self.note(ATTRIBUTE, base, name, value, f"{label}.{name}")
                    if isinstance(own, dict) and name not in own:
                        self.note(DICT, own, name, MISSING, f"{label}.{name}")
                else:
                    self.visit(value, f"{label}.{name}")

    def instance(self, value, label: str) -> None:
        own = getattr(value, "__dict__", None)
        if isinstance(own, dict):
            self.named(own, label)
        for base in type(value).__mro__:
            slots = base.__dict__.get("__slots__", ())
            for name in self.names & set((slots,) if isinstance(slots, str) else slots):
                self.note(ATTRIBUTE, value, name, getattr(value, name, MISSING), f"{label}.{name}")
        self.methods(type(value), label, own)

    def module(self, m, label: str) -> None:
        own = vars(m)
        self.spots.append(Spot(TYPE, m, 0, type(m), f"{label}'s class"))
        if own.get("_hooked") and not m._has_hooks():
            own["_hooked"] = False
        for name in ("forward", "_hooked", "training"):
            self.note(DICT, own, name, own.get(name, MISSING), f"{label}.{name}")
        for kind in ("_parameters", "_buffers", "_modules"):
            parts = own[kind]
            self.spots.append(Spot(SIZE, parts, 0, len(parts), f"{label}'s {kind[1:]}"))
            for name, part in list(parts.items()):
                self.note(DICT, parts, name, part, f"{label}.{name}")
        if _of_library(type(m)):
            for name, value in list(own.items()):
                if name[0] != "_" and name != "training" and is_plain(value):
                    self.note(DICT, own, name, value, f"{label}.{name}")
        else:
            self.named(own, label)
            self.methods(type(m), label, own)


@functools.lru_cache(maxsize=1024)
def _names_of(code) -> tuple[str, ...]:
    """Names in a function's code and in that of the functions defined in it."""
    names = dict.fromkeys(code.co_names)
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            names.update(dict.fromkeys(_names_of(part)))
    return tuple(names)


def _of_library(kind) -> bool:
    module = getattr(kind, "__module__", None)
    return not isinstance(module, str) or module.partition(".")[0] in _LIBRARIES
