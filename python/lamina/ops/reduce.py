"""Reductions over one, several or all dimensions.

`dim` is an int, a tuple of ints, or None (all dimensions); the reduced dimensions disappear, or
become size 1 with ``keepdim=True``. Sums are formed in blocks whose results are added in float64
(float64: with the rounding error carried along; Neumaier, ZAMM 54, 1974), so their error does not
grow with the length; they are the same bits whatever the number of threads. float16 and bfloat16
accumulate as float32; integers and bool sum in int64.
"""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from ._method import method, results, takes_tensors, under_autocast, write

__all__ = [
    "sum", "mean", "prod", "max", "min", "amax", "amin", "aminmax", "argmax", "argmin", "var",
    "std", "var_mean", "std_mean", "norm", "logsumexp", "any", "all", "count_nonzero", "nansum",
    "nanmean", "dist",
]  # fmt: skip

_sum_all, _mean_all, _sum, _mean = _core.sum_all, _core.mean_all, _core.sum, _core.mean


def _dims(dim):
    return () if dim is None else dim


# ---- sums ---------------------------------------------------------------------------------------
@method
def sum(input: Tensor, dim=None, keepdim=False, *, dtype=None, out=None) -> Tensor:
    """The sum over `dim`. With `dtype` the input is converted first.

    float32 results are within about one unit in the last place of the exact sum of absolute values
    for any length. Raises IndexError for a dim out of range, ValueError for one given twice.

    >>> lamina.ones(2, 3).sum(dim=1)
    tensor([3., 3.])
    """
    if dim is None and dtype is None and out is None and not keepdim:
        return _sum_all(input)
    return write(out, _sum(input, () if dim is None else dim, keepdim, dtype))


@method
def mean(input: Tensor, dim=None, keepdim=False, *, dtype=None, out=None) -> Tensor:
    """The sum over `dim` divided by how many there are (none: NaN).

    Raises DTypeError for integers and bool without a floating `dtype`.
    """
    if dim is None and dtype is None and out is None and not keepdim:
        return _mean_all(input)
    return write(out, _mean(input, () if dim is None else dim, keepdim, dtype))


@method
def prod(input: Tensor, dim=None, keepdim=False, *, dtype=None, out=None) -> Tensor:
    """The product over `dim` (integers and bool: in int64)."""
    return write(out, _core.prod(input, _dims(dim), keepdim, dtype))


@method
def nansum(input: Tensor, dim=None, keepdim=False, *, dtype=None, out=None) -> Tensor:
    """`sum` with NaN counted as 0."""
    x = input if dtype is None else input.to(dtype)
    if x.dtype.is_floating_point:
        x = x.masked_fill(x.isnan(), 0)
    return write(out, _sum(x, _dims(dim), keepdim, dtype))


@method
def nanmean(input: Tensor, dim=None, keepdim=False, *, dtype=None, out=None) -> Tensor:
    """The mean of what is not NaN."""
    x = input if dtype is None else input.to(dtype)
    if not x.dtype.is_floating_point:
        raise _core.DTypeError(f"nanmean: expected a floating tensor, got {x.dtype}")
    count = _sum(x.isnan().logical_not(), _dims(dim), keepdim, None)
    return write(out, nansum(x, dim, keepdim) / count)


@method
@takes_tensors
def count_nonzero(input: Tensor, dim=None) -> Tensor:
    """How many elements are not zero (NaN is not zero); int64."""
    return _sum(input.detach().bool(), _dims(dim), False, None)


@method
def any(input: Tensor, dim=None, keepdim=False, *, out=None) -> Tensor:
    """Whether any element is not zero; bool."""
    return write(out, _core.any(input, _dims(dim), keepdim))


@method
def all(input: Tensor, dim=None, keepdim=False, *, out=None) -> Tensor:
    """Whether every element is not zero; bool."""
    return write(out, _core.all(input, _dims(dim), keepdim))


# ---- extremes -----------------------------------------------------------------------------------
_Max = results("max", "values", "indices")
_Min = results("min", "values", "indices")
_AminMax = results("aminmax", "min", "max")


def _extreme(name, pair, along, whole, elementwise, input, dim, keepdim, other, out):
    if isinstance(dim, Tensor):
        dim, other = None, dim
    if other is not None:
        return write(out, elementwise(input, other))
    if dim is None:
        if input.numel() == 0:
            raise _core.RangeError(
                f"{name}: an empty tensor (shape {tuple(input.shape)}) has none; give a dim that "
                "is not empty"
            )
        return write(out, whole(input, (), False))
    values, indices = along(input, dim, keepdim)
    if out is not None:
        return pair(write(out[0], values), write(out[1], indices))
    return pair(values, indices)


