"""What is known of one kind of call of a compiled step."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

from . import _core
from ._step_guards import DICT, ITEM, SIZE, Option, Spot

_HERE = os.path.dirname(__file__)


def _user_frame() -> tuple[Any, int]:
    """The innermost frame outside lamina, and its distance."""
    frame: Any = sys._getframe(1)
    depth = 1
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        frame, depth = frame.f_back, depth + 1
    return frame, depth


def warn(text: str) -> None:
    """Warn at the line outside lamina that runs."""
    warnings.warn(text, stacklevel=_user_frame()[1])


def user_line() -> str:
    """The line outside lamina that runs: "FILE:LINE, in NAME"."""
    frame, _ = _user_frame()
    if frame is None:
        return "in lamina"
    return f"{frame.f_code.co_filename}:{frame.f_lineno}, in {frame.f_code.co_name}"


def draws_of_python() -> Any:
    """Where the random numbers of Python and NumPy stand; None for one not imported yet."""
    numpy = sys.modules.get("numpy")
    state = None if numpy is None else numpy.random.get_state()
    random = sys.modules.get("random")  # asked last: numpy.random imports it when it is first used
    return random and random.getstate(), state and (state[1].tobytes(), state[2])


def has_drawn(before: Any) -> bool:
    """Whether Python or NumPy drew since `draws_of_python` returned `before`. What was not imported
    then starts from a seed of the system, and importing is no draw."""
    pairs = zip(before, draws_of_python())
    return any(old is not None and old != new for old, new in pairs)


def place_of(function) -> str:
    """Where the function is written: "FILE:LINE, in NAME"."""
    while not hasattr(function, "__code__"):
        inner = getattr(function, "__func__", None) or getattr(function, "func", None)
        if inner is None:
            return f"in {getattr(function, '__name__', type(function).__name__)}"
        function = inner
    code = function.__code__
    return f"{code.co_filename}:{code.co_firstlineno}, in {code.co_name}"


class Entry:
    """One kind of call: the recordings of it, then its plan."""

    def __init__(self, key):
        self.key = key
        self.attempts = self.restarts = 0
        self.used = 0  # when: in calls that did not take the short way
        self.recording: Any = None
        self.plan: Any = None
        self.refused = ""
        self.result: Any = None  # of the last recording, without its tensors
        self.build: Any = None
        self.source: Any = None  # knows the leaves
        self.grads: str | None = None  # which leaves had a gradient before the last recording
        self.pattern: str | None = None  # set where that decides what the step does
        self.modules: dict[int, Any] = {}  # that ran
        self.optimizers: list = []  # that stepped
        self.lists: list = []  # those, and what they kept from the step before
        self.numbers: list[Spot] = []  # plain values from outside: others need another plan
        self.objects: list[Spot] = []  # objects from outside: with others, this one is made anew
        self.stores: list[Spot] = []  # where the step leaves tensors it made
        self.watch: Any = None

    def take(self, spots: list[Spot]) -> None:
        """These are read from outside."""
        self.watch = None
        stored = {(id(s.where), s.key) for s in self.stores}
        self.numbers = [s for s in spots if s.plain()]
        self.objects = [s for s in spots if not s.plain() and (id(s.where), s.key) not in stored]
        for o in self.optimizers:
            self.objects += _options(o)

    def untouched(self) -> bool:
        """Whether nothing at all was put where the step reads, since `look`."""
        return self.watch is not None and self.watch.same()

    def suits(self) -> bool:
        """Whether outer numbers have the values and the same gradients are there as at the
        recording."""
        if not self.untouched() and not all(s.same() for s in self.numbers):
            return False
        return (
            self.pattern is None or not self.source or self.source.gradients_now() == self.pattern
        )

    def changed(self) -> str:
        """Which object was replaced, in words; empty: none."""
        if self.untouched():
            return ""
        return next((f"{s.label} was replaced" for s in self.objects if not s.same()), "")

    def look(self) -> None:
        """Watch for changes from now on."""
        if self.untouched():
            return
        for o in self.optimizers:
            o._refresh_numbers()
        for spots in (self.numbers, self.objects):
            spots[:] = [s._replace(value=s.now()) for s in spots]
        self.watch = _core.Watch([(s.kind, s.where, s.key, s.value)
                                  for s in (*self.numbers, *self.objects)])  # fmt: skip

    def again(self) -> None:
        """Record anew."""
        self.attempts, self.recording, self.plan = 0, None, None
        self.restarts += 1


def _options(optimizer) -> list[Spot]:
    """What decides how an optimizer steps. Numbers among the options may change."""
    from .optim._state import edits_list

    name = type(optimizer).__name__
    spots = [Spot(ITEM, edits_list, 0, edits_list[0], "an optimizer's state")]
    groups, label = optimizer.param_groups, f"{name}'s groups or hooks"
    spots.append(Spot(DICT, vars(optimizer), "param_groups", groups, label))
    for hooks in (*optimizer._hook_lists(), groups):
        spots.append(Spot(SIZE, hooks, 0, len(hooks), label))
    for i, group in enumerate(groups):
        params = group["params"]
        spots.append(Spot(ITEM, groups, i, group, label))
        spots.append(Spot(DICT, group, "params", params, label))
        spots.append(Spot(SIZE, params, 0, len(params), f"{name}'s parameters"))
        spots += [Spot(ITEM, params, i, p, f"{name}'s parameters") for i, p in enumerate(params)]
        spots += [Option(DICT, group, k, v, f"{name}'s {k}") for k, v in group.items()]
    return spots
