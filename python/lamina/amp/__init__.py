"""Mixed precision, with PyTorch's names: `autocast` regions and `GradScaler`.

Kernels here compute in the dtype of their operands, and the CPU gains nothing from halves, so an
autocast region changes nothing: results inside it are those of full precision.
"""

from __future__ import annotations

from .autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from .grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
