"""PyTorch's device-neutral names: there is no accelerator."""

from __future__ import annotations


def is_available() -> bool:
    """False."""
    return False


def current_accelerator(check_available=False) -> None:
    """None: there is none."""
    return None


def device_count() -> int:
    """0."""
    return 0


def _none(name):
    raise RuntimeError(f"accelerator.{name}: no accelerator is available; use device 'cpu'")


def current_device_index() -> int:
    """Raises RuntimeError: there is none."""
    return _none("current_device_index")


def set_device_index(device) -> None:
    """Raises RuntimeError: there is none."""
    _none("set_device_index")


def synchronize(device=None) -> None:
    """Nothing: operations have finished when they return."""


def empty_cache() -> None:
    """Nothing."""
