"""Random chains of simple changes.

Sources: E. Cubuk, B. Zoph, J. Shlens, Q. Le, "RandAugment: Practical automated data augmentation
with a reduced search space", NeurIPS 2020; S. Mueller, F. Hutter, "TrivialAugment: Tuning-free
Yet State-of-the-Art Data Augmentation", ICCV 2021.
"""

from __future__ import annotations

import math

from . import functional
from ._images import InterpolationMode, need_mode
from .resampling import PerImage


def change(img, name: str, magnitude: float, interpolation, fill):
    """`img` after the change `name`. Magnitudes: a shear's tangent, pixels of a move, degrees, what
    is added to a factor of 1, bits, or a threshold."""
    still = {"translate": [0, 0], "scale": 1.0, "interpolation": interpolation, "fill": fill}
    if name in ("ShearX", "ShearY"):
        degrees = math.degrees(math.atan(magnitude))
        shear = [degrees, 0.0] if name == "ShearX" else [0.0, degrees]
        return functional.affine(img, angle=0.0, shear=shear, center=[0, 0], **still)
    if name in ("TranslateX", "TranslateY"):
        pixels = int(magnitude)
        still["translate"] = [pixels, 0] if name == "TranslateX" else [0, pixels]
        return functional.affine(img, angle=0.0, shear=[0.0, 0.0], **still)
    if name == "Rotate":
        return functional.rotate(img, magnitude, interpolation=interpolation, fill=fill)
    if name in ("Brightness", "Color", "Contrast", "Sharpness"):
        kind = "saturation" if name == "Color" else name.lower()
        return getattr(functional, f"adjust_{kind}")(img, 1.0 + magnitude)
    if name == "Posterize":
        return functional.posterize(img, int(magnitude))
    if name == "Solarize":
        return functional.solarize(img, magnitude)
    return img if name == "Identity" else getattr(functional, name.lower())(img)


class _Augment(PerImage):
    """Draws changes and applies them."""

    bins: int
    interpolation: InterpolationMode
    fill: object

    def space(self, h: int, w: int) -> dict:
        """Of each change the magnitude at a place in [0, 1], None if it has none, and whether the
        sign is drawn."""
        raise NotImplementedError(type(self).__name__)

    def pick(self, h: int, w: int, u: float, place: float, sign: float):
        """(name, magnitude) of a change."""
        space = self.space(h, w)
        name = list(space)[int(u * len(space))]
        magnitude, signed = space[name]
        value = magnitude(place) if magnitude else 0.0
        return name, -value if signed and sign < 0.5 else value

    def one(self, img, arguments):
        for name, magnitude in arguments:
            img = change(img, name, magnitude, self.interpolation, self.fill)
        return img


def _linear(top: float):
    return lambda place: top * place


def _space(shear, moves, degrees, factor, fewest_bits) -> dict:
    return {
        "Identity": (None, False),
        "ShearX": (_linear(shear), True), "ShearY": (_linear(shear), True),
        "TranslateX": (_linear(moves[0]), True), "TranslateY": (_linear(moves[1]), True),
        "Rotate": (_linear(degrees), True),
        "Brightness": (_linear(factor), True), "Color": (_linear(factor), True),
        "Contrast": (_linear(factor), True), "Sharpness": (_linear(factor), True),
        "Posterize": (lambda place: 8 - round(place * (8 - fewest_bits)), False),
        "Solarize": (lambda place: 255.0 * (1 - place), False),
        "AutoContrast": (None, False), "Equalize": (None, False),
    }  # fmt: skip


def _need_bins(name: str, bins: int) -> int:
    if bins < 2:
        raise ValueError(f"{name}: num_magnitude_bins must be at least 2, got {bins}")
    return bins


class RandAugment(_Augment):
    """`num_ops` changes one after another, each drawn from fourteen, all of one strength.

    Args:
        num_ops: how many.
        magnitude: strength, 0 to num_magnitude_bins - 1.
        num_magnitude_bins: how many strengths there are.
        interpolation, fill: as `functional.affine`.

    Images are uint8 tensors (1 or 3 channels) or Pillow images. Raises ValueError for a magnitude
    outside its range.
    """

    def __init__(self, num_ops: int = 2, magnitude: int = 9, num_magnitude_bins: int = 31,
                 interpolation=InterpolationMode.NEAREST, fill=None):  # fmt: skip
        self.num_ops, self.magnitude = num_ops, magnitude
        self.num_magnitude_bins = self.bins = _need_bins("RandAugment", num_magnitude_bins)
        if not 0 <= magnitude < num_magnitude_bins:
            raise ValueError(
                f"RandAugment: magnitude must be 0 to {num_magnitude_bins - 1}, got {magnitude}"
            )
        self.interpolation, self.fill = need_mode("RandAugment", interpolation), fill
        self.count = 2 * num_ops

    def space(self, h, w):
        return _space(0.3, (150.0 / 331.0 * w, 150.0 / 331.0 * h), 30.0, 0.9, 4)

    def arguments(self, row, h, w):
        place = self.magnitude / (self.bins - 1)
        return [self.pick(h, w, u, place, sign) for u, sign in zip(row[::2], row[1::2])]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(num_ops={self.num_ops}, magnitude={self.magnitude}, "
            f"num_magnitude_bins={self.bins}, interpolation={self.interpolation}, fill={self.fill})"
        )


class TrivialAugmentWide(_Augment):
    """One change drawn from fourteen, of a random strength in wide ranges.

    Args:
        num_magnitude_bins: how many strengths there are.
        interpolation, fill: as `functional.affine`.

    Images are uint8 tensors (1 or 3 channels) or Pillow images.
    """

    count = 3

    def __init__(self, num_magnitude_bins: int = 31, interpolation=InterpolationMode.NEAREST,
                 fill=None):  # fmt: skip
        self.num_magnitude_bins = num_magnitude_bins
        self.bins = _need_bins("TrivialAugmentWide", num_magnitude_bins)
        self.interpolation, self.fill = need_mode("TrivialAugmentWide", interpolation), fill

    def space(self, h, w):
        return _space(0.99, (32.0, 32.0), 135.0, 0.99, 2)

    def arguments(self, row, h, w):
        place = int(row[1] * self.bins) / (self.bins - 1)
        return [self.pick(h, w, row[0], place, row[2])]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(num_magnitude_bins={self.bins}, "
            f"interpolation={self.interpolation}, fill={self.fill})"
        )
