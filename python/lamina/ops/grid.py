"""Sampling at given points of images and volumes (Jaderberg et al., "Spatial transformer networks",
NeurIPS 2015)."""

from __future__ import annotations

from .. import _core
from .._core import Tensor

__all__: list[str] = []
__functional__ = ["affine_grid", "grid_sample"]


def affine_grid(theta: Tensor, size, align_corners=None) -> Tensor:
    """Points of an affine map: theta (N, 2, 3) and size (N, C, H, W) -> (N, H, W, 2), (x, y) in
    [-1, 1]; theta (N, 3, 4) and size (N, C, D, H, W) -> (N, D, H, W, 3), (x, y, z).

    With `align_corners` -1 and 1 are the centres of the end pixels, else their edges. Raises
    ValueError for other shapes.
    """
    from .creation import linspace
    from .join import stack

    n, _, *sizes = size
    nd = len(sizes)
    if nd not in (2, 3) or tuple(theta.shape) != (n, nd, nd + 1):
        raise ValueError(
            f"affine_grid: expected theta of shape ({n}, 2, 3) for a size (N, C, H, W) or "
            f"({n}, 3, 4) for (N, C, D, H, W), got {tuple(theta.shape)} and size {tuple(size)}"
        )

    def points(count):
        if count <= 1:
            return theta.new_zeros(count)
        p = linspace(-1, 1, count, dtype=theta.dtype, device=theta.device)
        return p if align_corners else p * ((count - 1) / count)

    axes = []
    for d in reversed(range(nd)):  # x first
        shape = [1] * nd
        shape[d] = sizes[d]
        axes.append(points(sizes[d]).view(*shape).expand(*sizes))
    base = stack((*axes, theta.new_ones(sizes)), -1).view(1, -1, nd + 1)
    return (base @ theta.transpose(1, 2)).view(n, *sizes, nd)


def _reflect(x: Tensor, low: float, high: float) -> Tensor:
    """x folded back into [low, high] / 2 at its ends."""
    if low == high:
        return x * 0
    span = (high - low) / 2
    x = (x - low / 2).abs()
    extra, flips = x.remainder(span), (x / span).floor()
    return extra.where(flips.remainder(2) == 0, span - extra) + low / 2


def _inside(at: Tensor, size: int, padding_mode: str, align_corners) -> Tensor:
    """Positions brought into the image, for the modes that do."""
    if padding_mode == "reflection":
        at = _reflect(at, *((0, 2 * (size - 1)) if align_corners else (-1, 2 * size - 1)))
    return at if padding_mode == "zeros" else at.clamp(0, size - 1)


def _keys(x: Tensor) -> tuple:
    """Weights of the four neighbours of a point x in [0, 1) past the second (Keys, 1981)."""
    a = -0.75

    def far(t):
        return ((t - 5) * t + 8) * t * a - 4 * a

    def near(t):
        return ((a + 2) * t - (a + 3)) * t * t + 1

    return far(x + 1), near(x), near(1 - x), far(2 - x)


def grid_sample(
    input: Tensor, grid: Tensor, mode="bilinear", padding_mode="zeros", align_corners=None
) -> Tensor:
    """y[n, c, i, j] = input[n, c] at the point (x, y) = grid[n, i, j] of [-1, 1]^2.

    input (N, C, H, W), grid (N, H', W', 2) -> (N, C, H', W'); or input (N, C, D, H, W), grid
    (N, D', H', W', 3) of points (x, y, z) -> (N, C, D', H', W'). mode: "bilinear" (of volumes:
    trilinear), "nearest" or, of images, "bicubic"; padding_mode: what lies outside, "zeros",
    "border" or "reflection". Gradients flow to both; second derivatives only with "bicubic".

    Raises ValueError for other modes or shapes.
    """
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(
            f"grid_sample: expected mode 'bilinear', 'nearest' or 'bicubic', got {mode!r}"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            "grid_sample: expected padding_mode 'zeros', 'border' or 'reflection', got "
            f"{padding_mode!r}"
        )
    nd = input.dim() - 2
    if (
        nd not in (2, 3) or grid.dim() != nd + 2 or grid.shape[-1] != nd
        or len(input) != len(grid)
    ):  # fmt: skip
        raise ValueError(
            "grid_sample: expected input (N, C, H, W) and grid (N, H', W', 2), or input "
            "(N, C, D, H, W) and grid (N, D', H', W', 3), got "
            f"{tuple(input.shape)} and {tuple(grid.shape)}"
        )
    if mode == "bicubic" and nd == 3:
        raise ValueError("grid_sample: mode 'bicubic' takes images (N, C, H, W) only")
    if mode != "bicubic":
        return _core.grid_sample(input, grid, mode, padding_mode, bool(align_corners))
    n, c, h, w = input.shape
    flat, places = input.reshape(n, c, h * w), []
    for at, size in ((grid[..., 1], h), (grid[..., 0], w)):
        places.append((at + 1) / 2 * (size - 1) if align_corners else ((at + 1) * size - 1) / 2)

    def pick(y, x):
        """input at whole positions, and 0 outside."""
        y, x = (_inside(p, size, padding_mode, align_corners) for p, size in ((y, h), (x, w)))
        inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
        index = (
            (y.clamp(0, h - 1) * w + x.clamp(0, w - 1)).long().view(n, 1, x.shape[1] * x.shape[2])
        )
        values = flat.gather(2, index.expand(n, c, index.shape[2])).view(n, c, *x.shape[1:])
        return values * inside.to(input.dtype).unsqueeze(1)

    first = [p.detach().floor() for p in places]
    rows, columns = (_keys((p - f).unsqueeze(1)) for p, f in zip(places, first))
    terms = [
        pick(first[0] + i - 1, first[1] + j - 1) * (row * column)
        for i, row in enumerate(rows) for j, column in enumerate(columns)
    ]  # fmt: skip
    return sum(terms[1:], terms[0])
