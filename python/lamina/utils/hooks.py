"""Lists of hooks, and the handles that registering one returns (of modules and of optimizers)."""

from __future__ import annotations

import itertools
import weakref

__all__ = ["RemovableHandle"]

_next_id = itertools.count()


class RemovableHandle:
    """What registering a hook returns. ``remove()`` takes the hook away; it also works as a context
    manager that removes the hook at its end."""

    def __init__(self, hooks_dict: dict, *, extra_dict=()):
        self.id = next(_next_id)
        self._dicts = [weakref.ref(hooks_dict), *(weakref.ref(d) for d in extra_dict)]

    def remove(self) -> None:
        """Removes the hook; more calls do nothing."""
        for ref in self._dicts:
            hooks = ref()
            if hooks is not None:
                hooks.pop(self.id, None)

    def __getstate__(self):
        return tuple(ref() for ref in self._dicts), self.id

    def __setstate__(self, state) -> None:
        dicts, self.id = state
        self._dicts = [weakref.ref(HookDict() if d is None else d) for d in dicts]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


class HookDict(dict):
    """Hooks by handle id, in the order they run (a plain dict cannot be referenced weakly)."""

    def add(self, hook, *, prepend=False, extra=()) -> RemovableHandle:
        """Adds a hook, last or (`prepend`) first; `extra` holds dicts that list some hooks too."""
        handle = RemovableHandle(self, extra_dict=extra)
        if prepend:
            others = dict(self)
            self.clear()
            self[handle.id] = hook
            self.update(others)
        else:
            self[handle.id] = hook
        return handle
