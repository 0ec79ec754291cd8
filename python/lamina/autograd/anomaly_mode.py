"""Anomaly mode: the first operation that makes NaN or infinity, named with its module."""

from __future__ import annotations

import threading

from .. import _core

_running = threading.local()  # .stack: (module, path) of the modules running now
_listeners: list = []  # called with True and False when the mode changes


def on_change(listener) -> None:
    """``listener(on)`` is called whenever the mode changes (and now, when it is on)."""
    _listeners.append(listener)
    if _core.anomaly_mode():
        listener(True)


def entered(module, name_of) -> None:
    """A module begins: its path is its parent's and ``name_of(parent, module)``."""
    stack = _running.__dict__.setdefault("stack", [])
    name = name_of(stack[-1][0], module) if stack else type(module).__name__
    stack.append((module, f"{stack[-1][1]}.{name}" if stack else name))


def left() -> None:
    """The module begun last has ended."""
    _running.stack.pop()


def _where() -> str:
    stack = getattr(_running, "stack", None)
    return stack[-1][1] if stack else ""


def _switch(on: bool) -> None:
    _core.set_anomaly_mode(on, _where)
    for listener in _listeners:
        listener(on)


def is_anomaly_enabled() -> bool:
    """Whether anomaly mode is on."""
    return _core.anomaly_mode()


class detect_anomaly:
    """``with autograd.detect_anomaly(): ...``: search every result for NaN and infinities.

    The first operation whose result holds NaN though none of its operands did, or infinity though
    they were finite, raises RuntimeError naming the operation, how many elements and the module,
    in the forward pass and, for gradients, in the backward pass. Every tensor is read once more:
    for finding a fault, not for training. `check_nan` False: search nothing.
    """

    def __init__(self, check_nan: bool = True):
        self._check = check_nan
        self._before = False

    def __enter__(self):
        self._before = is_anomaly_enabled()
        _switch(self._check)
        return self

    def __exit__(self, *_):
        _switch(self._before)


class set_detect_anomaly:
    """Switches anomaly mode on or off for the whole process, at once; in a ``with`` statement the
    mode before comes back at its end. See `detect_anomaly`."""

    def __init__(self, mode: bool, check_nan: bool = True):
        self._before = is_anomaly_enabled()
        _switch(bool(mode) and bool(check_nan))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        _switch(self._before)
