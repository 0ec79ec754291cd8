"""PyTorch's older tensor types: ``FloatTensor(2, 3)``, ``isinstance(x, LongTensor)``,
``x.type(ByteTensor)``. Each stands for tensors of one dtype; there is one class, `Tensor`."""

from __future__ import annotations

from . import _core
from ._core import Tensor
from ._types import Size
from .ops.creation import as_tensor

__all__ = [
    "BFloat16Tensor", "BoolTensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor",
    "HalfTensor", "IntTensor", "LongTensor", "ShortTensor",
]  # fmt: skip


class TensorType(type):
    """The class of the tensor types: calling one makes a tensor of its dtype."""

    dtype: _core.dtype
    device = "cpu"

    def __instancecheck__(cls, instance) -> bool:
        return isinstance(instance, Tensor) and instance.dtype is cls.dtype and cls.device == "cpu"

    def __call__(cls, *args):
        if cls.device != "cpu":
            raise TypeError(f"type lamina.{cls.device}.{cls.__name__} not available; use 'cpu'")
        if not args:
            return _core.empty((0,), cls.dtype)
        if all(isinstance(a, int) and not isinstance(a, bool) for a in args):
            return _core.empty(args, cls.dtype)
        if len(args) != 1:
            raise TypeError(f"{cls.__name__}: expected sizes or one sequence, got {args}")
        data = args[0]
        if type(data) is Size:
            return _core.empty(tuple(data), cls.dtype)
        if isinstance(data, Tensor):
            if data.dtype is not cls.dtype:
                raise TypeError(
                    f"expected {cls.dtype} (got {data.dtype}); use .type({cls.__name__})"
                )
            return data.detach()
        if hasattr(data, "__array_interface__"):
            t = as_tensor(data)
            return t if t.dtype is cls.dtype else _core.to_dtype(t, cls.dtype)
        return _core.tensor(data, cls.dtype)

    def __repr__(cls) -> str:
        return f"<class 'lamina.{cls.__name__}'>"


def _type(name: str, dtype, device="cpu") -> TensorType:
    doc = f"Tensors of dtype {dtype}: sizes give an uninitialised one, a sequence its values."
    return TensorType(name, (), {"dtype": dtype, "device": device, "__doc__": doc})


_DTYPES = {
    "FloatTensor": _core.float32, "DoubleTensor": _core.float64, "HalfTensor": _core.float16,
    "BFloat16Tensor": _core.bfloat16, "LongTensor": _core.int64, "IntTensor": _core.int32,
    "ShortTensor": _core.int16, "CharTensor": _core.int8, "ByteTensor": _core.uint8,
    "BoolTensor": _core.bool,
}  # fmt: skip

FloatTensor = _type("FloatTensor", _core.float32)
DoubleTensor = _type("DoubleTensor", _core.float64)
HalfTensor = _type("HalfTensor", _core.float16)
BFloat16Tensor = _type("BFloat16Tensor", _core.bfloat16)
LongTensor = _type("LongTensor", _core.int64)
IntTensor = _type("IntTensor", _core.int32)
ShortTensor = _type("ShortTensor", _core.int16)
CharTensor = _type("CharTensor", _core.int8)
ByteTensor = _type("ByteTensor", _core.uint8)
BoolTensor = _type("BoolTensor", _core.bool)


def cuda_type(name: str) -> TensorType:
    """The type of that name on a CUDA device: no tensor is one, and making one raises
    TypeError."""
    return _type(name, _DTYPES[name], "cuda")
