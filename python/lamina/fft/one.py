"""Transforms along one dimension."""

from __future__ import annotations

from .. import _core
from .._core import Tensor

__all__ = ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"]


def scale_of(name: str, norm, n: int, inverse: bool) -> float:
    """The factor of a transform of n points. ValueError for an unknown `norm`."""
    if norm not in (None, "backward", "ortho", "forward"):
        raise ValueError(f"{name}: norm must be 'backward', 'ortho' or 'forward', got {norm!r}")
    if norm == "ortho":
        return n**-0.5
    return 1 / n if inverse == (norm != "forward") else 1.0


def full(input: Tensor) -> Tensor:
    """Half precision on the CPU in an autocast region as float32; anything else as it is."""
    half = input.dtype.is_floating_point and input.dtype.itemsize == 2
    if half and _core.autocast_enabled(0) and input.device.type == "cpu":
        return _core.to_dtype(input, _core.float32)
    return input


def as_complex(name: str, input: Tensor) -> Tensor:
    """`input` as complex64 or complex128."""
    if input.dtype.is_complex:
        return input
    x = as_real(name, input)
    return _core.to_dtype(x, x.dtype.to_complex())


def as_real(name: str, input: Tensor) -> Tensor:
    """`input` as float32 or float64. DTypeError for complex and half-precision numbers, these in
    autocast regions of the CPU excepted."""
    input = full(input)
    if input.dtype.is_complex:
        raise _core.DTypeError(
            f"{name}: expected a real tensor, got {input.dtype}; use fft, or its .real"
        )
    if not input.dtype.is_floating_point:
        return _core.to_dtype(input, _core.default_dtype())
    if input.dtype.itemsize == 2:
        raise _core.DTypeError(
            f"{name}: expected float32 or float64, got {input.dtype}; convert with .float()"
        )
    return input


def resized(name: str, x: Tensor, n, dim: int) -> Tensor:
    """The first n elements along `dim`, zeros after the last. ValueError for n below 1."""
    have = x.size(dim) if x.dim() else 0
    if not x.dim():
        raise _core.ShapeError(f"{name}: a 0-dim tensor has no dimension to transform")
    if n is None:
        n = have
    if n < 1:
        raise ValueError(f"{name}: the number of points must be positive, got {n}")
    if n <= have:
        return x if n == have else x.narrow(dim, 0, n)
    d = dim % x.dim()
    return _core.pad(x, [0, 0] * (x.dim() - 1 - d) + [0, n - have], 0, 0.0)


def _write(out, value: Tensor) -> Tensor:
    return value if out is None else _core.copy_(out, value)


def _complex(name: str, input: Tensor, n, dim, norm, inverse: bool, out) -> Tensor:
    x = resized(name, as_complex(name, input), n, dim)
    scale = scale_of(name, norm, x.size(dim), inverse)
    return _write(out, _core.fft_complex(x, dim, inverse, scale))


def from_half(name: str, input: Tensor, n, dim: int, scale_norm, inverse: bool) -> Tensor:
    """n reals from the n / 2 + 1 first terms of their transform; n is 2 (terms - 1) if None."""
    x = as_complex(name, input)
    if not x.dim():
        raise _core.ShapeError(f"{name}: a 0-dim tensor has no dimension to transform")
    if n is None:
        n = 2 * (x.size(dim) - 1)
    if n < 1:
        raise ValueError(f"{name}: the number of points must be positive, got {n}")
    x = resized(name, x, n // 2 + 1, dim)
    if not inverse:
        x = _core.conj(x)
    return _core.fft_from_half(x, dim, n, scale_of(name, scale_norm, n, inverse))


def fft(input: Tensor, n=None, dim=-1, norm=None, *, out=None) -> Tensor:
    """y_k = sum_j x_j e^(-2 pi i j k / n) along `dim`; complex, of the input's shape (n points).

    Raises ValueError for n below 1 or an unknown `norm`, IndexError for a missing dimension.

    >>> lamina.fft.fft(lamina.tensor([0.0, 1.0, 0.0, 0.0]))
    tensor([1.+0.j, 0.-1.j, -1.+0.j, 0.+1.j])
    """
    return _complex("fft", input, n, dim, norm, False, out)


def ifft(input: Tensor, n=None, dim=-1, norm=None, *, out=None) -> Tensor:
    """The inverse of `fft`: (1 / n) sum_j x_j e^(2 pi i j k / n)."""
    return _complex("ifft", input, n, dim, norm, True, out)


def rfft(input: Tensor, n=None, dim=-1, norm=None, *, out=None) -> Tensor:
    """The n / 2 + 1 first terms of the `fft` of a real tensor; term n - k is the conjugate of
    term k. Raises DTypeError for a complex tensor."""
    x = resized("rfft", as_real("rfft", input), n, dim)
    return _write(out, _core.fft_to_half(x, dim, scale_of("rfft", norm, x.size(dim), False)))


def irfft(input: Tensor, n=None, dim=-1, norm=None, *, out=None) -> Tensor:
    """The inverse of `rfft`: n real points (by default 2 (terms - 1), an even number). The
    imaginary part of the first term, and for even n of the last, does not count."""
    return _write(out, from_half("irfft", input, n, dim, norm, True))


def hfft(input: Tensor, n=None, dim=-1, norm=None, *, out=None) -> Tensor:
    """The real `fft` of n points of a signal with x_{n-j} = conj(x_j), of which the n / 2 + 1
    first are given."""
    return _write(out, from_half("hfft", input, n, dim, norm, False))


def ihfft(input: Tensor, n=None, dim=-1, norm=None, *, out=None) -> Tensor:
    """The inverse of `hfft`: the n / 2 + 1 first points of the `ifft` of a real tensor."""
    x = resized("ihfft", as_real("ihfft", input), n, dim)
    y = _core.fft_to_half(x, dim, scale_of("ihfft", norm, x.size(dim), True))
    return _write(out, _core.conj(y))
