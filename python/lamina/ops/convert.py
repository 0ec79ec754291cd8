"""Copies, and conversion between dtypes, devices, arrays and other libraries."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from .._types import device as Device
from ._method import method
from .creation import _moved, as_tensor

__all__ = ["clone"]


@method
def clone(input: Tensor, *, memory_format=None) -> Tensor:
    """A dense copy; gradients flow through it."""
    return _core.clone(input)


@method
def contiguous(input: Tensor, memory_format=None) -> Tensor:
    """`input` itself when it is dense and row-major, else a dense copy."""
    return _core.contiguous(input)


@method
def copy_(self: Tensor, src, non_blocking=False) -> Tensor:
    """Overwrites the elements with `src`, broadcast and converted."""
    return _core.copy_(self, src if isinstance(src, Tensor) else as_tensor(src))


@method
def fill_(self: Tensor, value) -> Tensor:
    """Overwrites every element with a number (or a one-element tensor)."""
    if isinstance(value, Tensor):
        if value.dim():
            raise _core.ShapeError(
                f"fill_: the value must be a number or 0-dim, got shape {tuple(value.shape)}; "
                "use copy_ to broadcast"
            )
        return _core.copy_(self, value)
    if isinstance(value, complex):
        return _core.copy_(self, _core.tensor(value, None))
    _core.fill_(self, value)
    return self


@method
def zero_(self: Tensor) -> Tensor:
    """Overwrites every element with 0."""
    _core.fill_(self, 0)
    return self


def _converted(x: Tensor, dtype) -> Tensor:
    if x.dtype.is_complex and isinstance(dtype, _core.dtype) and not dtype.is_complex:
        if dtype is _core.bool:
            return x != 0
        raise _core.DTypeError(
            f"to: complex numbers do not fit {dtype}; take .real, .imag or .abs()"
        )
    return _core.to_dtype(x, dtype)


@method
def to(self: Tensor, *args, dtype=None, device=None, non_blocking=False, copy=False, **_):
    """The tensor as another dtype and/or on another device; itself when nothing changes.

    Accepts ``to(dtype)``, ``to(device)``, ``to(device, dtype)`` and ``to(other_tensor)``, each
    followed by non_blocking and copy; a device or dtype that is None stays as it is.
    """
    flags = 0
    for a in args:
        if isinstance(a, Tensor):
            dtype, device = a.dtype, a.device
        elif isinstance(a, _core.dtype) or a in (float, int, bool, complex):
            dtype = a
        elif a is True or a is False:
            flags += 1
            copy = a if flags == 2 else copy
        elif isinstance(a, (str, Device, int)):
            device = a
        elif a is not None:
            raise TypeError(f"to: expected a dtype, a device or a tensor, got {a!r}")
    out = self if dtype is None else _converted(self, dtype)
    if device is not None:
        out = _core.to_device(out, Device(device)._where(), not non_blocking)
    return _core.clone(self) if copy and out is self else out


@method
def type(self: Tensor, dtype=None, non_blocking=False):
    """Without an argument the type's name ('lamina.FloatTensor'), else the converted tensor."""
    if dtype is None:
        return _TYPE_NAMES[self.dtype]
    if isinstance(dtype, str):
        name = "lamina." + dtype.split(".", 1)[-1]
        dtype = next((d for d, n in _TYPE_NAMES.items() if n == name), None)
        if dtype is None:
            raise _core.ArgumentError(f"type: unknown tensor type {name!r}")
    elif dtype is Tensor:
        dtype = _core.default_dtype()
    elif hasattr(dtype, "dtype"):  # lamina.FloatTensor and kin
        self, dtype = _moved(self, dtype.device), dtype.dtype
    return _converted(self, dtype)


