"""cuDNN: absent. Of its switches `allow_tf32` has effect, on lamina's own kernels: whether a GPU
may round the operands of float32 convolutions to TF32; True at the start, as in PyTorch."""

from __future__ import annotations

import sys
import types

from .. import _core

enabled = True
benchmark = False
deterministic = False
benchmark_limit = 10


def is_available() -> bool:
    """False."""
    return False


def version() -> None:
    """None: there is no cuDNN."""
    return None


class flags:
    """``with cudnn.flags(allow_tf32=False):`` holds inside the block; the others do nothing."""

    def __init__(self, enabled=False, benchmark=False, benchmark_limit=10, deterministic=False,
                 allow_tf32=True, fp32_precision="none"):  # fmt: skip
        self.enabled = enabled
        self.allow_tf32 = allow_tf32

    def __enter__(self):
        self.before = _core.tf32_convolutions()
        _core.set_tf32_convolutions(bool(self.allow_tf32))
        return self

    def __exit__(self, *_):
        _core.set_tf32_convolutions(self.before)
        return False


class _Module(types.ModuleType):
    @property
    def allow_tf32(self) -> bool:
        return _core.tf32_convolutions()

    @allow_tf32.setter
    def allow_tf32(self, allowed: bool) -> None:
        _core.set_tf32_convolutions(bool(allowed))


sys.modules[__name__].__class__ = _Module
