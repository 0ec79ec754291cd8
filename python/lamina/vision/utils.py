"""Images side by side, and into files, with the names of torchvision.utils."""

from __future__ import annotations

import math
import os

import lamina

from .io import _need_bytes, _png, write_file

__all__ = ["make_grid", "save_image"]


def _stretch(image, value_range):
    """(x - low) / (high - low) of values clamped to the range, or to their own."""
    low, high = value_range if value_range else (float(image.min()), float(image.max()))
    return (image.clamp(low, high) - low) / max(high - low, 1e-5)


@lamina.no_grad()
def make_grid(tensor, nrow: int = 8, padding: int = 2, normalize: bool = False, value_range=None,
              scale_each: bool = False, pad_value: float = 0.0):  # fmt: skip
    """Images side by side in one, row by row.

    Args:
        tensor: a batch (B, C, H, W), a list of B images (C, H, W), or one image (C, H, W) or
            (H, W). Grey ones get three channels.
        nrow: images per row.
        padding: pixels between and around the images, of value `pad_value`.
        normalize: stretch the values from `value_range` (low, high), or from their smallest and
            largest, to [0, 1].
        scale_each: stretch every image by itself.

    Returns (C, (H + padding) * rows + padding, (W + padding) * columns + padding); a single image
    has no border. Raises TypeError or ValueError for other arguments.
    """
    if isinstance(tensor, (list, tuple)) and all(isinstance(t, lamina.Tensor) for t in tensor):
        tensor = lamina.stack(list(tensor))
    if not isinstance(tensor, lamina.Tensor):
        raise TypeError(f"make_grid: expected a tensor or a list, got {type(tensor).__name__}")
    if not 2 <= tensor.ndim <= 4:
        raise ValueError(f"make_grid: expected a batch (B, C, H, W), got {tuple(tensor.shape)}")
    if value_range is not None and (not isinstance(value_range, tuple) or len(value_range) != 2):
        raise TypeError(f"make_grid: value_range must be a tuple (low, high), got {value_range!r}")
    images = tensor.detach()
    while images.ndim < 4:
        images = images.unsqueeze(0)
    if images.shape[1] == 1:
        images = lamina.cat([images] * 3, 1)
    if normalize:
        if scale_each:
            images = lamina.stack([_stretch(image, value_range) for image in images])
        else:
            images = _stretch(images, value_range)
    count, channels, h, w = (int(n) for n in images.shape)
    if count == 1:
        return images[0]
    columns = min(nrow, count)
    rows = math.ceil(count / columns)
    h, w = h + padding, w + padding
    shape = (channels, h * rows + padding, w * columns + padding)
    grid = lamina.full(shape, pad_value, dtype=images.dtype)
    for k in range(count):
        top, left = k // columns * h + padding, k % columns * w + padding
        grid[:, top : top + h - padding, left : left + w - padding] = images[k]
    return grid


@lamina.no_grad()
def save_image(tensor, fp, format=None, **kwargs) -> None:
    """Writes an image, or the grid of a batch, to a file.

    Args:
        tensor: as `make_grid`, with values in [0, 1], which become bytes, round(255 x).
        fp: a path, or a file open for writing bytes.
        format: "png", "ppm", or another that Pillow knows (such as "jpeg"); None: by the ending of
            the path.
        kwargs: of `make_grid`.

    PNG and PPM need no further package. Raises ValueError when the format is not known.
    """
    grid = make_grid(tensor, **kwargs)
    pixels = grid.to(lamina.float32).mul(255).add(0.5).clamp(0, 255).to(lamina.uint8)
    kind = format
    if kind is None:
        path = os.fspath(fp) if isinstance(fp, (str, os.PathLike)) else ""
        kind = os.path.splitext(str(path))[1][1:]
        if not kind:
            raise ValueError(f"save_image: no format given and none in the name of {fp!r}")
    kind = kind.lower()
    if kind == "png":
        data = _png(pixels, 6)
    elif kind in ("ppm", "pgm", "pnm") and pixels.shape[0] == 3:
        h, w = (int(n) for n in pixels.shape[1:])
        data = b"P6\n%d %d\n255\n" % (w, h) + _need_bytes("save_image", pixels).numpy().tobytes()
    else:
        from .transforms.functional import to_pil_image

        to_pil_image(pixels).save(fp, format={"jpg": "jpeg"}.get(kind, kind))
        return
    if isinstance(fp, (str, os.PathLike)):
        write_file(fp, data)
    else:
        fp.write(data)
