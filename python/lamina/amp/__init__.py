"""Mixed precision, with PyTorch's names: `autocast` regions and `GradScaler`.

In a region matrix products, convolutions and the like run in half precision, and functions that
need the range of float32 in that; which do is as in PyTorch (see `autocast`). Parameters and their
gradients stay in float32.
"""

from __future__ import annotations

from .autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from .grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
