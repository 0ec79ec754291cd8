"""What an image is: a tensor (..., C, H, W) or, when the optional package Pillow is there, one of
its images."""

from __future__ import annotations

import enum
import functools
import sys

import lamina


class InterpolationMode(enum.Enum):
    """How values between pixels are found. Tensors know NEAREST, NEAREST_EXACT, BILINEAR and
    BICUBIC; Pillow images know all but NEAREST_EXACT, which is their NEAREST."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


_PILLOW_NUMBERS = {
    InterpolationMode.NEAREST: 0, InterpolationMode.LANCZOS: 1, InterpolationMode.BILINEAR: 2,
    InterpolationMode.BICUBIC: 3, InterpolationMode.BOX: 4, InterpolationMode.HAMMING: 5,
    InterpolationMode.NEAREST_EXACT: 0,
}  # fmt: skip


def need_mode(name: str, interpolation, known=tuple(InterpolationMode)) -> InterpolationMode:
    """An InterpolationMode from itself, its value, or Pillow's number. Raises TypeError or
    ValueError for anything else."""
    if isinstance(interpolation, str):
        values = [m.value for m in InterpolationMode]
        if interpolation not in values:
            raise ValueError(
                f"{name}: interpolation must be one of {values}, got {interpolation!r}"
            )
        interpolation = InterpolationMode(interpolation)
    elif isinstance(interpolation, int):
        of_number = {number: m for m, number in reversed(_PILLOW_NUMBERS.items())}
        if interpolation not in of_number:
            raise ValueError(f"{name}: interpolation {interpolation} is none of Pillow's 0 to 5")
        interpolation = of_number[interpolation]
    if not isinstance(interpolation, InterpolationMode):
        raise TypeError(
            f"{name}: interpolation must be an InterpolationMode, got {interpolation!r}"
        )
    if interpolation not in known:
        raise ValueError(
            f"{name}: tensors know the interpolations {[m.value for m in known]}, got "
            f"{interpolation.value!r}"
        )
    return interpolation


def pillow_number(interpolation) -> int:
    """Pillow's number of an interpolation."""
    return _PILLOW_NUMBERS[need_mode("resize", interpolation)]


def is_pillow(img) -> bool:
    """Whether `img` is a Pillow image. Does not import Pillow."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(img, module.Image)


def pillow_too(function):
    """`function` of an image; for Pillow images the function of the same name in `_pillow`."""

    @functools.wraps(function)
    def choose(img, *args, **kwargs):
        if is_pillow(img):
            from . import _pillow

            return getattr(_pillow, function.__name__)(img, *args, **kwargs)
        return function(img, *args, **kwargs)

    return choose


def need_image(name: str, img, least: int = 2) -> None:
    """Raises TypeError unless `img` is a tensor, ValueError for fewer dimensions than `least`."""
    if not isinstance(img, lamina.Tensor):
        raise TypeError(
            f"{name}: expected an image tensor (..., H, W) or a Pillow image, got "
            f"{type(img).__name__}; convert it with to_tensor"
        )
    if img.ndim < least:
        form = "(..., H, W)" if least == 2 else "(..., C, H, W)"
        raise ValueError(f"{name}: expected an image {form}, got shape {tuple(img.shape)}")


def get_dimensions(img) -> list[int]:
    """[channels, height, width] of an image; a tensor (H, W) has one channel."""
    if is_pillow(img):
        return [len(img.getbands()), img.height, img.width]
    need_image("get_dimensions", img)
    return [1 if img.ndim == 2 else int(img.shape[-3]), *(int(n) for n in img.shape[-2:])]


def get_image_size(img) -> list[int]:
    """[width, height] of an image."""
    return get_dimensions(img)[:0:-1]


def get_image_num_channels(img) -> int:
    """How many channels an image has."""
    return get_dimensions(img)[0]
