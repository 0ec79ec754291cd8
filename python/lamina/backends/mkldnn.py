"""oneDNN: not used."""

from __future__ import annotations

enabled = True
allow_tf32 = True


def is_available() -> bool:
    """False."""
    return False
