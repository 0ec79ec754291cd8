"""``torch.compiler``'s questions and marks. Python runs the model, so each answers accordingly."""

from __future__ import annotations

__all__ = ["allow_in_graph", "assume_constant_result", "cudagraph_mark_step_begin", "disable",
           "is_compiling", "is_dynamo_compiling", "is_exporting", "reset"]  # fmt: skip


def is_compiling() -> bool:
    """False: a model's code is always run by Python."""
    return False


is_dynamo_compiling = is_exporting = is_compiling


def disable(fn=None, recursive=True, *, reason=None):
    """Returns the function as it is (also as a decorator with arguments)."""
    return fn if fn is not None else (lambda f: f)


def allow_in_graph(fn):
    """Returns the function as it is."""
    return fn


assume_constant_result = allow_in_graph


def reset() -> None:
    """Nothing to do: nothing is kept between runs."""


cudagraph_mark_step_begin = reset
