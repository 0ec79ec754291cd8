"""The functions of `functional` for Pillow images. Imported only when one comes along."""

from __future__ import annotations

import math

from PIL import Image, ImageEnhance, ImageOps

from . import _moves, _resampling, _values
from ._images import InterpolationMode, pillow_number


def by_tensor(function, img, *args, **kwargs):
    """What `function` of tensors (C, H, W) does, as an image of the same mode."""
    out = _values.to_pil_image(function(_values.pil_to_tensor(img), *args, **kwargs), img.mode)
    if img.mode == "P":
        out.putpalette(img.getpalette())
    return out


def hflip(img):
    """Mirrored left to right."""
    return img.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def vflip(img):
    """Upside down."""
    return img.transpose(Image.Transpose.FLIP_TOP_BOTTOM)


def crop(img, top, left, height, width):
    """The window; 0 outside the image."""
    return img.crop((left, top, left + width, top + height))


def center_crop(img, output_size):
    """The window in the middle."""
    h, w = _moves.pair("center_crop", output_size)
    top, left = _moves.middle(img.height, h), _moves.middle(img.width, w)
    return crop(img, top, left, h, w)


def pad(img, padding, fill=0, padding_mode="constant"):
    """With a border."""
    return by_tensor(_moves.pad, img, padding, fill, padding_mode)


def _colour(name, fill, img):
    """The fill as Pillow takes it."""
    channels = len(img.getbands())
    values = list(fill) if isinstance(fill, (list, tuple)) else [0 if fill is None else fill]
    if len(values) not in (1, channels):
        raise ValueError(
            f"{name}: fill must be a number or one for each of {channels} channels, got {fill}"
        )
    if img.mode not in ("F",):
        values = [int(v) for v in values]
    values = values * channels if len(values) == 1 else values
    return values[0] if channels == 1 else tuple(values)


def resize(img, size, interpolation=InterpolationMode.BILINEAR, max_size=None, antialias=True):
    """In another size."""
    h, w = _resampling.output_size("resize", img.height, img.width, size, max_size)
    return img if (w, h) == img.size else img.resize((w, h), pillow_number(interpolation))


def affine(img, angle, translate, scale, shear, interpolation=InterpolationMode.NEAREST, fill=None,
           center=None):  # fmt: skip
    """Sheared, scaled, turned, moved."""
    parts = _resampling.affine_arguments(angle, translate, scale, shear)
    middle = (img.width * 0.5, img.height * 0.5) if center is None else center
    matrix = _resampling.inverse_matrix(middle, *parts)
    return img.transform(
        img.size, Image.Transform.AFFINE, matrix, pillow_number(interpolation),
        fillcolor=_colour("affine", fill, img),
    )  # fmt: skip


def rotate(img, angle, interpolation=InterpolationMode.NEAREST, expand=False, center=None,
           fill=None):  # fmt: skip
    """Turned counter-clockwise."""
    return img.rotate(
        angle, pillow_number(interpolation), expand, center, fillcolor=_colour("rotate", fill, img)
    )


def perspective(img, startpoints, endpoints, interpolation=InterpolationMode.BILINEAR, fill=None):
    """Seen so that startpoints come to lie at endpoints."""
    numbers = _resampling.perspective_coefficients(startpoints, endpoints)
    return img.transform(
        img.size, Image.Transform.PERSPECTIVE, numbers, pillow_number(interpolation),
        fillcolor=_colour("perspective", fill, img),
    )  # fmt: skip


def elastic_transform(img, displacement, interpolation=InterpolationMode.BILINEAR, fill=None):
    """With every pixel from a place of its own."""
    return by_tensor(_resampling.elastic_transform, img, displacement, interpolation, fill)


def rgb_to_grayscale(img, num_output_channels=1):
    """In grey, of mode "L", or "RGB" with three channels."""
    if num_output_channels not in (1, 3):
        raise ValueError(
            f"rgb_to_grayscale: num_output_channels must be 1 or 3, got {num_output_channels}"
        )
    grey = img.convert("L")
    return grey if num_output_channels == 1 else Image.merge("RGB", [grey] * 3)


def _enhanced(name, kind, img, factor):
    if factor < 0:
        raise ValueError(f"{name}: the factor must not be negative, got {factor}")
    return kind(img).enhance(factor)


def adjust_brightness(img, brightness_factor):
    """Brighter or darker."""
    return _enhanced("adjust_brightness", ImageEnhance.Brightness, img, brightness_factor)


def adjust_contrast(img, contrast_factor):
    """With more or less contrast."""
    return _enhanced("adjust_contrast", ImageEnhance.Contrast, img, contrast_factor)


def adjust_saturation(img, saturation_factor):
    """More or less colourful."""
    return _enhanced("adjust_saturation", ImageEnhance.Color, img, saturation_factor)


def adjust_sharpness(img, sharpness_factor):
    """Sharper or smoother."""
    return _enhanced("adjust_sharpness", ImageEnhance.Sharpness, img, sharpness_factor)


def adjust_hue(img, hue_factor):
    """With the hue turned, in 256 steps."""
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"adjust_hue: hue_factor must be in [-0.5, 0.5], got {hue_factor}")
    if img.mode in ("L", "1", "I", "F"):
        return img
    hue, saturation, value = img.convert("HSV").split()
    turn = int(hue_factor * 255) % 256
    hue = hue.point([(v + turn) % 256 for v in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert(img.mode)


def adjust_gamma(img, gamma, gain=1):
    """gain * x^gamma."""
    if gamma < 0:
        raise ValueError(f"adjust_gamma: gamma must not be negative, got {gamma}")
    table = [(255 + 1 - 1e-3) * gain * math.pow(v / 255.0, gamma) for v in range(256)]
    mode = img.mode
    img = img.convert("RGB") if mode not in ("L", "RGB") else img
    return img.point([min(int(v), 255) for v in table] * len(img.getbands())).convert(mode)


def invert(img):
    """The negative."""
    return ImageOps.invert(img)


def posterize(img, bits):
    """Only the highest bits."""
    return ImageOps.posterize(img, bits)


def solarize(img, threshold):
    """Inverted where not below the threshold."""
    return ImageOps.solarize(img, threshold)


def autocontrast(img):
    """Stretched to the whole range."""
    return ImageOps.autocontrast(img)


def equalize(img):
    """With a flat histogram."""
    return ImageOps.equalize(img)


def gaussian_blur(img, kernel_size, sigma=None):
    """Blurred."""
    from ._colours import gaussian_blur as blur

    return by_tensor(blur, img, kernel_size, sigma)
