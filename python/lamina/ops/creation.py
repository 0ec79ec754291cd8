"""Tensors out of values, shapes and ranges; conversion between dtypes, devices and arrays."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from .._types import Size
from .._types import device as Device
from ._method import method

__all__ = [
    "tensor", "as_tensor", "from_numpy", "empty", "zeros", "ones", "full", "empty_like",
    "zeros_like", "ones_like", "full_like", "arange", "range", "linspace", "logspace", "eye",
    "clone", "scalar_tensor", "is_tensor", "numel", "empty_strided", "asarray",
]  # fmt: skip


def _shape(sizes) -> tuple:
    """Sizes given one by one, or as one sequence."""
    if len(sizes) == 1 and not isinstance(sizes[0], int) and hasattr(sizes[0], "__iter__"):
        return tuple(sizes[0])
    return sizes


def _finish(t: Tensor, requires_grad: bool) -> Tensor:
    if requires_grad:
        t.requires_grad = True
    return t


def _check_device(device) -> None:
    if device is not None:
        Device(device)._require()


def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False) -> Tensor:
    """A new tensor holding a copy of `data`.

    Args:
        data: number, (nested) sequence of numbers, NumPy array, tensor.
        dtype: element type; inferred when None (Python floats give the default dtype, ints int64).
        device: where to put it.
        requires_grad: whether gradients are accumulated in ``.grad``.

    Raises:
        ValueError: rows of different lengths. TypeError: something that is not a number.

    >>> lamina.tensor([[1.0, 2.0], [3.0, 4.0]]).shape
    lamina.Size([2, 2])
    """
    _check_device(device)
    return _finish(_core.tensor(data, dtype), requires_grad)


def as_tensor(data, dtype=None, device=None) -> Tensor:
    """`data` as a tensor, sharing memory where it can (tensors, NumPy arrays of the same dtype)."""
    _check_device(device)
    if isinstance(data, Tensor):
        return data if dtype is None or data.dtype is dtype else data.to(dtype)
    if hasattr(data, "__array_interface__"):
        t = from_numpy(data)
        return t if dtype is None or t.dtype is dtype else t.to(dtype)
    return _core.tensor(data, dtype)


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False) -> Tensor:
    """`obj` as a tensor; shares memory unless `copy` is True (see `as_tensor`)."""
    t = as_tensor(obj, dtype, device)
    return _finish(t.clone() if copy and t is obj else t, requires_grad)


def from_numpy(ndarray) -> Tensor:
    """A tensor over the array's own memory (writes show in both; read-only arrays stay so).

    Raises TypeError for element types without a lamina dtype, ValueError for negative strides.
    """
    if not hasattr(ndarray, "__array_interface__"):
        raise TypeError(
            f"from_numpy: expected a NumPy array, got {ndarray.__class__.__name__}; "
            "use lamina.tensor"
        )
    return _core.from_buffer(ndarray)


def empty(*size, dtype=None, device=None, requires_grad=False, **_) -> Tensor:
    """A tensor of the given shape whose values are whatever was in memory."""
    _check_device(device)
    return _finish(
        _core.empty(_shape(_.get("size", size) or size), dtype or _core.default_dtype()),
        requires_grad,
    )


def zeros(*size, dtype=None, device=None, requires_grad=False, out=None, **_) -> Tensor:
    """A tensor of the given shape filled with 0."""
    return full(_shape(_.get("size", size) or size), 0, dtype=dtype or _core.default_dtype(),
                device=device, requires_grad=requires_grad)  # fmt: skip


def ones(*size, dtype=None, device=None, requires_grad=False, out=None, **_) -> Tensor:
    """A tensor of the given shape filled with 1."""
    return full(_shape(_.get("size", size) or size), 1, dtype=dtype or _core.default_dtype(),
                device=device, requires_grad=requires_grad)  # fmt: skip


def full(size, fill_value, *, dtype=None, device=None, requires_grad=False, **_) -> Tensor:
    """A tensor of shape `size` filled with `fill_value`, whose type gives the dtype when None."""
    _check_device(device)
    if isinstance(fill_value, Tensor):
        fill_value = fill_value.item()
    if dtype is None:
        dtype = (
            _core.bool if isinstance(fill_value, bool)
            else _core.int64 if isinstance(fill_value, int)
            else _core.default_dtype()
        )  # fmt: skip
    return _finish(_core.full(size, fill_value, dtype), requires_grad)


def empty_like(input: Tensor, *, dtype=None, device=None, requires_grad=False, **_) -> Tensor:
    """Uninitialised, with the shape and dtype of `input`."""
    return _finish(_core.empty(input.shape, dtype or input.dtype), requires_grad)


def zeros_like(input: Tensor, *, dtype=None, device=None, requires_grad=False, **_) -> Tensor:
    """Zeros with the shape and dtype of `input`."""
    return _finish(_core.full(input.shape, 0, dtype or input.dtype), requires_grad)


def ones_like(input: Tensor, *, dtype=None, device=None, requires_grad=False, **_) -> Tensor:
    """Ones with the shape and dtype of `input`."""
    return _finish(_core.full(input.shape, 1, dtype or input.dtype), requires_grad)


def full_like(input: Tensor, fill_value, *, dtype=None, device=None, requires_grad=False, **_):
    """`fill_value` everywhere, with the shape and dtype of `input`."""
    return full(input.shape, fill_value, dtype=dtype or input.dtype, requires_grad=requires_grad)


def empty_strided(size, stride, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Uninitialised, with the given strides (in elements)."""
    span = 1 + sum((n - 1) * s for n, s in zip(size, stride)) if all(size) else 0
    memory = _core.empty((span,), dtype or _core.default_dtype())
    return _finish(_core.as_strided(memory, size, stride, 0), requires_grad)


