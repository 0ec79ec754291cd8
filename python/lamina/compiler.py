"""Compiling a step: record what it does once, replay it without Python.

`compile` wraps a function that does a whole training step (forward, ``loss.backward()``,
``optimizer.step()``), or an inference. The first calls run eagerly and are recorded; as soon as two
recordings in a row agree, further calls replay the plan made from them: the same kernels in the
same order, with the same bits, on memory laid out once.
"""

from __future__ import annotations

from . import _core

TYPE_CHECKING = False  # typing itself is slow to import
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "allow_in_graph", "assume_constant_result", "compile", "cudagraph_mark_step_begin", "disable",
    "is_compiling", "is_dynamo_compiling", "is_exporting", "reset",
]  # fmt: skip

# What is told when recording starts and stops (nn: to note the modules that run).
listeners: list = []
active: Any = None  # what is being recorded


def refuse(why: str, where: str = "") -> None:
    """While a step is recorded: note that it cannot be replayed, why, and at which line."""
    if active is not None:
        from ._step_entry import user_line

        _core.refuse_recording(f"{why} ({where or user_line()})")


def note_optimizer(optimizer) -> None:
    """While a step is recorded: this optimizer takes part. Its numbers are written again when
    they have changed."""
    if active is None or any(o is optimizer for o in active.optimizers):
        return
    if not hasattr(optimizer, "_refresh_numbers"):
        return refuse(f"{type(optimizer).__name__} decides in Python how to step")
    if any(optimizer._hook_lists()):
        refuse(f"{type(optimizer).__name__} has step hooks, which are Python's")
    active.optimizers.append(optimizer)
    active.lists.append((optimizer, list(optimizer._plans)))


def note_module(module) -> None:
    """While a step is recorded: this module runs, in its present mode, with its present parts."""
    if active is None or id(module) in active.modules:
        return
    active.modules[id(module)] = module
    if module._hooked and module._has_hooks():
        refuse(f"{type(module).__name__} has hooks, which are Python's")


def __getattr__(name):
    if name == "CompiledFunction":  # nobody pays for it who does not compile
        from ._compiled_function import CompiledFunction

        return CompiledFunction
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


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

    The first calls run eagerly and are recorded; as soon as two recordings agree, further calls are
    replays. Between calls may change: the contents of arguments, parameters and everything updated
    in place, random draws, and the optimizers' numbers (learning rates). Shapes and dtypes of the
    arguments, modules' modes, and numbers that the step reads from globals, closures, attributes
    and containers choose among at most 8 plans; where another tensor, layer or function stands, the
    step is recorded anew. Tensors returned are new each time, and so are gradients when somebody
    holds the last ones. A step is not replayed when it reads values (``.item()``, ``bool(t)``,
    boolean masks as index), changes numbers or containers outside, draws from a generator of its
    own, carries state by assignment, or has hooks. Printing and the like happen only while it is
    recorded. docs/compile.md says what to do instead.

    ``LAMINA_CHECK=1`` runs every replay beside the eager step and raises RuntimeError unless all
    bytes agree.
    """
    from ._compiled_function import CompiledFunction

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
