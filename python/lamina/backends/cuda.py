"""CUDA's switches: accepted, without effect."""

from __future__ import annotations

import contextlib


class _MatmulSettings:
    allow_tf32 = False
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