def arange(start, end=None, step=1, *, dtype=None, device=None, requires_grad=False, **_):
    """``start, start + step, ...`` below `end`: ceil((end - start) / step) values.

    int64 when all three are ints, else the default dtype. ValueError for a step of 0 or one in the
    wrong direction.
    """
    if end is None:
        start, end = 0, start
    start, end, step = (x.item() if isinstance(x, Tensor) else x for x in (start, end, step))
    if dtype is None:
        whole = all(isinstance(x, int) for x in (start, end, step))
        dtype = _core.int64 if whole else _core.default_dtype()
    return _finish(_core.arange(start, end, step, dtype), requires_grad)


def range(start, end, step=1, *, dtype=None, **kwargs) -> Tensor:
    """Like `arange` but including `end` (deprecated in PyTorch)."""
    return arange(start, end + step, step, dtype=dtype or _core.default_dtype(), **kwargs)


def linspace(start, end, steps, *, dtype=None, device=None, requires_grad=False, **_) -> Tensor:
    """`steps` evenly spaced values from `start` to `end`, both included."""
    _check_device(device)
    return _finish(_core.linspace(start, end, steps, dtype or _core.default_dtype()), requires_grad)


def logspace(start, end, steps, base=10.0, *, dtype=None, requires_grad=False, **_) -> Tensor:
    """``base ** linspace(start, end, steps)``."""
    exponents = _core.linspace(start, end, steps, _core.float64)
    values = _core.pow(base, exponents)
    return _finish(values.to(dtype or _core.default_dtype()), requires_grad)


def eye(n, m=None, *, dtype=None, device=None, requires_grad=False, **_) -> Tensor:
    """The n x m matrix with ones on its diagonal (m = n by default)."""
    m = n if m is None else m
    t = zeros(n, m, dtype=dtype, device=device)
    if n and m:
        _core.fill_(_core.diagonal(t, 0, 0, 1), 1)
    return _finish(t, requires_grad)


def scalar_tensor(s, *, dtype=None, **_) -> Tensor:
    """A 0-dim tensor holding the number `s`, of the default dtype."""
    return full((), s, dtype=dtype or _core.default_dtype())


def is_tensor(obj) -> bool:
    """True when `obj` is a lamina.Tensor."""
    return isinstance(obj, Tensor)


def numel(input: Tensor) -> int:
    """Number of elements."""
    return input.numel()


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
    _core.fill_(self, value)
    return self


@method
def zero_(self: Tensor) -> Tensor:
    """Overwrites every element with 0."""
    _core.fill_(self, 0)
    return self


@method
def to(self: Tensor, *args, dtype=None, device=None, non_blocking=False, copy=False, **_):
    """The tensor as another dtype and/or on another device; itself when nothing changes.

    Accepts ``to(dtype)``, ``to(device)``, ``to(device, dtype)`` and ``to(other_tensor)``.
    """
    for a in args:
        if isinstance(a, Tensor):
            dtype, device = a.dtype, a.device
        elif isinstance(a, _core.dtype) or a in (float, int, bool):
            dtype = a
        elif isinstance(a, (str, Device, int)) and not isinstance(a, bool):
            device = a
        else:
            raise TypeError(f"to: expected a dtype, a device or a tensor, got {a!r}")
    _check_device(device)
    out = self if dtype is None else _core.to_dtype(self, dtype)
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
            raise ValueError(f"type: unknown tensor type {name!r}")
    return _core.to_dtype(self, dtype)


