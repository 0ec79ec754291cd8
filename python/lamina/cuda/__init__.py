"""CUDA's names for programs that ask whether there is a GPU: there is none.

Queries answer so (``is_available()`` is False, ``device_count()`` 0), what has nothing to do does
nothing, and what needs a device raises RuntimeError.
"""

from __future__ import annotations

from .._core import OutOfMemoryError
from .._tensor_types import cuda_type as _cuda_type
from .._types import device as _device
from . import amp

FloatTensor = _cuda_type("FloatTensor")
DoubleTensor = _cuda_type("DoubleTensor")
HalfTensor = _cuda_type("HalfTensor")
BFloat16Tensor = _cuda_type("BFloat16Tensor")
LongTensor = _cuda_type("LongTensor")
IntTensor = _cuda_type("IntTensor")
ShortTensor = _cuda_type("ShortTensor")
CharTensor = _cuda_type("CharTensor")
ByteTensor = _cuda_type("ByteTensor")
BoolTensor = _cuda_type("BoolTensor")

default_generators: tuple = ()
_initialized = False  # as `is_initialized`


def is_available() -> bool:
    """False: this build computes on CPUs."""
    return False


def is_initialized() -> bool:
    """False: there is nothing to initialise."""
    return False


def init() -> None:
    """Raises RuntimeError: there is no CUDA device."""
    _none("init")


def is_bf16_supported(including_emulation=True) -> bool:
    """False: there is no device."""
    return False


def device_count() -> int:
    """0."""
    return 0


def _none(name: str):
    raise RuntimeError(
        f"cuda.{name}: no CUDA device is available; guard the call with cuda.is_available() and "
        "use device 'cpu'"
    )


def _index(device) -> int | None:
    return device if isinstance(device, int) else None if device is None else _device(device).index


def set_device(device) -> None:
    """Raises RuntimeError for a device number; a negative one does nothing, as in PyTorch."""
    index = _index(device)
    if index is None or index >= 0:
        _none("set_device")


def current_device() -> int:
    """Raises RuntimeError: there is no device."""
    return _none("current_device")


def get_device_name(device=None) -> str:
    """Raises RuntimeError: there is no device."""
    return _none("get_device_name")


def get_device_properties(device=None):
    """Raises RuntimeError: there is no device."""
    return _none("get_device_properties")


def get_device_capability(device=None):
    """Raises RuntimeError: there is no device."""
    return _none("get_device_capability")


def get_arch_list() -> list:
    """No architectures."""
    return []


def synchronize(device=None) -> None:
    """Raises RuntimeError: there is no device to wait for."""
    _none("synchronize")


def manual_seed(seed) -> None:
    """Nothing: `lamina.manual_seed` seeds what there is."""


def manual_seed_all(seed) -> None:
    """Nothing: `lamina.manual_seed` seeds what there is."""


def seed() -> None:
    """Nothing."""


def seed_all() -> None:
    """Nothing."""


def get_rng_state_all() -> list:
    """No states, as there are no devices."""
    return []


def set_rng_state_all(new_states) -> None:
    """Nothing for an empty list of states; raises RuntimeError for others."""
    if len(new_states):
        _none("set_rng_state_all")


def empty_cache() -> None:
    """Nothing."""


def ipc_collect() -> None:
    """Nothing."""


def memory_allocated(device=None) -> int:
    """0 bytes."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated
memory_cached = max_memory_cached = memory_allocated


def reset_peak_memory_stats(device=None) -> None:
    """Nothing."""


reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats


def memory_stats(device=None) -> dict:
    """No entries."""
    return {}


def memory_summary(device=None, abbreviated=False) -> str:
    """An empty table."""
    return ""


def mem_get_info(device=None):
    """Raises RuntimeError: there is no device."""
    return _none("mem_get_info")


class device:
    """``with cuda.device(i):`` does nothing for a negative number or None, else it raises
    RuntimeError."""

    def __init__(self, device):
        self.idx = _index(device)
        if self.idx is not None and self.idx >= 0:
            _none("device")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False


class Stream:
    """Raises RuntimeError: there is no device to run a stream on."""

    def __init__(self, device=None, priority=0, **kwargs):
        _none("Stream")


class Event:
    """Raises RuntimeError: there is no device to record events on."""

    def __init__(self, enable_timing=False, blocking=False, interprocess=False):
        _none("Event")


class stream:
    """``with cuda.stream(None):`` does nothing."""

    def __init__(self, stream):
        self.stream = stream

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False


def current_stream(device=None):
    """Raises RuntimeError: there is no device."""
    return _none("current_stream")


default_stream = current_stream
