"""Putting tensors together and rearranging their elements. Results are copies, never views."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from ._method import method

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


def _out(result: Tensor, out) -> Tensor:
    return result if out is None else _core.copy_(out, result)


def cat(tensors, dim=0, *, out=None) -> Tensor:
    """The tensors one after another along `dim`; other sizes must be equal, dtypes are promoted.

    Raises ValueError for an empty list, ShapeError naming the tensor that does not fit.
    """
    return _out(_core.cat(tensors, dim), out)


concat = concatenate = cat


def stack(tensors, dim=0, *, out=None) -> Tensor:
    """Tensors of one shape along a new dimension `dim`."""
    return _out(_core.stack(tensors, dim), out)


def hstack(tensors, *, out=None) -> Tensor:
    """`cat` along dimension 1 (dimension 0 for 1-D tensors)."""
    tensors = [t.reshape(1) if t.dim() == 0 else t for t in tensors]
    return cat(tensors, 0 if tensors and tensors[0].dim() == 1 else 1, out=out)


def vstack(tensors, *, out=None) -> Tensor:
    """`cat` along dimension 0; 1-D tensors are rows."""
    return cat([t.reshape(1, -1) if t.dim() < 2 else t for t in tensors], 0, out=out)


row_stack = vstack


def dstack(tensors, *, out=None) -> Tensor:
    """`cat` along dimension 2, after `atleast_3d`."""
    from .view import atleast_3d

    return cat([atleast_3d(t) for t in tensors], 2, out=out)


def column_stack(tensors, *, out=None) -> Tensor:
    """`cat` along dimension 1; 0-D and 1-D tensors are columns."""
    return cat([t.reshape(-1, 1) if t.dim() < 2 else t for t in tensors], 1, out=out)


def flip(input: Tensor, *axes, dims=None) -> Tensor:
    """The order of elements reversed along each of `dims`: ``flip(x, 0, 1)``, ``flip(x, [0, 1])``
    or ``flip(x, dims=[0, 1])``."""
    if dims is None:
        dims = _dims(axes)
    return _core.flip(input, (dims,) if isinstance(dims, int) else tuple(dims))


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
    a, b = dims
    k %= 4
    if k == 0:
        return input.clone()
    if k == 2:
        return _core.flip(input, (a, b))
    if k == 1:
        return _core.flip(_core.transpose(input, a, b), (a,))
    return _core.flip(_core.transpose(input, a, b), (b,))


@method
def repeat(self: Tensor, *times, repeats=None) -> Tensor:
    """The tensor repeated so many times along each dimension (numbers one by one, or as the
    sequence `repeats`); extra repeats add leading dimensions."""
    return _core.repeat(self, _dims(times) if repeats is None else repeats)


def tile(input: Tensor, dims) -> Tensor:
    """`repeat`, with leading ones put before `dims` when there are fewer than dimensions."""
    dims = (dims,) if isinstance(dims, int) else tuple(dims)
    return _core.repeat(input, (1,) * (input.dim() - len(dims)) + dims)


@method("tile")
def _tile(self: Tensor, *times, dims=None) -> Tensor:
    """See `lamina.tile`."""
    return tile(self, _dims(times) if dims is None else dims)


@method
def repeat_interleave(input: Tensor, repeats, dim=None, *, output_size=None) -> Tensor:
    """Each element along `dim` repeated `repeats` times (a number, or one per element) in place.
    Without `dim`: of the tensor taken as flat."""
    if dim is None:
        input, dim = input.reshape(-1), 0
    n = input.shape[dim]
    counts = repeats if isinstance(repeats, Tensor) else _core.tensor(repeats, _core.int64)
    if counts.numel() != 1 and counts.shape != (n,):
        raise _core.ShapeError(
            f"repeat_interleave: repeats has shape {tuple(counts.shape)}, but dimension {dim} of "
            f"{tuple(input.shape)} has {n} elements"
        )
    if (counts < 0).any():
        raise RuntimeError(f"repeat_interleave: repeats must not be negative, got {counts}")
    ends = counts.reshape(-1).expand(n).cumsum(0)  # element i fills the places before ends[i]
    places = _core.arange(0, int(ends[-1]) if n else 0, 1, _core.int64)
    return _core.index_select(input, dim, _core.searchsorted(ends, places, True, None))


@method
def tril(input: Tensor, diagonal=0, *, out=None) -> Tensor:
    """The last two dimensions with elements above the given diagonal set to 0."""
    return _out(_core.tril(input, diagonal), out)


@method
def triu(input: Tensor, diagonal=0, *, out=None) -> Tensor:
    """The last two dimensions with elements below the given diagonal set to 0."""
    return _out(_core.triu(input, diagonal), out)


@method
def tril_(self: Tensor, diagonal=0) -> Tensor:
    """In place `tril`."""
    return _core.copy_(self, _core.tril(self, diagonal))


@method
def triu_(self: Tensor, diagonal=0) -> Tensor:
    """In place `triu`."""
    return _core.copy_(self, _core.triu(self, diagonal))


def _triangle(row, col, dtype, keep) -> Tensor:
    places = [(i, j) for i in range(row) for j in range(col) if keep(i, j)]
    return _core.tensor([[i for i, _ in places], [j for _, j in places]], dtype or _core.int64)


def tril_indices(row, col, offset=0, *, dtype=None, device=None) -> Tensor:
    """(2, count) indices of the elements of a row x col matrix on or below a diagonal."""
    return _triangle(row, col, dtype, lambda i, j: j <= i + offset)


def triu_indices(row, col, offset=0, *, dtype=None, device=None) -> Tensor:
    """(2, count) indices of the elements of a row x col matrix on or above a diagonal."""
    return _triangle(row, col, dtype, lambda i, j: j >= i + offset)


@method
def diag_embed(input: Tensor, offset=0, dim1=-2, dim2=-1) -> Tensor:
    """The last dimension of the input placed on a diagonal of zeros."""
    return _core.diag_embed(input, offset, dim1, dim2)


@method
def diag(input: Tensor, diagonal=0) -> Tensor:
    """A vector as the diagonal of a square matrix, or the diagonal of a matrix as a vector."""
    if input.dim() == 1:
        return _core.diag_embed(input, diagonal, 0, 1)
    if input.dim() == 2:
        return _core.diagonal(input, diagonal, 0, 1).clone()
    raise _core.ShapeError(f"diag: expected 1 or 2 dimensions, got shape {tuple(input.shape)}")


@method
def diagflat(input: Tensor, offset=0) -> Tensor:
    """The elements, flattened, as the diagonal of a square matrix."""
    return _core.diag_embed(input.reshape(-1), offset, 0, 1)


def block_diag(*tensors) -> Tensor:
    """Matrices along the diagonal of a larger one of zeros."""
    blocks = [t.reshape(1, -1) if t.dim() < 2 else t for t in tensors]
    columns = sum(b.shape[1] for b in blocks)
    placed, at = [], 0
    for b in blocks:
        placed.append(pad(b, (at, columns - at - b.shape[1])))
        at += b.shape[1]
    return cat(placed, 0)


def cartesian_prod(*tensors) -> Tensor:
    """Every combination of one element of each 1-D tensor, one per row."""
    from .view import meshgrid

    if len(tensors) == 1:
        return tensors[0].clone()
    return stack([g.reshape(-1) for g in meshgrid(*tensors, indexing="ij")], -1)


def combinations(input: Tensor, r=2, with_replacement=False) -> Tensor:
    """The combinations of r elements of a 1-D tensor, one per row."""
    import itertools

    pick = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = list(pick(range(input.numel()), r))
    if not rows:
        return input.new_empty(0, r)
    return input[_core.tensor(rows, _core.int64)]


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
        raise ValueError(f"pad: mode {mode!r} takes no value, got {value}")
    return _core.pad(input, tuple(pad), _MODES[mode], 0.0 if value is None else value)
