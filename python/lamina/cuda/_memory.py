"""The memory of CUDA devices: what tensors hold, what is kept for the next, what is free."""

from __future__ import annotations

from .. import _core
from ._device import _number


def _memory(device) -> tuple:
    if not _core.device_count():
        return (0,) * 6
    return _core.device_memory(_number(device))


def memory_allocated(device=None) -> int:
    """Bytes that tensors hold (rounded up to the sizes that are handed out)."""
    return _memory(device)[0]


def max_memory_allocated(device=None) -> int:
    """The most bytes that tensors held at once since `reset_peak_memory_stats`."""
    return _memory(device)[1]


def memory_reserved(device=None) -> int:
    """Bytes taken from the device: held by tensors or kept for the next ones."""
    return _memory(device)[2]


def max_memory_reserved(device=None) -> int:
    """The most bytes taken from the device at once."""
    return _memory(device)[3]


memory_cached, max_memory_cached = memory_reserved, max_memory_reserved


def mem_get_info(device=None) -> tuple[int, int]:
    """(free, total) bytes of the device. Raises RuntimeError when there is none."""
    return _core.device_memory(_number(device, "mem_get_info"))[4:]


def reset_peak_memory_stats(device=None) -> None:
    """Starts the maxima again from what is held now."""
    if _core.device_count():
        _core.device_reset_peak(_number(device))


reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats


def empty_cache() -> None:
    """Gives back to every device what no tensor holds (waits for its work to end)."""
    for d in range(_core.device_count()):
        _core.device_empty_cache(d)


def ipc_collect() -> None:
    """Nothing."""


def memory_stats(device=None) -> dict:
    """``allocated_bytes.all.current``, ``.peak`` and the same of ``reserved_bytes``; no entries
    without a device."""
    if not _core.device_count():
        return {}
    used, peak, reserved, top, _, _ = _memory(device)
    return {
        "allocated_bytes.all.current": used, "allocated_bytes.all.peak": peak,
        "reserved_bytes.all.current": reserved, "reserved_bytes.all.peak": top,
    }  # fmt: skip


def memory_summary(device=None, abbreviated=False) -> str:
    """One line for each entry of `memory_stats`."""
    return "\n".join(f"{k:30}{v:16,}" for k, v in memory_stats(device).items())