@method
@takes_tensors
def max(input: Tensor, dim=None, keepdim=False, *, other=None, out=None):
    """``max(x)``: the largest element. ``max(x, dim)``: a named tuple (values, indices), indices
    int64 of the first occurrence. ``max(x, y)``: elementwise, as `maximum`.

    NaN wins. The gradient of ``max(x)`` is shared equally among equal elements; that of
    ``max(x, dim)`` goes to the element at `indices`. Raises IndexError when nothing is there.
    """
    return _extreme(
        "max", _Max, _core.max_dim, _core.amax, _core.maximum, input, dim, keepdim, other, out
    )


@method
@takes_tensors
def min(input: Tensor, dim=None, keepdim=False, *, other=None, out=None):
    """As `max`, the smallest."""
    return _extreme(
        "min", _Min, _core.min_dim, _core.amin, _core.minimum, input, dim, keepdim, other, out
    )


@method
def amax(input: Tensor, dim=(), keepdim=False, *, out=None) -> Tensor:
    """The largest element over `dim`; NaN wins; the gradient is shared among equal elements."""
    return write(out, _core.amax(input, _dims(dim), keepdim))


@method
def amin(input: Tensor, dim=(), keepdim=False, *, out=None) -> Tensor:
    """The smallest element over `dim`; NaN wins; the gradient is shared among equal elements."""
    return write(out, _core.amin(input, _dims(dim), keepdim))


@method
def aminmax(input: Tensor, *, dim=None, keepdim=False, out=None):
    """The named tuple (min, max) over `dim` (None: all)."""
    low, high = amin(input, _dims(dim), keepdim), amax(input, _dims(dim), keepdim)
    return _AminMax(low, high) if out is None else _AminMax(write(out[0], low), write(out[1], high))


@method
def argmax(input: Tensor, dim=None, keepdim=False, *, out=None) -> Tensor:
    """Position of the first largest element along `dim` (None: in the flattened tensor); int64."""
    return write(out, _core.argmax(input, dim, keepdim))


@method
def argmin(input: Tensor, dim=None, keepdim=False, *, out=None) -> Tensor:
    """Position of the first smallest element along `dim` (None: in the flattened tensor); int64."""
    return write(out, _core.argmin(input, dim, keepdim))


# ---- spread -------------------------------------------------------------------------------------
def _correction(dim, unbiased, correction):
    """(dims, correction) from var(x, dim, unbiased) or var(x, unbiased)."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None or unbiased else 0
    return _dims(dim), float(correction)


@method
@takes_tensors
def var(input: Tensor, dim=None, unbiased=None, keepdim=False, *, correction=None,
        out=None) -> Tensor:  # fmt: skip
    """sum (x - mean)^2 / max(0, n - correction), one pass (Chan, Golub and LeVeque 1983).

    correction is 1 unless given (``unbiased=False``: 0).
    """
    dims, c = _correction(dim, unbiased, correction)
    return write(out, _core.var(input, dims, c, keepdim))


@method
@takes_tensors
def std(input: Tensor, dim=None, unbiased=None, keepdim=False, *, correction=None,
        out=None) -> Tensor:  # fmt: skip
    """The square root of `var`; where it is 0 its gradient is 0."""
    dims, c = _correction(dim, unbiased, correction)
    return write(out, _core.std(input, dims, c, keepdim))


@method
def var_mean(input: Tensor, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The tuple (`var`, `mean`)."""
    dims, c = _correction(dim, unbiased, correction)
    return _core.var(input, dims, c, keepdim), _mean(input, dims, keepdim, None)


@method
def std_mean(input: Tensor, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The tuple (`std`, `mean`)."""
    dims, c = _correction(dim, unbiased, correction)
    return _core.std(input, dims, c, keepdim), _mean(input, dims, keepdim, None)


# ---- norms --------------------------------------------------------------------------------------
@method
@takes_tensors
def norm(input: Tensor, p="fro", dim=None, keepdim=False, out=None, dtype=None) -> Tensor:
    """(sum |x|^p)^(1/p) over `dim` (None: all).

    p: a number; inf and -inf: the largest and smallest |x|; 0: how many are not zero; "fro" or
    None: 2. The gradient of the 2-norm at 0 is 0. Raises ValueError for another word.
    """
    x = input if dtype is None else input.to(dtype)
    if p is None or p == "fro":
        p = 2
    if isinstance(p, str):
        raise _core.ArgumentError(f"norm: p must be a number or 'fro', got {p!r}")
    return write(out, _core.norm(x, float(p), _dims(dim), keepdim))


@method
@under_autocast(cuda="float32")
def dist(input: Tensor, other, p=2) -> Tensor:
    """The p-norm of input - other."""
    return _core.norm(input - other, math.inf if p == "inf" else float(p), (), False)


@method
def logsumexp(input: Tensor, dim, keepdim=False, *, out=None) -> Tensor:
    """log sum exp(x) over `dim`, formed as m + log sum exp(x - m) with m = max x, so that it
    neither overflows nor vanishes. Integers are converted to the default dtype."""
    return write(out, _core.logsumexp(input, dim, keepdim))
