"""The safetensors format: tensors by name and metadata, to a file and back."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from typing import Any

import lamina

from .. import _core
from .files import open_to_read, open_to_write

NAMES = {
    lamina.float64: "F64", lamina.float32: "F32", lamina.float16: "F16", lamina.bfloat16: "BF16",
    lamina.int64: "I64", lamina.int32: "I32", lamina.int16: "I16", lamina.int8: "I8",
    lamina.uint8: "U8", lamina.bool: "BOOL", lamina.complex64: "C64", lamina.complex128: "C128",
}  # fmt: skip
DTYPES = {name: dtype for dtype, name in NAMES.items()}
_MAX_HEADER = 100_000_000  # the limit of the safetensors package
_ALIGN = 64  # where the data begins; every tensor then lies at a multiple of its item size
_LAYOUT = OrderedDict[str, tuple[str, tuple[int, ...], int, int]]  # name: dtype, shape, begin, end


# ---- writing -------------------------------------------------------------------------------------
def write(tensors: dict, metadata: dict, f) -> None:
    """Write tensors by name and str-by-str metadata to `f`. The widest dtypes come first, so that
    each tensor lies at a multiple of its item size."""
    order = sorted(tensors, key=lambda name: -tensors[name].dtype.itemsize)
    ends, end = {}, 0
    for name in order:
        t = tensors[name]
        begin, end = end, end + t.numel() * t.dtype.itemsize
        ends[name] = [begin, end]
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    for name, t in tensors.items():
        header[name] = {
            "dtype": NAMES[t.dtype], "shape": list(t.shape), "data_offsets": ends[name]
        }  # fmt: skip
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-(8 + len(text)) % _ALIGN)
    if len(text) > _MAX_HEADER:
        raise ValueError(
            f"save: what is not in tensors takes {len(text)} bytes; at most {_MAX_HEADER} fit. "
            "Put long lists of numbers into tensors"
        )
    with open_to_write(f) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            t = tensors[name].detach().cpu().contiguous()
            data = _core.bytes_of(t)
            while len(data):  # an unbuffered file may take a part only
                data = data[file.write(data) or len(data) :]


# ---- reading -------------------------------------------------------------------------------------
def _unique(pairs: list) -> dict:
    out = dict(pairs)
    if len(out) != len(pairs):
        twice = sorted({k for k, _ in pairs if [p[0] for p in pairs].count(k) > 1})
        raise ValueError(f"it has the name {twice[0]!r} twice")
    return out


def _refuse(number: str):
    raise ValueError(f"it holds {number}, which is not JSON")


def parse(text: str | bytes, what: str) -> dict:
    """A JSON object. ValueError where it is not one, or holds NaN or a name twice."""
    try:
        text = text if isinstance(text, str) else str(text, "utf-8")
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except RecursionError:
        raise ValueError(f"its {what} is nested too deeply") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"its {what} is not valid JSON ({error})") from None
    if not isinstance(value, dict):
        raise ValueError(f"its {what} is not a JSON object")
    return value


def is_foreign(head: bytes) -> bool:
    """Whether a file that begins with these 4 bytes is another format that `load` reads: a zip
    archive (.pt, .npz), a .npy file, or a pickle (older .pt files)."""
    pickled = head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    return head in (b"PK\x03\x04", b"\x93NUM") or pickled


def _another_format(head: bytes) -> str:
    """What the file may be instead, in words."""
    if is_foreign(head[:4]):
        return "it is a zip archive or a pickle, as .pt and .npz files are; lamina.load reads those"
    if head.startswith(b"\x89HDF"):
        return "it is an HDF5 file; convert it with the safetensors package"
    return "it is not a safetensors file, or its beginning is damaged"


def _read_header(file, left: int, must_end: bool) -> tuple[_LAYOUT, dict]:
    """Where each tensor lies, and the metadata. ValueError where the file does not keep the format:
    the checks here are what makes it safe to read the data without any further one."""
    head = file.read(8)
    if len(head) < 8:
        raise ValueError(f"it is cut off: {len(head)} bytes, and a header alone has 10 or more")
    n = int.from_bytes(head, "little")
    if n > min(left - 8, _MAX_HEADER):
        raise ValueError(
            f"{_another_format(head)} (a header of {n} bytes in a file of {left} bytes; the limit "
            f"is {_MAX_HEADER})"
        )
    header = parse(file.read(n), "header")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValueError("its __metadata__ does not map strings to strings")
    layout: _LAYOUT = OrderedDict((name, _entry(name, e)) for name, e in header.items())
    position, last = 0, "the header"
    for name, (_, _, begin, end) in sorted(layout.items(), key=lambda item: item[1][2:]):
        if begin != position:
            how = "overlaps" if begin < position else "leaves a hole after"
            raise ValueError(f"the tensor {name!r} at bytes {begin} to {end} {how} {last!r}")
        position, last = end, name
    data = left - 8 - n
    if position > data:
        raise ValueError(f"it is cut off: {position} bytes of tensors announced, {data} present")
    if must_end and position < data:
        raise ValueError(f"it has {data - position} bytes after the last tensor")
    return layout, metadata


def _entry(name: str, entry) -> tuple[str, tuple[int, ...], int, int]:
    def natural(x) -> bool:
        return isinstance(x, int) and not isinstance(x, bool) and 0 <= x < 2**62

    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"the tensor {name!r} lacks its dtype, shape or data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(
            f"the tensor {name!r} has the dtype {dtype!r}; supported are {', '.join(DTYPES)}"
        )
    if not isinstance(shape, list) or not all(map(natural, shape)):
        raise ValueError(f"the tensor {name!r} has an invalid shape: {shape!r:.80}")
    if len(shape) > 12 or math.prod(max(d, 1) for d in shape) >= 2**59:
        raise ValueError(f"the tensor {name!r} has too large a shape: {shape!r:.80}")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(natural, offsets)):
        raise ValueError(f"the tensor {name!r} has invalid data_offsets: {offsets!r:.80}")
    begin, end = offsets
    needs = math.prod(shape) * DTYPES[dtype].itemsize
    if end - begin != needs:
        raise ValueError(
            f"the tensor {name!r} of shape {shape} and dtype {dtype} needs {needs} bytes, but its "
            f"data_offsets {offsets} span {end - begin}"
        )
    return dtype, tuple(shape), begin, end


def read_metadata(f) -> dict:
    """The metadata alone."""
    with open_to_read(f) as (file, where, left, must_end):
        try:
            return _read_header(file, left, must_end)[1]
        except ValueError as error:
            raise ValueError(f"load: {where}: {error}") from None


def read(f) -> tuple[dict, dict]:
    """The tensors by name, in the order of the header, and the metadata."""
    with open_to_read(f) as (file, where, left, must_end):
        try:
            return read_open(file, left, must_end)
        except ValueError as error:
            raise ValueError(f"load: {where}: {error}") from None


def read_open(file, left: int, must_end: bool) -> tuple[dict, dict]:
    """As `read`, from where a file stands. ValueError, without the file's name."""
    layout, metadata = _read_header(file, left, must_end)
    tensors: dict[str, Any] = dict.fromkeys(layout)
    for name, (kind, shape, _, _) in sorted(layout.items(), key=lambda item: item[1][2:]):
        dtype = DTYPES[kind]
        held = lamina.uint8 if dtype is lamina.bool else dtype
        t = lamina.empty(shape, dtype=held, device="cpu")
        data = _core.bytes_of(t)
        while len(data):
            n = file.readinto(data)
            if not n:
                raise ValueError(f"it is cut off inside the tensor {name!r}")
            data = data[n:]
        tensors[name] = t if held is dtype else t != 0  # any other byte is True too
    return tensors, metadata
