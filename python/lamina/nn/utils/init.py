"""Layers made without caring for their first values."""

from __future__ import annotations

__all__ = ["skip_init"]


def skip_init(module_cls, *args, **kwargs):
    """``module_cls(*args, **kwargs)``, whose parameters hold any values: the caller writes them.

    Raises TypeError for something that is not a subclass of `Module`.
    """
    from ..module import Module

    if not (isinstance(module_cls, type) and issubclass(module_cls, Module)):
        raise TypeError(f"skip_init: expected a Module subclass, got {module_cls!r}")
    return module_cls(*args, **kwargs)
