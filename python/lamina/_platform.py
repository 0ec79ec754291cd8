"""Names of PyTorch's that are about the machine, number formats or compilation."""

from __future__ import annotations

import math

from . import _core
from ._core import Tensor, dtype

__all__ = [
    "are_deterministic_algorithms_enabled", "channels_last", "channels_last_3d",
    "contiguous_format", "e", "finfo", "get_autocast_cpu_dtype", "get_autocast_dtype",
    "get_autocast_gpu_dtype", "get_default_device", "get_float32_matmul_precision",
    "get_num_interop_threads", "iinfo", "inf", "jagged", "is_autocast_cache_enabled",
    "is_autocast_cpu_enabled", "is_autocast_enabled", "clear_autocast_cache",
    "set_autocast_cache_enabled", "set_autocast_dtype", "set_autocast_enabled",
    "is_deterministic_algorithms_warn_only_enabled", "is_inference_mode_enabled",
    "is_storage", "layout", "memory_format", "nan", "newaxis", "pi",
    "preserve_format", "set_default_device", "set_default_tensor_type", "set_deterministic",
    "set_float32_matmul_precision", "set_flush_denormal", "set_num_interop_threads", "sparse_coo",
    "sparse_csc", "sparse_csr", "strided", "typename", "use_deterministic_algorithms",
]  # fmt: skip

pi, e, inf, nan = math.pi, math.e, math.inf, math.nan
newaxis = None


class _Named:
    def __init__(self, name: str):
        self._name = name

    def __repr__(self) -> str:
        return f"lamina.{self._name}"

    def __reduce__(self) -> str:
        return self._name


class memory_format(_Named):
    """How the elements of a tensor follow each other. All tensors that operations make are
    row-major; the other formats are accepted, without effect."""


class layout(_Named):
    """How a tensor is stored: `strided` for all there are."""


preserve_format = memory_format("preserve_format")
contiguous_format = memory_format("contiguous_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")
strided = layout("strided")
jagged = layout("jagged")
sparse_coo = layout("sparse_coo")
sparse_csr = layout("sparse_csr")
sparse_csc = layout("sparse_csc")

_FLOATS = {  # bits, mantissa bits, largest exponent
    _core.float16: (16, 10, 15),
    _core.bfloat16: (16, 7, 127),
    _core.float32: (32, 23, 127),
    _core.float64: (64, 52, 1023),
}
_INTS = {
    _core.uint8: (8, False), _core.int8: (8, True), _core.int16: (16, True),
    _core.int32: (32, True), _core.int64: (64, True),
}  # fmt: skip


class finfo:
    """Limits of a floating dtype (the default one without an argument): `bits`, `eps` (1 + eps is
    the number after 1), `max`, `min`, `tiny` = `smallest_normal`, `resolution`, `dtype`.

    Raises TypeError for other dtypes.
    """

    def __init__(self, type=None):
        type = _core.default_dtype() if type is None else type
        type = type.to_real() if isinstance(type, _core.dtype) else type  # as PyTorch
        if type not in _FLOATS:
            raise TypeError(f"finfo: expected a floating dtype, got {type}; use iinfo for integers")
        self.bits, mantissa, exponent = _FLOATS[type]
        self.eps = 2.0**-mantissa
        self.max = (2.0 - self.eps) * 2.0**exponent
        self.min = -self.max
        self.tiny = self.smallest_normal = 2.0 ** (1 - exponent)
        self.resolution = 10.0 ** -math.floor(mantissa * math.log10(2))
        self.dtype = str(type).partition(".")[2]

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
            f"eps={self.eps:g}, smallest_normal={self.tiny:g}, tiny={self.tiny:g}, "
            f"dtype={self.dtype})"
        )


class iinfo:
    """Limits of an integer dtype: `bits`, `max`, `min`, `dtype`. Raises TypeError for others."""

    def __init__(self, type):
        if type not in _INTS:
            raise TypeError(f"iinfo: expected an integer dtype, got {type}; use finfo for floats")
        self.bits, signed = _INTS[type]
        self.max = 2 ** (self.bits - signed) - 1
        self.min = -(2 ** (self.bits - 1)) if signed else 0
        self.dtype = str(type).partition(".")[2]

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"


_PRECISIONS = ("highest", "high", "medium")


