"""Images of other sizes: interpolation, pixels to channels and back, sampling at given points."""

from __future__ import annotations

import math
import warnings

from .. import _core
from .._core import Tensor

__all__ = ["channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]
__functional__ = [
    *__all__, "affine_grid", "grid_sample", "interpolate", "upsample", "upsample_bilinear",
    "upsample_nearest",
]  # fmt: skip

_MODES = ("nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear", "area")
_DIMS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}


def _per_dim(value, n: int, name: str) -> list:
    """`value` for each of n dimensions."""
    values = list(value) if isinstance(value, (tuple, list)) else [value] * n
    if len(values) != n:
        raise _core.ArgumentError(
            f"interpolate: {name} must be one number or {n} for an input of {n + 2} dimensions, "
            f"got {value}"
        )
    return values


def interpolate(
    input: Tensor, size=None, scale_factor=None, mode="nearest", align_corners=None,
    recompute_scale_factor=None, antialias=False,
) -> Tensor:  # fmt: skip
    """Resizes the last one, two or three dimensions of an input (N, C, ...).

    Output element i lies at input coordinate ``(i + 0.5) * scale - 0.5`` (with `align_corners`,
    ``i * (n - 1) / (size - 1)``), scale = n / size, or 1 / scale_factor. "nearest" takes element
    floor(i * scale), "nearest-exact" floor((i + 0.5) * scale); "linear", "bilinear" and
    "trilinear" blend two neighbours per dimension, "bicubic" four (Keys, 1981, a = -0.75); "area"
    means over the covered elements (`adaptive_avg_pool2d`).

    Args:
        size: output size, one number or one per dimension; or
        scale_factor: what to multiply the sizes by, rounded down.
        align_corners: only for the blending modes.
        recompute_scale_factor: take the scale from the rounded sizes, not from `scale_factor`.
        antialias: "bilinear" and "bicubic" only: widen the kernel when the image shrinks.

    Raises ValueError for arguments that do not go together, NotImplementedError for a mode of
    another number of dimensions, DTypeError for integers.
    """
    n = input.dim() - 2
    if mode not in _MODES:
        raise NotImplementedError(f"interpolate: mode must be one of {_MODES}, got {mode!r}")
    if n not in (1, 2, 3) or _DIMS.get(mode, n) != n:
        raise NotImplementedError(
            f"interpolate: mode {mode!r} does not fit an input of {input.dim()} dimensions; "
            "'linear' takes 3, 'bilinear' and 'bicubic' 4, 'trilinear' 5, the others each of them"
        )
    if mode in _DIMS:
        align_corners = bool(align_corners)
    elif align_corners is not None:
        raise _core.ArgumentError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear "
            "| bicubic | trilinear"
        )
    if (size is None) == (scale_factor is None):
        raise _core.ArgumentError("interpolate: give either size or scale_factor")
    if antialias and not (mode in ("bilinear", "bicubic") and n == 2):
        raise _core.ArgumentError("interpolate: antialias needs mode 'bilinear' or 'bicubic'")
    sizes = input.shape[2:]
    factors = [0.0] * n
    if size is not None:
        if recompute_scale_factor:
            raise _core.ArgumentError(
                "recompute_scale_factor is not meaningful with an explicit size."
            )
        outputs = [int(s) for s in _per_dim(size, n, "size")]
    else:
        given = [float(f) for f in _per_dim(scale_factor, n, "scale_factor")]
        outputs = [math.floor(s * f) for s, f in zip(sizes, given)]
        if not recompute_scale_factor:
            factors = [1.0 / f for f in given]
    if mode == "area":
        from . import pool

        pools = (pool.adaptive_avg_pool1d, pool.adaptive_avg_pool2d)
        if n == 3:
            raise NotImplementedError("interpolate: mode 'area' takes 3 or 4 dimensions")
        return pools[n - 1](input, outputs)
    kind = mode if mode.startswith("nearest") else "cubic" if mode == "bicubic" else "linear"
    kind += "-aa" if antialias else ""
    result = input
    for d in reversed(range(n)):
        if outputs[d] != sizes[d] or factors[d] not in (0.0, 1.0):
            result = _core.resample(
                result, d + 2, outputs[d], kind, factors[d], bool(align_corners)
            )
    return result.clone() if result is input else result


