"""Weights under a condition, as functions for `parametrize`: `orthogonal`, `weight_norm`,
`spectral_norm`."""

from __future__ import annotations

import math

from ... import _core
from ..._core import Tensor
from ..._platform import finfo
from ...amp.autocast_mode import autocast
from ...autograd import no_grad
from ...ops.creation import eye, zeros_like
from ...ops.join import cat, stack
from ...ops.norm import normalize
from ..module import Module
from . import parametrize

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def norm_except(v: Tensor, dim: int) -> Tensor:
    """The Euclidean norm over all dimensions but `dim`, kept with size 1; over all for dim -1."""
    if dim == -1:
        return v.norm()
    others = [d for d in range(v.dim()) if d != dim]
    return v.norm(dim=others, keepdim=True) if others else v.abs()


def _positive_qr(A: Tensor) -> Tensor:
    """Q of A = Q R whose R has a positive diagonal."""
    from ... import linalg

    Q, R = linalg.qr(A, mode="complete")
    n = min(A.shape[-2:])
    signs = _core.where(R.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0).to(A.dtype)
    Q[..., :n] *= signs.unsqueeze(-2)
    return Q


def _reflectors(Q: Tensor) -> Tensor:
    """Q (n, k) with orthonormal columns as k reflections: their vectors below the diagonal, on it
    the signs of the columns (Golub and Van Loan, Matrix Computations, 2013, section 5.2)."""
    A = Q.clone()
    for j in range(A.shape[1]):
        first = A[j, j].item()
        beta = -math.copysign(A[j:, j].norm().item(), first)
        v = A[j:, j] / (first - beta)
        v[0] = 1
        scale = (beta - first) / beta
        rest = A[j:, j + 1 :]
        A[j:, j + 1 :] = rest - scale * v.unsqueeze(1) * (v @ rest)
        A[j:, j] = v
        A[j, j] = math.copysign(1.0, beta)
    return A


class _Orthogonal(Module):
    """Q with orthonormal columns (of wide matrices: rows) from any matrix of the same shape."""

    base: Tensor

    def __init__(self, weight: Tensor, orthogonal_map: str, use_trivialization: bool):
        super().__init__()
        self.shape, self.orthogonal_map = weight.shape, orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Tensor) -> Tensor:
        """The orthogonal matrix of X."""
        from ... import linalg

        n, k = X.shape[-2:]
        wide = n < k
        if wide:
            X, n, k = X.mT, k, n
        if self.orthogonal_map == "householder":
            A = X.tril(-1)
            scale = 2 / (1 + (A * A).sum(-2))
            Q = linalg.householder_product(A, scale)
            Q = Q * X.detach().diagonal(dim1=-2, dim2=-1).trunc().unsqueeze(-2)
        else:
            X = X.tril()
            if n != k:
                X = cat([X, X.new_zeros((*X.shape[:-1], n - k))], -1)
            A = X - X.mT
            if self.orthogonal_map == "matrix_exp":
                Q = linalg.matrix_exp(A)
            else:
                one = eye(n, dtype=A.dtype)
                Q = linalg.solve(one - A / 2, (one + A / 2).expand(A.shape))
            Q = Q[..., :k]
        if "base" in self._buffers:
            Q = self.base @ Q
        return Q.mT if wide else Q

    def right_inverse(self, Q: Tensor) -> Tensor:
        """A matrix whose orthogonal matrix is Q, or the nearest that the QR decomposition gives."""
        if Q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {tuple(self.shape)}. Got a "
                f"tensor of shape {tuple(Q.shape)}."
            )
        wide = Q.shape[-2] < Q.shape[-1]
        tall = (Q.mT if wide else Q).detach()
        n, k = tall.shape[-2:]
        with no_grad():
            if "base" not in self._buffers:
                if self.orthogonal_map != "householder":
                    raise NotImplementedError(
                        "It is not possible to assign to the matrix exponential or the Cayley "
                        "parametrizations when use_trivialization=False."
                    )
                columns = _positive_qr(tall)[..., :k] if not _is_orthonormal(tall) else tall
                batch = [_reflectors(q) for q in columns.reshape(-1, n, k)]
                A = stack(batch).reshape(tall.shape)
                return A.mT if wide else A
            whole = tall
            if n != k:
                draw = tall.new_empty((*tall.shape[:-1], n - k)).normal_(0, 1)
                whole = cat([tall, draw], -1)
            # with base = Q the trained matrix starts at -I, whose orthogonal matrix is I
            kept = n == k and _is_orthonormal(whole)
            self.base = whole.clone() if kept else _positive_qr(whole)
            start = zeros_like(Q)
            start.diagonal(dim1=-2, dim2=-1).fill_(-1)
            return start


def _is_orthonormal(Q: Tensor) -> bool:
    eps = 10 * Q.shape[-2] * finfo(Q.dtype).eps
    product = Q.mT @ Q
    return bool((product - eye(Q.shape[-1], dtype=Q.dtype)).abs().max().item() <= eps)


def orthogonal(module: Module, name: str = "weight", orthogonal_map: str | None = None, *,
               use_trivialization: bool = True) -> Module:  # fmt: skip
    """Keeps a weight orthogonal: Q^T Q = I (of wide matrices Q Q^T = I), whatever is trained.

    The weight (..., n, k) is computed from a parameter X of its shape, by `orthogonal_map`:
    "matrix_exp", exp(A) with the skew matrix A = L - L^T of X's lower triangle L; "cayley",
    (I - A / 2)^-1 (I + A / 2); or "householder", a product of k reflections by the columns of X.
    Default: "matrix_exp" for square weights, else "householder". With `use_trivialization` the
    result is multiplied by a fixed orthogonal matrix (buffer ``base``), from which training starts
    and to which an assignment to the weight moves.

    Raises ValueError for a weight of fewer than 2 dimensions or another map. Returns the module.

    Lezcano-Casado and Martinez-Rubio, "Cheap orthogonal constraints in neural networks" (2019);
    Lezcano-Casado, "Trivializations for gradient-based optimization on manifolds" (2019).
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.dim() < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.dim()} "
                         "dimensions.")  # fmt: skip
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(
            'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". '
            f"Got: {orthogonal_map}"
        )
    function = _Orthogonal(weight, orthogonal_map, use_trivialization)
    return parametrize.register_parametrization(module, name, function, unsafe=True)


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
                    draw = weight.new_empty((n,)).normal_(0, 1)
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
        """The weight over its largest singular value; in training u and v move first. Autocast
        regions do not concern it."""
        with autocast(weight.device.type, enabled=False):
            return self._divided(weight)

    def _divided(self, weight: Tensor) -> Tensor:
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
