"""Scans: running sums, products, extremes and log-sum-exps along one dimension."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from ._method import method, results, write

__all__ = ["cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "diff"]

_CumMax = results("cummax", "values", "indices")
_CumMin = results("cummin", "values", "indices")


@method
def cumsum(input: Tensor, dim, *, dtype=None, out=None) -> Tensor:
    """y_i = x_0 + ... + x_i along `dim`; integers and bool in int64 unless `dtype` is given.

    >>> lamina.cumsum(lamina.tensor([1, 2, 3]), dim=0)
    tensor([1, 3, 6])
    """
    return write(out, _core.cumsum(input, dim, dtype, False))


@method
def cumprod(input: Tensor, dim, *, dtype=None, out=None) -> Tensor:
    """y_i = x_0 ... x_i along `dim`; integers and bool in int64 unless `dtype` is given.

    The gradient is exact where elements are 0; a second derivative there is not defined here and
    raises NotImplementedError.
    """
    return write(out, _core.cumprod(input, dim, dtype, False))


@method("cumsum_")
def _cumsum_(self: Tensor, dim, *, dtype=None) -> Tensor:
    """In place `cumsum`."""
    return self.copy_(_core.cumsum(self, dim, dtype, False))


@method("cumprod_")
def _cumprod_(self: Tensor, dim, *, dtype=None) -> Tensor:
    """In place `cumprod`."""
    return self.copy_(_core.cumprod(self, dim, dtype, False))


@method
def cummax(input: Tensor, dim, *, out=None):
    """The named tuple (values, indices): the largest of x_0 ... x_i along `dim` and where it is
    (the last of equals; NaN wins). The gradient goes to that place."""
    y = _CumMax(*_core.cummax(input, dim))
    return y if out is None else _CumMax(write(out[0], y[0]), write(out[1], y[1]))


@method
def cummin(input: Tensor, dim, *, out=None):
    """As `cummax`, the smallest."""
    y = _CumMin(*_core.cummin(input, dim))
    return y if out is None else _CumMin(write(out[0], y[0]), write(out[1], y[1]))


@method
def logcumsumexp(input: Tensor, dim, *, out=None) -> Tensor:
    """log(e^x_0 + ... + e^x_i) along `dim`, without overflow. Raises DTypeError for integers."""
    return write(out, _core.logcumsumexp(input, dim, False))


@method
def diff(input: Tensor, n=1, dim=-1, prepend=None, append=None, *, out=None) -> Tensor:
    """x_i+1 - x_i along `dim`, `n` times, after `prepend` and `append` were joined to its ends.

    For bool: whether neighbours differ.
    """
    if n < 0:
        raise _core.ArgumentError(f"diff: n must not be negative, got {n}")
    if n == 0:
        return input.clone() if out is None else _core.copy_(out, input)
    parts = [t for t in (prepend, input, append) if t is not None]
    x = _core.cat(parts, dim) if len(parts) > 1 else input
    for _ in range(min(n, x.shape[dim])):
        size = x.shape[dim]
        a, b = x.narrow(dim, 1, size - 1), x.narrow(dim, 0, size - 1)
        x = a.logical_xor(b) if x.dtype is _core.bool else a - b
    return x if out is None else _core.copy_(out, x)
