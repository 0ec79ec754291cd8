"""The bytes of tensors, without NumPy: how files are read into tensors and written from them."""

from __future__ import annotations

import ctypes
import math

import lamina


def raw(t) -> memoryview:
    """The memory of a contiguous tensor as writable bytes (no copy); keep `t` alive while used."""
    size = t.numel() * t.dtype.itemsize
    if size == 0:
        return memoryview(bytearray())
    return memoryview((ctypes.c_char * size).from_address(lamina._core.address(t))).cast("B")


def from_bytes(data, dtype, shape):
    """A new tensor of `dtype` and `shape` holding a copy of the bytes `data`.

    Raises ValueError when the number of bytes does not fit.
    """
    t = lamina.empty(tuple(shape), dtype=dtype)
    expected = math.prod(shape) * dtype.itemsize
    view = memoryview(data)
    if view.nbytes != expected:
        raise ValueError(
            f"from_bytes: shape {tuple(shape)} of {dtype} needs {expected} bytes, got {view.nbytes}"
        )
    if expected:
        raw(t)[:] = view.cast("B")
    return t
