"""Reading and writing by index tensors and masks. ``x[...]`` takes every NumPy form."""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from ._method import method, overwrite, takes_tensors, write

__all__ = [
    "index_select", "index_add", "index_copy", "index_fill", "index_put", "take",
    "take_along_dim", "nonzero", "argwhere", "masked_fill", "masked_select", "masked_scatter",
    "gather", "scatter", "scatter_add", "scatter_reduce", "unravel_index", "embedding",
]  # fmt: skip
__functional__ = ["embedding"]


def _in_place(name: str, function) -> None:
    """x.name_(...): function(x, ...) written into x."""

    def in_place(self: Tensor, *args, **kwargs) -> Tensor:
        return overwrite(self, function(self, *args, **kwargs))

    in_place.__name__ = name
    in_place.__doc__ = f"In place `{function.__name__}`."
    setattr(Tensor, name, in_place)


@method
def index_select(input: Tensor, dim, index: Tensor, *, out=None) -> Tensor:
    """The slices `index` (1-D, integers) of dimension `dim`, in that order."""
    return write(out, _core.index_select(input, dim, index))


@method
def index_add(input: Tensor, dim, index: Tensor, source: Tensor, *, alpha=1) -> Tensor:
    """input with alpha * source[i] added to slice index[i] of `dim`, for every i in order."""
    return _core.index_add(input, dim, index, source, alpha)


@method
def index_copy(input: Tensor, dim, index: Tensor, source: Tensor) -> Tensor:
    """input with slice index[i] of `dim` replaced by source[i]."""
    return _core.index_copy(input, dim, index, source)


@method
def index_fill(input: Tensor, dim, index: Tensor, value) -> Tensor:
    """input with the slices `index` of `dim` filled with a number."""
    return _core.index_fill(input, dim, index, value)


_in_place("index_add_", index_add)
_in_place("index_copy_", index_copy)
_in_place("index_fill_", index_fill)


@method
def index_put(input: Tensor, indices, values, accumulate=False) -> Tensor:
    """A copy with ``copy[indices] = values`` (``+=``, duplicates added up, with `accumulate`)."""
    return _core.index_put(input, tuple(indices), values, accumulate)


@method
def index_put_(self: Tensor, indices, values, accumulate=False) -> Tensor:
    """In place `index_put`."""
    return _core.index_put_(self, tuple(indices), values, accumulate)


@method
def take(input: Tensor, index: Tensor) -> Tensor:
    """Elements of the flattened input at `index`, in the shape of `index`."""
    return _core.take(input, index)


@method
@takes_tensors
def take_along_dim(input: Tensor, indices: Tensor, dim=None, *, out=None) -> Tensor:
    """`gather` with the other dimensions broadcast; without `dim`, `take`."""
    if dim is None:
        return write(out, _core.take(input, indices))
    from .view import broadcast_shapes

    d = dim % input.dim()
    shape = [list(t.shape) for t in (input, indices)]
    sizes = [s[d] for s in shape]
    for s in shape:
        s[d] = 1
    both = list(broadcast_shapes(*shape))
    wide = [
        _core.expand(t, (*both[:d], n, *both[d + 1 :])) for t, n in zip((input, indices), sizes)
    ]
    return write(out, _core.gather(wide[0], d, wide[1]))


@method
def nonzero(input: Tensor, *, as_tuple=False, out=None):
    """The indices of elements that are not 0: (count, dims) int64, or with `as_tuple` one 1-D
    tensor per dimension (for a number, with the index 0 or without one)."""
    if as_tuple and not input.dim():
        input = input.reshape(1)
    places = _core.nonzero(input)
    if out is not None:
        return _core.copy_(out.resize_(places.shape), places)
    return tuple(_core.unbind(places, 1)) if as_tuple else places


@method
def argwhere(input: Tensor) -> Tensor:
    """`nonzero`."""
    return _core.nonzero(input)


@method
def masked_fill(input: Tensor, mask: Tensor, value) -> Tensor:
    """`value` (a number) where the bool mask is true, else input. Shapes broadcast."""
    return _core.masked_fill(input, mask, value)


@method
def masked_fill_(self: Tensor, mask: Tensor, value) -> Tensor:
    """In place `masked_fill`."""
    return _core.masked_fill_(self, mask, value)


@method
def masked_select(input: Tensor, mask: Tensor, *, out=None) -> Tensor:
    """The elements where the bool mask is true, as a vector in row-major order."""
    return write(out, _core.masked_select(input, mask))


