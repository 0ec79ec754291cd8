"""Context managers (and decorators) that switch recording on and off."""

from __future__ import annotations

import functools

from .. import _core

_GENERATOR = 0x20  # inspect.CO_GENERATOR; inspect itself is slow to import


class _Mode:
    """Sets the thread's gradient mode inside ``with`` or around a decorated function."""

    mode = False

    def __init__(self):
        self._before: list = []

    def __enter__(self):
        self._before.append(_core.grad_enabled())
        _core.set_grad_enabled(self.mode)
        return self

    def __exit__(self, *_):
        _core.set_grad_enabled(self._before.pop())

    def __call__(self, function):
        if getattr(function, "__code__", None) and function.__code__.co_flags & _GENERATOR:

            @functools.wraps(function)
            def generator(*args, **kwargs):
                with self:
                    running = function(*args, **kwargs)
                while True:
                    with self:
                        try:
                            item = next(running)
                        except StopIteration:
                            return
                    yield item

            return generator

        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            with self:
                return function(*args, **kwargs)

        return wrapped


class no_grad(_Mode):
    """Nothing is recorded: ``with lamina.no_grad(): ...`` or ``@lamina.no_grad()``."""

    def __new__(cls, function=None):
        self = super().__new__(cls)
        if function is not None:  # @no_grad without parentheses
            self.__init__()
            return self(function)
        return self


class enable_grad(_Mode):
    """Recording is on again, inside a `no_grad` block."""

    mode = True


class inference_mode(_Mode):
    """As `no_grad`; ``inference_mode(False)`` changes nothing."""

    def __init__(self, mode: bool = True):
        super().__init__()
        self.mode = not mode and _core.grad_enabled()


class set_grad_enabled(_Mode):
    """Sets the mode at once; as a context manager it restores the one before."""

    def __init__(self, mode: bool):
        super().__init__()
        self.mode = bool(mode)
        self._outer = _core.grad_enabled()
        _core.set_grad_enabled(self.mode)

    def __enter__(self):
        self._before.append(self._outer)
        _core.set_grad_enabled(self.mode)
        return self

    def __call__(self, function):
        _core.set_grad_enabled(self._outer)  # used as a decorator: only the calls are affected
        return super().__call__(function)
