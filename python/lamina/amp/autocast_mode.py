"""autocast: a region in which PyTorch may compute in half precision. Here it stays full."""

from __future__ import annotations

import functools


class autocast:
    """``with autocast("cpu", dtype=lamina.bfloat16):``, also as a decorator; computes as outside.

    Args:
        device_type: "cpu", "cuda" or another device's name; anything else raises RuntimeError.
        dtype, enabled, cache_enabled: kept as attributes, without effect.
    """

    def __init__(self, device_type="cuda", dtype=None, enabled=True, cache_enabled=None):
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if device_type not in ("cpu", "cuda", "mps", "xpu"):
            raise RuntimeError(f"autocast: unknown device type {device_type!r}; use 'cpu'")
        self.device, self.fast_dtype = device_type, dtype
        self._enabled, self._cache_enabled = bool(enabled), cache_enabled

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def __call__(self, function):
        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            with self:
                return function(*args, **kwargs)

        return wrapped


def is_autocast_available(device_type: str) -> bool:
    """Whether regions of this device type compute in half precision: never."""
    return False


def custom_fwd(fwd=None, *, device_type="cpu", cast_inputs=None):
    """Decorates the forward of an autograd.Function; returns it as it is."""
    return (lambda f: f) if fwd is None else fwd


def custom_bwd(bwd=None, *, device_type="cpu"):
    """Decorates the backward of an autograd.Function; returns it as it is."""
    return (lambda f: f) if bwd is None else bwd