@method
def type_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor converted to the dtype of `other`."""
    return _core.to_dtype(self, other.dtype)


_TYPE_NAMES = {
    _core.float32: "lamina.FloatTensor", _core.float64: "lamina.DoubleTensor",
    _core.float16: "lamina.HalfTensor", _core.bfloat16: "lamina.BFloat16Tensor",
    _core.int64: "lamina.LongTensor", _core.int32: "lamina.IntTensor",
    _core.int16: "lamina.ShortTensor", _core.int8: "lamina.CharTensor",
    _core.uint8: "lamina.ByteTensor", _core.bool: "lamina.BoolTensor",
}  # fmt: skip


def _conversion(name: str, dtype) -> None:
    def convert(self: Tensor, memory_format=None) -> Tensor:
        return _core.to_dtype(self, dtype)

    convert.__name__ = name
    convert.__doc__ = f"The tensor as {dtype.name}; itself when it already is."
    setattr(Tensor, name, convert)


for _name, _dtype in {
    "float": _core.float32, "double": _core.float64, "half": _core.float16,
    "bfloat16": _core.bfloat16, "long": _core.int64, "int": _core.int32, "short": _core.int16,
    "char": _core.int8, "byte": _core.uint8, "bool": _core.bool,
}.items():  # fmt: skip
    _conversion(_name, _dtype)


@method
def cpu(self: Tensor, memory_format=None) -> Tensor:
    """The tensor in CPU memory; itself when it is there."""
    return self


@method
def cuda(self: Tensor, device=None, non_blocking=False) -> Tensor:
    """The tensor on a CUDA device."""
    return self.to(Device("cuda" if device is None else device))


@method
def pin_memory(self: Tensor) -> Tensor:
    """The tensor itself: page-locked memory only helps copies to a GPU."""
    return self


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
    if self.dtype is _core.bfloat16:
        raise TypeError("numpy: NumPy has no bfloat16; convert with .float() first")
    return numpy.asarray(_ArrayView(self))


class _ArrayView:
    """The NumPy array interface (version 3) of a tensor's memory."""

    def __init__(self, t: Tensor):
        self.tensor = t
        kind = "b" if t.dtype is _core.bool else "f" if t.dtype.is_floating_point else (
            "i" if t.dtype.is_signed else "u")  # fmt: skip
        order = "|" if t.dtype.itemsize == 1 else "<"
        self.__array_interface__ = {
            "version": 3,
            "shape": tuple(t.shape),
            "typestr": f"{order}{kind}{t.dtype.itemsize}",
            "data": (t.data_ptr(), False),
            "strides": tuple(s * t.dtype.itemsize for s in t.stride()),
        }


@method
def __array__(self: Tensor, dtype=None, copy=None):
    """What ``numpy.asarray(tensor)`` uses."""
    a = self.numpy()
    if dtype is not None and a.dtype != dtype:
        return a.astype(dtype)
    return a.copy() if copy else a


def _rebuild(data, shape, dtype, requires_grad) -> Tensor:
    import ctypes

    t = _core.empty(shape, dtype)
    ctypes.memmove(t.data_ptr(), data, len(data))
    return t.requires_grad_() if requires_grad else t


@method
def __reduce_ex__(self: Tensor, protocol):
    """Pickling: the values, shape, dtype and requires_grad; history is not kept."""
    import ctypes

    dense = self.detach().contiguous()
    data = ctypes.string_at(dense.data_ptr(), dense.numel() * dense.dtype.itemsize)
    return _rebuild, (data, tuple(self.shape), self.dtype, self.requires_grad)


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


def _new(name: str, make) -> None:
    def new(self: Tensor, *size, dtype=None, device=None, requires_grad=False, **kw):
        return make(*size, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad,
                    **kw)  # fmt: skip

    new.__name__ = name
    new.__doc__ = f"lamina.{name[4:]} with this tensor's dtype unless another is given."
    setattr(Tensor, name, new)


for _name, _make in {"new_zeros": zeros, "new_ones": ones, "new_empty": empty, "new_full": full,
                     "new_tensor": tensor}.items():  # fmt: skip
    _new(_name, _make)


@method
def new(self: Tensor, *args) -> Tensor:
    """An uninitialised tensor of the given sizes (or a copy of data) with this dtype."""
    if args and not isinstance(args[0], (int, Size)):
        return tensor(args[0], dtype=self.dtype)
    return empty(*(args or (0,)), dtype=self.dtype)
