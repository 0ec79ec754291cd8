"""Order: sorting, the largest few, order statistics, binary search, counting.

Sorts are stable radix sorts; NaN counts as the largest value, as in PyTorch. The gradient of values
taken from a tensor goes back to the places they came from.
"""

from __future__ import annotations

import math

from .. import _core, compiler
from .._core import Tensor
from ._method import method, results, takes_tensors, under_autocast, write
from .creation import arange

__all__ = [
    "sort", "argsort", "msort", "topk", "kthvalue", "median", "nanmedian", "mode", "quantile",
    "nanquantile", "searchsorted", "bucketize", "isin", "bincount", "histc",
]  # fmt: skip
__functional__ = ["one_hot"]

_Sort = results("sort", "values", "indices")
_TopK = results("topk", "values", "indices")
_KthValue = results("kthvalue", "values", "indices")
_Median = results("median", "values", "indices")
_Mode = results("mode", "values", "indices")


# ---- whole order --------------------------------------------------------------------------------
@method
def sort(input: Tensor, dim=-1, descending=False, stable=False, *, out=None):
    """The named tuple (values, indices): `input` in order along `dim` and where each came from
    (int64). Always stable, whatever `stable` says.

    >>> lamina.sort(lamina.tensor([3, 1, 2])).indices
    tensor([1, 2, 0])
    """
    y = _Sort(*_core.sort(input, dim, descending))
    return y if out is None else _Sort(write(out[0], y[0]), write(out[1], y[1]))


@method
@takes_tensors
def argsort(input: Tensor, dim=-1, descending=False, stable=False) -> Tensor:
    """The positions that put `input` in order along `dim`; int64."""
    return _core.sort(input.detach(), dim, descending)[1]


@method
def msort(input: Tensor, *, out=None) -> Tensor:
    """`input` in order along dimension 0."""
    return write(out, _core.sort(input, 0, False)[0])


@method
def topk(input: Tensor, k, dim=-1, largest=True, sorted=True, *, out=None):
    """The named tuple (values, indices) of the k largest (or smallest) elements along `dim`, best
    first; of equal ones the first. Raises IndexError when k is more than there are."""
    y = _TopK(*_core.topk(input, k, dim, largest))
    return y if out is None else _TopK(write(out[0], y[0]), write(out[1], y[1]))


# ---- order statistics ---------------------------------------------------------------------------
@method
def kthvalue(input: Tensor, k, dim=-1, keepdim=False, *, out=None):
    """The named tuple (values, indices) of the k-th smallest element along `dim` (1: the smallest).

    Raises IndexError when there is no such element.
    """
    n = input.shape[dim] if input.dim() else 1
    if not 1 <= k <= n:
        raise _core.RangeError(
            f"kthvalue: k = {k} is out of range for dimension {dim} with size {n}"
        )
    values, indices = _core.sort(input, dim, False)
    if input.dim():
        values, indices = values.select(dim, k - 1), indices.select(dim, k - 1)
        if keepdim:
            values, indices = values.unsqueeze(dim), indices.unsqueeze(dim)
    y = _KthValue(values, indices)
    return y if out is None else _KthValue(write(out[0], y[0]), write(out[1], y[1]))


def _shared(x, value):
    """`value`, an element of the 1-D x, 0-dim; elements equal to it share its gradient."""
    value = value.reshape(())
    if not x.requires_grad:
        return value
    there, here = x.detach(), value.detach()
    return x[(there == here) | (there.isnan() & here.isnan())].amax()


def _put(result, out):
    """The result, or out (a tensor, or one for each of the result's) with its values."""
    if out is None:
        return result
    if isinstance(result, Tensor):
        return write(out, result)
    return type(result)(*(write(o, r) for o, r in zip(out, result)))


