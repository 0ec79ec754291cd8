"""Views: other shapes over the same memory. Writing into a view writes into its base."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .. import _core
from .._core import Tensor
from ._method import method, takes_tensors

__all__ = [
    "reshape", "permute", "transpose", "swapaxes", "swapdims", "t", "movedim", "moveaxis",
    "flatten", "unflatten", "ravel", "squeeze", "unsqueeze", "select", "narrow", "diagonal",
    "as_strided", "detach", "broadcast_to", "broadcast_tensors", "broadcast_shapes", "chunk",
    "split", "tensor_split", "hsplit", "vsplit", "dsplit", "unbind", "atleast_1d", "atleast_2d",
    "atleast_3d", "meshgrid", "adjoint", "unsafe_chunk", "unsafe_split",
]  # fmt: skip


def _sizes(sizes) -> Sequence[int]:
    """Sizes given one by one, or as one sequence."""
    if len(sizes) == 1 and not isinstance(sizes[0], int) and hasattr(sizes[0], "__iter__"):
        first = sizes[0]
        return first if not isinstance(first, Tensor) or first.dim() else sizes
    return sizes


# ---- shape --------------------------------------------------------------------------------------
def reshape(input: Tensor, shape) -> Tensor:
    """The same elements in row-major order as `shape` (one size may be -1).

    A view when the strides allow it, else a copy. Raises ShapeError when the numbers of elements
    differ.
    """
    return _core.reshape(input, shape)


@method("reshape")
def _reshape(self: Tensor, *sizes, shape=None) -> Tensor:
    """``reshape(*sizes)``: see `lamina.reshape`."""
    sizes = sizes if shape is None else shape
    return _core.reshape(self, sizes if sizes and type(sizes[0]) is int else _sizes(sizes))


@method
def view(self: Tensor, *shape, size=None, dtype=None) -> Tensor:
    """The same memory as another shape (one size may be -1), or as another dtype of the same size.

    ``view(*sizes)``, ``view(sizes)`` or ``view(dtype)``, also by the keywords size and dtype.

    Raises ShapeError when that needs a copy (use `reshape`), DTypeError when the sizes of the
    dtypes differ.
    """
    if dtype is not None or (shape and isinstance(shape[0], _core.dtype)):
        return _core.view_dtype(self, shape[0] if dtype is None else dtype)
    if size is not None:
        shape = size
    return _core.view(self, shape if shape and type(shape[0]) is int else _sizes(shape))


@method
def view_as(self: Tensor, other: Tensor) -> Tensor:
    """``self.view(other.shape)``."""
    return _core.view(self, other.shape)


@method
def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """``self.reshape(other.shape)``."""
    return _core.reshape(self, other.shape)


def _wrap(op: str, dim: int, ndim: int) -> int:
    n = max(ndim, 1)
    if not -n <= dim < n:
        raise _core.RangeError(
            f"{op}: dim {dim} is out of range for a tensor with {ndim} dimensions "
            f"(expected {-n} to {n - 1})"
        )
    return dim % n


@method
@takes_tensors
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions `start_dim` to `end_dim` (included) as one; a 0-dim tensor becomes 1-D."""
    shape = tuple(input.shape)
    a, b = _wrap("flatten", start_dim, len(shape)), _wrap("flatten", end_dim, len(shape))
    if a > b:
        raise _core.ShapeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    if a == b and shape:
        return input
    return _core.reshape(input, (*shape[:a], math.prod(shape[a : b + 1]), *shape[b + 1 :]))


