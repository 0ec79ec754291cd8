"""cuDNN: absent. Assigning its switches is accepted."""

from __future__ import annotations

enabled = True
benchmark = False
deterministic = False
allow_tf32 = True
benchmark_limit = 10


def is_available() -> bool:
    """False."""
    return False


def version() -> None:
    """None: there is no cuDNN."""
    return None


class flags:
    """``with cudnn.flags(...):`` does nothing."""

    def __init__(self, enabled=False, benchmark=False, benchmark_limit=10, deterministic=False,
                 allow_tf32=True, fp32_precision="none"):  # fmt: skip
        self.enabled = enabled

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False
