"""Functions that convert images, and simple arithmetic on them."""

from __future__ import annotations

import lamina

from ._images import is_pillow, need_image

__all__ = [
    "convert_image_dtype", "erase", "normalize", "pil_to_tensor", "to_pil_image", "to_tensor",
]  # fmt: skip


def to_tensor(pic):
    """A tensor (C, H, W) of an image; uint8 becomes float32 in [0, 1], y = x / 255.

    Args:
        pic: a Pillow image, a NumPy array (or an object with ``__array_interface__``) (H, W) or
            (H, W, C), or a tensor (..., C, H, W), which keeps its layout. Other types than uint8
            keep their values and type.

    Raises TypeError for other objects, ValueError for arrays of other dimensions.
    """
    if is_pillow(pic):
        pic = pil_to_tensor(pic)
        pic = pic.to(lamina.uint8) * 255 if pic.dtype is lamina.bool else pic
    elif not isinstance(pic, lamina.Tensor):
        if not hasattr(pic, "__array_interface__"):
            raise TypeError(
                f"to_tensor: expected an array (H, W, C) or a tensor (C, H, W), got "
                f"{type(pic).__name__}"
            )
        pic = _planes("to_tensor", lamina.as_tensor(pic if hasattr(pic, "dtype") else _array(pic)))
    if pic.dtype is not lamina.uint8:
        return pic
    return pic.to(lamina.get_default_dtype()).div(255)


def _array(pic):
    import numpy

    return numpy.array(pic)


def _planes(name: str, x):
    """(C, H, W) of an image (H, W) or (H, W, C)."""
    if x.ndim not in (2, 3):
        raise ValueError(
            f"{name}: expected an array (H, W) or (H, W, C), got shape {tuple(x.shape)}"
        )
    return x.unsqueeze(0) if x.ndim == 2 else x.permute(2, 0, 1).contiguous()


def pil_to_tensor(pic):
    """A tensor (C, H, W) of a Pillow image, with its values as they are: uint8, bool for mode "1",
    int32 for "I" and "I;16", float32 for "F". Raises TypeError for other objects."""
    if not is_pillow(pic):
        raise TypeError(f"pil_to_tensor: expected a Pillow image, got {type(pic).__name__}")
    pixels = _array(pic)
    if pixels.dtype.name == "uint16":
        pixels = pixels.astype("int32")
    if pixels.dtype.name == "bool":
        pixels = pixels.astype("uint8") != 0  # Pillow's True is a byte of 255
    return _planes("pil_to_tensor", lamina.tensor(pixels))


# Pillow's modes of 1 to 4 channels of bytes, the usual one first.
_MODES = {1: ["L", "P", "1"], 2: ["LA"], 3: ["RGB", "YCbCr", "HSV", "LAB"],
          4: ["RGBA", "CMYK", "RGBX"]}  # fmt: skip


def to_pil_image(pic, mode=None):
    """A Pillow image of a tensor (H, W) or (C, H, W), or of a NumPy array (H, W) or (H, W, C).

    Args:
        pic: uint8, or floating point in [0, 1], which becomes bytes, trunc(255 x); of one channel
            also int32 (mode "I"), int16 ("I;16"), and with ``mode="F"`` float32 as it is.
        mode: Pillow's mode; None: "L", "LA", "RGB" or "RGBA" by the number of channels.

    Raises TypeError for other objects or dtypes, ValueError for other shapes or modes that do not
    fit. Needs the package Pillow.
    """
    try:
        from PIL import Image
    except ImportError:
        raise ImportError("to_pil_image: needs the package Pillow; pip install pillow") from None
    if isinstance(pic, lamina.Tensor):
        if pic.ndim not in (2, 3):
            raise ValueError(
                f"to_pil_image: expected an image (H, W) or (C, H, W), got shape {tuple(pic.shape)}"
            )
        x = pic.detach().unsqueeze(-1) if pic.ndim == 2 else pic.detach().permute(1, 2, 0)
    elif hasattr(pic, "__array_interface__") and hasattr(pic, "dtype"):
        x = _planes("to_pil_image", lamina.tensor(pic)).permute(1, 2, 0)
    else:
        raise TypeError(f"to_pil_image: expected a tensor or array, got {type(pic).__name__}")
    h, w, channels = (int(n) for n in x.shape)
    if isinstance(pic, lamina.Tensor) and x.dtype.is_floating_point and mode != "F":
        x = x.mul(255).to(lamina.uint8)
    if x.dtype is lamina.bool:
        x = x.to(lamina.uint8) * 255
    of_one = {lamina.int32: "I", lamina.int16: "I;16", lamina.float32: "F"}
    if x.dtype is lamina.uint8:
        modes = _MODES.get(channels, [])
    else:
        modes = [of_one[x.dtype]] if channels == 1 and x.dtype in of_one else []
    if not modes:
        raise TypeError(
            f"to_pil_image: Pillow has no images of {channels} channels of {x.dtype}; use 1 to 4 "
            "channels of uint8"
        )
    if mode is not None and mode not in modes:
        raise ValueError(
            f"to_pil_image: mode must be one of {modes} for {channels} channels of {x.dtype}, got "
            f"{mode!r}"
        )
    data = x.contiguous().numpy().tobytes()
    if mode == "1":
        return Image.frombytes("L", (w, h), data).convert("1")
    return Image.frombytes(mode or modes[0], (w, h), data)


def normalize(tensor, mean, std, inplace: bool = False):
    """y[..., c, i, j] = (x[..., c, i, j] - mean[c]) / std[c].

    Args:
        tensor: float (..., C, H, W).
        mean, std: one number, or one for each channel.
        inplace: write to `tensor` itself.

    Raises TypeError when the image is not floating point, ValueError when std has a zero or the
    numbers do not fit the channels.
    """
    need_image("normalize", tensor)
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


def erase(img, i: int, j: int, h: int, w: int, v, inplace: bool = False):
    """The image with the h x w pixels at (i, j) set to `v`, a number or a tensor."""
    need_image("erase", img)
    out = img if inplace else img.clone()
    out[..., i : i + h, j : j + w] = v
    return out


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
    need_image("convert_image_dtype", image)
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
