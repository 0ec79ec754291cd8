"""Layers as functions: ``lamina.nn.functional.relu(x)``, with PyTorch's names and arguments.

Each function lives with its operation in ``lamina.ops``; this module gathers those that the
operations name as functional.
"""

from __future__ import annotations

import importlib as _importlib

from .. import ops as _ops


def _gather(namespace: dict) -> list:
    """Puts the functions that each module of lamina.ops lists as __functional__ here; returns
    their names. (Modules are looked up by path: ``ops.softmax`` is the function.)"""
    names: set = set()
    for stem in (*_ops._STEMS, *_ops._LATER):
        module = _ops._stem(stem)
        for name in getattr(module, "__functional__", ()):
            namespace[name] = getattr(module, name)
            names.add(name)
    return sorted(names)


_LATER = {  # functions of modules that are imported when one of them is first used
    "pool_volume": """
        max_pool3d max_pool3d_with_indices avg_pool3d adaptive_avg_pool3d adaptive_max_pool3d
        adaptive_max_pool3d_with_indices lp_pool3d max_unpool1d max_unpool2d max_unpool3d
        fractional_max_pool2d fractional_max_pool2d_with_indices fractional_max_pool3d
        fractional_max_pool3d_with_indices""",
    "grid": "affine_grid grid_sample",
    "embedding_bag": "embedding_bag",
    "sparse_attention": "local_attention strided_attention monotonic_alignment coverage_loss",
}
_STEM_OF = {name: stem for stem, names in _LATER.items() for name in names.split()}
__all__ = sorted([*_gather(globals()), *_STEM_OF])


def __getattr__(name: str):
    stem = _STEM_OF.get(name)
    if stem is not None:
        module = _importlib.import_module(f"{_ops.__name__}.{stem}")
        for each in module.__functional__:
            globals()[each] = getattr(module, each)
        return globals()[name]
    raise AttributeError(f"module 'lamina.nn.functional' has no function {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
