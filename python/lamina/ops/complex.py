"""Complex tensors: complex64 and complex128.

A complex number's gradient is PyTorch's: of a real loss L by z = a + ib it is dL/da + i dL/db, the
direction in which L grows. Conjugation makes a copy, so there are no lazy conjugates to resolve.
"""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from ._method import method, write

__all__ = [
    "angle", "complex", "conj", "conj_physical", "imag", "is_conj", "is_neg", "isreal", "polar",
    "real", "resolve_conj", "resolve_neg", "view_as_complex", "view_as_real",
]  # fmt: skip


def complex(real: Tensor, imag: Tensor, *, out=None) -> Tensor:
    """real + i imag, of two tensors of one dtype (float32 gives complex64, float64 complex128).

    Shapes broadcast. Raises DTypeError for other dtypes.

    >>> lamina.complex(lamina.tensor([1.0, 2.0]), lamina.tensor([0.0, -1.0]))
    tensor([1.+0.j, 2.-1.j])
    """
    value = _core.complex(real, imag)
    return write(out, value)


def polar(abs: Tensor, angle: Tensor, *, out=None) -> Tensor:
    """abs (cos angle + i sin angle), of two float32 or float64 tensors of one dtype."""
    return complex(abs * angle.cos(), abs * angle.sin(), out=out)


def view_as_real(input: Tensor) -> Tensor:
    """A complex tensor's memory as (..., 2) real numbers: real and imaginary parts, a view."""
    return _core.view_as_real(input)


def view_as_complex(input: Tensor) -> Tensor:
    """(..., 2) float32 or float64 numbers as complex ones, a view.

    Raises ShapeError when the last size is not 2, RuntimeError when the strides do not make pairs.
    """
    return _core.view_as_complex(input)


def real(input: Tensor) -> Tensor:
    """The real part of a complex tensor, a view; a real tensor itself."""
    return _core.real(input)


def imag(input: Tensor) -> Tensor:
    """The imaginary part of a complex tensor, a view. Raises DTypeError for a real tensor."""
    return _core.imag(input)


@method
def conj(input: Tensor) -> Tensor:
    """a - ib for every a + ib, a copy; a real tensor itself."""
    return _core.conj(input)


@method
def conj_physical(input: Tensor, *, out=None) -> Tensor:
    """`conj`, always as a new tensor."""
    value = _core.conj(input) if input.dtype.is_complex else input.clone()
    return write(out, value)


@method
def conj_physical_(self: Tensor) -> Tensor:
    """`conj` in place."""
    return self.copy_(_core.conj(self)) if self.dtype.is_complex else self


@method
def resolve_conj(input: Tensor) -> Tensor:
    """The tensor itself: conjugates are computed at once."""
    return input


@method
def resolve_neg(input: Tensor) -> Tensor:
    """The tensor itself: negatives are computed at once."""
    return input


@method
def is_conj(input: Tensor) -> bool:
    """False: no tensor is a conjugate yet to be computed."""
    return False


@method
def is_neg(input: Tensor) -> bool:
    """False: no tensor is a negative yet to be computed."""
    return False


@method
def angle(input: Tensor, *, out=None) -> Tensor:
    """atan2(imaginary, real) in (-pi, pi]; of real numbers 0, or pi below 0. NaN stays NaN."""
    if input.dtype.is_complex:
        value = _core.angle(input)
    else:
        x = input if input.dtype.is_floating_point else input.to(_core.default_dtype())
        pi = 3.141592653589793
        # 0, or NaN; its gradient is 0, as trunc's.
        still = (x.trunc() if x.requires_grad else x).clamp(0, 0)
        value = still.masked_fill(x < 0, pi)
    return write(out, value)


@method
def isreal(input: Tensor) -> Tensor:
    """True where the imaginary part is 0: everywhere in a real tensor."""
    if input.dtype.is_complex:
        return _core.imag(input.detach()) == 0
    return input.new_ones(input.shape, dtype=_core.bool)


@method
def stft(self: Tensor, n_fft, *args, **kwargs) -> Tensor:
    """`lamina.stft` of this signal."""
    from ..fft import short

    return short.stft(self, n_fft, *args, **kwargs)


@method
def istft(self: Tensor, n_fft, *args, **kwargs) -> Tensor:
    """`lamina.istft` of this spectrum."""
    from ..fft import short

    return short.istft(self, n_fft, *args, **kwargs)


def _set_real(self: Tensor, value) -> None:
    _core.real(self).copy_(value if isinstance(value, Tensor) else _core.tensor(value, None))


def _set_imag(self: Tensor, value) -> None:
    _core.imag(self).copy_(value if isinstance(value, Tensor) else _core.tensor(value, None))


Tensor.real = property(real, _set_real, doc=real.__doc__)
Tensor.imag = property(imag, _set_imag, doc=imag.__doc__)
