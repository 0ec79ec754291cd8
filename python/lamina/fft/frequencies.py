"""The frequencies of a transform's terms, and their order."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from ..ops._method import write
from ..ops.creation import _finish, arange

__all__ = ["fftfreq", "rfftfreq", "fftshift", "ifftshift"]


def fftfreq(n, d=1.0, *, out=None, dtype=None, layout=None, device=None,
            requires_grad=False) -> Tensor:  # fmt: skip
    """The frequencies of the n terms of `fft` at sample distance d: 0, 1, ..., then the negative
    ones from -n / 2 up, each over n d."""
    k = arange(n, dtype=dtype or _core.default_dtype())
    y = _core.where(k < (n + 1) // 2, k, k - n) * (1 / (n * d))
    return _finish(write(out, y), requires_grad)


def rfftfreq(n, d=1.0, *, out=None, dtype=None, layout=None, device=None,
             requires_grad=False) -> Tensor:  # fmt: skip
    """The frequencies of the n / 2 + 1 terms of `rfft` at sample distance d: k / (n d)."""
    y = arange(n // 2 + 1, dtype=dtype or _core.default_dtype()) * (1 / (n * d))
    return _finish(write(out, y), requires_grad)


def _rolled(input: Tensor, dim, shift) -> Tensor:
    dims = range(input.dim()) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    return input.roll([shift(input.size(d)) for d in dims], list(dims))


def fftshift(input: Tensor, dim=None) -> Tensor:
    """Terms in order of frequency, 0 in the middle, along `dim` (default: all dimensions)."""
    return _rolled(input, dim, lambda n: n // 2)


def ifftshift(input: Tensor, dim=None) -> Tensor:
    """The inverse of `fftshift`."""
    return _rolled(input, dim, lambda n: (n + 1) // 2)
