"""Which CUDA devices there are, and which one is current."""

from __future__ import annotations

from typing import NamedTuple

from .. import _core
from .._types import device as _device


def _none(name: str):
    raise RuntimeError(
        f"cuda.{name}: no CUDA device is available ({_core.device_trouble()}); guard the call with "
        "cuda.is_available() and use device 'cpu'"
    )


def _index(device) -> int | None:
    return device if isinstance(device, int) else None if device is None else _device(device).index


def _number(device=None, name="device") -> int:
    """The index of `device` (None: the current one); RuntimeError when it is not there."""
    count = _core.device_count()
    if not count:
        _none(name)
    index = _index(device)
    if index is None:
        return _core.current_device()
    if not 0 <= index < count:
        raise RuntimeError(f"cuda.{name}: there is no device {index}, the last is {count - 1}")
    return index


def is_available() -> bool:
    """Whether there is a CUDA device: the library is there, the driver too, and it lists a GPU."""
    return _core.device_count() > 0


def device_count() -> int:
    """How many CUDA devices there are."""
    return _core.device_count()


def is_bf16_supported(including_emulation=True) -> bool:
    """Whether the current device takes bfloat16 tensors: False when there is none."""
    return is_available()


def current_device() -> int:
    """The index of the device that "cuda" means. Raises RuntimeError when there is none."""
    return _number(None, "current_device")


def set_device(device) -> None:
    """Makes `device` current on this thread; a negative index does nothing, as in PyTorch. Raises
    RuntimeError when it is not there."""
    index = _index(device)
    if index is None or index >= 0:
        _core.set_current_device(_number(device, "set_device"))


class DeviceProperties(NamedTuple):
    """What `get_device_properties` returns; sizes in bytes, rates in kHz, the bus in bits."""

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int
    warp_size: int
    max_threads_per_block: int
    max_threads_per_multi_processor: int
    shared_memory_per_block: int
    L2_cache_size: int
    clock_rate: int
    memory_clock_rate: int
    memory_bus_width: int
    emulated: bool  # kernels run on the CPU: the tests' device


def _properties(device, name: str) -> DeviceProperties:
    return DeviceProperties(**_core.device_properties(_number(device, name)))


def get_device_properties(device=None) -> DeviceProperties:
    """The device's `DeviceProperties`. Raises RuntimeError when it is not there."""
    return _properties(device, "get_device_properties")


def get_device_name(device=None) -> str:
    """The device's name. Raises RuntimeError when it is not there."""
    return _properties(device, "get_device_name").name


def get_device_capability(device=None) -> tuple[int, int]:
    """(major, minor) of its compute capability. Raises RuntimeError when it is not there."""
    found = _properties(device, "get_device_capability")
    return found.major, found.minor


def synchronize(device=None) -> None:
    """Waits for all of the device's work. Raises RuntimeError when it is not there, and what
    kernels found wrong with the values they read since the last synchronisation."""
    _core.device_synchronize(_number(device, "synchronize"))


class device:
    """``with cuda.device(i):`` makes the device current inside; a negative number or None does
    nothing. Raises RuntimeError when it is not there."""

    def __init__(self, device):
        self.idx = _index(device)
        if self.idx is not None and self.idx >= 0:
            self.idx = _number(self.idx)

    def __enter__(self):
        if self.idx is not None and self.idx >= 0:
            self.before = _core.current_device()
            _core.set_current_device(self.idx)
        return self

    def __exit__(self, *_):
        if self.idx is not None and self.idx >= 0:
            _core.set_current_device(self.before)
        return False
