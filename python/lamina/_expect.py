"""Conditions on values: an error in an eager step, and again in every replay of it."""

from __future__ import annotations

from . import _core, compiler
from ._core import Tensor

_ERRORS = {
    IndexError: "index", _core.RangeError: "index", ValueError: "value",
    _core.ArgumentError: "value", RuntimeError: "runtime",
}  # fmt: skip


def fails(ok: Tensor, error: type[Exception], message: str) -> bool:
    """Whether not all of `ok` (bool) holds; the caller then raises `error`, saying what is wrong.

    While a step is recorded the values are not read, which would forbid its replay: then, and in
    every replay, `error` with `message` is raised here.
    """
    if compiler.active is None:
        return not bool(ok.all())
    _core.expect(ok, message, _ERRORS[error])
    return False
