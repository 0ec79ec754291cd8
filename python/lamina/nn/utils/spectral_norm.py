"""Spectral normalisation in its older form: the weight is computed before every forward pass."""

from __future__ import annotations

from ..._core import Tensor
from ...amp.autocast_mode import autocast
from ...autograd import no_grad
from ...ops.norm import normalize
from ..module import Module
from ..parameter import Parameter
from .weight_norm import find_hook

__all__ = ["SpectralNorm", "remove_spectral_norm", "spectral_norm"]


class SpectralNorm:
    """The forward pre-hook of `spectral_norm`; removing it is `remove_spectral_norm`."""

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float):
        if n_power_iterations <= 0:
            raise ValueError(
                "Expected n_power_iterations to be positive, but got "
                f"n_power_iterations={n_power_iterations}"
            )
        self.name, self.dim, self.eps = name, dim, eps
        self.n_power_iterations = n_power_iterations

    def matrix(self, weight: Tensor) -> Tensor:
        """The weight as a matrix with `dim` first."""
        return weight.movedim(self.dim, 0).flatten(1)

    def compute_weight(self, module: Module, iterate: bool) -> Tensor:
        """w / (u^T W v), after n_power_iterations more when `iterate`. Autocast regions do not
        concern it."""
        with autocast(getattr(module, self.name + "_orig").device.type, enabled=False):
            return self._divided(module, iterate)

    def _divided(self, module: Module, iterate: bool) -> Tensor:
        weight = getattr(module, self.name + "_orig")
        u, v = getattr(module, self.name + "_u"), getattr(module, self.name + "_v")
        matrix = self.matrix(weight)
        if iterate:
            with no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(normalize(matrix.t() @ u, dim=0, eps=self.eps))
                    u.copy_(normalize(matrix @ v, dim=0, eps=self.eps))
                u, v = u.clone(), v.clone()  # the buffers change in place before backward
        return weight / u.dot(matrix @ v)

    def __call__(self, module: Module, inputs) -> None:
        setattr(module, self.name, self.compute_weight(module, module.training))


def spectral_norm(module: Module, name: str = "weight", n_power_iterations: int = 1,
                  eps: float = 1e-12, dim: int | None = None) -> Module:  # fmt: skip
    """w / sigma(w), sigma the largest singular value of the weight as a matrix with `dim` first
    (None: 0, for transposed convolutions 1), by power iteration.

    The parameter becomes ``<name>_orig``, with buffers ``<name>_u`` and ``<name>_v``; each forward
    pass in training takes n_power_iterations more. Returns the module.

    `parametrizations.spectral_norm` is the newer form. Raises RuntimeError when the name already
    has one. Miyato et al., "Spectral normalization for generative adversarial networks" (2018).
    """
    if find_hook(module, SpectralNorm, name):
        raise RuntimeError(f"Cannot register two spectral_norm hooks on the same parameter {name}")
    if dim is None:
        dim = 1 if type(module).__name__.startswith("ConvTranspose") else 0
    hook = SpectralNorm(name, n_power_iterations, dim, eps)
    weight = module._parameters.get(name)
    if weight is None:
        raise ValueError(f"`SpectralNorm` cannot be applied: {module} has no parameter '{name}'")
    delattr(module, name)
    module.register_parameter(name + "_orig", weight)
    setattr(module, name, weight.detach())
    with no_grad():
        for key, n in zip("uv", hook.matrix(weight).shape):
            draw = normalize(weight.new_empty((n,)).normal_(0, 1), dim=0, eps=eps)
            module.register_buffer(f"{name}_{key}", draw)
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """The weight is a plain parameter again, with its present normalised value. Returns the
    module; raises ValueError when it has no spectral norm."""
    found = find_hook(module, SpectralNorm, name)
    if found is None:
        raise ValueError(f"spectral_norm of '{name}' not found in {module}")
    key, hook = found
    with no_grad():
        weight = hook.compute_weight(module, iterate=False)
    delattr(module, name)
    del module._parameters[name + "_orig"]
    del module._buffers[name + "_u"], module._buffers[name + "_v"]
    del module._forward_pre_hooks[key]
    module.register_parameter(name, Parameter(weight))
    return module
