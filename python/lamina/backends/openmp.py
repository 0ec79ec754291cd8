"""OpenMP: not used; lamina has its own threads."""

from __future__ import annotations


def is_available() -> bool:
    """False."""
    return False
