"""Weight normalisation in its older form: the weight is computed before every forward pass."""

from __future__ import annotations

from ...autograd import no_grad
from ..module import Module
from ..parameter import Parameter
from .parametrizations import norm_except

__all__ = ["WeightNorm", "remove_weight_norm", "weight_norm"]


class WeightNorm:
    """The forward pre-hook of `weight_norm`; removing it is `remove_weight_norm`."""

    def __init__(self, name: str, dim: int | None):
        self.name, self.dim = name, -1 if dim is None else dim

    def compute_weight(self, module: Module):
        """g v / |v|."""
        g, v = getattr(module, self.name + "_g"), getattr(module, self.name + "_v")
        return v * (g / norm_except(v, self.dim))

    def __call__(self, module: Module, inputs) -> None:
        setattr(module, self.name, self.compute_weight(module))


def find_hook(module: Module, kind, name: str):
    """(key, hook) of the module's forward pre-hook of a kind for a parameter, or None."""
    for key, (hook, _) in module._forward_pre_hooks.items():
        if isinstance(hook, kind) and hook.name == name:
            return key, hook
    return None


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """w = g v / |v| with parameters ``<name>_g`` and ``<name>_v``; the norm is over all dimensions
    but `dim` (None: over all). Returns the module.

    `parametrizations.weight_norm` is the newer form. Raises RuntimeError when the name already has
    one. Salimans and Kingma, "Weight normalization" (2016).
    """
    if find_hook(module, WeightNorm, name):
        raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
    hook = WeightNorm(name, dim)
    weight = getattr(module, name)
    delattr(module, name)
    with no_grad():
        size = norm_except(weight, hook.dim)
    module.register_parameter(name + "_g", Parameter(size))
    module.register_parameter(name + "_v", Parameter(weight.detach()))
    setattr(module, name, hook.compute_weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """The weight is a plain parameter again, with its present value. Returns the module; raises
    ValueError when it has no weight norm."""
    found = find_hook(module, WeightNorm, name)
    if found is None:
        raise ValueError(f"weight_norm of '{name}' not found in {module}")
    key, hook = found
    with no_grad():
        weight = hook.compute_weight(module)
    delattr(module, name)
    del module._parameters[name + "_g"], module._parameters[name + "_v"]
    del module._forward_pre_hooks[key]
    module.register_parameter(name, Parameter(weight))
    return module