def set_float32_matmul_precision(precision: str) -> None:
    """How exactly float32 convolutions are computed: "highest" (the start), "high" or "medium".

    From "high" on, 3x3 convolutions of stride 1 are computed by Winograd's F(4x4, 3x3) (Lavin and
    Gray, 2016), forward and backward: faster, with errors up to about 1.5e-5 of the largest value
    where direct float32 has 1e-6. On the CPU matrix products are always of full precision; a GPU
    then rounds their operands to TF32 (`backends.cuda.matmul.allow_tf32`). Raises ValueError for
    other names.
    """
    if precision not in _PRECISIONS:
        raise ValueError(
            f"set_float32_matmul_precision: expected 'highest', 'high' or 'medium', got "
            f"{precision!r}"
        )
    _core.set_float32_precision(_PRECISIONS.index(precision))


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` was given last; "highest" at the start."""
    return _PRECISIONS[_core.float32_precision()]


def use_deterministic_algorithms(mode, *, warn_only=False) -> None:
    """Nothing: every operation gives the same bits on every run and for any number of threads."""


set_deterministic = use_deterministic_algorithms


def are_deterministic_algorithms_enabled() -> bool:
    """True: see `use_deterministic_algorithms`."""
    return True


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """False."""
    return False


def set_flush_denormal(mode) -> bool:
    """False: subnormal numbers are always kept."""
    return False


def set_num_interop_threads(n) -> None:
    """Nothing: operations run one after the other."""


def get_num_interop_threads() -> int:
    """1: operations run one after the other."""
    return 1


def _kind(device_type) -> int:
    from .amp.autocast_mode import _number

    return max(_number(device_type), 0)


def is_autocast_enabled(device_type=None) -> bool:
    """Whether an `autocast` region for this device type (None: "cuda") is active."""
    return _core.autocast_enabled(_kind("cuda" if device_type is None else device_type))


def is_autocast_cpu_enabled() -> bool:
    """``is_autocast_enabled("cpu")``."""
    return _core.autocast_enabled(0)


def set_autocast_enabled(device_type, enabled=None) -> None:
    """Switches autocast on or off outside of regions; with one argument that of "cuda"."""
    if enabled is None:
        device_type, enabled = "cuda", device_type
    kind = _kind(device_type)
    _core.set_autocast(kind, enabled, _core.autocast_dtype(kind), _core.autocast_cache())


def is_autocast_cache_enabled() -> bool:
    """Whether regions convert a parameter once only."""
    return _core.autocast_cache()


def set_autocast_cache_enabled(enabled) -> None:
    """Sets what `is_autocast_cache_enabled` returns."""
    _core.set_autocast(0, _core.autocast_enabled(0), _core.autocast_dtype(0), enabled)


def clear_autocast_cache() -> None:
    """Forgets the converted parameters, as the end of the outermost region does."""
    _core.clear_autocast_cache()


def get_autocast_dtype(device_type) -> dtype:
    """The half precision of regions that name none: bfloat16 for "cpu", float16 for "cuda"."""
    return _core.autocast_dtype(_kind(device_type))


def set_autocast_dtype(device_type, dtype) -> None:
    """Sets what `get_autocast_dtype` returns on this thread."""
    kind = _kind(device_type)
    _core.set_autocast(kind, _core.autocast_enabled(kind), dtype, _core.autocast_cache())


def get_autocast_cpu_dtype() -> dtype:
    """``get_autocast_dtype("cpu")``."""
    return _core.autocast_dtype(0)


def get_autocast_gpu_dtype() -> dtype:
    """``get_autocast_dtype("cuda")``."""
    return _core.autocast_dtype(1)


def _assert(condition, message) -> None:
    """Raises AssertionError with `message` when `condition` is false."""
    assert condition, message


def is_inference_mode_enabled() -> bool:
    """Whether gradients are not being recorded."""
    return not _core.grad_enabled()


def set_default_device(device) -> None:
    """Makes new tensors of this thread on `device` where no other is given (None: "cpu").
    DeviceError when it is not there."""
    from . import _types

    _types._default.where = -1 if device is None else _types.device(device)._where()


def get_default_device():
    """The device that `set_default_device` named, device("cpu") at first."""
    from . import _types

    at = _types._default.where
    return _types.device("cpu") if at < 0 else _types.device("cuda", at)


def set_default_tensor_type(t) -> None:
    """Sets the default dtype from a floating type such as ``lamina.DoubleTensor`` or its name.

    Raises TypeError for others.
    """
    from . import _tensor_types

    name = t if isinstance(t, str) else getattr(t, "__name__", "")
    found = getattr(_tensor_types, name.rpartition(".")[2], None)
    if "cuda" in name or getattr(t, "device", "cpu") != "cpu" or found is None:
        raise TypeError(f"set_default_tensor_type: type {name or t!r} not available")
    if found.dtype not in _FLOATS:
        raise TypeError("set_default_tensor_type: only floating-point types are supported as "
                        f"the default type, got {name}")  # fmt: skip
    _core.set_default_dtype(found.dtype)


def is_storage(obj) -> bool:
    """Whether `obj` is a storage object: tensors own their memory here, so False."""
    return False


def typename(obj) -> str:
    """The name of an object's type; for a tensor such as 'lamina.FloatTensor'."""
    if isinstance(obj, Tensor):
        return obj.type()
    kind = obj if isinstance(obj, type) else type(obj)
    return kind.__qualname__ if kind is dtype else f"{kind.__module__}.{kind.__qualname__}"
