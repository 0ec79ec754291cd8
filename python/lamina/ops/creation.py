"""Tensors out of values, shapes and ranges."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from .._types import Size, _default
from .._types import device as Device
from ._method import method, takes_tensors

__all__ = [
    "tensor", "as_tensor", "from_numpy", "empty", "zeros", "ones", "full", "empty_like",
    "zeros_like", "ones_like", "full_like", "arange", "range", "linspace", "logspace", "eye",
    "scalar_tensor", "is_tensor", "numel", "empty_strided", "asarray",
]  # fmt: skip


def _shape(sizes) -> tuple:
    """Sizes given one by one, or as one sequence."""
    if len(sizes) == 1 and not isinstance(sizes[0], int) and hasattr(sizes[0], "__iter__"):
        return tuple(sizes[0])
    return sizes


def _finish(t: Tensor, requires_grad: bool, name="", named=None) -> Tensor:
    """t, or `out` of the further arguments `named` of the function `name` with t's values."""
    if named:
        out = named.pop("out", None)
        unknown = named.keys() - {"layout", "pin_memory", "memory_format", "size", "device"}
        if unknown:
            raise TypeError(f"{name}: got an unexpected keyword argument {min(unknown)!r}")
        if out is not None:
            t = _core.copy_(out if out.shape == t.shape else out.resize_(t.shape), t)
    if requires_grad:
        t.requires_grad = True
    return t


def _at(device, make, *args) -> Tensor:
    """``make(*args)``, a new tensor, in the memory of `device` (None: the default device)."""
    where = _default.where if device is None else Device(device)._where()
    if where < 0:
        return make(*args)
    before = _core.set_working_device(where)
    try:
        return make(*args)
    finally:
        _core.set_working_device(before)


def _made(t: Tensor, device) -> Tensor:
    """`t`, just made in CPU memory, in that of `device` (None: the default device)."""
    where = _default.where if device is None else Device(device)._where()
    return t if where < 0 else _core.to_device(t, where, True)


def _moved(t: Tensor, device) -> Tensor:
    """`t` in the memory of `device` (None: where it is)."""
    return t if device is None else _core.to_device(t, Device(device)._where(), True)


def _like(input: Tensor, device):
    """`device`, or else that of `input`."""
    return input.device if device is None else device


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
    return _finish(_made(_core.tensor(data, dtype), device), requires_grad)


def as_tensor(data, dtype=None, device=None) -> Tensor:
    """`data` as a tensor, sharing memory where it can (tensors, NumPy arrays of the same dtype)."""
    if isinstance(data, Tensor):
        return _moved(data if dtype is None or data.dtype is dtype else data.to(dtype), device)
    if hasattr(data, "__array_interface__"):
        t = from_numpy(data)
        return _moved(t if dtype is None or t.dtype is dtype else t.to(dtype), device)
    return _made(_core.tensor(data, dtype), device)


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


def empty(*size, dtype=None, device=None, requires_grad=False, **named) -> Tensor:
    """A tensor of the given shape whose values are whatever was in memory."""
    shape = _shape(named.get("size", size) or size)
    t = _at(device, _core.empty, shape, dtype or _core.default_dtype())
    return _finish(t, requires_grad, "empty", named)


def zeros(*size, dtype=None, device=None, requires_grad=False, **named) -> Tensor:
    """A tensor of the given shape filled with 0."""
    shape = _shape(named.get("size", size) or size)
    t = full(shape, 0, dtype=dtype or _core.default_dtype(), device=device)
    return _finish(t, requires_grad, "zeros", named)


def ones(*size, dtype=None, device=None, requires_grad=False, **named) -> Tensor:
    """A tensor of the given shape filled with 1."""
    shape = _shape(named.get("size", size) or size)
    t = full(shape, 1, dtype=dtype or _core.default_dtype(), device=device)
    return _finish(t, requires_grad, "ones", named)


def full(size, fill_value, *, dtype=None, device=None, requires_grad=False, **named) -> Tensor:
    """A tensor of shape `size` filled with `fill_value`, whose type gives the dtype when None."""
    if isinstance(fill_value, Tensor):
        fill_value = fill_value.item()
    if isinstance(fill_value, complex):
        value = _core.tensor(fill_value, dtype)
        t = _core.copy_(_core.empty(tuple(size), value.dtype), value)
        return _finish(_made(t, device), requires_grad)
    if dtype is None:
        dtype = (
            _core.bool if isinstance(fill_value, bool)
            else _core.int64 if isinstance(fill_value, int)
            else _core.default_dtype()
        )  # fmt: skip
    return _finish(_at(device, _core.full, size, fill_value, dtype), requires_grad, "full", named)


