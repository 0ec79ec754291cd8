"""Functions that take values between the pixels: resizing, rotation, shears, perspective."""

from __future__ import annotations

import math
import operator

import lamina
from lamina.nn import functional as F

from ._images import InterpolationMode, get_dimensions, need_image, need_mode, pillow_too
from ._moves import crop

__all__ = ["affine", "elastic_transform", "perspective", "resize", "resized_crop", "rotate"]

_RESIZE = (InterpolationMode.NEAREST, InterpolationMode.NEAREST_EXACT, InterpolationMode.BILINEAR,
           InterpolationMode.BICUBIC)  # fmt: skip
_SAMPLE = (InterpolationMode.NEAREST, InterpolationMode.BILINEAR)


def output_size(name: str, height: int, width: int, size, max_size=None) -> tuple[int, int]:
    """The (height, width) that `resize` gives. Raises TypeError or ValueError for other sizes."""
    values = [size] if not isinstance(size, (list, tuple)) else list(size)
    try:
        values = [operator.index(v) for v in values]
    except TypeError:
        raise TypeError(f"{name}: size must be an int or (height, width), got {size!r}") from None
    if len(values) not in (1, 2) or min(values) < 1:
        raise ValueError(f"{name}: size must be one or two positive ints, got {size!r}")
    if len(values) == 2:
        if max_size is not None:
            raise ValueError(f"{name}: max_size needs a size of one int, got {size!r}")
        return values[0], values[1]
    short, long = sorted((height, width))
    new_short, new_long = values[0], int(values[0] * long / short)
    if max_size is not None:
        if max_size <= values[0]:
            raise ValueError(f"{name}: max_size {max_size} must be over size {values[0]}")
        if new_long > max_size:
            new_short, new_long = int(max_size * new_short / new_long), max_size
    return (new_short, new_long) if height <= width else (new_long, new_short)


def _as_float(img):
    """The image as floating-point (N, C, H, W), and what gives back its shape and dtype."""
    lead = tuple(img.shape[:-2])
    x = img.reshape(1 if img.ndim < 4 else -1, lead[-1] if lead else 1, *img.shape[-2:])
    kind = img.dtype

    def back(y):
        if not kind.is_floating_point:
            top = 1 if kind is lamina.bool else (1 << (8 * kind.itemsize - kind.is_signed)) - 1
            y = y.round().clamp(-top - 1 if kind.is_signed else 0, top)
        return y.to(kind).reshape(*lead, *y.shape[-2:])

    wide = lamina.float64 if kind.itemsize >= 4 else lamina.float32
    return (x if kind.is_floating_point else x.to(wide)), back


@pillow_too
def resize(img, size, interpolation=InterpolationMode.BILINEAR, max_size=None, antialias=True):
    """The image in another size.

    Args:
        img: (..., H, W).
        size: (height, width), or an int: the shorter side, the other in proportion (rounded down).
        interpolation: see `InterpolationMode`; coordinates as `nn.functional.interpolate`.
        max_size: with size an int: if the longer side exceeds this, it gets this length instead.
        antialias: where the image shrinks, average over what a pixel covers ("bilinear" and
            "bicubic"; Pillow always does).

    Returns (..., h, w) of the same dtype; integers are rounded and clamped to their range.
    """
    need_image("resize", img)
    mode = need_mode("resize", interpolation, _RESIZE)
    h, w = output_size("resize", int(img.shape[-2]), int(img.shape[-1]), size, max_size)
    if (h, w) == tuple(img.shape[-2:]):
        return img
    x, back = _as_float(img)
    smooth = mode in (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC)
    extra = {"align_corners": False, "antialias": bool(antialias)} if smooth else {}
    return back(F.interpolate(x, (h, w), mode=mode.value, **extra))


