"""Apple GPUs: there are none."""

from __future__ import annotations


def is_available() -> bool:
    """False."""
    return False


def device_count() -> int:
    """0."""
    return 0


def manual_seed(seed) -> None:
    """Nothing: `lamina.manual_seed` seeds what there is."""


def empty_cache() -> None:
    """Nothing."""


def synchronize() -> None:
    """Nothing: operations have finished when they return."""
