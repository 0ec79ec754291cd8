"""Images in files, with the names of torchvision.io.

PNG files (W3C, "Portable Network Graphics Specification", 3rd edition) are written, and PPM, PGM
and NPY files read, without further packages; other files are read by Pillow.
"""

from __future__ import annotations

import enum
import os
import pathlib
import struct
import zlib

import lamina
from lamina.utils._memory import from_bytes, raw

from .transforms.functional import pil_to_tensor, rgb_to_grayscale

__all__ = ["ImageReadMode", "encode_png", "read_file", "read_image", "write_file", "write_png"]


class ImageReadMode(enum.Enum):
    """Which channels `read_image` gives."""

    UNCHANGED = 0
    GRAY = 1
    GRAY_ALPHA = 2
    RGB = 3
    RGB_ALPHA = 4


def _chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file: length, kind, data, checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _need_bytes(name: str, input):
    """`input` as bytes (H, W, C). Raises TypeError or ValueError for anything else."""
    if not isinstance(input, lamina.Tensor) or input.dtype is not lamina.uint8:
        kind = getattr(input, "dtype", type(input).__name__)
        raise TypeError(f"{name}: expected a uint8 tensor (C, H, W), got {kind}")
    if input.ndim != 3 or input.shape[0] not in (1, 2, 3, 4) or 0 in input.shape:
        raise ValueError(
            f"{name}: expected an image (C, H, W) of 1 to 4 channels, got shape "
            f"{tuple(input.shape)}"
        )
    return input.detach().permute(1, 2, 0).contiguous()


def _png(input, compression_level: int) -> bytes:
    pixels = _need_bytes("encode_png", input)
    if not 0 <= compression_level <= 9:
        raise ValueError(f"encode_png: compression_level must be 0 to 9, got {compression_level}")
    h, w, channels = (int(n) for n in pixels.shape)
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    unfiltered = lamina.zeros((h, 1), dtype=lamina.uint8)  # each row begins with its filter, none
    rows = lamina.cat([unfiltered, pixels.reshape(h, w * channels)], 1)
    header = struct.pack(">IIBBBBB", w, h, 8, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(raw(rows), compression_level))
        + _chunk(b"IEND", b"")
    )


def encode_png(input, compression_level: int = 6):
    """The bytes of a PNG file, uint8 (n), of an image uint8 (C, H, W): grey, grey and opacity, RGB
    or RGB and opacity. Raises TypeError or ValueError for other images."""
    data = _png(input, compression_level)
    return from_bytes(data, lamina.uint8, (len(data),))


def write_file(filename, data) -> None:
    """Writes bytes, a uint8 tensor (n) or a bytes object. An existing file is replaced at once."""
    path = pathlib.Path(filename)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(
            raw(data.contiguous()) if isinstance(data, lamina.Tensor) else data
        )  # fmt: skip
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_png(input, filename, compression_level: int = 6) -> None:
    """Writes an image uint8 (C, H, W) as a PNG file; see `encode_png`."""
    write_file(filename, _png(input, compression_level))


def read_file(path):
    """The bytes of a file, uint8 (n)."""
    data = pathlib.Path(path).read_bytes()
    return from_bytes(data, lamina.uint8, (len(data),))


def _portable(path, data: bytes):
    """The image (C, H, W) in a binary PGM or PPM file: "P5" or "P6", width, height, largest value,
    with spaces and comments between, one space, the pixels."""
    numbers: list[int] = []
    at = 2
    while len(numbers) < 3 and at < len(data):
        if data[at : at + 1] == b"#":
            at = (data.find(b"\n", at) + 1) or len(data)
        elif data[at : at + 1].isspace():
            at += 1
        else:
            end = at
            while end < len(data) and data[end : end + 1].isdigit():
                end += 1
            if end == at:
                break
            numbers.append(int(data[at:end]))
            at = end
    channels = 3 if data[:2] == b"P6" else 1
    if len(numbers) < 3 or numbers[2] > 255:
        raise ValueError(f"{path}: not a binary PGM or PPM file of bytes")
    w, h, _ = numbers
    if len(data) - at - 1 < w * h * channels:
        raise ValueError(
            f"{path}: truncated: {w} x {h} pixels of {channels} channels need "
            f"{w * h * channels} bytes, got {max(len(data) - at - 1, 0)}"
        )
    pixels = memoryview(data)[at + 1 : at + 1 + w * h * channels]
    image = from_bytes(pixels, lamina.uint8, (h, w, channels))
    return image.permute(2, 0, 1).contiguous()


def _array(path):
    """The image (C, H, W) in an NPY file of bytes (H, W), (H, W, C) with 1, 3 or 4 channels, or
    else (C, H, W)."""
    import numpy

    array = numpy.load(path, allow_pickle=False)
    if array.dtype != numpy.uint8 or array.ndim not in (2, 3):
        raise ValueError(
            f"{path}: expected bytes (H, W), (H, W, C) or (C, H, W), got {array.dtype} "
            f"{array.shape}"
        )
    image = lamina.tensor(array)
    if image.ndim == 2:
        return image.unsqueeze(0)
    return image.permute(2, 0, 1).contiguous() if image.shape[2] in (1, 3, 4) else image


def _opened(path):
    """The image (C, H, W) in a file that Pillow reads."""
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(
            f"{path}: reading this kind of file needs the package Pillow (pip install pillow); "
            "PPM, PGM and NPY files need nothing"
        ) from None
    with Image.open(path) as image:
        if image.mode in ("P", "CMYK", "YCbCr", "HSV", "LAB", "1"):
            image = image.convert("L" if image.mode == "1" else "RGB")
        return pil_to_tensor(image)


def read_image(path, mode=ImageReadMode.UNCHANGED):
    """The image in a file, uint8 (C, H, W).

    Args:
        path: a PPM, PGM or NPY file, or, with Pillow, one of any kind it knows.
        mode: which channels to give; missing opacity is 255. An `ImageReadMode` or its name.

    Raises FileNotFoundError, ValueError for damaged files, ImportError where Pillow is missing.
    """
    name = os.fspath(path)
    mode = ImageReadMode[mode] if isinstance(mode, str) else mode
    if name.endswith(".npy"):
        image = _array(name)
    else:
        with open(name, "rb") as file:
            head = file.read(2)
            data = head + file.read() if head in (b"P5", b"P6") else b""
        image = _portable(name, data) if data else _opened(name)
    if mode is ImageReadMode.UNCHANGED:
        return image
    channels = int(image.shape[0])
    colours = image if channels in (1, 3) else image[: channels - 1]
    if mode in (ImageReadMode.GRAY, ImageReadMode.GRAY_ALPHA):
        colours = rgb_to_grayscale(colours)
    elif colours.shape[0] == 1:
        colours = lamina.cat([colours] * 3)
    if mode in (ImageReadMode.GRAY, ImageReadMode.RGB):
        return colours
    opacity = image[-1:] if channels in (2, 4) else lamina.full_like(image[:1], 255)
    return lamina.cat([colours, opacity])
