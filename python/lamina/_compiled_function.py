"""The call of a compiled step: which plan suits it, and when to record one."""

from __future__ import annotations

import copy
import functools
import gc
import os
import types
from operator import is_
from typing import Any

from . import _core, compiler
from ._core import Tensor
from ._step_entry import Entry, draws_of_python, has_drawn, place_of, user_line, warn
from ._step_guards import SIZE, Spot, spots_of
from ._step_parts import flatten, plain, structure

_RECORDINGS = 4  # recordings of one kind of call until the step is given up
_RESTARTS = 8  # and how often it may start anew because something outside was replaced
_PLANS = 8  # plans per function: one for each kind of arguments
_OLD = 64  # a plan not used for so many calls makes room for another


class CompiledFunction(_core.CompiledCall):
    """What `compile` returns for a function; called like it. Copies and pickles have no plans."""

    __name__: str

    def __init__(self, function, fullgraph: bool = False, tell=None):
        self._function, self._fullgraph = function, fullgraph
        self._notice = tell or warn
        self._check = os.environ.get("LAMINA_CHECK", "0") not in ("", "0")
        self._entries: list[Entry] = []
        self._shown: Any = None
        self._calls = 0
        self._told = False
        functools.update_wrapper(self, function)

    def __get__(self, instance, owner=None):
        return self if instance is None else types.MethodType(self, instance)

    def __deepcopy__(self, memo):
        return CompiledFunction(copy.deepcopy(self._function, memo), self._fullgraph)

    def __reduce__(self):
        return CompiledFunction, (self._function, self._fullgraph)

    # ---- the call ----------------------------------------------------------------------------
    # CompiledCall (cpp/python/compiled_call.cpp) replays the last plan where it fits, and else
    # calls this.
    def _slow(self, args, kwargs):
        if compiler.active is not None or _core.anomaly_mode():
            return self._function(*args, **kwargs)
        self._take()
        self._calls += 1
        tensors: list = []
        modes = (_core.grad_enabled(), _core.default_dtype(), _core.float32_precision(),
                 _core.autocast_key())  # fmt: skip
        key = (*modes, flatten((args, kwargs), tensors))
        entry = next((e for e in self._entries if e.key == key and e.suits()), None)
        if entry is not None and entry.plan is not None:
            why = entry.changed() or entry.plan.mismatch(tensors)
            if why and why.startswith("an argument"):
                return self._function(*args, **kwargs)
            if why:
                entry = self._split(entry) or entry
                entry.again()
                if entry.restarts > _RESTARTS:
                    self._refuse(
                        entry,
                        f"what it uses changes from call to call: {why}; pass it as an argument",
                    )
        elif entry is not None and entry.recording is not None:
            entry = self._split(entry) or entry
            if entry.restarts < _RESTARTS and entry.changed():
                entry.again()  # the next recording could not agree with this one
        if entry is None:
            entry = self._new(Entry(key))
        if entry is None or entry.refused:
            return self._function(*args, **kwargs)
        entry.used = self._calls
        if entry.plan is None:
            return self._record(entry, args, kwargs, tensors)
        entry.look()
        if self._check:
            return self._compare(entry, args, kwargs, tensors)
        self._remember(entry, args, kwargs, tensors)
        return entry.build(iter(entry.plan.replay(tensors)))

    def _remember(self, entry, args, kwargs, tensors) -> None:
        """The next call tries this entry first."""
        flat = not kwargs and len(args) == len(tensors)
        if flat and not self._check:
            build = None if entry.build is next else entry.build
            self._take(entry, build, entry.plan, entry.watch)
        self._shown = entry.plan

    def _new(self, entry: Entry) -> Entry | None:
        if len(self._entries) >= _PLANS:
            oldest = min(self._entries, key=lambda e: e.used)
            if self._calls - oldest.used < _OLD:
                self._tell(
                    f"was called in {_PLANS} ways (shapes, modes, numbers), each with a plan of "
                    "its own; further ways run eagerly. Pass numbers that change as tensors, and "
                    f"batches of few shapes{self._differs(entry)}"
                )
                return None
            self._entries.remove(oldest)
        self._entries.append(entry)
        return entry

    def _differs(self, entry: Entry) -> str:
        """Which number keeps the present call from the last plan of its kind."""
        for e in self._entries:
            if e.key == entry.key:
                for s in e.numbers:
                    if not s.same():
                        return f" ({s.label} was {s.value!r}, and is {s.now()!r})"
        return ""

    def _split(self, entry: Entry) -> Entry | None:
        """A new entry for the present pattern of gradients, where it is not that of `entry`."""
        now = entry.source.gradients_now()
        if entry.grads is None or now == entry.grads:
            return None
        entry.pattern = entry.grads
        other = Entry(entry.key)
        other.pattern, other.source = now, entry.source
        other.numbers, other.modules = entry.numbers, dict(entry.modules)
        return self._new(other)

    def _record(self, entry: Entry, args, kwargs, tensors):
        """One eager run of the step, recorded; the second of two equal ones becomes the plan."""
        before = entry.recording
        if before is not None:
            entry.grads = before.gradients_now()
        elif entry.source is not None:
            entry.grads = entry.source.gradients_now()
        start = spots_of(self._function, (args, kwargs), entry.modules.values())
        entry.modules, entry.optimizers, entry.lists, entry.stores = {}, [], [], []
        stand = [s if type(t) is Tensor else t for t, s in zip(tensors, _core.shadows(tensors))]
        results: list = []
        recording = None
        draws = draws_of_python()
        try:
            compiler.active = entry
            inner, named = structure((args, kwargs), [], lambda why: None)(iter(stand))
            _core.start_recording(tuple(stand), before, self._on_read)
            for listener in compiler.listeners:
                listener(True)
            value = self._function(*inner, **named)
            build = structure(value, results, self._refuse_result)
            count = len(results)
            settled = self._changes(entry, start, results)
            if entry.attempts < _RECORDINGS:  # lists an optimizer makes hold numbers of their own
                settled &= all(len(o._plans) == len(old) and all(map(is_, o._plans, old))
                               for o, old in entry.lists)  # fmt: skip
            entry.lists = []
            if has_drawn(draws):
                self._refuse_result("the step draws from Python's or NumPy's random numbers")
            recording = _core.stop_recording(tuple(results))
        finally:
            for listener in compiler.listeners:
                listener(False)
            if recording is None:  # the step raised
                _core.stop_recording(())
                entry.recording = None
            compiler.active = None
            _core.end_shadows(tensors, stand, tuple(results))
        own = {id(s): t for s, t in zip(stand, tensors)}
        if any(id(t) in own for t in results):
            results[:] = [own.get(id(t), t) for t in results]
            value = build(iter(results[:count]))
            for spot, t in zip(entry.stores, results[count:]):
                spot.put(t)
        entry.attempts += 1
        if not settled:  # a first call may fill caches
            entry.recording = None
            return value
        rest = plain(value)
        differs = "" if before is None else before.difference(recording)
        if before is not None and not differs and rest != entry.result:
            differs = "it returned another number the second time"
        done = before is not None and not differs
        if not recording.refused and _core.kept_elsewhere(recording) and done:
            gc.collect()
            if _core.kept_elsewhere(recording):
                recording.refused = (
                    "the step keeps a tensor it made where a replay cannot put it (in a list, or "
                    "an object it does not name); return it"
                )
        if recording.refused:
            self._refuse(entry, recording.refused)
            return value
        entry.recording = entry.source = recording
        entry.build, entry.result = self._builder(build, entry.stores, count), rest
        spots = spots_of(self._function, (args, kwargs), entry.modules.values())
        entry.take(spots)
        if not done:
            if entry.attempts >= _RECORDINGS:
                self._refuse(entry, f"equal calls did not do the same: {differs}")
            return value
        entry.plan = entry.source = _core.Plan(recording)
        entry.recording = None
        entry.look()
        self._remember(entry, args, kwargs, tensors)
        return value

    def _changes(self, entry: Entry, start: list[Spot], results: list) -> bool:
        """What the step changed outside: tensors it put somewhere are results too; a replay
        changes nothing else. False: it did change something, for the first time."""
        for spot in start:
            if spot.same():
                continue
            now = spot.now()
            old = spot.value
            if isinstance(now, Tensor) and isinstance(old, Tensor) and _core.recording_reads(old):
                self._refuse_result(
                    f"the step carries {spot.label} from step to step by assignment; pass it as an "
                    "argument and return its new value, or update it in place"
                )
            elif isinstance(now, Tensor) and spot.kind != SIZE:
                entry.stores.append(spot)
                results.append(now)
            elif entry.attempts == 0:
                return False
            else:
                what = f"the step changes {spot.label}"
                if spot.plain():
                    what += f" from {spot.value!r} to {now!r}"
                self._refuse_result(f"{what}, which a replay would not; do that outside the step")
        return True

    def _refuse_result(self, why: str) -> None:
        compiler.refuse(why, place_of(self._function))

    def _builder(self, build, stores: list[Spot], count: int):
        if not stores:
            return build

        def build_and_store(tensors):
            tensors = list(tensors)
            for spot, t in zip(stores, tensors[count:]):
                spot.put(t)
            return build(iter(tensors))

        return build_and_store

    def _on_read(self, what: str) -> None:
        if what == "from_buffer":
            why = (
                f"the step reads a NumPy array ({user_line()}), whose contents a replay would not "
                "see; pass it as a tensor"
            )
            if self._fullgraph:
                raise RuntimeError(f"compile: {self.__name__}: {why}")
            return _core.refuse_recording(why)
        why = f"{what}() reads a value out of a tensor ({user_line()})"
        if self._fullgraph:
            raise RuntimeError(
                f"compile: {self.__name__}: {why}; return the tensor and read it outside the step"
            )
        _core.refuse_recording(f"{why}; return the tensor and read it outside the step")

    def _refuse(self, entry: Entry, why: str) -> None:
        if ".py:" not in why:
            why += f" ({place_of(self._function)})"
        entry.refused, entry.recording = why, None
        if entry.pattern is None:
            entry.source = None
        if self._fullgraph:
            raise RuntimeError(f"compile: {self.__name__} cannot be replayed: {why}")
        self._tell(f"runs eagerly: {why}")

    def _tell(self, what: str) -> None:
        if not self._told:
            self._told = True
            self._notice(f"compile: {self.__name__} {what}")

    # ---- LAMINA_CHECK ------------------------------------------------------------------------
    def _compare(self, entry: Entry, args, kwargs, tensors):
        """Replays, puts everything back, runs eagerly, and compares every byte."""
        from .autograd import no_grad
        from .random import get_rng_state, set_rng_state

        touched = [t for i, t in enumerate(tensors) if entry.plan.writes(i)]
        touched += entry.plan.written()
        leaves = entry.plan.leaves()
        with no_grad():
            before, random = [t.clone() for t in touched], get_rng_state()
            grads = [leaf.grad for leaf in leaves]
            held = [None if g is None else g.clone() for g in grads]
            results = [t.clone() for t in entry.plan.replay(tensors)]
            after = [t.clone() for t in touched]
            replayed = [None if leaf.grad is None else leaf.grad.clone() for leaf in leaves]
            for t, value in zip(touched, before):
                t.copy_(value)
            for leaf, grad, value in zip(leaves, grads, held):
                leaf.grad = grad if grad is None else grad.copy_(value)
        set_rng_state(random)
        eager: list = []
        value = self._function(*args, **kwargs)
        structure(value, eager, compiler.refuse)
        pairs = [(f"result {i}", x, y) for i, (x, y) in enumerate(zip(results, eager))]
        pairs += [(f"written tensor {i}", x, y) for i, (x, y) in enumerate(zip(after, touched))]
        pairs += [
            (f"the gradient of parameter {i}", x, leaf.grad)
            for i, (x, leaf) in enumerate(zip(replayed, leaves))
        ]
        for what, x, y in pairs:
            self._same(what, x, y)
        return value

    def _same(self, what: str, replayed: Tensor | None, eager: Tensor | None) -> None:
        if replayed is None and eager is None:
            return
        if replayed is not None and eager is not None:
            x, y = (t.detach().cpu().contiguous() for t in (replayed, eager))
            if _core.bytes_of(x).tobytes() == _core.bytes_of(y).tobytes():
                return
        raise RuntimeError(
            f"compile: {self.__name__}: {what} differs between replay and eager run: a number that "
            "Python computes has changed, or the step depends on something else outside"
        )

    # ---- looking at it -------------------------------------------------------------------------
    @property
    def plan(self):
        """The plan of the last call (``summary()``, ``stats()``), or None."""
        return self._shown
