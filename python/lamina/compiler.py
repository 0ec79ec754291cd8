"""Compiling a step: record what it does once, replay it without Python.

`compile` wraps a function that does a whole training step (forward, ``loss.backward()``,
``optimizer.step()``), or an inference. The first calls run eagerly and are recorded; as soon as two
recordings in a row agree, further calls replay the plan made from them: the same kernels in the
same order, with the same bits, on memory laid out once.
"""

from __future__ import annotations

import functools
import os
import sys
import types
import warnings
from typing import Any

from . import _core
from ._core import Tensor
from ._step_parts import Cell, flatten, numbers_of, plain, structure

__all__ = [
    "allow_in_graph", "assume_constant_result", "compile", "cudagraph_mark_step_begin", "disable",
    "is_compiling", "is_dynamo_compiling", "is_exporting", "reset",
]  # fmt: skip

_RECORDINGS = 4  # recordings of one kind of call until the step is given up
_PLANS = 8  # plans per function: one for each kind of arguments
_HERE = os.path.dirname(__file__)

# What is told when recording starts and stops (nn: to note the modules that run).
listeners: list = []
active: _Entry | None = None  # what is being recorded


def refuse(why: str) -> None:
    """While a step is recorded: note that it cannot be replayed, and why."""
    if active is not None:
        _core.refuse_recording(f"{why} ({_user_line()})")


def note_optimizer(optimizer) -> None:
    """While a step is recorded: this optimizer takes part. Its numbers are written again before
    each replay."""
    if active is None:
        return
    if not hasattr(optimizer, "_refresh_numbers"):
        return refuse(f"{type(optimizer).__name__} decides in Python how to step")
    if not any(o is optimizer for o in active.optimizers):
        active.optimizers.append(optimizer)


def note_module(module) -> None:
    """While a step is recorded: this module runs, in its present mode, with its present parts."""
    if active is None or id(module) in active.seen:
        return
    active.seen.add(id(module))
    if module._hooked:
        refuse(f"{type(module).__name__} has hooks, which are Python's")
    active.modes.append((module.__dict__, "training", module.training))
    for kind in ("_parameters", "_buffers", "_modules"):
        parts = getattr(module, kind)
        active.parts += [(parts, name, part) for name, part in parts.items()]


def _user_line() -> str:
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    if frame is None:
        return "in lamina"
    return f"{frame.f_code.co_filename}:{frame.f_lineno}, in {frame.f_code.co_name}"


class _Entry:
    """One kind of call: the recordings of it, then its plan."""

    def __init__(self, key):
        self.key = key
        self.attempts = 0
        self.recording: Any = None
        self.plan: Any = None
        self.refused = ""
        self.result: Any = None  # of the last recording, without its tensors
        self.build: Any = None
        self.source: Any = None  # knows the leaves
        self.grads: str | None = None  # which leaves had a gradient before the last recording
        self.pattern: str | None = None  # set where that decides what the step does
        self.start()

    def start(self):
        """Forget what took part."""
        self.optimizers: list = []
        self.modes: list = []  # (dict, key, value): modules' modes
        self.parts: list = []  # the same of their parameters, buffers and children
        self.numbers: list = []  # the same of numbers from outside
        self.seen: set[int] = set()
        self.watch: Any = None

    def suits(self) -> bool:
        """Whether modules are in the mode, outer numbers have the values and the same gradients
        are there as at the recording."""
        for where, name, value in (*self.modes, *self.numbers):
            if where.get(name) != value:
                return False
        return self.pattern is None or self.source.gradients_now() == self.pattern

    def unchanged(self) -> bool:
        """Whether the modules still have the same parts."""
        return all(where.get(name) is part for where, name, part in self.parts)

    def reset(self):
        """Record anew."""
        self.attempts, self.recording, self.plan = 0, None, None


