"""Functions that change the values of pixels: brightness, colours, sharpness."""

from __future__ import annotations

import lamina
from lamina.nn import functional as F

from ._images import need_image, pillow_too
from ._values import _largest, convert_image_dtype

__all__ = [
    "adjust_brightness", "adjust_contrast", "adjust_gamma", "adjust_hue", "adjust_saturation",
    "adjust_sharpness", "autocontrast", "equalize", "gaussian_blur", "invert", "posterize",
    "rgb_to_grayscale", "solarize", "to_grayscale",
]  # fmt: skip


def need_channels(name: str, img) -> int:
    """1 or 3, the channels of `img`. Raises ValueError for other images."""
    need_image(name, img)
    if img.ndim < 3 or img.shape[-3] not in (1, 3):
        raise ValueError(
            f"{name}: expected an image of 1 or 3 channels, got shape {tuple(img.shape)}"
        )
    return int(img.shape[-3])


@pillow_too
def rgb_to_grayscale(img, num_output_channels: int = 1):
    """y = 0.2989 r + 0.587 g + 0.114 b (ITU-R BT.601), in the image's dtype.

    Args:
        img: (..., 3, H, W), or (..., 1, H, W), which is grey already, or a Pillow image.
        num_output_channels: 1, or 3 for three equal ones.
    """
    channels = need_channels("rgb_to_grayscale", img)
    if num_output_channels not in (1, 3):
        raise ValueError(
            f"rgb_to_grayscale: num_output_channels must be 1 or 3, got {num_output_channels}"
        )
    if channels == 3:
        r, g, b = (img[..., c : c + 1, :, :] for c in range(3))
        grey = (0.2989 * r + 0.587 * g + 0.114 * b).to(img.dtype)
    else:
        grey = img
    return lamina.cat([grey] * 3, -3) if num_output_channels == 3 else grey


def to_grayscale(img, num_output_channels: int = 1):
    """`rgb_to_grayscale` of a Pillow image (torchvision's name for it); tensors work too."""
    return rgb_to_grayscale(img, num_output_channels)


def bound(dtype):
    """The largest value of images of this dtype: 1 for floating point."""
    return 1.0 if dtype.is_floating_point else _largest(dtype)


def blend(img, other, factor):
    """factor * img + (1 - factor) * other, clamped, in the dtype of `img`; `factor` is a number or
    a tensor that broadcasts."""
    img32 = img if img.dtype.is_floating_point else img.to(lamina.float32)
    mixed = img32 * factor + other * (1.0 - factor)
    return mixed.clamp(0, bound(img.dtype)).to(img.dtype)


def _need_factor(name: str, factor) -> None:
    if not isinstance(factor, lamina.Tensor) and factor < 0:
        raise ValueError(f"{name}: the factor must not be negative, got {factor}")


@pillow_too
def adjust_brightness(img, brightness_factor):
    """y = brightness_factor * x, clamped: 0 is black, 1 the image. Raises ValueError below 0."""
    _need_factor("adjust_brightness", brightness_factor)
    need_channels("adjust_brightness", img)
    return blend(img, 0.0, brightness_factor)


@pillow_too
def adjust_contrast(img, contrast_factor):
    """y = f x + (1 - f) m, m the mean of the grey image: 0 is uniformly grey, 1 the image. Raises
    ValueError below 0."""
    _need_factor("adjust_contrast", contrast_factor)
    need_channels("adjust_contrast", img)
    grey = rgb_to_grayscale(img)
    kind = img.dtype if img.dtype.is_floating_point else lamina.float32
    return blend(img, grey.to(kind).mean((-3, -2, -1), keepdim=True), contrast_factor)


@pillow_too
def adjust_saturation(img, saturation_factor):
    """y = f x + (1 - f) grey(x): 0 is grey, 1 the image, 2 twice as colourful. Raises ValueError
    below 0."""
    _need_factor("adjust_saturation", saturation_factor)
    if need_channels("adjust_saturation", img) == 1:
        return img
    return blend(img, rgb_to_grayscale(img), saturation_factor)


def rgb_to_hsv(img):
    """Hue in [0, 1), saturation and value of a floating-point image (..., 3, H, W) (A. R. Smith,
    "Color Gamut Transform Pairs", SIGGRAPH 1978)."""
    r, g, b = img.unbind(-3)
    high, low = img.amax(-3), img.amin(-3)
    span = high - low
    flat = span == 0
    saturation = span / lamina.where(high == 0, lamina.ones_like(high), high)
    divisor = lamina.where(flat, lamina.ones_like(span), span)
    rc, gc, bc = ((high - v) / divisor for v in (r, g, b))
    hue = lamina.where(high == r, bc - gc, lamina.where(high == g, 2 + rc - bc, 4 + gc - rc))
    hue = lamina.where(flat, lamina.zeros_like(hue), (hue / 6 + 1).remainder(1))
    return lamina.stack([hue, saturation, high], -3)


