"""Transforms that take values between the pixels: resizing, rotation, shears, perspective."""

from __future__ import annotations

import math

import lamina

from . import _resampling, functional
from ._base import Transform, need_probability
from ._images import InterpolationMode, get_dimensions, need_mode


class Resize(Transform):
    """Images of another size; arguments as `functional.resize`.

    With one int the shorter side gets that length and the other follows in proportion.
    """

    def __init__(self, size, interpolation=InterpolationMode.BILINEAR, max_size=None,
                 antialias=True):  # fmt: skip
        _resampling.output_size("Resize", 1, 1, size, max_size)
        self.size, self.max_size, self.antialias = size, max_size, antialias
        self.interpolation = need_mode("Resize", interpolation)

    def apply(self, x, draws):
        return self.picture(x, draws)

    def picture(self, img, draws):
        return functional.resize(img, self.size, self.interpolation, self.max_size, self.antialias)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(size={self.size}, interpolation={self.interpolation.value}, "
            f"max_size={self.max_size}, antialias={self.antialias})"
        )


class PerImage(Transform):
    """A transform that treats each image by itself: ``arguments(row, h, w)`` are made of `count`
    draws in [0, 1), and ``one(img, arguments)`` is the new image."""

    count: int

    def arguments(self, row: list[float], h: int, w: int):
        """What `one` gets beside the image."""
        raise NotImplementedError(type(self).__name__)

    def one(self, img, arguments):
        """The new image, of a tensor (C, H, W) or a Pillow image."""
        raise NotImplementedError(type(self).__name__)

    def apply(self, x, draws):
        h, w = (int(n) for n in x.shape[-2:])
        rows = draws.uniform(self.count).tolist()
        if not rows:
            blank = lamina.zeros(tuple(x.shape[1:]), dtype=x.dtype)
            return self.one(blank, self.arguments([0.5] * self.count, h, w)).unsqueeze(0)[:0]
        done = [self.one(img, self.arguments(row, h, w)) for img, row in zip(x, rows)]
        if any(y.shape != done[0].shape for y in done):
            raise ValueError(
                f"{type(self).__name__}: images of one batch would differ in size; transform them "
                "one by one"
            )
        return lamina.stack(done)

    def picture(self, img, draws):
        row = draws.uniform(self.count)[0].tolist()
        return self.one(img, self.arguments(row, img.height, img.width))


def between(pair, u: float) -> float:
    """The number at u in [0, 1) of the way through a range."""
    return pair[0] + (pair[1] - pair[0]) * u


def need_range(name: str, what: str, value, symmetric: bool = False):
    """A pair (low, high), or with `symmetric` also a number d >= 0, which stands for (-d, d)."""
    if symmetric and isinstance(value, (int, float)):
        if value < 0:
            raise ValueError(f"{name}: {what} must not be negative if a single number, got {value}")
        return -float(value), float(value)
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError(f"{name}: {what} must be a pair of numbers, got {value!r}")
    return float(value[0]), float(value[1])


class RandomResizedCrop(PerImage):
    """A window of random area and shape at a random place, resized to `size`: the crop of Inception
    (Szegedy et al., CVPR 2015).

    Args:
        size: int (a square) or (height, width) of the result.
        scale: range of the window's share of the image's area.
        ratio: range of width / height, drawn uniformly in the logarithm.
        interpolation, antialias: as `functional.resize`.

    A window that does not fit is drawn again, up to ten times; then the middle is taken.
    """

    count = 40

    def __init__(self, size, scale=(0.08, 1.0), ratio=(3.0 / 4.0, 4.0 / 3.0),
                 interpolation=InterpolationMode.BILINEAR, antialias=True):  # fmt: skip
        self.size = functional.pair("RandomResizedCrop", size)
        self.interpolation = need_mode("RandomResizedCrop", interpolation)
        self.scale = need_range("RandomResizedCrop", "scale", scale)
        self.ratio = need_range("RandomResizedCrop", "ratio", ratio)
        if not 0 < self.scale[0] <= self.scale[1] or not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(
                "RandomResizedCrop: scale and ratio must be positive and in order, got "
                f"{scale} and {ratio}"
            )
        self.antialias = antialias

    @staticmethod
    def _window(row, h: int, w: int, scale, ratio) -> tuple[int, int, int, int]:
        low, high = math.log(ratio[0]), math.log(ratio[1])
        for k in range(0, 40, 4):
            area = h * w * between(scale, row[k])
            shape = math.exp(between((low, high), row[k + 1]))
            ch, cw = round(math.sqrt(area / shape)), round(math.sqrt(area * shape))
            if 0 < ch <= h and 0 < cw <= w:
                return int(row[k + 2] * (h - ch + 1)), int(row[k + 3] * (w - cw + 1)), ch, cw
        ch, cw = h, w
        if w / h < ratio[0]:
            ch = round(w / ratio[0])
        elif w / h > ratio[1]:
            cw = round(h * ratio[1])
        return (h - ch) // 2, (w - cw) // 2, ch, cw

    @staticmethod
    def get_params(img, scale, ratio) -> tuple[int, int, int, int]:
        """(top, left, height, width) of a random window."""
        _, h, w = get_dimensions(img)
        return RandomResizedCrop._window(lamina.rand(40).tolist(), h, w, scale, ratio)

    def arguments(self, row, h, w):
        return self._window(row, h, w, self.scale, self.ratio)

    def one(self, img, arguments):
        return functional.resized_crop(
            img, *arguments, self.size, self.interpolation, self.antialias
        )

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(size={self.size}, scale={self.scale}, ratio={self.ratio}, "
            f"interpolation={self.interpolation.value}, antialias={self.antialias})"
        )