@method
def unflatten(input: Tensor, dim: int, sizes) -> Tensor:
    """Dimension `dim` split into `sizes` (one may be -1)."""
    shape = tuple(input.shape)
    d = _wrap("unflatten", dim, len(shape))
    sizes = tuple(sizes)
    known = math.prod(n for n in sizes if n != -1)
    if -1 in sizes and known:
        sizes = tuple(shape[d] // known if n == -1 else n for n in sizes)
    if math.prod(sizes) != shape[d]:
        raise _core.ShapeError(
            f"unflatten: sizes {sizes} do not multiply to {shape[d]}, the size of dimension {d}"
        )
    return _core.reshape(input, (*shape[:d], *sizes, *shape[d + 1 :]))


@method
def ravel(input: Tensor) -> Tensor:
    """All elements as one dimension."""
    return _core.reshape(input, (-1,))


@method
def squeeze(input: Tensor, dim=None) -> Tensor:
    """Without dimensions of size 1: all of them, or those in `dim` (an int or a tuple)."""
    return _core.squeeze(input) if dim is None else _core.squeeze_dims(input, dim)


@method
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a dimension of size 1 inserted at `dim`."""
    return _core.unsqueeze(input, dim)


def _at_least(n: int, tensors):
    def grow(t: Tensor) -> Tensor:
        if t.dim() == 0:
            return _core.reshape(t, (1,) * n)
        if t.dim() == 1 and n >= 2:
            t = _core.unsqueeze(t, 0)
        return _core.unsqueeze(t, 2) if t.dim() == 2 and n == 3 else t

    if len(tensors) == 1 and not isinstance(tensors[0], (list, tuple)):
        return grow(tensors[0])
    return tuple(grow(t) for t in (tensors[0] if len(tensors) == 1 else tensors))


@takes_tensors
def atleast_1d(*tensors):
    """0-dim tensors as shape (1,), others unchanged; a tuple for several inputs."""
    return _at_least(1, tensors)


@takes_tensors
def atleast_2d(*tensors):
    """0- and 1-dim tensors as (1, 1) and (1, n), others unchanged; a tuple for several inputs."""
    return _at_least(2, tensors)


@takes_tensors
def atleast_3d(*tensors):
    """Fewer than 3 dimensions as (1, 1, 1), (1, n, 1), (m, n, 1); a tuple for several inputs."""
    return _at_least(3, tensors)


# ---- order of dimensions ------------------------------------------------------------------------
def permute(input: Tensor, dims) -> Tensor:
    """Dimension i of the result is dimension ``dims[i]`` of `input`."""
    return _core.permute(input, dims)


@method("permute")
def _permute(self: Tensor, *order, dims=None) -> Tensor:
    """``permute(*dims)``: see `lamina.permute`."""
    return _core.permute(self, _sizes(order if dims is None else (dims,)))


@method
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Dimensions `dim0` and `dim1` swapped."""
    return _core.transpose(input, dim0, dim1)


@method
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """The same as `transpose`."""
    return _core.transpose(input, axis0, axis1)


@method
def swapdims(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """The same as `transpose`."""
    return _core.transpose(input, dim0, dim1)


@method
@takes_tensors
def t(input: Tensor) -> Tensor:
    """A matrix transposed; tensors with fewer dimensions unchanged."""
    if input.dim() > 2:
        raise _core.ShapeError(
            f"t: expects at most 2 dimensions, got shape {tuple(input.shape)}; "
            "use .mT or .transpose(dim0, dim1)"
        )
    return _core.transpose(input, 0, 1) if input.dim() == 2 else input


@method
def movedim(input: Tensor, source, destination) -> Tensor:
    """Dimensions `source` (int or tuple) moved to the places `destination`, the others in order."""
    source = (source,) if isinstance(source, int) else tuple(source)
    destination = (destination,) if isinstance(destination, int) else tuple(destination)
    n = input.dim()
    if len(source) != len(destination):
        raise _core.ShapeError(
            f"movedim: {len(source)} source dimensions {source} but {len(destination)} "
            f"destinations {destination}"
        )
    source = [_wrap("movedim", d, n) for d in source]
    destination = [_wrap("movedim", d, n) for d in destination]
    if len(set(source)) != len(source) or len(set(destination)) != len(destination):
        raise _core.ShapeError("movedim: a dimension appears twice")
    rest = iter(d for d in range(n) if d not in source)
    to = dict(zip(destination, source, strict=True))
    return _core.permute(input, [to[i] if i in to else next(rest) for i in range(n)])


@method
def moveaxis(input: Tensor, source, destination) -> Tensor:
    """The same as `movedim`."""
    return movedim(input, source, destination)


@method
def adjoint(input: Tensor) -> Tensor:
    """The last two dimensions swapped and complex numbers conjugated."""
    return _core.conj(_core.transpose(input, -2, -1))


def _transposed(self: Tensor) -> Tensor:
    """Dimensions in reverse order."""
    return _core.permute(self, tuple(range(self.dim() - 1, -1, -1)))


def _matrix_transposed(self: Tensor) -> Tensor:
    """The last two dimensions swapped; ShapeError for fewer than two."""
    if self.dim() < 2:
        raise _core.ShapeError(
            f"mT: needs at least 2 dimensions, got shape {tuple(self.shape)}; use .T"
        )
    return _core.transpose(self, -2, -1)


Tensor.T = property(_transposed)


def _conjugate_transposed(self: Tensor) -> Tensor:
    """`mT`, conjugated where complex (then a copy)."""
    return _core.conj(_matrix_transposed(self))


Tensor.mT = property(_matrix_transposed)
Tensor.mH = Tensor.H = property(_conjugate_transposed)


# ---- broadcasting -------------------------------------------------------------------------------
@method
def expand(self: Tensor, *sizes, size=None, implicit=False) -> Tensor:
    """Dimensions of size 1 repeated to `sizes` (or `size`) without copying; -1 keeps a size, new
    dimensions come first."""
    return _core.expand(self, _sizes(sizes if size is None else (size,)))


@method
def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """``self.expand(other.shape)``."""
    return _core.expand(self, other.shape)


@method
def broadcast_to(input: Tensor, size) -> Tensor:
    """`input` expanded to the shape `size`."""
    return _core.expand(input, size)


def broadcast_shapes(*shapes):
    """The shape all `shapes` (ints or tuples) broadcast to; ShapeError when they do not."""
    from .._types import Size

    shapes = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    out = [1] * max((len(s) for s in shapes), default=0)
    for shape in shapes:
        for i in range(-len(shape), 0):
            if shape[i] != out[i] and shape[i] != 1:
                if out[i] != 1:
                    raise _core.ShapeError(
                        f"broadcast_shapes: shapes {', '.join(map(str, shapes))} do not broadcast: "
                        f"sizes {out[i]} and {shape[i]} differ at dimension {i}"
                    )
                out[i] = shape[i]
    return Size(out)


@takes_tensors
def broadcast_tensors(*tensors):
    """The tensors expanded to their common shape."""
    tensors = tensors[0] if len(tensors) == 1 and not isinstance(tensors[0], Tensor) else tensors
    shape = broadcast_shapes(*(t.shape for t in tensors))
    return tuple(_core.expand(t, shape) for t in tensors)


@takes_tensors
def meshgrid(*tensors, indexing=None):
    """Coordinates of a grid: n 1-D (or 0-dim) tensors give n of shape (len_0, ..., len_n-1).

    ``indexing="xy"`` swaps the first two dimensions, as NumPy does by default; "ij" (the default
    here) does not.
    """
    tensors = tensors[0] if len(tensors) == 1 and not isinstance(tensors[0], Tensor) else tensors
    if indexing not in (None, "ij", "xy"):
        raise _core.ArgumentError(f"meshgrid: indexing must be 'ij' or 'xy', got {indexing!r}")
    for x in tensors:
        if x.dim() > 1:
            raise _core.ShapeError(f"meshgrid: expects 1-D tensors, got shape {tuple(x.shape)}")
    tensors = list(tensors)
    swap = indexing == "xy" and len(tensors) >= 2
    if swap:
        tensors[:2] = tensors[1], tensors[0]
    shape = [x.numel() for x in tensors]
    grids = []
    for i, x in enumerate(tensors):
        at = [1] * len(shape)
        at[i] = shape[i]
        grids.append(_core.expand(_core.reshape(x, at), shape))
    if swap:
        grids[:2] = grids[1], grids[0]
    return tuple(grids)


# ---- parts --------------------------------------------------------------------------------------
@method
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """``input[..., index, ...]`` at `dim`; IndexError when out of range."""
    return _core.select(input, dim, index)


@method
def narrow(input: Tensor, dim: int, start, length: int) -> Tensor:
    """``input[..., start : start + length, ...]`` at `dim`."""
    return _core.narrow(input, dim, int(start), length)


@method
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The elements whose index at `dim2` is that at `dim1` + `offset`, as the last dimension."""
    return _core.diagonal(input, offset, dim1, dim2)


@method
def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of `size` along `dimension`, every `step`: a view (..., W, ..., size).

    W = (n - size) // step + 1 for a dimension of n elements.
    """
    return _core.unfold_view(self, dimension, size, step)


@method
def as_strided(input: Tensor, size, stride, storage_offset=None) -> Tensor:
    """A view with the given sizes, strides and offset (in elements of the storage).

    Raises ShapeError when it reaches past the storage. Its gradient needs a contiguous input.
    """
    offset = input.storage_offset() if storage_offset is None else storage_offset
    return _core.as_strided(input, size, stride, offset)


@method
def detach(input: Tensor) -> Tensor:
    """The same memory, cut from the history: gradients do not flow through it."""
    return _core.detach(input)


@method
def unbind(input: Tensor, dim: int = 0) -> tuple:
    """Every index of `dim` as a tensor of its own."""
    return _core.unbind(input, dim)


@method
def __iter__(self: Tensor):
    """The rows of the tensor, one after another."""
    if self.dim() == 0:
        raise TypeError("iter: a 0-dim tensor has no rows to iterate over")
    return iter(_core.unbind(self, 0))


@method
def __reversed__(self: Tensor) -> Tensor:
    """The tensor with its rows in the opposite order; a tensor of no dimensions as it is."""
    return self.flip(0) if self.dim() else self


@method
def split(tensor: Tensor, split_size_or_sections, dim: int = 0) -> tuple:
    """Views along `dim`: of one size (the last may be shorter), or of the sizes in a list.

    Raises ShapeError when the sizes in the list do not sum to the size of `dim`.
    """
    if isinstance(split_size_or_sections, int):
        return _core.split(tensor, split_size_or_sections, dim)
    sizes = tuple(split_size_or_sections)
    if len(sizes) <= 12:
        return _core.split_sizes(tensor, sizes, dim)
    if sum(sizes) != tensor.shape[dim]:
        raise _core.ShapeError(
            f"split: sizes {sizes} sum to {sum(sizes)}, but dimension {dim} has size "
            f"{tensor.shape[dim]}"
        )
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return tuple(_core.narrow(tensor, dim, s, n) for s, n in zip(starts, sizes, strict=True))


@method
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple:
    """At most `chunks` equal pieces along `dim` (the last may be shorter)."""
    if chunks <= 0:
        raise _core.ArgumentError(f"chunk: chunks must be positive, got {chunks}")
    n = input.shape[_wrap("chunk", dim, input.dim())]
    if n == 0:
        return tuple(_core.narrow(input, dim, 0, 0) for _ in range(chunks))
    return _core.split(input, -(-n // chunks), dim)


unsafe_chunk, unsafe_split = chunk, split


@method
def tensor_split(input: Tensor, indices_or_sections, dim: int = 0) -> tuple:
    """Pieces along `dim`: a number of nearly equal ones, or cut before each index of a list."""
    d = _wrap("tensor_split", dim, input.dim())
    n = input.shape[d]
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, int):
        k = indices_or_sections
        if k <= 0:
            raise _core.ArgumentError(f"tensor_split: number of sections must be positive, got {k}")
        base, extra = divmod(n, k)
        cuts = [i * base + min(i, extra) for i in range(1, k)]
    else:
        cuts = list(indices_or_sections)
    edges = [0, *cuts, n]
    return tuple(
        _core.slice(input, d, a, n if i == len(cuts) else b, 1)
        for i, (a, b) in enumerate(zip(edges[:-1], edges[1:], strict=True))
    )


def _split_at(name: str, least: int, dim: int, doc: str):
    def f(input: Tensor, indices_or_sections) -> tuple:
        if input.dim() < least:
            raise _core.ShapeError(
                f"{name}: needs at least {least} dimensions, got shape {tuple(input.shape)}"
            )
        d = 0 if name == "hsplit" and input.dim() == 1 else dim
        if isinstance(indices_or_sections, int) and input.shape[d] % indices_or_sections:
            raise _core.ShapeError(
                f"{name}: dimension {d} with size {input.shape[d]} cannot be split into "
                f"{indices_or_sections} equal sections; use tensor_split"
            )
        return tensor_split(input, indices_or_sections, d)

    f.__name__ = f.__qualname__ = name
    f.__doc__ = doc
    return method(f)


hsplit = _split_at("hsplit", 1, 1, "`tensor_split` along the columns (dimension 0 for 1-D).")
vsplit = _split_at("vsplit", 2, 0, "`tensor_split` along the rows (dimension 0).")
dsplit = _split_at("dsplit", 3, 2, "`tensor_split` along dimension 2.")