def upsample(input: Tensor, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """The older name of `interpolate`; warns."""
    warnings.warn(
        "`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size=None, scale_factor=None) -> Tensor:
    """`interpolate` with mode "nearest"; warns."""
    warnings.warn(
        "`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Tensor, size=None, scale_factor=None) -> Tensor:
    """`interpolate` with mode "bilinear" and aligned corners; warns."""
    warnings.warn(
        "`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, "bilinear", True)


# ---- pixels and channels -----------------------------------------------------------------------
def _check_image(name: str, input: Tensor) -> tuple:
    if input.dim() < 3:
        raise RuntimeError(
            f"{name}: expected an input of at least 3 dimensions (..., C, H, W), got shape "
            f"{tuple(input.shape)}"
        )
    return tuple(input.shape[:-3]), *input.shape[-3:]


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(..., C r^2, H, W) to (..., C, H r, W r): y[c, h r + i, w r + j] = x[c r^2 + i r + j, h, w]
    (Shi et al., "Real-time single image and video super-resolution", 2016).

    Raises RuntimeError when the channels are not divisible by r^2.
    """
    r = upscale_factor
    batch, c, h, w = _check_image("pixel_shuffle", input)
    if r <= 0 or c % (r * r):
        raise RuntimeError(
            f"pixel_shuffle: {c} channels are not divisible by upscale_factor^2 = {r * r}"
        )
    n = len(batch)
    x = input.reshape(*batch, c // (r * r), r, r, h, w)
    x = x.permute(*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return x.reshape(*batch, c // (r * r), h * r, w * r)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(..., C, H r, W r) to (..., C r^2, H, W): the inverse of `pixel_shuffle`.

    Raises RuntimeError when a size is not divisible by r.
    """
    r = downscale_factor
    batch, c, h, w = _check_image("pixel_unshuffle", input)
    if r <= 0 or h % r or w % r:
        raise RuntimeError(
            f"pixel_unshuffle: sizes {h} x {w} are not divisible by downscale_factor {r}"
        )
    n = len(batch)
    x = input.reshape(*batch, c, h // r, r, w // r, r)
    x = x.permute(*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return x.reshape(*batch, c * r * r, h // r, w // r)


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """(N, C, ...) with channels (g, C / g) regrouped as (C / g, g) (Zhang et al., ShuffleNet,
    2018).

    Raises RuntimeError when the channels are not divisible by `groups`.
    """
    if input.dim() < 3 or groups <= 0 or input.shape[1] % groups:
        raise RuntimeError(
            f"channel_shuffle: shape {tuple(input.shape)} needs 3 dimensions or more and channels "
            f"divisible by groups={groups}"
        )
    n, c, *rest = input.shape
    return input.reshape(n, groups, c // groups, *rest).transpose(1, 2).reshape(n, c, *rest)


# ---- sampling at given points ------------------------------------------------------------------
def affine_grid(theta: Tensor, size, align_corners=None) -> Tensor:
    """Points of an affine map: theta (N, 2, 3) and size (N, C, H, W) -> (N, H, W, 2), (x, y) in
    [-1, 1] (Jaderberg et al., "Spatial transformer networks", 2015).

    With `align_corners` -1 and 1 are the centres of the end pixels, else their edges. Raises
    ValueError for other shapes.
    """
    from .creation import linspace, ones
    from .join import stack

    n, _, h, w = size
    if theta.dim() != 3 or tuple(theta.shape) != (n, 2, 3):
        raise _core.ArgumentError(
            f"affine_grid: expected theta of shape ({n}, 2, 3), got {tuple(theta.shape)}"
        )

    def points(count):
        if count <= 1:
            return theta.new_zeros(count)
        p = linspace(-1, 1, count, dtype=theta.dtype)
        return p if align_corners else p * ((count - 1) / count)

    x, y = points(w).view(1, w).expand(h, w), points(h).view(h, 1).expand(h, w)
    base = stack((x, y, ones(h, w, dtype=theta.dtype)), -1).view(1, h * w, 3)
    return (base @ theta.transpose(1, 2)).view(n, h, w, 2)


def _reflect(x: Tensor, low: float, high: float) -> Tensor:
    """x folded back into [low, high] / 2 at its ends."""
    if low == high:
        return x * 0
    span = (high - low) / 2
    x = (x - low / 2).abs()
    extra, flips = x.remainder(span), (x / span).floor()
    return extra.where(flips.remainder(2) == 0, span - extra) + low / 2


def grid_sample(
    input: Tensor, grid: Tensor, mode="bilinear", padding_mode="zeros", align_corners=None
) -> Tensor:
    """y[n, c, i, j] = input[n, c] at the point (x, y) = grid[n, i, j] of [-1, 1]^2.

    input (N, C, H, W), grid (N, H', W', 2) -> (N, C, H', W'). mode: "bilinear" or "nearest";
    padding_mode: what lies outside, "zeros", "border" or "reflection". Gradients flow to both.

    Raises ValueError for other modes or shapes.
    """
    if mode not in ("bilinear", "nearest"):
        raise _core.ArgumentError(
            f"grid_sample: expected mode 'bilinear' or 'nearest', got {mode!r}"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise _core.ArgumentError(
            "grid_sample: expected padding_mode 'zeros', 'border' or 'reflection', got "
            f"{padding_mode!r}"
        )
    if input.dim() != 4 or grid.dim() != 4 or grid.shape[-1] != 2 or len(input) != len(grid):
        raise _core.ArgumentError(
            "grid_sample: expected input (N, C, H, W) and grid (N, H', W', 2), got "
            f"{tuple(input.shape)} and {tuple(grid.shape)}"
        )
    n, c, h, w = input.shape
    places = []
    for axis, size in ((0, w), (1, h)):
        at = grid[..., axis]
        at = (at + 1) / 2 * (size - 1) if align_corners else ((at + 1) * size - 1) / 2
        if padding_mode == "reflection":
            ends = (0, 2 * (size - 1)) if align_corners else (-1, 2 * size - 1)
            at = _reflect(at, *ends)
        if padding_mode != "zeros":
            at = at.clamp(0, size - 1)
        places.append(at)
    flat = input.reshape(n, c, h * w)

    def pick(x, y):
        """input at whole positions, and 0 outside."""
        inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
        index = (y.clamp(0, h - 1) * w + x.clamp(0, w - 1)).long().view(n, 1, -1)
        values = flat.gather(2, index.expand(n, c, index.shape[2])).view(n, c, *x.shape[1:])
        return values * inside.to(input.dtype).unsqueeze(1)

    x, y = places
    if mode == "nearest":
        return pick(x.detach().round(), y.detach().round())
    x0, y0 = x.detach().floor(), y.detach().floor()
    right, below = (x - x0).unsqueeze(1), (y - y0).unsqueeze(1)
    upper = pick(x0, y0) * (1 - right) + pick(x0 + 1, y0) * right
    lower = pick(x0, y0 + 1) * (1 - right) + pick(x0 + 1, y0 + 1) * right
    return upper * (1 - below) + lower * below