def hsv_to_rgb(img):
    """The inverse of `rgb_to_hsv`: channel c is v - v s clamp(min(k, 4 - k), 0, 1),
    k = (n_c + 6 h) mod 6, with n = 5, 3, 1 for red, green and blue."""
    h, s, v = img.unbind(-3)
    channels = []
    for n in (5.0, 3.0, 1.0):
        k = (h * 6 + n).remainder(6)
        channels.append(v - v * s * lamina.minimum(k, 4 - k).clamp(0, 1))
    return lamina.stack(channels, -3)


@pillow_too
def adjust_hue(img, hue_factor):
    """Turns the hue by `hue_factor` of the whole circle, a number in [-0.5, 0.5] (or a tensor that
    broadcasts). Grey images stay. Raises ValueError outside that range."""
    if not isinstance(hue_factor, lamina.Tensor) and not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"adjust_hue: hue_factor must be in [-0.5, 0.5], got {hue_factor}")
    if need_channels("adjust_hue", img) == 1:
        return img
    hsv = rgb_to_hsv(convert_image_dtype(img, lamina.float32))
    hue = (hsv[..., :1, :, :] + hue_factor).remainder(1.0)
    turned = hsv_to_rgb(lamina.cat([hue, hsv[..., 1:, :, :]], -3))
    return convert_image_dtype(turned, img.dtype)


@pillow_too
def adjust_gamma(img, gamma: float, gain: float = 1):
    """y = gain * x^gamma of values scaled to [0, 1], clamped. Raises ValueError for gamma < 0."""
    need_image("adjust_gamma", img)
    if gamma < 0:
        raise ValueError(f"adjust_gamma: gamma must not be negative, got {gamma}")
    kind = img.dtype if img.dtype.is_floating_point else lamina.float32
    y = (convert_image_dtype(img, kind) ** gamma * gain).clamp(0, 1)
    return convert_image_dtype(y, img.dtype)


@pillow_too
def invert(img):
    """y = largest value - x; 1 is the largest value of floating-point images."""
    need_channels("invert", img)
    return bound(img.dtype) - img


