"""Smaller forms of matrices and tensors: low-rank layers and the CP decomposition. PyTorch has
neither."""

from __future__ import annotations

from .. import linalg
from .._core import ShapeError, Tensor
from ..autograd import no_grad
from ..ops.einsum import einsum
from ..random import randn

__all__ = ["cp_decomposition", "cp_product", "low_rank_linear"]


def low_rank_linear(layer, rank: int):
    """A linear layer as two of rank k: W = U S V^T is cut to its k largest singular values, the
    best approximation of that rank (Eckart and Young, 1936).

    layer: a Linear. Returns Sequential(Linear(in, k) without bias, Linear(k, out)), with weights
    sqrt(S_k) V_k^T and U_k sqrt(S_k): k (in + out) numbers instead of in * out. Raises ValueError
    unless 1 <= rank <= min(in, out).
    """
    from ..nn import Linear, Sequential

    out, width = layer.weight.shape
    if not 1 <= rank <= min(out, width):
        raise ValueError(
            f"low_rank_linear: rank must be within 1 and {min(out, width)}, got {rank}"
        )
    dtype = layer.weight.dtype
    first = Linear(width, rank, bias=False, dtype=dtype)
    second = Linear(rank, out, bias=layer.bias is not None, dtype=dtype)
    with no_grad():
        u, s, vh = linalg.svd(layer.weight.detach(), full_matrices=False)
        root = s[:rank].sqrt()
        first.weight.copy_(root.unsqueeze(1) * vh[:rank])
        second.weight.copy_(u[:, :rank] * root)
        if layer.bias is not None:
            second.bias.copy_(layer.bias)
    return Sequential(first, second)


def _letters(n: int) -> str:
    return "abcdefghijklmnopq"[:n]


def cp_product(weights: Tensor, factors: list[Tensor]) -> Tensor:
    """sum over r of weights_r times the outer product of column r of every factor (n_i, R)."""
    names = _letters(len(factors))
    return einsum(",".join(["r", *(c + "r" for c in names)]) + "->" + names, weights, *factors)


def cp_decomposition(x: Tensor, rank: int, iterations: int = 100, tolerance: float = 1e-8,
                     restarts: int = 3) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
    """weights (R) and factors (n_i, R) with unit columns such that x is about `cp_product` of them:
    the CANDECOMP/PARAFAC decomposition of rank R, by alternating least squares.

    Each factor in turn is solved for with the others held. The result depends on the random start:
    the best of `restarts` is returned. Stops when the relative error changes by less than
    `tolerance`. Cost: 2 R numel(x) multiplications per factor and iteration. Raises ShapeError for
    fewer than 2 dimensions, ValueError unless rank > 0.

    Kolda and Bader, "Tensor decompositions and applications" (2009), section 3.4.
    """
    if x.dim() < 2:
        raise ShapeError(f"cp_decomposition: expected a tensor, got shape {tuple(x.shape)}")
    if rank < 1:
        raise ValueError(f"cp_decomposition: rank must be positive, got {rank}")
    best: tuple = ()
    with no_grad():
        for _ in range(restarts):
            found = _alternate(x.detach(), rank, iterations, tolerance)
            if not best or found[0] < best[0]:
                best = found
    return best[1], best[2]


def _alternate(x: Tensor, rank: int, iterations: int, tolerance: float):
    names, n = _letters(x.dim()), x.dim()
    factors = [randn(size, rank, dtype=x.dtype) for size in x.shape]
    norm = max(x.norm().item(), 1e-300)
    weights, error = x.new_ones(rank), float("inf")
    for _ in range(iterations):
        for i in range(n):
            others = [j for j in range(n) if j != i]
            gram = None
            for j in others:
                g = factors[j].t() @ factors[j]
                gram = g if gram is None else gram * g
            terms = ",".join([names, *(names[j] + "r" for j in others)])
            right = einsum(f"{terms}->{names[i]}r", x, *(factors[j] for j in others))
            factor = right @ linalg.pinv(gram)
            weights = factor.norm(dim=0)
            factors[i] = factor / weights.masked_fill(weights == 0, 1)
        before, error = error, (x - cp_product(weights, factors)).norm().item() / norm
        if abs(before - error) < tolerance:
            break
    return error, weights, factors
