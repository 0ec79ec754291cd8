"""Transforms along several dimensions: one after another, the scale of all in the last one."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from .one import _write, as_complex, as_real, from_half, resized, scale_of

__all__ = [
    "fft2", "fftn", "hfft2", "hfftn", "ifft2", "ifftn", "ihfft2", "ihfftn", "irfft2", "irfftn",
    "rfft2", "rfftn",
]  # fmt: skip


def _plan(name: str, x: Tensor, s, dim) -> tuple:
    """The sizes (None: as they are) and dimensions to transform. ValueError or ShapeError where
    they do not fit each other or x."""
    if dim is None:
        count = x.dim() if s is None else len(s)
        if count > x.dim():
            raise _core.ShapeError(f"{name}: s has {count} sizes, the input {x.dim()} dimensions")
        dims = list(range(x.dim() - count, x.dim()))
    else:
        dims = [dim] if isinstance(dim, int) else list(dim)
        for d in dims:
            if not -x.dim() <= d < x.dim():
                raise IndexError(
                    f"{name}: dim {d} is out of range for a tensor with {x.dim()} dimensions"
                )
        dims = [d % x.dim() for d in dims]
    if len(set(dims)) != len(dims):
        raise _core.ShapeError(f"{name}: a dimension appears twice in dim={dim}")
    sizes = [None] * len(dims) if s is None else [None if n == -1 else n for n in s]
    if len(sizes) != len(dims):
        raise ValueError(f"{name}: s has {len(sizes)} sizes, dim {len(dims)} dimensions")
    return sizes, dims


def _along(name: str, x: Tensor, plan: tuple, norm, inverse: bool) -> Tensor:
    sizes, dims = plan
    for n, d in zip(sizes, dims):
        x = resized(name, x, n, d)
    for d in reversed(dims):
        x = _core.fft_complex(x, d, inverse, scale_of(name, norm, x.size(d), inverse))
    return x


def _half(name: str, input: Tensor, s, dim, norm, inverse: bool) -> Tensor:
    """The last of the dimensions to half a spectrum, the others whole."""
    x = as_real(name, input)
    sizes, dims = _plan(name, x, s, dim)
    if not dims:
        raise ValueError(f"{name}: at least one dimension must be transformed")
    for n, d in zip(sizes, dims):
        x = resized(name, x, n, d)
    last = dims[-1]
    y = _core.fft_to_half(x, last, scale_of(name, norm, x.size(last), inverse))
    if inverse:
        y = _core.conj(y)
    return _along(name, y, ([None] * (len(dims) - 1), dims[:-1]), norm, inverse)


def _from_half(name: str, input: Tensor, s, dim, norm, inverse: bool) -> Tensor:
    x = as_complex(name, input)
    sizes, dims = _plan(name, x, s, dim)
    if not dims:
        raise ValueError(f"{name}: at least one dimension must be transformed")
    x = _along(name, x, (sizes[:-1], dims[:-1]), norm, inverse)
    return from_half(name, x, sizes[-1], dims[-1], norm, inverse)


def fftn(input: Tensor, s=None, dim=None, norm=None, *, out=None) -> Tensor:
    """`fft` along every dimension of `dim` (default: all, or the last len(s)), s[i] points each.

    Raises ValueError when `s` and `dim` differ in length or a size is below 1, ShapeError for a
    dimension given twice.
    """
    x = as_complex("fftn", input)
    return _write(out, _along("fftn", x, _plan("fftn", x, s, dim), norm, False))


def ifftn(input: Tensor, s=None, dim=None, norm=None, *, out=None) -> Tensor:
    """The inverse of `fftn`."""
    x = as_complex("ifftn", input)
    return _write(out, _along("ifftn", x, _plan("ifftn", x, s, dim), norm, True))


def rfftn(input: Tensor, s=None, dim=None, norm=None, *, out=None) -> Tensor:
    """`fftn` of a real tensor: `rfft` along the last of the dimensions, `fft` along the others."""
    return _write(out, _half("rfftn", input, s, dim, norm, False))


def irfftn(input: Tensor, s=None, dim=None, norm=None, *, out=None) -> Tensor:
    """The inverse of `rfftn`; give `s` where the last size was odd."""
    return _write(out, _from_half("irfftn", input, s, dim, norm, True))


def hfftn(input: Tensor, s=None, dim=None, norm=None, *, out=None) -> Tensor:
    """`fft` along the first dimensions and `hfft` along the last: a real tensor."""
    return _write(out, _from_half("hfftn", input, s, dim, norm, False))


def ihfftn(input: Tensor, s=None, dim=None, norm=None, *, out=None) -> Tensor:
    """The inverse of `hfftn`, of a real tensor."""
    return _write(out, _half("ihfftn", input, s, dim, norm, True))


def _of_two(name: str, function, what: str):
    def two(input: Tensor, s=None, dim=(-2, -1), norm=None, *, out=None) -> Tensor:
        return function(input, s, dim, norm, out=out)

    two.__name__ = two.__qualname__ = name
    two.__doc__ = f"`{function.__name__}` along two dimensions, by default the last: {what}."
    return two


fft2 = _of_two("fft2", fftn, "the transform of an image")
ifft2 = _of_two("ifft2", ifftn, "the inverse of `fft2`")
rfft2 = _of_two("rfft2", rfftn, "the transform of a real image")
irfft2 = _of_two("irfft2", irfftn, "the inverse of `rfft2`")
hfft2 = _of_two("hfft2", hfftn, "real, from half of a Hermitian image")
ihfft2 = _of_two("ihfft2", ihfftn, "the inverse of `hfft2`")