@pillow_too
def posterize(img, bits: int):
    """Only the `bits` highest bits of each byte. Raises TypeError unless the image is uint8."""
    need_channels("posterize", img)
    if img.dtype is not lamina.uint8:
        raise TypeError(f"posterize: expected a uint8 image, got {img.dtype}")
    if not 0 <= bits <= 8:
        raise ValueError(f"posterize: bits must be 0 to 8, got {bits}")
    step = 1 << (8 - bits)
    return (img.to(lamina.int32) // step * step).to(lamina.uint8)


@pillow_too
def solarize(img, threshold: float):
    """Inverts the values that are not below `threshold`. Raises TypeError for a threshold over the
    largest value."""
    need_channels("solarize", img)
    if threshold > bound(img.dtype):
        raise TypeError(f"solarize: threshold {threshold} is over the largest of {img.dtype}")
    return lamina.where(img >= threshold, invert(img), img)


@pillow_too
def autocontrast(img):
    """Each channel stretched so that its smallest value becomes 0 and its largest the largest
    possible; channels of one value stay."""
    need_channels("autocontrast", img)
    top = bound(img.dtype)
    x = img if img.dtype.is_floating_point else img.to(lamina.float32)
    low, high = x.amin((-2, -1), keepdim=True), x.amax((-2, -1), keepdim=True)
    flat = high == low
    low = lamina.where(flat, lamina.zeros_like(low), low)
    scale = top / lamina.where(flat, lamina.full_like(high, top), high - low)
    return ((x - low) * scale).clamp(0, top).to(img.dtype)


def _equalized(plane):
    """A plane (H, W) of bytes, flattened histogram: level v becomes the number of pixels below it,
    in steps of (pixels - those of the brightest level) / 255."""
    counts = lamina.bincount(plane.reshape(-1).to(lamina.int64), minlength=256).tolist()
    present = [c for c in counts if c]
    step = (sum(present) - present[-1]) // 255 if present else 0
    if step == 0:
        return plane
    table, below = [], step // 2
    for c in counts:
        table.append(min(below // step, 255))
        below += c
    levels = lamina.tensor(table, dtype=lamina.uint8)
    return levels[plane.to(lamina.int64)]


@pillow_too
def equalize(img):
    """Flattens the histogram of each channel. Raises TypeError unless the image is uint8."""
    need_channels("equalize", img)
    if img.dtype is not lamina.uint8:
        raise TypeError(f"equalize: expected a uint8 image, got {img.dtype}")
    planes = img.reshape(-1, *img.shape[-2:])
    return lamina.stack([_equalized(p) for p in planes]).reshape(tuple(img.shape))


def _filtered(img, rows, columns):
    """Images (N, C, H, W) correlated with the column of weights `rows` and the row `columns`."""
    c = int(img.shape[1])
    down = rows.reshape(1, 1, -1, 1).expand(c, 1, -1, 1).contiguous()
    along = columns.reshape(1, 1, 1, -1).expand(c, 1, 1, -1).contiguous()
    return F.conv2d(F.conv2d(img, down, groups=c), along, groups=c)


def _rounded(x, dtype):
    """x in an image's dtype, rounded for integers."""
    if dtype.is_floating_point:
        return x.to(dtype)
    return x.round().clamp(0, bound(dtype)).to(dtype)


@pillow_too
def adjust_sharpness(img, sharpness_factor):
    """y = f x + (1 - f) s, s smoothed by the window [[1, 1, 1], [1, 5, 1], [1, 1, 1]] / 13 (the
    border stays): 0 is smooth, 1 the image, 2 sharper. Raises ValueError below 0."""
    _need_factor("adjust_sharpness", sharpness_factor)
    need_channels("adjust_sharpness", img)
    h, w = (int(n) for n in img.shape[-2:])
    if h <= 2 or w <= 2:
        return img
    kind = img.dtype if img.dtype.is_floating_point else lamina.float32
    x = img.to(kind).reshape(-1, 1, h, w)
    ones = lamina.ones(3, dtype=kind)
    inside = (_filtered(x, ones, ones) + 4 * x[..., 1:-1, 1:-1]) / 13
    smooth = x.clone()
    smooth[..., 1:-1, 1:-1] = _rounded(inside, img.dtype).to(kind)
    return blend(img, smooth.reshape(tuple(img.shape)), sharpness_factor)


def gaussian_weights(size: int, sigma: float, dtype=lamina.float32):
    """exp(-x^2 / (2 sigma^2)) at x = -(size - 1) / 2, ..., (size - 1) / 2, divided by the sum."""
    x = lamina.arange(size, dtype=lamina.float64) - (size - 1) / 2
    w = (x / sigma).square().mul(-0.5).exp()
    return (w / w.sum()).to(dtype)


@pillow_too
def gaussian_blur(img, kernel_size, sigma=None):
    """The image blurred by a Gaussian window, mirrored about its last pixels at the border.

    Args:
        kernel_size: odd, an int or (horizontal, vertical).
        sigma: standard deviation, a number or (horizontal, vertical); None: 0.15 size + 0.35.

    Raises ValueError for even or negative sizes or sigmas, or images smaller than half the window.
    """
    need_image("gaussian_blur", img)
    sizes = [kernel_size] * 2 if isinstance(kernel_size, int) else [int(k) for k in kernel_size]
    sizes = sizes * 2 if len(sizes) == 1 else sizes
    if len(sizes) != 2 or any(k <= 0 or k % 2 == 0 for k in sizes):
        raise ValueError(
            f"gaussian_blur: kernel_size must be one or two odd positive ints, got {kernel_size}"
        )
    if sigma is None:
        sigmas = [k * 0.15 + 0.35 for k in sizes]
    else:
        sigmas = [float(s) for s in (sigma if isinstance(sigma, (list, tuple)) else [sigma])]
        sigmas = sigmas * 2 if len(sigmas) == 1 else sigmas
    if len(sigmas) != 2 or min(sigmas) <= 0:
        raise ValueError(f"gaussian_blur: sigma must be one or two positive numbers, got {sigma}")
    h, w = (int(n) for n in img.shape[-2:])
    kind = img.dtype if img.dtype.is_floating_point else lamina.float32
    x = img.to(kind).reshape(-1, 1, h, w)
    kx, ky = sizes
    x = F.pad(x, (kx // 2, kx // 2, ky // 2, ky // 2), mode="reflect")
    x = _filtered(x, gaussian_weights(ky, sigmas[1], kind), gaussian_weights(kx, sigmas[0], kind))
    return _rounded(x, img.dtype).reshape(tuple(img.shape))
