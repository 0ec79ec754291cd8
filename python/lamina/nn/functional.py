"""Layers as functions: ``lamina.nn.functional.relu(x)``, with PyTorch's names and arguments.

Each function lives with its operation in ``lamina.ops``; this module gathers those that the
operations name as functional.
"""

from __future__ import annotations

from .. import ops as _ops
from ..ops import index as _index
from ..ops import join as _join


def _gather(namespace: dict) -> list:
    """Puts the functions that each module of lamina.ops lists as __functional__ here; returns
    their names."""
    names: list = []
    for stem in _ops._STEMS:
        module = getattr(_ops, stem, None)
        for name in getattr(module, "__functional__", ()):
            namespace[name] = getattr(module, name)
            names.append(name)
    for module, more in ((_index, ("embedding", "one_hot")), (_join, ("pad",))):
        for name in more:
            if name not in namespace and hasattr(module, name):
                namespace[name] = getattr(module, name)
                names.append(name)
    return sorted(names)


__all__ = _gather(globals())
