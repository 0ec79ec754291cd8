"""A module whose calls are replayed from plans."""

from __future__ import annotations

from .. import _core
from ..compiler import CompiledFunction
from .module import Module

__all__ = ["OptimizedModule"]


class OptimizedModule(Module):
    """What ``lamina.compile(module)`` returns: its calls without gradients are replayed.

    The module itself is ``_orig_mod``; its names in ``state_dict`` begin with ``_orig_mod.``, and
    other attributes are its own. Calls that record gradients run eagerly: to replay training,
    compile the function that does a whole step.
    """

    def __init__(self, module: Module, fullgraph: bool = False):
        super().__init__()
        self._orig_mod = module
        call = CompiledFunction(module.__call__, fullgraph)
        object.__setattr__(self, "_replayed", call)

    def __call__(self, *args, **kwargs):
        if _core.grad_enabled():
            return self._orig_mod(*args, **kwargs)
        return self._replayed(*args, **kwargs)

    def forward(self, *args, **kwargs):
        """The module's own ``forward``."""
        return self._orig_mod.forward(*args, **kwargs)

    @property
    def plan(self):
        """The plan of the last replayed call (`summary`, `stats`, `profile`), or None; a module
        that has a `plan` of its own shows that."""
        try:
            return self._orig_mod.plan
        except AttributeError:
            return self._replayed.plan

    def train(self, mode=True):
        """Sets the mode of the module too."""
        self._orig_mod.train(mode)
        self.training = mode
        return self

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self._orig_mod, name)
