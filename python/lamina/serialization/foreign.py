"""Files of PyTorch (.pt) and NumPy (.npz, .npy), told by how they begin."""

from __future__ import annotations

import struct
import zipfile
import zlib

import lamina

from .torch_files import Zip, load_rows

_DAMAGED = (  # what zipfile raises
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, OSError,
    OverflowError, RuntimeError, MemoryError,
)  # fmt: skip


def _array(file):
    """The tensor of a .npy file. ValueError when it is damaged or of another type."""
    from numpy.lib import format  # slow to import

    try:
        array = format.read_array(file, allow_pickle=False)
        return lamina.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C"))
    except (TypeError, MemoryError, SyntaxError) as error:
        raise ValueError(f"its array cannot be read ({error})") from None


def _opened(file) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except ValueError as error:  # of positions before the beginning
        raise zipfile.BadZipFile(str(error)) from None


def _archive(file):
    """The object in PyTorch's zip archive, or the arrays in NumPy's as a dict of tensors."""
    try:
        with _opened(file) as archive:
            names = archive.namelist()
            if not names or not all(name.endswith(".npy") for name in names):
                return Zip(archive).load()
            tensors = {}
            for name in names:
                with archive.open(name) as member:
                    tensors[name.removesuffix(".npy")] = _array(member)
            return tensors
    except _DAMAGED as error:
        raise ValueError(f"it is a damaged zip archive ({error})") from None


def read_foreign(head: bytes, file, left: int):
    """The object in a file, of which `left` bytes are left, that begins with head as
    `format.is_foreign` says."""
    if head == b"PK\x03\x04":
        return _archive(file)
    return _array(file) if head == b"\x93NUM" else load_rows(file, left)
