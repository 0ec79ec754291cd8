"""Functions built from others: integrals, distances, histograms, traces."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from .._refuse import refused
from ._method import method, results, takes_tensors, under_autocast
from .creation import as_tensor, linspace

__all__ = [
    "_amp_foreach_non_finite_check_and_unscale_",
    "cdist", "cumulative_trapezoid", "fill", "frobenius_norm", "histogram", "symeig",
    "trace", "trapezoid", "trapz", "vander",
]  # fmt: skip
__functional__ = ["gumbel_softmax", "pdist"]

_Histogram = results("histogram", "hist", "bin_edges")


def _areas(name: str, y: Tensor, x, dx, dim: int) -> Tensor:
    """(y_i + y_i+1) / 2 times the width of each interval along `dim`."""
    n = y.shape[dim]
    left, right = y.narrow(dim, 0, max(n - 1, 0)), y.narrow(dim, min(1, n), max(n - 1, 0))
    if x is not None:
        shape = [1] * y.dim()
        if x.dim() == 1:
            if len(x) != n:
                raise RuntimeError(f"{name}: {len(x)} points x for {n} values y")
            shape[dim] = n
            x = x.view(shape)
        dx = x.diff(dim=dim)
    return (left + right) * dx / 2


@method
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx=1.0, dim=-1) -> Tensor:
    """The integral of `y` along `dim` by the trapezoidal rule, at points `x` (of y's shape, or 1-D)
    or with steps `dx`.

    Raises RuntimeError for another number of points.
    """
    n = y.shape[dim]
    if x is not None or n < 2:
        return _areas("trapezoid", y, x, dx, dim).sum(dim)
    ends = (y.select(dim, 0) + y.select(dim, -1)) * 0.5
    return (y.narrow(dim, 1, n - 2).sum(dim) + ends) * dx


trapz = trapezoid


def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx=1.0, dim=-1) -> Tensor:
    """`trapezoid` up to every point but the first."""
    return _areas("cumulative_trapezoid", y, x, dx, dim).cumsum(dim)


_CDIST_MODES = (
    "use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist",
)  # fmt: skip


@takes_tensors
@under_autocast("float32", "float32")
def cdist(x1: Tensor, x2: Tensor, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    """Distances of rows: (..., N, D) and (..., M, D) give (..., N, M), the p-norm of each
    difference. compute_mode, of p = 2: "use_mm_for_euclid_dist" takes |x|^2 + |y|^2 - 2 x.y, which
    needs no (N, M, D) tensor but loses distances that are small beside the rows;
    "use_mm_for_euclid_dist_if_necessary" does so where N or M is above 25.

    Raises ShapeError when the sizes D differ.
    """
    if x1.dim() < 2 or x2.dim() < 2 or x1.shape[-1] != x2.shape[-1]:
        raise _core.ShapeError(
            f"cdist: expected (..., N, D) and (..., M, D), got {tuple(x1.shape)} and "
            f"{tuple(x2.shape)}"
        )
    if p < 0:
        raise _core.ArgumentError(f"cdist: p must not be negative, got {p}")
    if compute_mode not in _CDIST_MODES:
        raise _core.ArgumentError(
            f"cdist: compute_mode must be one of {_CDIST_MODES}, got {compute_mode!r}"
        )
    large = max(x1.shape[-2], x2.shape[-2]) > 25 or compute_mode == _CDIST_MODES[1]
    if p == 2 and large and compute_mode != _CDIST_MODES[2]:
        squares = x1.square().sum(-1, True) + x2.square().sum(-1).unsqueeze(-2)
        squares = squares - 2 * (x1 @ x2.mT)
        if not (_core.grad_enabled() and squares.requires_grad):
            return squares.clamp_min(0).sqrt()
        none = squares <= 0  # distance 0, gradient 0
        return squares.masked_fill(none, 1).sqrt().masked_fill(none, 0)
    return _norm_of_rows(x1.unsqueeze(-2) - x2.unsqueeze(-3), p)


@under_autocast(cuda="float32")
def pdist(input: Tensor, p=2.0) -> Tensor:
    """The distances of all pairs of rows of (N, D), in the order of the upper triangle."""
    from .. import triu_indices

    if input.dim() != 2:
        raise _core.ShapeError(f"pdist: expected (N, D), got shape {tuple(input.shape)}")
    rows, columns = triu_indices(len(input), len(input), 1, device=input.device)
    return _norm_of_rows(input.index_select(0, rows) - input.index_select(0, columns), p)


def _norm_of_rows(x: Tensor, p) -> Tensor:
    """The p-norms of rows; of rows of no elements 0, the largest number's too."""
    return x.norm(p, -1) if x.shape[-1] else x.sum(-1)


@method
@takes_tensors
@under_autocast("float32", "widest")
def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal."""
    if input.dim() != 2:
        raise _core.ShapeError(f"trace: expected a matrix, got shape {tuple(input.shape)}")
    return input.diagonal().sum()


@method
def histogram(input: Tensor, bins=100, *, range=None, weight=None, density=False, out=None):
    """(hist, bin_edges): how many elements (or how much `weight`) lie in each bin.

    bins: how many equal ones over `range` (default: least to largest), or rising edges. The last
    bin holds its right edge too; with density the integral is 1. Floating inputs only.
    """
    x = input.detach().reshape(-1)
    if isinstance(bins, int):
        if range is None:
            range = (float(x.min()), float(x.max())) if len(x) else (0.0, 1.0)
        low, high = range
        if low == high:
            low, high = low - 0.5, high + 0.5
        edges = linspace(low, high, bins + 1, dtype=input.dtype, device=input.device)
    else:
        edges = as_tensor(bins)
    places = edges.searchsorted(x, right=True) - 1
    count = len(edges) - 1
    inside = (x >= edges[0]) & (x <= edges[-1])
    w = x.new_ones(len(x)) if weight is None else weight.detach().reshape(-1).to(x.dtype)
    hist = x.new_zeros(count)
    hist = hist.index_add(0, places[inside].clamp(0, count - 1), w[inside])
    if density:
        hist = hist / (hist.sum() * edges.diff())
    return _Histogram(hist, edges)


def fill(input: Tensor, value) -> Tensor:
    """A tensor of input's shape and dtype filled with `value`."""
    return input.clone().fill_(value)


def vander(x: Tensor, N=None, increasing=False) -> Tensor:
    """The matrix of powers x_i^(N - 1 - j) (with increasing, x_i^j); N columns, by default len(x).

    Raises ShapeError for an input that is not 1-D.
    """
    if x.dim() != 1:
        raise _core.ShapeError(f"vander: expected a 1-D tensor, got shape {tuple(x.shape)}")
    from .creation import arange

    powers = arange(len(x) if N is None else N, device=x.device)
    return x.unsqueeze(1) ** (powers if increasing else powers.flip(0))


def frobenius_norm(input: Tensor, dim=(), keepdim=False) -> Tensor:
    """The root of the sum of squares over `dim` (default: all)."""
    return input.norm(2, None if dim == () else dim, keepdim)


def gumbel_softmax(logits: Tensor, tau=1, hard=False, eps=1e-10, dim=-1) -> Tensor:
    """softmax((logits + G) / tau) with standard Gumbel noise G = -log(-log(u)) (Jang, Gu and Poole,
    "Categorical reparameterization with Gumbel-softmax", 2017).

    With `hard` the result is one-hot, and gradients are those of the soft one.
    """
    noise = -logits.new_empty(tuple(logits.shape)).exponential_().log()
    soft = ((logits + noise) / tau).softmax(dim)
    if not hard:
        return soft
    index = soft.detach().argmax(dim, keepdim=True)
    one_hot = soft.new_zeros(soft.shape).scatter(dim, index, 1.0)
    return one_hot - soft.detach() + soft


def _amp_foreach_non_finite_check_and_unscale_(grads, found_inf: Tensor, inv_scale: Tensor) -> None:
    """Multiplies gradients by `inv_scale` in place; `found_inf` becomes 1 when one is not
    finite."""
    for g in grads:
        if not bool(g.isfinite().all()):
            found_inf.fill_(1.0)
        g.mul_(inv_scale.item())


symeig = refused("symeig", "PyTorch removed it too; use linalg.eigh")
