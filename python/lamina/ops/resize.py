"""Images of other sizes: interpolation, pixels to channels and back."""

from __future__ import annotations

import math
import warnings

from .. import _core
from .._core import Tensor

__all__ = ["channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]
__functional__ = [
    *__all__, "interpolate", "upsample", "upsample_bilinear", "upsample_nearest",
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
        from . import pool, pool_volume

        pools = (pool.adaptive_avg_pool1d, pool.adaptive_avg_pool2d,
                 pool_volume.adaptive_avg_pool3d)  # fmt: skip
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
