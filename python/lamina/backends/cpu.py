"""What this CPU can do."""

from __future__ import annotations

from .. import _core


def get_cpu_capability() -> str:
    """The instruction set in use: "avx512", "avx2", "neon" or "generic"."""
    return _core.isa()
