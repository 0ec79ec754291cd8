"""The error of a factorisation that does not exist, and the door to the compiled routines."""

from __future__ import annotations

from .. import _core
from ..ops._method import write as _write

__all__ = ["LinAlgError"]


class LinAlgError(RuntimeError):
    """A matrix is singular, not positive definite, holds NaN, or an iteration did not converge."""


LinAlgError.__module__ = "lamina.linalg"
_located = False


def call(name, *args):
    """``_core.<name>(*args)``, after OpenBLAS has been looked for once."""
    global _located
    if not _located:
        from ..ops.matmul import locate_blas

        locate_blas()
        _located = True
    return getattr(_core, name)(*args)


def check(name, a, info, failure) -> None:
    """Raises LinAlgError for the first matrix whose `info` is not 0: `failure` says what a positive
    number, as {info}, means."""
    if info.numel() == 0 or not bool(info.any()):
        return
    at, code = next((i, code) for i, code in enumerate(info.reshape(-1).tolist()) if code)
    place: list[int] = []
    for size in reversed(info.shape):
        at, index = divmod(at, size)
        place.insert(0, index)
    where = f" (batch element {tuple(place)})" if place else ""
    reason = (
        failure.format(info=code)
        if code > 0
        else "it holds NaN or infinity; see where they come from"
    )
    raise LinAlgError(f"{name}: the matrix of shape {tuple(a.shape)}{where}: {reason}")


def broadcast_batches(*matrices):
    """The matrices with their batch dimensions expanded to a common shape."""
    from ..ops.view import broadcast_shapes

    batch = broadcast_shapes(*(m.shape[:-2] for m in matrices))
    return tuple(
        m if m.shape[:-2] == batch else m.expand(tuple(batch) + tuple(m.shape[-2:]))
        for m in matrices
    )


def write(out, value):
    """`value`, copied into `out` when given: a tensor, or as many as `value` has."""
    if out is None:
        return value
    if isinstance(value, tuple):
        return type(value)(*(_write(o, v) for o, v in zip(out, value)))
    return _write(out, value)
