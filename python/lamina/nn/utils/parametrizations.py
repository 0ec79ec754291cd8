"""Weights under a condition, as functions for `parametrize`: `weight_norm`, `spectral_norm`."""

from __future__ import annotations

from ... import _core
from ..._core import Tensor
from ...autograd import no_grad
from ...ops.norm import normalize
from ..module import Module
from . import parametrize

__all__ = ["spectral_norm", "weight_norm"]


def norm_except(v: Tensor, dim: int) -> Tensor:
    """The Euclidean norm over all dimensions but `dim`, kept with size 1; over all for dim -1."""
    if dim == -1:
        return v.norm()
    others = [d for d in range(v.dim()) if d != dim]
    return v.norm(dim=others, keepdim=True) if others else v.abs()


class _WeightNorm(Module):
    """w = g v / |v|, the norm over all dimensions but one."""

    def __init__(self, dim: int | None = 0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        """The weight of a size and a direction."""
        return weight_v * (weight_g / norm_except(weight_v, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Size and direction of a weight."""
        return norm_except(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """w = g v / |v|: size and direction of a weight are trained separately.

    The norm is over all dimensions but `dim` (None: over all). The parameters become
    ``parametrizations.<name>.original0`` (g, size 1 in the other dimensions) and ``original1``
    (v, the weight's shape). Returns the module; `parametrize.remove_parametrizations` undoes it.

    Salimans and Kingma, "Weight normalization" (2016).
    """
    function = _WeightNorm(dim)
    parametrize.register_parametrization(module, name, function, unsafe=True)

    def rename(state_dict, prefix, *_) -> None:  # files of nn.utils.weight_norm
        for old, new in (("g", "0"), ("v", "1")):
            key = f"{prefix}{name}_{old}"
            if key in state_dict:
                state_dict[f"{prefix}parametrizations.{name}.original{new}"] = state_dict.pop(key)

    if hasattr(module, "_register_load_state_dict_pre_hook"):
        module._register_load_state_dict_pre_hook(rename)
    return module


class _SpectralNorm(Module):
    """w / sigma, sigma = u^T W v the largest singular value by power iteration."""

    def __init__(self, weight: Tensor, n_power_iterations: int, dim: int, eps: float):
        super().__init__()
        if not -weight.dim() <= dim < weight.dim():
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{weight.dim()}, "
                f"{weight.dim() - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                "Expected n_power_iterations to be positive, but got "
                f"n_power_iterations={n_power_iterations}"
            )
        self.dim = dim if dim >= 0 else dim + weight.dim()
        self.n_power_iterations, self.eps = n_power_iterations, eps
        if weight.dim() > 1:
            with no_grad():
                matrix = self._matrix(weight.detach())
                for key, n in zip(("_u", "_v"), matrix.shape):
                    draw = _core.empty((n,), weight.dtype).normal_(0, 1)
                    self.register_buffer(key, normalize(draw, dim=0, eps=eps))
                self._iterate(matrix, 15)

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.dim, 0).flatten(1)

    def _iterate(self, matrix: Tensor, n: int) -> None:
        with no_grad():
            for _ in range(n):
                self._u.copy_(normalize(matrix @ self._v, dim=0, eps=self.eps))
                self._v.copy_(normalize(matrix.t() @ self._u, dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight over its largest singular value; in training u and v move first."""
        if weight.dim() == 1:
            return normalize(weight, dim=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            self._iterate(matrix.detach(), self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()  # they will change in place before backward
        return weight / u.dot(matrix @ v)

    def right_inverse(self, value: Tensor) -> Tensor:
        """The value itself: its own norm may be anything."""
        return value


def spectral_norm(module: Module, name: str = "weight", n_power_iterations: int = 1,
                  eps: float = 1e-12, dim: int | None = None) -> Module:  # fmt: skip
    """w / sigma(w), sigma the largest singular value of the weight as a matrix with `dim` first
    (None: 0, for transposed convolutions 1), found by power iteration.

    Each use in training takes n_power_iterations more iterations u = normalize(W v),
    v = normalize(W^T u) from where the last ended (buffers ``_u`` and ``_v`` of the function).
    Returns the module.

    Miyato et al., "Spectral normalization for generative adversarial networks" (2018).
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if dim is None:
        dim = 1 if type(module).__name__.startswith("ConvTranspose") else 0
    function = _SpectralNorm(weight, n_power_iterations, dim, eps)
    return parametrize.register_parametrization(module, name, function)