@method
def type_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor converted to the dtype of `other`, on its device."""
    return _moved(_converted(self, other.dtype), other.device)


_TYPE_NAMES = {
    _core.float32: "lamina.FloatTensor", _core.float64: "lamina.DoubleTensor",
    _core.float16: "lamina.HalfTensor", _core.bfloat16: "lamina.BFloat16Tensor",
    _core.int64: "lamina.LongTensor", _core.int32: "lamina.IntTensor",
    _core.int16: "lamina.ShortTensor", _core.int8: "lamina.CharTensor",
    _core.uint8: "lamina.ByteTensor", _core.bool: "lamina.BoolTensor",
    _core.complex64: "lamina.ComplexFloatTensor", _core.complex128: "lamina.ComplexDoubleTensor",
}  # fmt: skip


def _conversion(name: str, dtype) -> None:
    def convert(self: Tensor, memory_format=None) -> Tensor:
        return _converted(self, dtype)

    convert.__name__ = name
    convert.__doc__ = f"The tensor as {dtype.name}; itself when it already is."
    setattr(Tensor, name, convert)


for _name, _dtype in {
    "float": _core.float32, "double": _core.float64, "half": _core.float16,
    "bfloat16": _core.bfloat16, "long": _core.int64, "int": _core.int32, "short": _core.int16,
    "char": _core.int8, "byte": _core.uint8, "bool": _core.bool, "cfloat": _core.complex64,
    "cdouble": _core.complex128,
}.items():  # fmt: skip
    _conversion(_name, _dtype)


@method
def cpu(self: Tensor, memory_format=None) -> Tensor:
    """The tensor in CPU memory; itself when it is there."""
    return _core.to_device(self, -1, True)


@method
def cuda(self: Tensor, device=None, non_blocking=False) -> Tensor:
    """The tensor on a CUDA device (the current one by default); itself when it is there."""
    return self.to(Device("cuda" if device is None else device), non_blocking=non_blocking)


@method
def pin_memory(self: Tensor, device=None) -> Tensor:
    """A copy in page-locked memory, from which copies to a GPU need not wait; itself when it is
    there already, and without a GPU. RuntimeError for a tensor on a GPU."""
    return _core.pin_memory(self) if _core.device_count() and not _core.is_pinned(self) else self


@method
def numpy(self: Tensor, *, force=False):
    """A NumPy array over the same memory (no copy).

    RuntimeError when the tensor requires grad (use ``.detach().numpy()`` or ``force=True``);
    TypeError for bfloat16, which NumPy does not have.
    """
    import numpy

    if self.requires_grad and not force:
        raise RuntimeError(
            "numpy: the tensor requires grad; use .detach().numpy(), or numpy(force=True)"
        )
    if _core.device_of(self) >= 0:
        if not force:
            raise TypeError(f"numpy: the tensor is on {self.device}; use .cpu(), or force=True")
        self = self.cpu()
    if self.dtype is _core.bfloat16:
        raise TypeError("numpy: NumPy has no bfloat16; convert with .float() first")
    return numpy.asarray(_ArrayView(self))


class _ArrayView:
    """The NumPy array interface (version 3) of a tensor's memory."""

    def __init__(self, t: Tensor):
        self.tensor = t  # whose memory somebody may write now, until this object goes
        d = t.dtype
        kind = (
            "b" if d is _core.bool else "f" if d.is_floating_point else "c" if d.is_complex
            else "i" if d.is_signed else "u"
        )  # fmt: skip
        order = "|" if t.dtype.itemsize == 1 else "<"
        self.__array_interface__ = {
            "version": 3,
            "shape": tuple(t.shape),
            "typestr": f"{order}{kind}{t.dtype.itemsize}",
            "data": (_core.lend(t), False),
            "strides": tuple(s * t.dtype.itemsize for s in t.stride()),
        }

    def __del__(self):
        _core.give_back(self.tensor)


@method
def __array__(self: Tensor, dtype=None, copy=None):
    """What ``numpy.asarray(tensor)`` uses."""
    a = self.numpy()
    if dtype is not None and a.dtype != dtype:
        return a.astype(dtype)
    return a.copy() if copy else a


@method
def __array_wrap__(self: Tensor, array, context=None, return_scalar=False):
    """What NumPy's functions of a tensor give: a tensor over their result (bool as uint8)."""
    from .creation import from_numpy

    return from_numpy(array.astype("uint8") if array.dtype == bool else array)


def _rebuild(data, shape, dtype, requires_grad, device=None) -> Tensor:
    import ctypes

    t = _core.empty(shape, dtype)
    ctypes.memmove(_core.address(t), data, len(data))
    t = _moved(t, device)
    return t.requires_grad_() if requires_grad else t


@method
def __reduce_ex__(self: Tensor, protocol):
    """Pickling: the values, shape, dtype, requires_grad and device; history is not kept."""
    import ctypes

    dense = self.detach().contiguous().cpu()
    data = ctypes.string_at(_core.address(dense), dense.numel() * dense.dtype.itemsize)
    place = (str(self.device),) if self.is_cuda else ()
    return _rebuild, (data, tuple(self.shape), self.dtype, self.requires_grad, *place)


@method
def __deepcopy__(self: Tensor, memo):
    """A copy with its own memory. RuntimeError for a tensor made by a recorded operation."""
    if not self.is_leaf:
        raise RuntimeError(
            "deepcopy: only tensors created by the user can be copied with their history; "
            "use .detach() first"
        )
    copy = self.detach().clone().requires_grad_(self.requires_grad)
    memo[id(self)] = copy
    return copy


@method
def __dlpack__(self: Tensor, *, stream=None, **_):
    """A DLPack capsule over the same memory."""
    return _core.to_dlpack(self)


@method
def __dlpack_device__(self: Tensor):
    """(device type, device id) in DLPack's numbering: CPU is (1, 0)."""
    return (1, 0)


Tensor.__array_priority__ = 1000