class CompiledFunction:
    """What `compile` returns for a function; called like it."""

    __name__: str

    def __init__(self, function, fullgraph: bool = False, tell=None):
        self._function, self._fullgraph = function, fullgraph
        self._notice = tell or (lambda text: warnings.warn(text, stacklevel=5))
        self._check = os.environ.get("LAMINA_CHECK", "0") not in ("", "0")
        self._entries: list[_Entry] = []
        self._last: _Entry | None = None
        self._told = False
        functools.update_wrapper(self, function)

    def __get__(self, instance, owner=None):
        return self if instance is None else types.MethodType(self, instance)

    def __deepcopy__(self, memo):
        import copy

        return CompiledFunction(copy.deepcopy(self._function, memo), self._fullgraph)

    # ---- the call ----------------------------------------------------------------------------
    def __call__(self, *args, **kwargs):
        entry = self._last
        if (
            entry is not None
            and not kwargs
            and entry.key[0] is _core.grad_enabled()
            and entry.watch.same()
        ):
            for optimizer in entry.optimizers:
                optimizer._refresh_numbers()
            results = entry.plan.try_replay(args)
            if results is not None:
                return entry.build(iter(results))
        return self._slow(args, kwargs)

    def _slow(self, args, kwargs):
        if active is not None or _core.anomaly_mode():
            return self._function(*args, **kwargs)
        tensors: list = []
        key = (_core.grad_enabled(), _core.default_dtype(), flatten((args, kwargs), tensors))
        entry = next((e for e in self._entries if e.key == key and e.suits()), None)
        if entry is not None and entry.plan is not None:
            if not entry.unchanged():
                entry.reset()
            elif entry.plan.mismatch(tensors):
                entry = self._split(entry) or entry
                entry.reset()
        elif entry is not None and entry.recording is not None:
            entry = self._split(entry) or entry
        if entry is None:
            entry = self._new(_Entry(key))
        if entry is None or entry.refused:
            return self._function(*args, **kwargs)
        if entry.plan is None:
            return self._record(entry, args, kwargs, tensors)
        if self._check:
            return self._compare(entry, args, kwargs, tensors)
        self._remember(entry, args, kwargs, tensors)
        for optimizer in entry.optimizers:
            optimizer._refresh_numbers()
        return entry.build(iter(entry.plan.replay(tensors)))

    def _remember(self, entry, args, kwargs, tensors) -> None:
        """The next call tries this entry first."""
        flat = not kwargs and len(args) == len(tensors)
        cells = any(isinstance(where, Cell) for where, _, _ in entry.numbers)
        self._last = entry if flat and not cells and not self._check else None

    def _new(self, entry: _Entry) -> _Entry | None:
        if len(self._entries) >= _PLANS:
            self._tell(
                f"was called in {_PLANS} ways (shapes, modes, numbers), each with a plan of its "
                "own; further ways run eagerly. Pass numbers that change as tensors, and batches "
                "of few shapes"
            )
            return None
        self._entries.append(entry)
        return entry

    def _split(self, entry: _Entry) -> _Entry | None:
        """A new entry for the present pattern of gradients, where it is not that of `entry`."""
        now = entry.source.gradients_now()
        if entry.grads is None or now == entry.grads:
            return None
        entry.pattern = entry.grads
        other = _Entry(entry.key)
        other.pattern, other.source = now, entry.source
        other.modes, other.numbers = entry.modes, entry.numbers
        return self._new(other)

    def _record(self, entry: _Entry, args, kwargs, tensors):
        """One eager run of the step, recorded; the second of two equal ones becomes the plan."""
        global active
        self._last = None
        before = entry.recording
        if before is not None:
            entry.grads = before.gradients_now()
        elif entry.source is not None:
            entry.grads = entry.source.gradients_now()
        entry.start()
        entry.numbers = numbers_of(self._function)
        active = entry
        results: list = []
        recording = None
        _core.start_recording(tuple(tensors), before, self._on_read)
        for listener in listeners:
            listener(True)
        try:
            value = self._function(*args, **kwargs)
            build = structure(value, results, refuse)
            recording = _core.stop_recording(tuple(results))
        finally:
            for listener in listeners:
                listener(False)
            if recording is None:  # the step raised
                _core.stop_recording(())
                entry.recording = None
            active = None
        entry.attempts += 1
        if recording.refused:
            self._refuse(entry, recording.refused)
            return value
        rest = plain(value)
        differs = "" if before is None else before.difference(recording)
        if before is not None and not differs and rest != entry.result:
            differs = "it returned another number the second time"
        entry.recording = entry.source = recording
        entry.build, entry.result = build, rest
        if before is None or differs:
            if entry.attempts >= _RECORDINGS:
                self._refuse(entry, f"equal calls did not do the same: {differs}")
            return value
        entry.plan = entry.source = _core.Plan(recording)
        entry.recording = None
        watched = [e for e in (*entry.modes, *entry.parts, *entry.numbers)
                   if not isinstance(e[0], Cell)]  # fmt: skip
        entry.watch = _core.Watch(watched)
        self._remember(entry, args, kwargs, tensors)
        return value

    def _on_read(self, what: str) -> None:
        why = f"{what}() reads a value out of a tensor ({_user_line()})"
        if self._fullgraph:
            raise RuntimeError(
                f"compile: {self.__name__}: {why}; return the tensor and read it outside the step"
            )
        _core.refuse_recording(f"{why}; return the tensor and read it outside the step")

    def _refuse(self, entry: _Entry, why: str) -> None:
        entry.refused, entry.recording, entry.source = why, None, None
        if self._fullgraph:
            raise RuntimeError(f"compile: {self.__name__} cannot be replayed: {why}")
        self._tell(f"runs eagerly: {why}")

    def _tell(self, what: str) -> None:
        if not self._told:
            self._told = True
            self._notice(f"compile: {self.__name__} {what}")

    # ---- LAMINA_CHECK ------------------------------------------------------------------------
    def _compare(self, entry: _Entry, args, kwargs, tensors):
        """Replays, puts everything back, runs eagerly, and compares every byte."""
        from .autograd import no_grad
        from .random import get_rng_state, set_rng_state

        touched = [*entry.plan.written(), *tensors]
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
        structure(value, eager, refuse)
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
            x, y = replayed.detach().contiguous(), eager.detach().contiguous()
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
        return None if self._last is None else self._last.plan


