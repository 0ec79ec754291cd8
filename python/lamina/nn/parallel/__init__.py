"""PyTorch's wrappers that spread a module over devices: one device, so they call the module."""

from __future__ import annotations

from ..._refuse import refused
from ..module import Module
from .data_parallel import DataParallel, data_parallel

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel"]

_ONE = "there is one device: call the module itself"


class DistributedDataParallel(Module):
    """Raises RuntimeError, as in PyTorch without a process group: there are none."""

    def __init__(self, module, *args, **kwargs):
        super().__init__()
        raise RuntimeError(
            "DistributedDataParallel: no process group has been initialised, and a job is one "
            "process here; use the module itself"
        )


gather = refused("nn.parallel.gather", _ONE)
replicate = refused("nn.parallel.replicate", _ONE)
scatter = refused("nn.parallel.scatter", _ONE)
parallel_apply = refused("nn.parallel.parallel_apply", _ONE)
