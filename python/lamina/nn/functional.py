"""Layers as functions: ``lamina.nn.functional.relu(x)``, with PyTorch's names and arguments.

Each function lives with its operation in ``lamina.ops``; this module gathers those that the
operations name as functional.
"""

from __future__ import annotations

import sys as _sys

from .. import ops as _ops


def _gather(namespace: dict) -> list:
    """Puts the functions that each module of lamina.ops lists as __functional__ here; returns
    their names. (Modules are looked up by path: ``ops.softmax`` is the function.)"""
    names: set = set()
    for stem in _ops._STEMS:
        module = _sys.modules.get(f"{_ops.__name__}.{stem}")
        for name in getattr(module, "__functional__", ()):
            namespace[name] = getattr(module, name)
            names.add(name)
    return sorted(names)


__all__ = _gather(globals())


def __getattr__(name: str):
    raise AttributeError(f"module 'lamina.nn.functional' has no function {name!r}")
