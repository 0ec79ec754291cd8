"""PyTorch's older names of `lamina.amp`, with the device type "cuda"."""

from __future__ import annotations

from .._core import float16
from ..amp import GradScaler as _GradScaler
from ..amp import autocast as _autocast
from ..amp import custom_bwd as _custom_bwd
from ..amp import custom_fwd as _custom_fwd

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]


def custom_fwd(fwd=None, *, cast_inputs=None):
    """`lamina.amp.custom_fwd` of device type "cuda"."""
    return _custom_fwd(fwd, device_type="cuda", cast_inputs=cast_inputs)


def custom_bwd(bwd):
    """`lamina.amp.custom_bwd` of device type "cuda"."""
    return _custom_bwd(bwd, device_type="cuda")


class autocast(_autocast):
    """`lamina.amp.autocast` of device type "cuda"."""

    def __init__(self, enabled=True, dtype=float16, cache_enabled=True):
        super().__init__("cuda", dtype=dtype, enabled=enabled, cache_enabled=cache_enabled)


class GradScaler(_GradScaler):
    """`lamina.amp.GradScaler` of device "cuda"."""

    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5,
                 growth_interval=2000, enabled=True):  # fmt: skip
        super().__init__(
            "cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled
        )
