"""Distinct values: equal ones are brought together by a stable sort, and runs of them counted."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from ._method import method, takes_tensors
from .creation import arange

__all__ = ["unique", "unique_consecutive"]


def _runs(fresh: Tensor, n: int):
    """(starts, lengths, run number of each) from where a new run begins."""
    starts = fresh.nonzero().reshape(-1)
    ends = _core.cat([starts[1:], starts.new_full((1,), n)], 0)
    return starts, ends - starts, fresh.long().cumsum(0) - 1


def _changes(rows: Tensor) -> Tensor:
    """Whether each row of (n, m) differs from the one before; the first does."""
    differs = rows[1:] != rows[:-1]
    differs = differs.reshape(-1) if rows.shape[1] == 1 else differs.any(1)
    return _core.cat([differs.new_full((1,), True), differs], 0)


def _pack(y, inverse, counts, return_inverse, return_counts):
    out = (y, *([inverse] if return_inverse else []), *([counts] if return_counts else []))
    return out if len(out) > 1 else y


def _as_rows(x: Tensor, dim):
    if dim is None:
        return x.reshape(-1, 1)
    moved = x.movedim(dim, 0)
    return moved.flatten(1) if moved.dim() > 1 else moved.unsqueeze(1)


def _pick(x: Tensor, dim, rows: Tensor) -> Tensor:
    return x.reshape(-1)[rows] if dim is None else x.index_select(dim, rows)


@method
@takes_tensors
def unique(input: Tensor, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The distinct elements, smallest first, or with `dim` the distinct slices along it.

    With return_inverse also where each element of `input` is in the result (the input's shape; with
    `dim` one dimension), with return_counts also how often each occurs (int64). Each NaN is its
    own value.
    """
    x = input.detach()
    shape = x.shape if dim is None else (x.shape[dim],)
    rows = _as_rows(x, dim)
    n = rows.shape[0]
    none = x.new_full((0,), 0, dtype=_core.int64)
    if n == 0:
        y = x.reshape(-1) if dim is None else x
        return _pack(y, none.reshape(shape), none, return_inverse, return_counts)
    if rows.shape[1] == 1:
        in_order, order = _core.sort(rows.reshape(-1), 0, False)
        fresh = _changes(in_order.unsqueeze(1))
        if dim is None and not return_inverse and not return_counts:
            return in_order[fresh]
    else:
        order = arange(n, device=x.device)
        for column in range(rows.shape[1] - 1, -1, -1):  # stable: the first column decides last
            order = order[_core.sort(rows[:, column][order], 0, False)[1]]
        fresh = _changes(rows[order])
    starts, counts, run = _runs(fresh, n)
    inverse = None
    if return_inverse:
        inverse = _core.scatter(order * 0, 0, order, run, "", True).reshape(shape)
    return _pack(_pick(x, dim, order[starts]), inverse, counts, return_inverse, return_counts)


@method
def unique_consecutive(input: Tensor, return_inverse=False, return_counts=False, dim=None):
    """`input` (flattened, or slices along `dim`) without repetitions of its predecessor; the other
    results as in `unique`."""
    x = input.detach()
    shape = x.shape if dim is None else (x.shape[dim],)
    rows = _as_rows(x, dim)
    n = rows.shape[0]
    none = x.new_full((0,), 0, dtype=_core.int64)
    if n == 0:
        y = x.reshape(-1) if dim is None else x
        return _pack(y, none.reshape(shape), none, return_inverse, return_counts)
    starts, counts, run = _runs(_changes(rows), n)
    return _pack(_pick(x, dim, starts), run.reshape(shape), counts, return_inverse, return_counts)