@method
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """input with its masked elements replaced by the first elements of `source`, in order."""
    return _core.masked_scatter(input, mask, source)


_in_place("masked_scatter_", masked_scatter)


@method
def gather(input: Tensor, dim, index: Tensor, *, sparse_grad=False, out=None) -> Tensor:
    """y[i][j] = input[index[i][j]][j] for dim = 0, and so on: the shape of `index`."""
    return write(out, _core.gather(input, dim, index))


def _source(input, value) -> Tensor:
    return value if isinstance(value, Tensor) else input.new_tensor(value)


_REDUCE = {None: "", "add": "sum", "multiply": "prod"}


def _scatter(into, input, dim, index, src, value, reduce):
    if reduce not in _REDUCE:
        raise RuntimeError(f"scatter: reduce must be 'add' or 'multiply', got {reduce!r}")
    src = value if src is None else src
    if not isinstance(src, Tensor):
        src = _core.expand(_source(input, src), index.shape)
    return into(input, dim, index, src, _REDUCE[reduce], True)


@method
def scatter(input: Tensor, dim, index: Tensor, src=None, *, value=None, reduce=None) -> Tensor:
    """A copy with y[index[i][j]][j] = src[i][j] for dim = 0, and so on; `src` may be a number.
    `reduce`: "add" or "multiply" combine with what is there."""
    return _scatter(_core.scatter, input, dim, index, src, value, reduce)


@method
def scatter_(self: Tensor, dim, index: Tensor, src=None, *, value=None, reduce=None) -> Tensor:
    """In place `scatter`."""
    return _scatter(_core.scatter_, self, dim, index, src, value, reduce)


@method
def scatter_add(input: Tensor, dim, index: Tensor, src: Tensor) -> Tensor:
    """A copy with y[index[i][j]][j] += src[i][j] for dim = 0, and so on, in the order of src."""
    return _core.scatter(input, dim, index, src, "sum", True)


@method
def scatter_add_(self: Tensor, dim, index: Tensor, src: Tensor) -> Tensor:
    """In place `scatter_add`."""
    return _core.scatter_(self, dim, index, src, "sum", True)


@method
def scatter_reduce(input: Tensor, dim, index: Tensor, src: Tensor, reduce, *,
                   include_self=True) -> Tensor:  # fmt: skip
    """`scatter` combining all that meets at one place: reduce is "sum", "prod", "mean", "amax" or
    "amin"; without `include_self` the old value of a written place takes no part."""
    return _core.scatter(input, dim, index, src, reduce, include_self)


@method
def scatter_reduce_(self: Tensor, dim, index: Tensor, src: Tensor, reduce, *,
                    include_self=True) -> Tensor:  # fmt: skip
    """In place `scatter_reduce`."""
    return _core.scatter_(self, dim, index, src, reduce, include_self)


def unravel_index(indices: Tensor, shape) -> tuple:
    """Flat row-major positions as one index tensor per dimension of `shape`."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if shape and math.prod(shape) == 0 and indices.numel():
        raise _core.ArgumentError(f"unravel_index: shape {shape} has no elements")
    out = []
    for size in reversed(shape):
        out.append(indices % size)
        indices = _core.floor_divide(indices, size)
    return tuple(reversed(out))


def embedding(input: Tensor, weight: Tensor, padding_idx=None, max_norm=None, norm_type=2.0,
              scale_grad_by_freq=False, sparse=False) -> Tensor:  # fmt: skip
    """Rows of `weight` (V, E) numbered by `input` (integers, any shape): input.shape + (E,).

    The gradient of row `padding_idx` is 0. With `max_norm`, rows that are used and longer are
    first scaled, in place, to that norm. With `scale_grad_by_freq` the gradient of a row is divided
    by how often it occurs. `sparse` is accepted; the gradient is dense. Raises IndexError for a row
    outside [0, V).
    """
    if max_norm is not None:
        from ..autograd import no_grad

        with no_grad():
            rows = input.reshape(-1).unique()
            used = weight[rows]
            norms = used.norm(norm_type, -1, keepdim=True)
            shrink = _core.where(norms > max_norm, max_norm / (norms + 1e-7), 1.0)
            weight.index_copy_(0, rows, used * shrink.to(used.dtype))
    if padding_idx is None:
        row = -1
    else:
        if not -weight.shape[0] <= padding_idx < weight.shape[0]:
            raise _core.RangeError(
                f"embedding: padding_idx {padding_idx} is outside the {weight.shape[0]} rows"
            )
        row = padding_idx % weight.shape[0]
    return _core.embedding(weight, input, row, scale_grad_by_freq)