class RandomRotation(PerImage):
    """Turned by a random angle.

    Args:
        degrees: range (low, high) of the angle, counter-clockwise; d stands for (-d, d).
        interpolation, expand, center, fill: as `functional.rotate`.
    """

    count = 1

    def __init__(self, degrees, interpolation=InterpolationMode.NEAREST, expand=False, center=None,
                 fill=0):  # fmt: skip
        self.degrees = need_range("RandomRotation", "degrees", degrees, symmetric=True)
        self.interpolation = need_mode("RandomRotation", interpolation)
        self.expand, self.center, self.fill = expand, center, fill

    @staticmethod
    def get_params(degrees) -> float:
        """A random angle."""
        return between(degrees, float(lamina.rand(1)))

    def arguments(self, row, h, w):
        return between(self.degrees, row[0])

    def one(self, img, arguments):
        return functional.rotate(
            img, arguments, self.interpolation, self.expand, self.center, self.fill
        )

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(degrees={self.degrees}, "
            f"interpolation={self.interpolation.value}, expand={self.expand}, fill={self.fill})"
        )


class RandomAffine(PerImage):
    """Turned, moved, scaled and sheared at random; the middle stays where it is.

    Args:
        degrees: range of the angle; d stands for (-d, d), 0 for none.
        translate: (a, b), shares of the image: moved by up to a * width and b * height either way.
        scale: range of the factor.
        shear: range of the degrees along x; s stands for (-s, s); four numbers: ranges of x and y.
        interpolation, fill, center: as `functional.affine`.

    Raises ValueError for shares outside [0, 1], factors that are not positive, other lengths.
    """

    count = 6

    def __init__(self, degrees, translate=None, scale=None, shear=None,
                 interpolation=InterpolationMode.NEAREST, fill=0, center=None):  # fmt: skip
        name = "RandomAffine"
        self.degrees = need_range(name, "degrees", degrees, symmetric=True)
        if translate is not None and any(
            not 0 <= t <= 1 for t in need_range(name, "translate", translate)
        ):
            raise ValueError(f"{name}: translate must be shares in [0, 1], got {translate}")
        if scale is not None and min(need_range(name, "scale", scale)) <= 0:
            raise ValueError(f"{name}: scale must be positive, got {scale}")
        if isinstance(shear, (list, tuple)) and len(shear) == 4:
            self.shear: tuple | None = tuple(shear)
        else:
            self.shear = None if shear is None else need_range(name, "shear", shear, True)
        self.translate, self.scale = translate, scale
        self.interpolation = need_mode(name, interpolation)
        self.fill, self.center = fill, center

    @staticmethod
    def _draw(row, degrees, translate, scale_ranges, shears, size):
        dx, dy = ((translate[i] * size[i]) if translate else 0.0 for i in (0, 1))
        moved = tuple(round(between((-d, d), u)) for d, u in zip((dx, dy), row[1:3]))
        scale = between(scale_ranges, row[3]) if scale_ranges else 1.0
        shear = [0.0, 0.0]
        for i in range(len(shears or ()) // 2):
            shear[i] = between(shears[2 * i : 2 * i + 2], row[4 + i])
        return between(degrees, row[0]), moved, scale, tuple(shear)

    @staticmethod
    def get_params(degrees, translate, scale_ranges, shears, img_size):
        """(angle, (tx, ty), scale, (sx, sy)) at random for an image of (width, height)."""
        row = lamina.rand(6).tolist()
        return RandomAffine._draw(row, degrees, translate, scale_ranges, shears, img_size)

    def arguments(self, row, h, w):
        return self._draw(row, self.degrees, self.translate, self.scale, self.shear, (w, h))

    def one(self, img, arguments):
        return functional.affine(img, *arguments, self.interpolation, self.fill, self.center)

    def __repr__(self) -> str:
        parts = [f"degrees={self.degrees}"]
        parts += [
            f"{name}={value}"
            for name, value in (
                ("translate", self.translate), ("scale", self.scale), ("shear", self.shear),
            )
            if value is not None
        ]  # fmt: skip
        return f"{type(self).__name__}({', '.join(parts)})"


class RandomPerspective(PerImage):
    """With probability p seen from aside: each corner moves inwards by up to distortion_scale / 2
    of the image's sides. Arguments as `functional.perspective`. Raises ValueError for a
    distortion_scale outside [0, 1]."""

    count = 9

    def __init__(self, distortion_scale=0.5, p=0.5, interpolation=InterpolationMode.BILINEAR,
                 fill=0):  # fmt: skip
        self.p = need_probability("RandomPerspective", p)
        if not 0 <= distortion_scale <= 1:
            raise ValueError(
                f"RandomPerspective: distortion_scale must be in [0, 1], got {distortion_scale}"
            )
        self.distortion_scale, self.fill = distortion_scale, fill
        self.interpolation = need_mode("RandomPerspective", interpolation)

    @staticmethod
    def _corners(row, width: int, height: int, scale: float):
        inward = [int(u * (int(scale * (n // 2)) + 1)) for u, n in zip(row, (width, height) * 4)]
        right, below = width - 1, height - 1
        start = [[0, 0], [right, 0], [right, below], [0, below]]
        end = [
            [x - inward[2 * k] if x else inward[2 * k],
             y - inward[2 * k + 1] if y else inward[2 * k + 1]]
            for k, (x, y) in enumerate(start)
        ]  # fmt: skip
        return start, end

    @staticmethod
    def get_params(width: int, height: int, distortion_scale: float):
        """(startpoints, endpoints) at random."""
        row = lamina.rand(8).tolist()
        return RandomPerspective._corners(row, width, height, distortion_scale)

    def arguments(self, row, h, w):
        return self._corners(row[1:], w, h, self.distortion_scale) if row[0] < self.p else None

    def one(self, img, arguments):
        if arguments is None:
            return img
        return functional.perspective(img, *arguments, self.interpolation, self.fill)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class ElasticTransform(Transform):
    """Seen through wavy glass: every pixel moves by smooth noise; see
    `functional.elastic_transform`.

    Args:
        alpha: strength in pixels, a number or (x, y).
        sigma: smoothness, the standard deviation of the Gaussian that blurs uniform noise, a number
            or (x, y); its window, 8 sigma wide, must not exceed twice the image.
        interpolation, fill: as `functional.elastic_transform`.

    Raises ValueError for other lengths.
    """

    def __init__(self, alpha=50.0, sigma=5.0, interpolation=InterpolationMode.BILINEAR, fill=0):
        pairs = []
        for what, value in (("alpha", alpha), ("sigma", sigma)):
            pair = [value] * 2 if isinstance(value, (int, float)) else list(value)
            pair = pair * 2 if len(pair) == 1 else pair
            pairs.append([float(v) for v in need_range("ElasticTransform", what, pair)])
        self.alpha, self.sigma = pairs
        self.interpolation, self.fill = need_mode("ElasticTransform", interpolation), fill

    @staticmethod
    def _smooth(u, alpha, sigma):
        """Displacements (B, H, W, 2) of draws u (B, 2, H, W) in [0, 1)."""
        moves = []
        for i, size in enumerate(u.shape[-2:]):
            noise = u[:, i : i + 1] * 2 - 1
            if sigma[i] > 0:
                window = int(8 * sigma[i] + 1) | 1
                noise = functional.gaussian_blur(noise, [window] * 2, list(sigma))
            moves.append(noise * (alpha[i] / int(size)))
        return lamina.cat(moves, 1).permute(0, 2, 3, 1)

    @staticmethod
    def get_params(alpha, sigma, size):
        """A random displacement (1, H, W, 2) for images of size (H, W)."""
        return ElasticTransform._smooth(lamina.rand(1, 2, *size), alpha, sigma)

    def apply(self, x, draws):
        h, w = (int(n) for n in x.shape[-2:])
        if not len(x):
            return x
        u = draws.uniform(2 * h * w).reshape(-1, 2, h, w)
        moves = self._smooth(u, self.alpha, self.sigma)
        return functional.elastic_transform(x, moves, self.interpolation, self.fill)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(alpha={self.alpha}, sigma={self.sigma}, "
            f"interpolation={self.interpolation}, fill={self.fill})"
        )
