"""Putting tensors together and rearranging their elements. Results are copies, never views."""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from ._method import method, takes_tensors, under_autocast, write
from .creation import _at, _made, _moved

__all__ = [
    "cat", "concat", "concatenate", "stack", "hstack", "vstack", "row_stack", "dstack",
    "column_stack", "flip", "fliplr", "flipud", "roll", "rot90", "tile", "repeat_interleave",
    "tril", "triu", "tril_indices", "triu_indices", "diag", "diag_embed", "diagflat",
    "block_diag", "cartesian_prod", "combinations",
]  # fmt: skip
__functional__ = ["pad"]


def _dims(values):
    """Numbers given one by one or as one sequence."""
    if len(values) == 1 and not isinstance(values[0], int):
        return tuple(values[0])
    return values


def cat(tensors, dim=0, *, out=None) -> Tensor:
    """The tensors one after another along `dim`; other sizes must be equal, dtypes are promoted.

    Raises ValueError for an empty list, ShapeError naming the tensor that does not fit.
    """
    return write(out, _core.cat(tensors, dim))


concat = concatenate = cat


def stack(tensors, dim=0, *, out=None) -> Tensor:
    """Tensors of one shape along a new dimension `dim`."""
    return write(out, _core.stack(tensors, dim))


@takes_tensors
def hstack(tensors, *, out=None) -> Tensor:
    """`cat` along dimension 1 (dimension 0 for 1-D tensors)."""
    tensors = [t.reshape(1) if t.dim() == 0 else t for t in tensors]
    return cat(tensors, 0 if tensors and tensors[0].dim() == 1 else 1, out=out)


@takes_tensors
def vstack(tensors, *, out=None) -> Tensor:
    """`cat` along dimension 0; 1-D tensors are rows."""
    return cat([t.reshape(1, -1) if t.dim() < 2 else t for t in tensors], 0, out=out)


row_stack = vstack


@takes_tensors
def dstack(tensors, *, out=None) -> Tensor:
    """`cat` along dimension 2, after `atleast_3d`."""
    from .view import atleast_3d

    return cat([atleast_3d(t) for t in tensors], 2, out=out)


def column_stack(tensors, *, out=None) -> Tensor:
    """`cat` along dimension 1; 0-D and 1-D tensors are columns."""
    return cat([t.reshape(-1, 1) if t.dim() < 2 else t for t in tensors], 1, out=out)


def flip(input: Tensor, *axes, dims=None) -> Tensor:
    """The order of elements reversed along each of `dims`."""
    return _core.flip(input, _dims(axes if dims is None else (dims,)))


method(flip)


@method
def fliplr(input: Tensor) -> Tensor:
    """`flip` along dimension 1."""
    return _core.flip(input, (1,))


@method
def flipud(input: Tensor) -> Tensor:
    """`flip` along dimension 0."""
    return _core.flip(input, (0,))


@method
def roll(input: Tensor, shifts, dims=()) -> Tensor:
    """Elements moved by `shifts` along `dims`; those pushed past the end come back at the start.
    Without `dims`: of the tensor taken as flat."""
    return _core.roll(input, shifts, () if dims is None else dims)


@method
def rot90(input: Tensor, k=1, dims=(0, 1)) -> Tensor:
    """Turned k times by 90 degrees, from dims[0] towards dims[1]."""
    a, b = (d % input.dim() for d in dims)
    if a == b:
        raise _core.ArgumentError(f"rot90: dims must be two different dimensions, got {dims}")
    k %= 4
    if k == 0:
        return input.clone()
    if k == 2:
        return _core.flip(input, (a, b))
    return _core.transpose(_core.flip(input, (b if k == 1 else a,)), a, b)


@method
def repeat(self: Tensor, *sizes, repeats=None) -> Tensor:
    """The tensor repeated so many times along each dimension; extra repeats add leading ones."""
    return _core.repeat(self, _dims(sizes if repeats is None else (repeats,)))


def tile(input: Tensor, dims) -> Tensor:
    """`repeat`, with leading ones put before `dims` when there are fewer than dimensions."""
    dims = (dims,) if isinstance(dims, int) else tuple(dims)
    return _core.repeat(input, (1,) * (input.dim() - len(dims)) + dims)


@method("tile")
def _tile(self: Tensor, *sizes, dims=None) -> Tensor:
    """See `lamina.tile`."""
    return tile(self, _dims(sizes if dims is None else (dims,)))


@method
def repeat_interleave(input: Tensor, repeats=None, dim=None, *, output_size=None) -> Tensor:
    """Each element along `dim` repeated `repeats` times (a number, or one per element) in place.
    Without `dim`: of the tensor taken as flat. ``repeat_interleave(repeats)``: of 0, 1, 2, ..."""
    if repeats is None:
        input, repeats = _at(input.device, _core.arange, 0, len(input), 1, _core.int64), input
    if dim is None:
        input, dim = input.reshape(-1), 0
    n = input.shape[dim]
    # How many there are decides the shape: the CPU has to know in any case.
    counts = repeats.cpu() if isinstance(repeats, Tensor) else _core.tensor(repeats, _core.int64)
    if counts.numel() != 1 and counts.shape != (n,):
        raise _core.ShapeError(
            f"repeat_interleave: repeats has shape {tuple(counts.shape)}, but dimension {dim} of "
            f"{tuple(input.shape)} has {n} elements"
        )
    if (counts < 0).any():
        raise RuntimeError(f"repeat_interleave: repeats must not be negative, got {counts}")
    ends = counts.reshape(-1).expand(n).cumsum(0)  # element i fills the places before ends[i]
    places = _core.arange(0, int(ends[-1]) if n else 0, 1, _core.int64)
    places = _core.searchsorted(ends, places, True, None)
    return _core.index_select(input, dim, _moved(places, input.device))


