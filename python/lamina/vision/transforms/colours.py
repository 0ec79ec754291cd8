"""Transforms that change the values of pixels: colours, sharpness, blur."""

from __future__ import annotations

import lamina

from . import functional
from ._base import Transform, need_probability, pick
from ._images import get_dimensions
from .resampling import PerImage, between, need_range


class Grayscale(Transform):
    """Grey images of 1 or 3 equal channels; see `functional.rgb_to_grayscale`."""

    def __init__(self, num_output_channels: int = 1):
        self.num_output_channels = num_output_channels

    def apply(self, x, draws):
        return self.picture(x, draws)

    def picture(self, img, draws):
        return functional.rgb_to_grayscale(img, self.num_output_channels)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(num_output_channels={self.num_output_channels})"


class _Chosen(Transform):
    """``change(img)`` with probability p for each image."""

    def __init__(self, p: float = 0.5):
        self.p = need_probability(type(self).__name__, p)

    def change(self, img):
        """The changed images, a batch or a Pillow image."""
        raise NotImplementedError(type(self).__name__)

    def apply(self, x, draws):
        return pick(draws.uniform(1)[:, 0] < self.p, self.change(x), x)

    def picture(self, img, draws):
        return self.change(img) if float(draws.uniform(1)) < self.p else img

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class RandomGrayscale(_Chosen):
    """Takes the colours of each image away with probability p; the channels stay."""

    def __init__(self, p: float = 0.1):
        super().__init__(p)

    def change(self, img):
        batch = isinstance(img, lamina.Tensor)
        channels = int(img.shape[1]) if batch else get_dimensions(img)[0]
        return functional.rgb_to_grayscale(img, channels)


class RandomInvert(_Chosen):
    """The negative with probability p; see `functional.invert`."""

    def change(self, img):
        return functional.invert(img)


class RandomPosterize(_Chosen):
    """Only the `bits` highest bits of each byte, with probability p; see `functional.posterize`."""

    def __init__(self, bits: int, p: float = 0.5):
        super().__init__(p)
        self.bits = bits

    def change(self, img):
        return functional.posterize(img, self.bits)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(bits={self.bits},p={self.p})"


class RandomSolarize(_Chosen):
    """Values from `threshold` on inverted, with probability p; see `functional.solarize`."""

    def __init__(self, threshold: float, p: float = 0.5):
        super().__init__(p)
        self.threshold = threshold

    def change(self, img):
        return functional.solarize(img, self.threshold)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(threshold={self.threshold},p={self.p})"


class RandomAdjustSharpness(_Chosen):
    """Sharper or smoother by a fixed factor, with probability p; see
    `functional.adjust_sharpness`."""

    def __init__(self, sharpness_factor: float, p: float = 0.5):
        super().__init__(p)
        self.sharpness_factor = sharpness_factor

    def change(self, img):
        return functional.adjust_sharpness(img, self.sharpness_factor)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(sharpness_factor={self.sharpness_factor},p={self.p})"


class RandomAutocontrast(_Chosen):
    """Channels stretched to the whole range, with probability p; see `functional.autocontrast`."""

    def change(self, img):
        return functional.autocontrast(img)


class RandomEqualize(_Chosen):
    """Channels with a flat histogram, with probability p; see `functional.equalize`."""

    def change(self, img):
        return functional.equalize(img)


class GaussianBlur(PerImage):
    """Blurred with a random standard deviation.

    Args:
        kernel_size: odd, an int or (horizontal, vertical).
        sigma: range of the standard deviation, or a number.
    """

    count = 1

    def __init__(self, kernel_size, sigma=(0.1, 2.0)):
        sizes = [kernel_size] * 2 if isinstance(kernel_size, int) else list(kernel_size)
        if len(sizes) != 2 or any(k <= 0 or k % 2 == 0 for k in sizes):
            raise ValueError(
                f"GaussianBlur: kernel_size must be one or two odd positive ints, got {kernel_size}"
            )
        self.kernel_size = tuple(sizes)
        pair = (sigma, sigma) if isinstance(sigma, (int, float)) else sigma
        self.sigma = need_range("GaussianBlur", "sigma", pair)
        if not 0 < self.sigma[0] <= self.sigma[1]:
            raise ValueError(f"GaussianBlur: sigma must be positive and in order, got {sigma}")

    @staticmethod
    def get_params(sigma_min: float, sigma_max: float) -> float:
        """A random standard deviation."""
        return between((sigma_min, sigma_max), float(lamina.rand(1)))

    def arguments(self, row, h, w):
        return between(self.sigma, row[0])

    def one(self, img, arguments):
        return functional.gaussian_blur(img, list(self.kernel_size), arguments)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(kernel_size={self.kernel_size}, sigma={self.sigma})"


