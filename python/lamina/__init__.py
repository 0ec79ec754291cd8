"""lamina: a small, fast deep-learning framework with PyTorch's API.

>>> import lamina
>>> x = lamina.tensor([1.0, 2.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4.])
"""

from __future__ import annotations

import importlib as _importlib

from . import _core
from ._core import (
    ArgumentError,
    DeviceError,
    DTypeError,
    OutOfMemoryError,
    RangeError,
    ShapeError,
    Tensor,
    bfloat16,
    complex64,
    complex128,
    dtype,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
)
from ._types import Size, device

_core._set_python_types(Size, device("cpu"))
bool = _core.bool
half, float, double = float16, float32, float64
short, int, long = int16, int32, int64
cfloat, cdouble = complex64, complex128

from . import _printing, autograd, random  # noqa: E402
from . import ops as _ops  # noqa: E402
from ._platform import *  # noqa: E402, F403
from ._platform import _assert  # noqa: E402, F401
from ._printing import set_printoptions  # noqa: E402
from ._tensor_types import *  # noqa: E402, F403
from .autograd import (  # noqa: E402
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from .compiler import compile  # noqa: E402
from .ops import *  # noqa: E402, F403
from .random import *  # noqa: E402, F403

__version__ = "0.1.0"

_LAZY_MODULES = (
    "nn", "optim", "utils", "vision", "trainer", "metrics", "serialization", "cli", "accelerator",
    "amp", "backends", "cpu", "cuda", "distributed", "func", "hub", "jit", "mps",
    "multiprocessing", "nested", "onnx", "profiler", "sparse", "special", "testing", "version",
    "xpu", "_six", "distributions", "linalg", "fft", "functional", "fx", "_utils",
)  # fmt: skip
_LAZY_NAMES = {
    "save": "serialization", "load": "serialization", "Trainer": "trainer", "autocast": "amp",
    "sparse_coo_tensor": "sparse", "sparse_csr_tensor": "sparse", "sparse_csc_tensor": "sparse",
    "spmm": "sparse", "stft": "fft.short", "istft": "fft.short", "vmap": "func",
}  # fmt: skip


def __getattr__(name: str):
    """Submodules are imported when first used, so that ``import lamina`` stays fast."""
    if name in _LAZY_MODULES:
        return _importlib.import_module(f".{name}", __name__)
    if name.startswith("_foreach_"):
        return getattr(_importlib.import_module("._foreach", __name__), name)
    if name in _ops._STEM_OF:
        globals()[name] = value = getattr(_ops, name)
        return value
    if name in _LAZY_NAMES:
        value = getattr(_importlib.import_module(f".{_LAZY_NAMES[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'lamina' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_LAZY_MODULES, *_LAZY_NAMES, *_ops._STEM_OF})


def set_default_dtype(d) -> None:
    """The floating dtype of new tensors made without one (float32 at start)."""
    _core.set_default_dtype(d)


def get_default_dtype():
    """The floating dtype of new tensors made without one."""
    return _core.default_dtype()


def set_num_threads(n) -> None:
    """How many threads work on one operation (1 to 256). Results do not depend on it."""
    _core.set_num_threads(n)


def get_num_threads():
    """How many threads work on one operation; at start min(affinity, cgroup quota,
    LAMINA_THREADS)."""
    return _core.num_threads()


def promote_types(type1, type2):
    """The dtype an operation on tensors of these two dtypes computes in."""
    return _core.promote_types(type1, type2)


def is_floating_point(input) -> bool:  # type: ignore[valid-type]
    """True for float16, bfloat16, float32 and float64 tensors."""
    return input.dtype.is_floating_point


def from_dlpack(ext_tensor):
    """A tensor over the memory of any object with ``__dlpack__`` (or of a DLPack capsule)."""
    if not hasattr(ext_tensor, "__dlpack__"):
        return _core.from_dlpack_capsule(ext_tensor)
    where = getattr(ext_tensor, "__dlpack_device__", tuple)()
    if where and where[0] == 2:  # CUDA: its work is done before what the current stream does next
        stream = _core.stream_current(where[1]) or 1
        return _core.from_dlpack_capsule(ext_tensor.__dlpack__(stream=stream))
    return _core.from_dlpack_capsule(ext_tensor.__dlpack__())