def resized_crop(img, top, left, height, width, size, interpolation=InterpolationMode.BILINEAR,
                 antialias=True):  # fmt: skip
    """`resize` of the window of height x width at (top, left)."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


# ---- maps of the plane ---------------------------------------------------------------------------
def inverse_matrix(center, angle: float, translate, scale: float, shear) -> list[float]:
    """[a, b, c, d, e, f]: output pixel (x, y) comes from (a x + b y + c, d x + e y + f).

    The map from input to output is T C R S K C^-1: move `center` to the origin, shear by the
    degrees (sx, sy), scale, turn by `angle` degrees, move back, translate.
    """
    turn, sx, sy = math.radians(angle), math.radians(shear[0]), math.radians(shear[1])
    (cx, cy), (tx, ty) = center, translate
    # K R: a rotation after a shear, [[a, b], [c, d]] of determinant 1.
    a = math.cos(turn - sy) / math.cos(sy)
    b = -math.cos(turn - sy) * math.tan(sx) / math.cos(sy) - math.sin(turn)
    c = math.sin(turn - sy) / math.cos(sy)
    d = -math.sin(turn - sy) * math.tan(sx) / math.cos(sy) + math.cos(turn)
    m = [v / scale for v in (d, -b, 0.0, -c, a, 0.0)]
    m[2] = m[0] * (-cx - tx) + m[1] * (-cy - ty) + cx
    m[5] = m[3] * (-cx - tx) + m[4] * (-cy - ty) + cy
    return m


def _colour(name: str, fill, channels: int):
    """The fill as a tensor (channels, 1, 1), or None for zeros."""
    if fill is None or fill == 0:
        return None
    values = [float(v) for v in (fill if isinstance(fill, (list, tuple)) else [fill])]
    if len(values) not in (1, channels):
        raise ValueError(
            f"{name}: fill must be a number or one for each of {channels} channels, got {fill}"
        )
    return lamina.tensor(values * (1 if len(values) == channels else channels)).reshape(-1, 1, 1)


def sample(name: str, img, points, interpolation, fill):
    """The values at `points` (h, w, 2) or (N, h, w, 2), (x, y) in pixels with (0, 0) the middle of
    the image and pixels one wide; `fill` outside."""
    mode = need_mode(name, interpolation, _SAMPLE)
    x, back = _as_float(img)
    n, channels, h, w = (int(v) for v in x.shape)
    grid = (points / lamina.tensor([w / 2, h / 2])).to(x.dtype)
    grid = (grid if grid.ndim == 4 else grid.unsqueeze(0)).expand(n, *grid.shape[-3:])
    colour = _colour(name, fill, channels)
    if colour is None:
        return back(F.grid_sample(x, grid, mode.value, "zeros", False))
    x = lamina.cat([x, lamina.ones((n, 1, h, w), dtype=x.dtype)], 1)
    y = F.grid_sample(x, grid, mode.value, "zeros", False)
    y, share = y[:, :-1], y[:, -1:]
    if mode is InterpolationMode.NEAREST:
        return back(lamina.where(share < 0.5, colour.to(y.dtype), y))
    return back(y * share + (1 - share) * colour.to(y.dtype))


def mapped_points(matrices, height: int, width: int):
    """Where the pixels of an image of height x width come from: (N, height, width, 2) for
    `matrices` float (N, 2, 3); places count from the image's middle."""
    x = lamina.arange(width, dtype=lamina.float32) + (0.5 - width / 2)
    y = lamina.arange(height, dtype=lamina.float32) + (0.5 - height / 2)
    x, y = x.expand(height, width), y.reshape(-1, 1).expand(height, width)
    base = lamina.stack([x, y, lamina.ones(height, width)], -1).reshape(1, -1, 3)
    return (base @ matrices.transpose(1, 2)).reshape(-1, height, width, 2)


def _center(name: str, center, height: int, width: int):
    """`center` in pixels from the upper left corner, as places from the middle."""
    if center is None:
        return 0.0, 0.0
    if not isinstance(center, (list, tuple)) or len(center) != 2:
        raise ValueError(f"{name}: center must be (x, y), got {center!r}")
    return center[0] - width * 0.5, center[1] - height * 0.5