@method
def tril(input: Tensor, diagonal=0, *, out=None) -> Tensor:
    """The last two dimensions with elements above the given diagonal set to 0."""
    return write(out, _core.tril(input, diagonal))


@method
def triu(input: Tensor, diagonal=0, *, out=None) -> Tensor:
    """The last two dimensions with elements below the given diagonal set to 0."""
    return write(out, _core.triu(input, diagonal))


@method
def tril_(self: Tensor, diagonal=0) -> Tensor:
    """In place `tril`."""
    return _core.copy_(self, _core.tril(self, diagonal))


@method
def triu_(self: Tensor, diagonal=0) -> Tensor:
    """In place `triu`."""
    return _core.copy_(self, _core.triu(self, diagonal))


def _places(name, row, col, keep, dtype, device) -> Tensor:
    if row < 0 or col < 0:
        raise _core.ArgumentError(f"{name}: row and col must not be negative, got {row}, {col}")
    places = _core.nonzero(keep(_core.full((row, col), True, _core.bool)))
    return _made(_core.clone(_core.transpose(places, 0, 1)).to(dtype or _core.int64), device)


def tril_indices(row, col, offset=0, *, dtype=None, device=None, layout=None,
                 pin_memory=False) -> Tensor:  # fmt: skip
    """(2, count) indices of the elements of a row x col matrix on or below a diagonal."""
    return _places("tril_indices", row, col, lambda x: _core.tril(x, offset), dtype, device)


def triu_indices(row, col, offset=0, *, dtype=None, device=None, layout=None,
                 pin_memory=False) -> Tensor:  # fmt: skip
    """(2, count) indices of the elements of a row x col matrix on or above a diagonal."""
    return _places("triu_indices", row, col, lambda x: _core.triu(x, offset), dtype, device)


@method
def diag_embed(input: Tensor, offset=0, dim1=-2, dim2=-1) -> Tensor:
    """The last dimension of the input placed on a diagonal of zeros."""
    return _core.diag_embed(input, offset, dim1, dim2)


@method
@takes_tensors
def diag(input: Tensor, diagonal=0, *, out=None) -> Tensor:
    """A vector as the diagonal of a square matrix, or the diagonal of a matrix as a vector."""
    if input.dim() == 1:
        return write(out, _core.diag_embed(input, diagonal, 0, 1))
    if input.dim() == 2:
        return write(out, _core.diagonal(input, diagonal, 0, 1).clone())
    raise _core.ShapeError(f"diag: expected 1 or 2 dimensions, got shape {tuple(input.shape)}")


@method
def diagflat(input: Tensor, offset=0) -> Tensor:
    """The elements, flattened, as the diagonal of a square matrix."""
    return _core.diag_embed(input.reshape(-1), offset, 0, 1)


@takes_tensors
def block_diag(*tensors) -> Tensor:
    """Matrices along the diagonal of a larger one of zeros."""
    for t in tensors:
        if t.dim() > 2:
            raise _core.ShapeError(f"block_diag: expected matrices, got shape {tuple(t.shape)}")
    if not tensors:
        return _core.full((1, 0), 0, _core.default_dtype())
    blocks = [t.reshape(1, -1) if t.dim() < 2 else t for t in tensors]
    columns = sum(b.shape[1] for b in blocks)
    placed, at = [], 0
    for b in blocks:
        placed.append(pad(b, (at, columns - at - b.shape[1])))
        at += b.shape[1]
    return cat(placed, 0)


@takes_tensors
def cartesian_prod(*tensors) -> Tensor:
    """Every combination of one element of each 1-D tensor, one per row."""
    from .view import meshgrid

    for t in tensors:
        if t.dim() != 1:
            raise _core.ShapeError(f"cartesian_prod: expected vectors, got shape {tuple(t.shape)}")
    if len(tensors) == 1:
        return tensors[0].clone()
    return stack([g.reshape(-1) for g in meshgrid(*tensors, indexing="ij")], -1)


@takes_tensors
def combinations(input: Tensor, r=2, with_replacement=False) -> Tensor:
    """The combinations of r elements of a 1-D tensor, one per row."""
    import itertools

    pick = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    n = input.numel()
    count = math.comb(max(n + r - 1, 0), r) if with_replacement else math.comb(n, r)
    _core.empty((count, r), _core.int64)  # OutOfMemoryError for more than memory holds
    rows = list(pick(range(n), r))
    if not rows:
        return input.new_empty(0, r)
    return input[_moved(_core.tensor(rows, _core.int64), input.device)]


_MODES = {"constant": 0, "reflect": 1, "replicate": 2, "circular": 3}


def pad(input: Tensor, pad, mode="constant", value=None) -> Tensor:
    """Sizes grown (or, with negative numbers, cut) at both ends.

    pad: (before, after) of the last dimension, then of the one before it, ... Modes: "constant"
    (with `value`, default 0), "reflect" (without the edge), "replicate" (the edge), "circular".
    Raises ShapeError when a size would become negative or a reflection is longer than the input,
    NotImplementedError for an unknown mode.
    """
    if mode not in _MODES:
        raise NotImplementedError(f"pad: mode must be one of {', '.join(_MODES)}, got {mode!r}")
    if mode != "constant" and value:
        raise _core.ArgumentError(f"pad: mode {mode!r} takes no value, got {value}")
    if mode in ("reflect", "replicate"):
        return _pad_edges(input, tuple(pad), _MODES[mode])
    return _core.pad(input, tuple(pad), _MODES[mode], 0.0 if value is None else value)


@under_autocast("float32")
def _pad_edges(input: Tensor, pad: tuple, mode: int) -> Tensor:
    return _core.pad(input, pad, mode, 0.0)
