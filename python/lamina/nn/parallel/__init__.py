"""PyTorch's wrappers that spread a module over devices: one device, so they call the module."""

from __future__ import annotations

from ..._refuse import refused
from ..module import Module

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel"]

_ONE = "there is one device: call the module itself"


class DataParallel(Module):
    """Calls ``module``, which it holds under that name (so state_dict keys begin "module.").

    device_ids, output_device, dim: accepted, without effect, as there is one device.
    """

    def __init__(self, module, device_ids=None, output_device=None, dim=0):
        super().__init__()
        self.module = module
        self.device_ids: list = []
        self.dim = dim

    def forward(self, *inputs, **kwargs):
        """``module(*inputs, **kwargs)``."""
        return self.module(*inputs, **kwargs)


class DistributedDataParallel(Module):
    """Raises RuntimeError, as in PyTorch without a process group: there are none."""

    def __init__(self, module, *args, **kwargs):
        super().__init__()
        raise RuntimeError(
            "DistributedDataParallel: no process group has been initialised, and a job is one "
            "process here; use the module itself"
        )


def data_parallel(module, inputs, device_ids=None, output_device=None, dim=0, module_kwargs=None):
    """``module(*inputs, **module_kwargs)``: there is one device."""
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    return module(*inputs, **(module_kwargs or {}))


gather = refused("nn.parallel.gather", _ONE)
replicate = refused("nn.parallel.replicate", _ONE)
scatter = refused("nn.parallel.scatter", _ONE)
parallel_apply = refused("nn.parallel.parallel_apply", _ONE)