def _numbers(name: str, what: str, values) -> tuple[float, float]:
    """A pair of numbers from one (then the second is 0) or two."""
    values = list(values) if isinstance(values, (list, tuple)) else [values]
    if len(values) not in (1, 2):
        raise ValueError(f"{name}: {what} must have 1 or 2 numbers, got {values}")
    return float(values[0]), float(values[1]) if len(values) == 2 else 0.0


def affine_arguments(angle, translate, scale, shear):
    """(angle, (tx, ty), scale, (sx, sy)) of `affine`. Raises ValueError for what does not fit."""
    if not isinstance(translate, (list, tuple)) or len(translate) != 2:
        raise ValueError(f"affine: translate must be two numbers, got {translate!r}")
    if scale <= 0:
        raise ValueError(f"affine: scale must be positive, got {scale}")
    pair = (float(translate[0]), float(translate[1]))
    return float(angle), pair, float(scale), _numbers("affine", "shear", shear)


@pillow_too
def affine(img, angle, translate, scale, shear, interpolation=InterpolationMode.NEAREST, fill=None,
           center=None):  # fmt: skip
    """The image sheared, scaled, turned about `center` and moved, in its old size.

    Args:
        img: (..., H, W).
        angle: degrees, clockwise.
        translate: (horizontal, vertical), in pixels.
        scale: factor > 0.
        shear: degrees, a number (along x) or (x, y).
        interpolation: NEAREST or BILINEAR (Pillow also BICUBIC).
        fill: value outside: a number, one for each channel, or None (0).
        center: (x, y) from the upper left corner; None: the middle.
    """
    need_image("affine", img)
    angle, translate, scale, shear = affine_arguments(angle, translate, scale, shear)
    _, h, w = get_dimensions(img)
    middle = _center("affine", center, h, w)
    matrix = lamina.tensor(inverse_matrix(middle, angle, translate, scale, shear))
    points = mapped_points(matrix.reshape(1, 2, 3), h, w)
    return sample("affine", img, points, interpolation, fill)


def turned_size(matrix, height: int, width: int) -> tuple[int, int]:
    """(height, width) of what holds the whole image after the map whose inverse is `matrix`."""
    a, b, c, d, e, f = matrix
    xs, ys = [], []
    for x in (-0.5 * width, 0.5 * width):
        for y in (-0.5 * height, 0.5 * height):
            xs.append(a * x + b * y + c + width * 0.5)
            ys.append(d * x + e * y + f + height * 0.5)
    tidy = 1e-3  # so that rounding of sines adds no pixel
    edges = [
        math.ceil(math.trunc(max(v) / tidy) * tidy) - math.floor(math.trunc(min(v) / tidy) * tidy)
        for v in (ys, xs)
    ]
    return edges[0], edges[1]