def compile(model=None, *, fullgraph=False, dynamic=None, backend="inductor", mode=None,
            options=None, disable=False):  # fmt: skip
    """Record a step once and replay it: the same results, bit for bit, without Python's cost.

    model: a function that does a whole training step (zero_grad, forward, ``backward()``,
        ``optimizer.step()``) or an inference under ``no_grad``; its arguments are tensors, numbers
        and containers of them. Or an `nn.Module`, whose calls without gradients are replayed. None:
        a decorator with the other options is returned.
    fullgraph: raise RuntimeError, naming the line, for a step that cannot be replayed; False: warn
        once and run it eagerly.
    dynamic, backend, mode, options: accepted for compatibility, and ignored.
    disable: return `model` as it is.

    The first call runs eagerly, two or more are recorded, and as soon as two recordings agree the
    further calls are replays. Per step may change: the contents of the arguments, parameters and
    everything updated in place, random draws, and the optimizers' options (learning rates). Python
    numbers the step reads from outside, the arguments' shapes and dtypes and the modules' modes
    choose among at most 8 plans. Everything else Python does in the step (printing, appending to
    lists, hooks) happens only while it is recorded. A step that reads values (``.item()``,
    ``bool(t)``, boolean masks as index), draws from its own generator, or carries state by
    assignment is not replayed. Tensors returned are new each time; gradients are written to the
    same memory by every replay.

    ``LAMINA_CHECK=1`` runs every replay beside the eager step and raises RuntimeError unless all
    bytes agree.
    """
    if model is None:
        return lambda f: compile(f, fullgraph=fullgraph, disable=disable)
    if disable:
        return model
    if hasattr(model, "named_parameters"):
        from .nn.compiled import OptimizedModule

        return OptimizedModule(model, fullgraph)
    if isinstance(model, CompiledFunction):
        return model
    if not callable(model):
        raise TypeError(f"compile: expected a function or a module, got {type(model).__name__}")
    return CompiledFunction(model, fullgraph)


def is_compiling() -> bool:
    """Whether a step is being recorded."""
    return active is not None


def disable(fn=None, recursive=True, *, reason=None):
    """`fn` as it is: what it does is recorded like the rest of a step. Usable as a decorator."""
    return (lambda f: f) if fn is None else fn


def reset() -> None:
    """Nothing: plans belong to their functions."""


is_dynamo_compiling = is_compiling
cudagraph_mark_step_begin = reset


def is_exporting() -> bool:
    """False: models are not exported."""
    return False


def allow_in_graph(fn):
    """`fn` as it is: every operation is recorded, whoever calls it."""
    return fn


assume_constant_result = allow_in_graph
