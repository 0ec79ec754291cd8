"""Functions that move pixels: flips, crops, borders."""

from __future__ import annotations

import operator

import lamina

from ._images import get_dimensions, need_image, pillow_too

__all__ = ["center_crop", "crop", "five_crop", "hflip", "pad", "ten_crop", "vflip"]

MODES = ("constant", "edge", "reflect", "symmetric")


def pair(name: str, size) -> tuple[int, int]:
    """(height, width) from an int (a square) or a sequence of one or two ints."""
    values = [size] if not isinstance(size, (list, tuple)) else list(size)
    try:
        values = [operator.index(v) for v in values]
    except TypeError:
        raise TypeError(f"{name}: size must be an int or (height, width), got {size!r}") from None
    if len(values) not in (1, 2) or min(values) < 1:
        raise ValueError(f"{name}: size must be one or two positive ints, got {size!r}")
    return values[0], values[-1]


def sides(name: str, padding) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) from an int, (left and right, top and bottom), or all four."""
    values = [padding] if not isinstance(padding, (list, tuple)) else list(padding)
    try:
        values = [operator.index(v) for v in values]
    except TypeError:
        raise TypeError(f"{name}: padding must be ints, got {padding!r}") from None
    if len(values) not in (1, 2, 4):
        raise ValueError(f"{name}: padding must be 1, 2 or 4 ints, got {padding!r}")
    left, top, right, bottom = (values * 4)[:4] if len(values) != 4 else values
    return left, top, right, bottom


@pillow_too
def hflip(img):
    """The image mirrored left to right."""
    need_image("hflip", img)
    return img.flip(-1)


@pillow_too
def vflip(img):
    """The image upside down."""
    need_image("vflip", img)
    return img.flip(-2)


@pillow_too
def crop(img, top: int, left: int, height: int, width: int):
    """The window of height x width at (top, left); 0 outside the image."""
    need_image("crop", img)
    h, w = img.shape[-2:]
    inside = img[..., max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    right, bottom = max(left + width - max(w, left), 0), max(top + height - max(h, top), 0)
    border = [min(max(-left, 0), width), min(max(-top, 0), height), right, bottom]
    return pad(inside, border) if any(border) else inside


@pillow_too
def center_crop(img, output_size):
    """The window of `output_size` in the middle; 0 where it is larger than the image."""
    need_image("center_crop", img)
    h, w = pair("center_crop", output_size)
    top, left = middle(img.shape[-2], h), middle(img.shape[-1], w)
    return crop(img, top, left, h, w)


def middle(size: int, wanted: int) -> int:
    """Where a window of `wanted` pixels in the middle of `size` begins (torchvision's rounding)."""
    return int(round((size - wanted) / 2)) if wanted <= size else -((wanted - size) // 2)


def _sources(size: int, before: int, after: int, mode: str) -> list[int]:
    """Which row each row of a padded image is a copy of; -1 for none."""
    out = []
    for i in range(-before, size + after):
        if mode == "edge":
            i = min(max(i, 0), size - 1)
        elif mode == "symmetric":
            i %= 2 * size
            i = min(i, 2 * size - 1 - i)
        elif mode == "reflect":
            i = abs(i) if i < size else 2 * (size - 1) - i
        elif not 0 <= i < size:
            i = -1
        out.append(i)
    return out


@pillow_too
def pad(img, padding, fill=0, padding_mode: str = "constant"):
    """The image with a border.

    Args:
        img: (..., H, W).
        padding: int, (left and right, top and bottom), or (left, top, right, bottom). With mode
            "constant" negative numbers cut.
        fill: value of the border in mode "constant": a number, or one for each channel.
        padding_mode: "constant", "edge" (repeat the last pixel), "reflect" (mirror about the last
            pixel: b a | a b would be c b | a b c), "symmetric" (mirror with the last pixel
            repeated).

    Returns (..., H + top + bottom, W + left + right). Raises ValueError for an unknown mode, or for
    mirrored borders that are wider than the image allows.
    """
    need_image("pad", img)
    left, top, right, bottom = sides("pad", padding)
    h, w = img.shape[-2:]
    if padding_mode not in MODES:
        raise ValueError(f"pad: padding_mode must be one of {MODES}, got {padding_mode!r}")
    if padding_mode != "constant":
        if min(left, top, right, bottom) < 0:
            raise ValueError(
                f"pad: mode {padding_mode!r} needs non-negative padding, got {padding}"
            )
        limit = {"reflect": -1, "symmetric": 0}.get(padding_mode)
        if (
            min(h, w) == 0
            or limit is not None
            and (max(top, bottom) > h + limit or max(left, right) > w + limit)
        ):
            raise ValueError(
                f"pad: padding {padding} is too wide for mode {padding_mode!r} on an image of "
                f"{h} x {w}"
            )
        for dim, before, after, size in ((-2, top, bottom, h), (-1, left, right, w)):
            if before or after:
                rows = lamina.tensor(_sources(size, before, after, padding_mode))
                img = lamina.index_select(img, dim, rows)
        return img
    if h + top + bottom < 0 or w + left + right < 0:
        raise ValueError(f"pad: padding {padding} cuts more than the image of {h} x {w}")
    colours = list(fill) if isinstance(fill, (list, tuple)) else [fill]
    if len(colours) > 1 and (img.ndim < 3 or len(colours) != img.shape[-3]):
        raise ValueError(
            f"pad: fill has {len(colours)} values, but the image has shape {tuple(img.shape)}"
        )
    shape = (*img.shape[:-2], h + top + bottom, w + left + right)
    out = lamina.empty(shape, dtype=img.dtype)
    out[...] = (
        colours[0]
        if len(colours) == 1
        else lamina.tensor([float(c) for c in colours]).to(img.dtype).reshape(-1, 1, 1)
    )
    out[..., max(top, 0) : h + top + min(bottom, 0), max(left, 0) : w + left + min(right, 0)] = img[
        ..., max(-top, 0) : h + min(bottom, 0), max(-left, 0) : w + min(right, 0)
    ]
    return out


def five_crop(img, size):
    """The windows of `size` (int or (height, width)) at the top left, top right, bottom left and
    bottom right corner and in the middle. Raises ValueError when the image is smaller."""
    h, w = pair("five_crop", size)
    _, height, width = get_dimensions(img)
    if h > height or w > width:
        raise ValueError(f"five_crop: windows of {h} x {w} do not fit in {height} x {width}")
    corners = [(i, j) for i in (0, height - h) for j in (0, width - w)]
    return (*(crop(img, i, j, h, w) for i, j in corners), center_crop(img, [h, w]))


def ten_crop(img, size, vertical_flip: bool = False):
    """`five_crop` of the image and of its mirror image (upside down with `vertical_flip`)."""
    flipped = vflip(img) if vertical_flip else hflip(img)
    return five_crop(img, size) + five_crop(flipped, size)