@pillow_too
def rotate(img, angle, interpolation=InterpolationMode.NEAREST, expand=False, center=None,
           fill=None):  # fmt: skip
    """The image turned.

    Args:
        img: (..., H, W).
        angle: degrees, counter-clockwise.
        interpolation: NEAREST or BILINEAR (Pillow also BICUBIC).
        expand: make the result large enough for the whole image (turned about its middle); False:
            the old size. Quarter turns then copy the pixels.
        center: (x, y) from the upper left corner; None: the middle.
        fill: value outside: a number, one for each channel, or None (0).
    """
    need_image("rotate", img)
    _, h, w = get_dimensions(img)
    need_mode("rotate", interpolation, _SAMPLE)
    if center is None and angle % 90 == 0 and (expand or h == w or angle % 180 == 0):
        return _quarter_turns(img, int(angle // 90) % 4)
    middle = _center("rotate", center, h, w)
    matrix = inverse_matrix(middle, -angle, (0.0, 0.0), 1.0, (0.0, 0.0))
    size = turned_size(matrix, h, w) if expand else (h, w)
    points = mapped_points(lamina.tensor(matrix).reshape(1, 2, 3), *size)
    return sample("rotate", img, points, interpolation, fill)


def _quarter_turns(img, k: int):
    """`img` turned counter-clockwise k times by 90 degrees, 0 <= k < 4."""
    if k % 2 == 0:
        return img.flip((-2, -1)) if k else img.clone()
    return img.transpose(-2, -1).flip(-2 if k == 1 else -1)


def perspective_coefficients(startpoints, endpoints) -> list[float]:
    """[a .. h]: output (x, y) comes from ((a x + b y + c) / z, (d x + e y + f) / z),
    z = g x + h y + 1, which takes the four `endpoints` to the `startpoints`; by elimination."""
    rows = []
    for (x, y), (u, v) in zip(endpoints, startpoints):
        rows.append([x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y, u])
        rows.append([0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y, v])
    n = 8
    for k in range(n):
        best = max(range(k, n), key=lambda i: abs(rows[i][k]))
        if abs(rows[best][k]) < 1e-12:
            raise ValueError(
                f"perspective: no map takes {endpoints} to {startpoints}: points lie on a line"
            )
        rows[k], rows[best] = rows[best], rows[k]
        rows[k] = [v / rows[k][k] for v in rows[k]]
        for i in range(n):
            if i != k:
                factor = rows[i][k]
                rows[i] = [v - factor * p for v, p in zip(rows[i], rows[k])]
    return [row[n] for row in rows]


@pillow_too
def perspective(img, startpoints, endpoints, interpolation=InterpolationMode.BILINEAR, fill=None):
    """The image seen so that its points `startpoints` come to lie at `endpoints`.

    Args:
        img: (..., H, W).
        startpoints, endpoints: four points (x, y) in pixels, top left, top right, bottom right,
            bottom left.
        interpolation: NEAREST or BILINEAR (Pillow also BICUBIC).
        fill: value outside: a number, one for each channel, or None (0).
    """
    need_image("perspective", img)
    _, h, w = get_dimensions(img)
    a, b, c, d, e, f, g, i = perspective_coefficients(startpoints, endpoints)
    x = (lamina.arange(w, dtype=lamina.float64) + 0.5).expand(h, w)
    y = (lamina.arange(h, dtype=lamina.float64) + 0.5).reshape(-1, 1).expand(h, w)
    below = g * x + i * y + 1
    u, v = (a * x + b * y + c) / below - w / 2, (d * x + e * y + f) / below - h / 2
    points = lamina.stack([u, v], -1).to(lamina.float32)
    return sample("perspective", img, points, interpolation, fill)


@pillow_too
def elastic_transform(img, displacement, interpolation=InterpolationMode.BILINEAR, fill=None):
    """The image with every pixel taken from a place of its own (P. Simard, D. Steinkraus, J. Platt,
    "Best Practices for Convolutional Neural Networks", ICDAR 2003).

    Args:
        img: (..., H, W).
        displacement: (1, H, W, 2) or, for a batch, (N, H, W, 2): how far from each pixel, (x, y),
            the image being 2 wide and 2 high.
        interpolation: NEAREST or BILINEAR.
        fill: value outside: a number, one for each channel, or None (0).

    Raises ValueError for displacements of another shape.
    """
    need_image("elastic_transform", img)
    _, h, w = get_dimensions(img)
    count = len(img) if img.ndim == 4 else 1
    if displacement.ndim != 4 or tuple(displacement.shape) not in ((1, h, w, 2), (count, h, w, 2)):
        raise ValueError(
            f"elastic_transform: displacement must be (1, {h}, {w}, 2) for images of {h} x {w}, "
            f"got {tuple(displacement.shape)}"
        )
    still = lamina.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    points = mapped_points(still, h, w) + displacement * lamina.tensor([w / 2, h / 2])
    return sample("elastic_transform", img, points, interpolation, fill)
