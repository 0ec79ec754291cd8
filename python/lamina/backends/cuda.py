"""CUDA's switches: `matmul.allow_tf32`; the others are accepted, without effect."""

from __future__ import annotations

import contextlib

from .. import _core


class _MatmulSettings:
    @property
    def allow_tf32(self) -> bool:
        """Whether a GPU may round the operands of float32 matrix products to TF32 (10 bits behind
        the point) and multiply them on tensor cores. False at the start;
        `set_float32_matmul_precision("high")` sets it too."""
        return _core.tf32_products()

    @allow_tf32.setter
    def allow_tf32(self, allowed: bool) -> None:
        _core.set_tf32_products(bool(allowed))

    allow_fp16_reduced_precision_reduction = True
    allow_bf16_reduced_precision_reduction = True
    fp32_precision = "none"


matmul = _MatmulSettings()


def is_built() -> bool:
    """False: this build has no CUDA."""
    return False


def flash_sdp_enabled() -> bool:
    """True: attention never stores its score matrix."""
    return True


mem_efficient_sdp_enabled = math_sdp_enabled = flash_sdp_enabled


def enable_flash_sdp(enabled: bool) -> None:
    """Nothing: one implementation of attention serves all."""


enable_mem_efficient_sdp = enable_math_sdp = enable_cudnn_sdp = enable_flash_sdp


@contextlib.contextmanager
def sdp_kernel(enable_flash=True, enable_math=True, enable_mem_efficient=True, enable_cudnn=True):
    """Nothing: one implementation of attention serves all."""
    yield {}
