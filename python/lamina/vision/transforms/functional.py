"""Functions on images (..., C, H, W) that draw nothing, with torchvision's names."""

from __future__ import annotations

import operator

import lamina

MODES = ("constant", "edge", "reflect", "symmetric")


def _need_image(name: str, img) -> None:
    if not isinstance(img, lamina.Tensor):
        raise TypeError(
            f"{name}: expected an image tensor (..., H, W), got {type(img).__name__}; "
            "convert it with to_tensor"
        )
    if img.ndim < 2:
        raise ValueError(f"{name}: expected an image (..., H, W), got shape {tuple(img.shape)}")


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


def to_tensor(pic):
    """A tensor (C, H, W) of an image; uint8 becomes float32 in [0, 1], y = x / 255.

    Args:
        pic: a NumPy array (or an object with ``__array_interface__``, such as a PIL image) (H, W)
            or (H, W, C), or a tensor (..., C, H, W), which keeps its layout. Other types than uint8
            keep their values and type.

    Raises TypeError for other objects, ValueError for arrays of other dimensions.
    """
    if not isinstance(pic, lamina.Tensor):
        if not hasattr(pic, "__array_interface__"):
            raise TypeError(
                f"to_tensor: expected an array (H, W, C) or a tensor (C, H, W), got "
                f"{type(pic).__name__}"
            )
        pic = lamina.as_tensor(pic if hasattr(pic, "dtype") else _array(pic))
        if pic.ndim not in (2, 3):
            raise ValueError(
                f"to_tensor: expected an array (H, W) or (H, W, C), got shape {tuple(pic.shape)}"
            )
        pic = pic.unsqueeze(0) if pic.ndim == 2 else pic.permute(2, 0, 1).contiguous()
    if pic.dtype is not lamina.uint8:
        return pic
    return pic.to(lamina.get_default_dtype()).div(255)


def _array(pic):
    import numpy

    return numpy.array(pic)


def normalize(tensor, mean, std, inplace: bool = False):
    """y[..., c, i, j] = (x[..., c, i, j] - mean[c]) / std[c].

    Args:
        tensor: float (..., C, H, W).
        mean, std: one number, or one for each channel.
        inplace: write to `tensor` itself.

    Raises TypeError when the image is not floating point, ValueError when std has a zero or the
    numbers do not fit the channels.
    """
    _need_image("normalize", tensor)
    if not tensor.dtype.is_floating_point:
        raise TypeError(
            f"normalize: expected a floating-point image, got {tensor.dtype}; put ToTensor before"
        )
    if tensor.ndim < 3:
        raise ValueError(
            f"normalize: expected an image (..., C, H, W), got shape {tuple(tensor.shape)}"
        )
    mean, std = (lamina.as_tensor(v, dtype=tensor.dtype) for v in (mean, std))
    channels = tensor.shape[-3]
    for name, v in (("mean", mean), ("std", std)):
        if v.ndim > 1 or v.numel() not in (1, channels):
            raise ValueError(
                f"normalize: {name} has {v.numel()} values, but the image {tuple(tensor.shape)} "
                f"has {channels} channels"
            )
    if bool((std == 0).any()):
        raise ValueError(f"normalize: std must not be 0, got {std.tolist()}")
    mean, std = mean.reshape(-1, 1, 1), std.reshape(-1, 1, 1)
    return tensor.sub_(mean).div_(std) if inplace else tensor.sub(mean).div(std)


def hflip(img):
    """The image mirrored left to right."""
    _need_image("hflip", img)
    return img.flip(-1)


def vflip(img):
    """The image upside down."""
    _need_image("vflip", img)
    return img.flip(-2)


def crop(img, top: int, left: int, height: int, width: int):
    """The window of height x width at (top, left); 0 outside the image."""
    _need_image("crop", img)
    h, w = img.shape[-2:]
    inside = img[..., max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    right, bottom = max(left + width - max(w, left), 0), max(top + height - max(h, top), 0)
    border = [min(max(-left, 0), width), min(max(-top, 0), height), right, bottom]
    return pad(inside, border) if any(border) else inside


def center_crop(img, output_size):
    """The window of `output_size` in the middle; 0 where it is larger than the image."""
    _need_image("center_crop", img)
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
    _need_image("pad", img)
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


def erase(img, i: int, j: int, h: int, w: int, v, inplace: bool = False):
    """The image with the h x w pixels at (i, j) set to `v`, a number or a tensor."""
    _need_image("erase", img)
    out = img if inplace else img.clone()
    out[..., i : i + h, j : j + w] = v
    return out


def rgb_to_grayscale(img, num_output_channels: int = 1):
    """y = 0.2989 r + 0.587 g + 0.114 b (ITU-R BT.601), in the image's dtype.

    Args:
        img: (..., 3, H, W), or (..., 1, H, W), which is grey already.
        num_output_channels: 1, or 3 for three equal ones.
    """
    _need_image("rgb_to_grayscale", img)
    if img.ndim < 3 or img.shape[-3] not in (1, 3):
        raise ValueError(
            f"rgb_to_grayscale: expected an image of 1 or 3 channels, got shape {tuple(img.shape)}"
        )
    if num_output_channels not in (1, 3):
        raise ValueError(
            f"rgb_to_grayscale: num_output_channels must be 1 or 3, got {num_output_channels}"
        )
    if img.shape[-3] == 3:
        r, g, b = (img[..., c : c + 1, :, :] for c in range(3))
        grey = (0.2989 * r + 0.587 * g + 0.114 * b).to(img.dtype)
    else:
        grey = img
    return lamina.cat([grey] * 3, -3) if num_output_channels == 3 else grey


def _largest(dtype) -> int:
    """The largest value of an integer type."""
    if dtype is lamina.bool:
        return 1
    return (1 << (8 * dtype.itemsize - (1 if dtype.is_signed else 0))) - 1


def convert_image_dtype(image, dtype=lamina.float32):
    """The image in another dtype, with values scaled: integers run over their whole range (for
    signed ones the non-negative half), floating-point numbers over [0, 1].

    Raises RuntimeError for conversions that cannot be exact enough (float32 to int32 or int64,
    float64 to int64).
    """
    _need_image("convert_image_dtype", image)
    old = image.dtype
    if old is dtype or (old.is_floating_point and dtype.is_floating_point):
        return image.to(dtype)
    if dtype.is_floating_point:
        return image.to(dtype) / _largest(old)
    top = _largest(dtype)
    if old.is_floating_point:
        if (old is not lamina.float64 and dtype.itemsize >= 4) or dtype is lamina.int64:
            raise RuntimeError(
                f"convert_image_dtype: {old} has too few digits for {dtype}; use a smaller type"
            )
        return image.mul(top + 1.0 - 1e-3).to(dtype)
    old_top = _largest(old)
    if old_top > top:
        return image.div((old_top + 1) // (top + 1), rounding_mode="floor").to(dtype)
    return image.to(dtype) * ((top + 1) // (old_top + 1))