def _median(name, input, dim, keepdim, skip_nan):
    flat = dim is None
    x = input.reshape(-1) if flat else input
    d = 0 if flat else dim
    if x.dim() == 0:
        x, d = x.reshape(1), 0
    n = x.shape[d]
    if n == 0:
        if flat:
            return input.new_full((), math.nan)
        raise _core.RangeError(f"{name}: dimension {dim} of shape {tuple(input.shape)} is empty")
    values, indices = _core.sort(x, d, False)
    place = indices.new_full(values.select(d, 0).shape, (n - 1) // 2)
    if x.dtype.is_floating_point:
        nans = x.detach().isnan().sum(d)
        if skip_nan:
            place = (n - nans - 1).clamp(min=0) // 2
        else:
            place = _core.where(nans > 0, n - nans, place)
    place = place.unsqueeze(d)
    values, indices = _core.gather(values, d, place), _core.gather(indices, d, place)
    if flat:
        return _shared(x, values)
    if not keepdim or input.dim() == 0:
        values, indices = values.squeeze(d), indices.squeeze(d)
    return _Median(values, indices)


@method
@takes_tensors
def median(input: Tensor, dim=None, keepdim=False, *, out=None):
    """The middle element, of an even number the lower of the two; NaN when there is one. With `dim`
    the named tuple (values, indices)."""
    return _put(_median("median", input, dim, keepdim, False), out)


@method
def nanmedian(input: Tensor, dim=None, keepdim=False, *, out=None):
    """`median` of what is not NaN."""
    return _put(_median("nanmedian", input, dim, keepdim, True), out)


@method
@takes_tensors
def mode(input: Tensor, dim=-1, keepdim=False, *, out=None):
    """The named tuple (values, indices) of the most frequent element along `dim`, of several the
    smallest; indices: one of its places."""
    if input.dim() == 0:
        return _put(_Mode(input.clone(), input.new_full((), 0, dtype=_core.int64)), out)
    if input.shape[dim] == 0:
        raise _core.RangeError(f"mode: dimension {dim} of shape {tuple(input.shape)} is empty")
    x = input.movedim(dim, -1)
    values, indices = _core.sort(x, -1, False)
    n = values.shape[-1]
    fresh = values[..., 1:] != values[..., :-1]
    at = arange(n, device=x.device).expand(values.shape)
    starts = at[..., 1:].masked_fill(fresh.logical_not(), 0)
    starts = _core.cummax(_core.cat([at[..., :1], starts], -1), -1)[0]
    place = (at - starts).argmax(-1, keepdim=True)
    values, indices = _core.gather(values, -1, place), _core.gather(indices, -1, place)
    if keepdim:
        return _put(_Mode(values.movedim(-1, dim), indices.movedim(-1, dim)), out)
    return _put(_Mode(values.squeeze(-1), indices.squeeze(-1)), out)


_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile(name, input, q, dim, keepdim, interpolation, skip_nan):
    if interpolation not in _INTERPOLATIONS:
        raise _core.ArgumentError(
            f"{name}: interpolation must be one of {_INTERPOLATIONS}, got {interpolation!r}"
        )
    q = q if isinstance(q, Tensor) else input.new_full((), q)
    if ((q < 0) | (q > 1)).any():
        raise _core.ArgumentError(f"{name}: q must be between 0 and 1, got {q.tolist()}")
    if input.dim() == 0 and dim in (0, -1):
        dim = None
    d = 0 if dim is None else dim % max(input.dim(), 1)
    x = (input.reshape(-1) if dim is None else input).movedim(d, -1)
    n = x.shape[-1]
    if n == 0:
        raise _core.RangeError(f"{name}: nothing is there along dim {dim} of {tuple(input.shape)}")
    values = _core.sort(x, -1, False)[0]
    nans = x.detach().isnan().sum(-1, keepdim=True)
    last = ((n - nans).clamp(min=1) if skip_nan else (n - nans * 0)) - 1
    rank = last.to(input.dtype) * q.reshape(-1)  # (..., q)
    below = rank.floor()
    part = rank - below
    if interpolation in ("lower", "higher", "nearest"):
        place = {"lower": below, "higher": rank.ceil(), "nearest": rank.round()}[interpolation]
        y = _core.gather(values, -1, place.long())
    else:
        if interpolation == "midpoint":
            part = (part > 0).to(input.dtype) * 0.5
        low = below.long()
        high = (low + 1).minimum(last)
        a, b = _core.gather(values, -1, low), _core.gather(values, -1, high)
        y = _core.where((part > 0) & (a != b), a + (b - a) * part, a)  # infinities may be equal
    if not skip_nan:
        y = y.masked_fill(nans > 0, math.nan)
    y = y.movedim(-1, 0)
    if keepdim:
        y = y.reshape(-1, *[1] * input.dim()) if dim is None else y.unsqueeze(d + 1)
    return y.squeeze(0) if q.dim() == 0 else y


@method
@under_autocast("float32")
def quantile(input: Tensor, q, dim=None, keepdim=False, *, interpolation="linear", out=None):
    """The value below which a share q (a number or 1-D tensor in [0, 1]) of the elements lies.

    Between two elements of rank i and i + 1: i + fraction ("linear"), or "lower", "higher",
    "midpoint", "nearest". A 1-D q gives a new first dimension. NaN when there is one.
    """
    return write(out, _quantile("quantile", input, q, dim, keepdim, interpolation, False))


@method
@under_autocast("float32")
def nanquantile(input: Tensor, q, dim=None, keepdim=False, *, interpolation="linear", out=None):
    """`quantile` of what is not NaN."""
    return write(out, _quantile("nanquantile", input, q, dim, keepdim, interpolation, True))


# ---- search and count ---------------------------------------------------------------------------
@method
@takes_tensors
def searchsorted(sorted_sequence: Tensor, input, *, out_int32=False, right=False, side=None,
                 sorter=None, out=None) -> Tensor:  # fmt: skip
    """Where each of `input` belongs in the last dimension of `sorted_sequence`: i with
    s[i-1] < x <= s[i], or with ``right=True`` (``side="right"``) s[i-1] <= x < s[i].

    sorted_sequence is one-dimensional or has the input's leading dimensions; `sorter` holds the
    positions that put it in order. int64, or int32 with `out_int32`. Raises ShapeError, ValueError.
    """
    if side not in (None, "left", "right"):
        raise _core.ArgumentError(f"searchsorted: side must be 'left' or 'right', got {side!r}")
    if not isinstance(input, Tensor):
        input = sorted_sequence.new_full((), input)
    y = _core.searchsorted(sorted_sequence, input, right or side == "right", sorter)
    return write(out, y.to(_core.int32) if out_int32 else y)


@method
@takes_tensors
def bucketize(input, boundaries: Tensor, *, out_int32=False, right=False, out=None) -> Tensor:
    """The number of the bucket between increasing `boundaries` (1-D) each of `input` falls into:
    i with b[i-1] < x <= b[i], or with `right` b[i-1] <= x < b[i]."""
    if boundaries.dim() != 1:
        raise _core.ShapeError(
            f"bucketize: boundaries must be one-dimensional, got shape {tuple(boundaries.shape)}"
        )
    return searchsorted(boundaries, input, out_int32=out_int32, right=right, out=out)


def isin(elements, test_elements, *, assume_unique=False, invert=False) -> Tensor:
    """Whether each of `elements` is among `test_elements`; bool (with `invert`: is not)."""
    if not isinstance(elements, Tensor):
        elements = test_elements.new_full((), elements)
    if not isinstance(test_elements, Tensor):
        test_elements = elements.new_full((1,), test_elements)
    list_ = _core.sort(test_elements.detach().reshape(-1), 0, False)[0]
    n = list_.shape[0]
    if n == 0:
        found = elements.new_full(elements.shape, False, dtype=_core.bool)
    else:
        at = _core.searchsorted(list_, elements.detach(), False, None).clamp(max=n - 1)
        found = list_[at] == elements
    return found.logical_not() if invert else found


@method
def bincount(input: Tensor, weights=None, minlength=0) -> Tensor:
    """How often each of 0, 1, ... occurs in a 1-D tensor of integers (int64), or the sum of the
    `weights` there; max(input) + 1 or `minlength` places. An empty tensor gives
    `minlength` zeros of int64, whatever the weights. Raises ValueError for a negative number or
    minlength, ShapeError for weights that are not one per number."""
    if input.dim() != 1 or input.dtype.is_floating_point:
        raise _core.ArgumentError(
            f"bincount: expected a 1-D tensor of integers, got shape {tuple(input.shape)} "
            f"{input.dtype}"
        )
    if minlength < 0:
        raise _core.ArgumentError(f"bincount: minlength must not be negative, got {minlength}")
    at = input.long()
    if not at.numel():
        return at.new_zeros((minlength,))
    if weights is not None and tuple(weights.shape) != tuple(input.shape):
        raise _core.ShapeError(
            f"bincount: weights has shape {tuple(weights.shape)}, expected {tuple(input.shape)}"
        )
    if weights is not None and weights.dtype is not _core.float32:
        weights = weights.double()
    try:
        if at.device.type == "cpu" or at.min().item() >= 0:  # a device would say it later
            return _core.bincount(at, weights, minlength)
    except _core.RangeError:
        pass
    raise _core.ArgumentError(f"bincount: {at.min().item()} is negative")


@method
def histc(input: Tensor, bins=100, min=0, max=0, *, out=None) -> Tensor:
    """How many elements fall into each of `bins` equal intervals of [min, max], the last closed
    (min = max: the smallest and largest element). Others and NaN are left out. The input's
    dtype. Raises ValueError for an interval that is not finite, or where max is below min."""
    x = input.detach().reshape(-1)
    low, high = float(min), float(max)
    if low == high and x.numel():
        low, high = float(x.min()), float(x.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise _core.ArgumentError(f"histc: range of [{low:g}, {high:g}] is not finite")
    if low == high:
        low, high = low - 1, high + 1
    if low > high:
        raise _core.ArgumentError(f"histc: max ({high}) must not be below min ({low})")
    inside = (x >= low) & (x <= high)
    if not bool(inside.all()):
        x = x[inside]
    at = ((x - low) * bins / (high - low)).clamp(0, bins - 1).long()
    none, one = input.new_full((bins,), 0), input.new_full((), 1).expand(at.shape)
    y = _core.scatter(none, 0, at, one, "sum", True)
    return write(out, y)


def one_hot(tensor: Tensor, num_classes=-1) -> Tensor:
    """A new last dimension of `num_classes` (-1: max + 1): 1 at the class number, else 0; int64.

    Raises IndexError naming a class number that is negative or too large.
    """
    if tensor.dtype.is_floating_point:
        raise _core.DTypeError(f"one_hot: class numbers must be integers, got {tensor.dtype}")
    n = num_classes
    if not tensor.numel() and n <= 0:
        raise _core.ArgumentError("one_hot: an empty tensor does not tell num_classes; give it")
    if n > 0 and (compiler.active is not None or tensor.device.type != "cpu"):
        # Errors come in a replay, or when the device is next synchronised: with a name.
        _core.expect((tensor >= 0) & (tensor < n), _outside("a class number", n), "index")
    try:
        return _core.one_hot(tensor, n)
    except _core.RangeError:
        low, high = tensor.min().item(), tensor.max().item()
        wrong, n = low if low < 0 else high, high + 1 if n == -1 else n
        raise _core.RangeError(_outside(f"class number {wrong}", n)) from None


def _outside(what: str, classes: int) -> str:
    return f"one_hot: {what} is out of range for {classes} classes"
