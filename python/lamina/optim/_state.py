"""Optimizer state that notices edits, so that lists built from it can be kept between steps."""

from __future__ import annotations

from collections import defaultdict

edits_list = [0]  # how many times any optimizer's state was edited


def edits() -> int:
    """A number that grows whenever any `States` or `ParamState` changes."""
    return edits_list[0]


def _noticed(name: str):
    method = getattr(dict, name)

    def edit(self, *args, **kwargs):
        edits_list[0] += 1
        return method(self, *args, **kwargs)

    edit.__name__ = name
    edit.__doc__ = method.__doc__
    return edit


class ParamState(dict):
    """The state of one parameter: a dict of tensors (``state[p]["exp_avg"]``)."""

    __setitem__ = _noticed("__setitem__")
    __delitem__ = _noticed("__delitem__")
    clear = _noticed("clear")
    pop = _noticed("pop")
    popitem = _noticed("popitem")
    setdefault = _noticed("setdefault")
    update = _noticed("update")


class States(defaultdict):
    """From parameter to `ParamState`; a parameter that is not there gets an empty one."""

    def __init__(self):
        super().__init__(ParamState)

    def __setitem__(self, key, value):
        edits_list[0] += 1
        if type(value) is dict:
            value = ParamState(value)
        super().__setitem__(key, value)

    __delitem__ = _noticed("__delitem__")
    clear = _noticed("clear")
    pop = _noticed("pop")
    popitem = _noticed("popitem")

    def __reduce__(self):
        return (States, (), None, None, iter(self.items()))
