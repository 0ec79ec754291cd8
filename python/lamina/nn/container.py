"""Containers: modules and parameters in sequence or by name."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Mapping

from .module import Module

__all__ = ["Sequential", "ModuleList", "ModuleDict"]


class _Indexed(Module):
    """What Sequential and ModuleList share: children named "0", "1", ... reached by position."""

    def _name_at(self, index) -> str:
        n = len(self)
        try:
            i = operator.index(index)
        except TypeError:
            raise TypeError(
                f"{self._get_name()}: indices must be integers or slices, got {index!r}"
            ) from None
        if not -n <= i < n:
            raise IndexError(f"index {i} is out of range")
        return list(self._modules)[i]

    def _renumber(self, modules) -> None:
        modules = list(modules)
        self._modules.clear()
        self._modules.update((str(i), m) for i, m in enumerate(modules))

    def __setitem__(self, index, module) -> None:
        setattr(self, self._name_at(index), module)

    def __delitem__(self, index) -> None:
        names = list(self._modules)[index] if isinstance(index, slice) else [self._name_at(index)]
        for name in names:
            del self._modules[name]
        self._renumber(self._modules.values())

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def __dir__(self):
        return [name for name in super().__dir__() if not name.isdigit()]

    def insert(self, index, module):
        """Puts `module` before position `index`. Raises IndexError, AssertionError for another
        type."""
        if not isinstance(module, Module):
            raise AssertionError(f"module should be of type: {Module}")
        n = len(self)
        if not -n <= index <= n:
            raise IndexError(f"Index out of range: {index}")
        modules = list(self)
        modules.insert(index, module)
        self._renumber(modules)
        return self

    def append(self, module):
        """Adds `module` at the end; returns self."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules):
        """Adds each of `modules` at the end; returns self. Raises TypeError when not iterable."""
        if not hasattr(modules, "__iter__"):
            raise TypeError(
                f"{self._get_name()}.extend should be called with an iterable, but got "
                + type(modules).__name__
            )
        for module in list(modules):
            self.append(module)
        return self

    def pop(self, key):
        """Takes out the module at position `key` and returns it."""
        module = self[key]
        del self[key]
        return module

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self._part(list(self._modules.items())[index])
        return self._modules[self._name_at(index)]

    def _part(self, items: list):
        raise NotImplementedError


class Sequential(_Indexed):
    """Modules applied one after the other.

    ``Sequential(first, second, ...)`` or ``Sequential(OrderedDict(name=module, ...))``.

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    """

    def __init__(self, *args):
        super().__init__()
        if len(args) == 1 and isinstance(args[0], OrderedDict):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            for i, module in enumerate(args):
                self.add_module(str(i), module)

    def forward(self, input):
        """The last module's output for this input."""
        for module in self._modules.values():
            input = module(input)
        return input

    def _part(self, items):
        return type(self)(OrderedDict(items))

    def _other(self, other, sign: str) -> list:
        if not isinstance(other, Sequential):
            raise ValueError(
                f"{sign} operator supports only objects of Sequential class, but {type(other)} is "
                "given."
            )
        return list(other)

    def __add__(self, other):
        return Sequential(*self, *self._other(other, "add"))

    def __iadd__(self, other):
        return self.extend(self._other(other, "add"))

    def _times(self, n) -> int:
        if not isinstance(n, int):
            raise TypeError(f"unsupported operand type(s) for *: {type(self)} and {type(n)}")
        if n <= 0:
            raise ValueError(f"Non-positive multiplication factor {n} for {type(self)}")
        return n

    def __mul__(self, other):
        return Sequential(*(list(self) * self._times(other)))

    __rmul__ = __mul__

    def __imul__(self, other):
        modules = list(self)
        for _ in range(self._times(other) - 1):
            self.extend(modules)
        return self


class ModuleList(_Indexed):
    """A list of modules that are registered; the caller decides how to call them."""

    def __init__(self, modules=None):
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def _part(self, items):
        return type(self)([m for _, m in items])

    def __iadd__(self, modules):
        return self.extend(modules)

    def __add__(self, other):
        return ModuleList([*self, *other])

    def insert(self, index, module) -> None:
        """Puts `module` before position `index`, as a list does."""
        modules = list(self)
        if not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        modules.insert(index, module)
        self._renumber(modules)

    def __repr__(self) -> str:
        """Equal neighbours are shown once: ``(0-2): 3 x Linear(...)``."""
        blocks: list = []  # [first, last, text]
        for i, module in enumerate(self):
            text = repr(module)
            if blocks and blocks[-1][2] == text:
                blocks[-1][1] = i
            else:
                blocks.append([i, i, text])
        lines = [
            (f"({a}): " if a == b else f"({a}-{b}): {b - a + 1} x ") + t.replace("\n", "\n  ")
            for a, b, t in blocks
        ]
        inside = "\n  " + "\n  ".join(lines) + "\n" if lines else ""
        return f"{self._get_name()}({inside})"


class ModuleDict(Module):
    """Modules by name, in order of insertion; a mapping or (name, module) pairs make one."""

    def __init__(self, modules=None):
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key) -> Module:
        return self._modules[key]

    def __setitem__(self, key, module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules)

    def __contains__(self, key) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Takes out all modules."""
        self._modules.clear()

    def pop(self, key) -> Module:
        """Takes out the module of this name and returns it."""
        return self._modules.pop(key)

    def keys(self):
        """The names."""
        return self._modules.keys()

    def items(self):
        """(name, module) pairs."""
        return self._modules.items()

    def values(self):
        """The modules."""
        return self._modules.values()

    def update(self, modules) -> None:
        """Adds the modules of a mapping or of (name, module) pairs; equal names are replaced."""
        for key, module in _pairs("ModuleDict.update", modules):
            self[key] = module


def _pairs(name: str, values) -> list:
    """(key, value) pairs of a mapping, a container or an iterable of pairs."""
    if isinstance(values, (Mapping, ModuleDict)) or hasattr(values, "items"):
        return list(values.items())
    if not hasattr(values, "__iter__"):
        raise TypeError(
            f"{name} should be called with an iterable of key/value pairs, but got "
            + type(values).__name__
        )
    pairs = list(values)
    for i, pair in enumerate(pairs):
        if not hasattr(pair, "__len__"):
            raise TypeError(
                f"{name}: element #{i} should be a (key, value) pair, got {type(pair).__name__}"
            )
        if len(pair) != 2:
            raise ValueError(f"{name}: element #{i} has length {len(pair)}; 2 is required")
    return pairs