class ColorJitter(Transform):
    """Brightness, contrast, saturation and hue changed at random, in a random order for each image.

    Args:
        brightness, contrast, saturation: range of the factor; b stands for (max(0, 1 - b), 1 + b),
            0 for no change.
        hue: range of the turn, within [-0.5, 0.5]; h stands for (-h, h).

    Raises ValueError for ranges out of order or bounds, TypeError for other arguments.
    """

    _names = ("brightness", "contrast", "saturation", "hue")

    def __init__(self, brightness=0, contrast=0, saturation=0, hue=0):
        self.brightness = self._range("brightness", brightness)
        self.contrast = self._range("contrast", contrast)
        self.saturation = self._range("saturation", saturation)
        self.hue = self._range("hue", hue, 0.0, (-0.5, 0.5))

    @staticmethod
    def _range(name, value, center=1.0, bound=(0.0, float("inf"))):
        """(low, high), or None where nothing changes."""
        if isinstance(value, (int, float)):
            if value < 0:
                raise ValueError(f"ColorJitter: {name} must not be negative, got {value}")
            low, high = center - value, center + value
            low = max(low, 0.0) if center else low
        elif isinstance(value, (list, tuple)) and len(value) == 2:
            low, high = (float(v) for v in value)
        else:
            raise TypeError(f"ColorJitter: {name} must be a number or a pair, got {value!r}")
        if not bound[0] <= low <= high <= bound[1]:
            raise ValueError(f"ColorJitter: {name} must lie within {bound}, got {value}")
        return None if low == high == center else (low, high)

    @staticmethod
    def get_params(brightness, contrast, saturation, hue):
        """(order of 0 to 3, and four factors or None) at random, given the ranges or None."""
        row = lamina.rand(8).tolist()
        order = lamina.tensor(ColorJitter._order(row))
        factors = (
            None if pair is None else between(pair, u)
            for pair, u in zip((brightness, contrast, saturation, hue), row[4:])
        )  # fmt: skip
        return (order, *factors)

    @staticmethod
    def _order(row) -> list[int]:
        return sorted(range(4), key=lambda i: row[i])

    def _steps(self) -> list:
        """(place, function, range) of what changes."""
        return [
            (i, getattr(functional, f"adjust_{name}"), getattr(self, name))
            for i, name in enumerate(self._names)
            if getattr(self, name) is not None
        ]

    def apply(self, x, draws):
        u = draws.uniform(8)
        orders = [self._order(row) for row in u[:, :4].tolist()]
        out = x.clone()
        for turn in range(4):
            for i, adjust, pair in self._steps():
                which = [b for b, order in enumerate(orders) if order[turn] == i]
                if which:  # all images whose turn it is to have this changed
                    index = lamina.tensor(which)
                    factors = between(pair, u[index, 4 + i]).reshape(-1, 1, 1, 1)
                    out[index] = adjust(out[index], factors)
        return out

    def picture(self, img, draws):
        row = draws.uniform(8)[0].tolist()
        steps = {i: (adjust, pair) for i, adjust, pair in self._steps()}
        for i in self._order(row):
            if i in steps:
                adjust, pair = steps[i]
                img = adjust(img, between(pair, row[4 + i]))
        return img

    def __repr__(self) -> str:
        parts = ", ".join(f"{name}={getattr(self, name)}" for name in self._names)
        return f"{type(self).__name__}({parts})"
