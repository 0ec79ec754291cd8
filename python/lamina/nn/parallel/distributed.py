"""PyTorch's module path of `DistributedDataParallel`."""

from . import DistributedDataParallel

__all__ = ["DistributedDataParallel"]