def empty_like(input: Tensor, *, dtype=None, device=None, requires_grad=False, **named) -> Tensor:
    """Uninitialised, with the shape and dtype of `input`."""
    t = _at(_like(input, device), _core.empty, input.shape, dtype or input.dtype)
    return _finish(t, requires_grad, "empty_like", named)


def zeros_like(input: Tensor, *, dtype=None, device=None, requires_grad=False, **named) -> Tensor:
    """Zeros with the shape and dtype of `input`."""
    t = _at(_like(input, device), _core.full, input.shape, 0, dtype or input.dtype)
    return _finish(t, requires_grad, "zeros_like", named)


def ones_like(input: Tensor, *, dtype=None, device=None, requires_grad=False, **named) -> Tensor:
    """Ones with the shape and dtype of `input`."""
    t = _at(_like(input, device), _core.full, input.shape, 1, dtype or input.dtype)
    return _finish(t, requires_grad, "ones_like", named)


def full_like(input: Tensor, fill_value, *, dtype=None, device=None, requires_grad=False, **named):
    """`fill_value` everywhere, with the shape and dtype of `input`."""
    return full(input.shape, fill_value, dtype=dtype or input.dtype, requires_grad=requires_grad,
                device=_like(input, device), **named)  # fmt: skip


def empty_strided(size, stride, *, dtype=None, device=None, requires_grad=False, **named) -> Tensor:
    """Uninitialised, with the given strides (in elements)."""
    span = 1 + sum((n - 1) * s for n, s in zip(size, stride)) if all(size) else 0
    memory = _at(device, _core.empty, (span,), dtype or _core.default_dtype())
    return _finish(_core.as_strided(memory, size, stride, 0), requires_grad, "empty_strided", named)


def arange(start=0, end=None, step=1, *, dtype=None, device=None, requires_grad=False, **named):
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
    t = _at(device, _core.arange, start, end, step, dtype)
    return _finish(t, requires_grad, "arange", named)


def range(start, end, step=1, *, dtype=None, **kwargs) -> Tensor:
    """Like `arange` but including `end` (deprecated in PyTorch)."""
    return arange(start, end + step, step, dtype=dtype or _core.default_dtype(), **kwargs)


def linspace(start, end, steps, *, dtype=None, device=None, requires_grad=False, **named) -> Tensor:
    """`steps` evenly spaced values from `start` to `end`, both included."""
    t = _at(device, _core.linspace, start, end, steps, dtype or _core.default_dtype())
    return _finish(t, requires_grad, "linspace", named)


def logspace(start, end, steps, base=10.0, *, dtype=None, device=None, requires_grad=False,
             **named) -> Tensor:  # fmt: skip
    """``base ** linspace(start, end, steps)``."""
    exponents = _at(device, _core.linspace, start, end, steps, _core.float64)
    values = _core.pow(base, exponents)
    return _finish(values.to(dtype or _core.default_dtype()), requires_grad, "logspace", named)


def eye(n, m=None, *, dtype=None, device=None, requires_grad=False, **named) -> Tensor:
    """The n x m matrix with ones on its diagonal (m = n by default)."""
    m = n if m is None else m
    t = zeros(n, m, dtype=dtype, device=device)
    if n and m:
        _core.fill_(_core.diagonal(t, 0, 0, 1), 1)
    return _finish(t, requires_grad, "eye", named)


def scalar_tensor(s, *, dtype=None, **named) -> Tensor:
    """A 0-dim tensor holding the number `s`, of the default dtype."""
    return full((), s, dtype=dtype or _core.default_dtype(), **named)


def is_tensor(obj) -> bool:
    """True when `obj` is a lamina.Tensor."""
    return isinstance(obj, Tensor)


@takes_tensors
def numel(input: Tensor) -> int:
    """Number of elements."""
    return input.numel()


def _new(name: str, make) -> None:
    def new(self: Tensor, *size, dtype=None, device=None, requires_grad=False, **kw):
        return make(*size, dtype=dtype or self.dtype, device=_like(self, device),
                    requires_grad=requires_grad, **kw)  # fmt: skip

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
        return tensor(args[0], dtype=self.dtype, device=self.device)
    return empty(*(args or (0,)), dtype=self.dtype, device=self.device)
