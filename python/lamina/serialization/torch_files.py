"""PyTorch's files (.pt, .pth), read without running anything.

Since PyTorch 1.6 a file is a zip archive, every member stored as it is:

    <name>/data.pkl     a pickle of the object; a tensor is a call of _rebuild_tensor_v2(storage,
                        offset, size, stride, ...) and a storage the persistent id
                        ("storage", <type>, <key>, <device>, <elements>)
    <name>/data/<key>   the bytes of a storage
    <name>/byteorder    "little" or "big"

Before, it was pickles in a row (a magic number, the protocol 1001, facts about the machine, the
object, the storages' keys) and after them, in the order of the keys, the storages: the number of
elements in 8 bytes, then the bytes. Tensors that share a storage share it here too.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable
from typing import Any

import lamina

from .. import _core
from .._types import Size, device
from .objects import allowed
from .pickles import PLAIN, Named, read_pickle

_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32",
    "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64", "ComplexDoubleStorage": "complex128",
    "UntypedStorage": "untyped",
}  # fmt: skip
_ADVICE = "load it in PyTorch and save its state_dict()"


class _StorageType:
    """The type of a storage, by the name of its elements' dtype."""

    def __init__(self, dtype: str):
        self.dtype = dtype


def _dtype(name: str):
    """lamina's dtype of that name. ValueError where there is none."""
    found = getattr(lamina, name, None)
    if not isinstance(found, lamina.dtype):
        raise ValueError(f"it holds a tensor of dtype {name}, which lamina does not have")
    return found


# ---- what a pickle may call ----------------------------------------------------------------------
def _naturals(values) -> bool:
    return isinstance(values, tuple) and all(
        type(v) is int and 0 <= v < 2**62 for v in values
    )  # fmt: skip


def _rebuild_tensor(storage, offset, size, stride, requires_grad=False, *_):
    """A view of a storage. ValueError where it would reach beyond it."""
    if isinstance(storage, _StorageType):
        raise ValueError(f"it holds a tensor of dtype {storage.dtype}, which lamina does not have")
    if not isinstance(storage, lamina.Tensor):
        raise ValueError(f"it makes a tensor of a {type(storage).__name__}")
    if not (_naturals((offset,)) and _naturals(size) and _naturals(stride)):
        raise ValueError(f"a tensor has the size {size!r:.80} and the strides {stride!r:.80}")
    if len(size) != len(stride) or len(size) > 12 or math.prod(max(n, 1) for n in size) >= 2**59:
        raise ValueError(f"a tensor has the size {size!r:.80} and the strides {stride!r:.80}")
    last = offset + sum((n - 1) * s for n, s in zip(size, stride))
    if 0 not in size and last >= storage.numel():
        raise ValueError(
            f"a tensor of size {size} and strides {stride} reaches element {last} of a storage "
            f"of {storage.numel()}"
        )
    if 0 in size:
        tensor = lamina.empty(size, dtype=storage.dtype)
    else:
        tensor = lamina.as_strided(storage, size, stride, offset)
    return _with_grad(tensor, requires_grad)


def _with_grad(tensor, requires_grad):
    able = tensor.dtype.is_floating_point or tensor.dtype.is_complex
    return tensor.requires_grad_() if requires_grad is True and able else tensor


def _rebuild_typed(storage, offset, size, stride, requires_grad, hooks, dtype, *_):
    """_rebuild_tensor_v3: of the types PyTorch has no typed storage for, and lamina neither."""
    name = dtype.dtype if isinstance(dtype, _StorageType) else dtype
    raise ValueError(f"it holds a tensor of dtype {name}, which lamina does not have")


def _rebuild_parameter(data, requires_grad=True, *_):
    from ..nn import Parameter

    if not isinstance(data, lamina.Tensor):
        raise ValueError(f"it makes a parameter of a {type(data).__name__}")
    able = data.dtype.is_floating_point or data.dtype.is_complex
    return Parameter(data, requires_grad is True and able)


def _rebuild_from_type(function, kind, arguments, state):
    """A tensor with attributes of its own, which are left out."""
    if not isinstance(function, Named) or not isinstance(arguments, tuple):
        raise ValueError("it makes a tensor in an unknown way")
    return function.call(*arguments)


_NAMES: dict[tuple[str, str], Any] = {
    **PLAIN,
    ("torch", "Size"): Named("Size", lambda *size: Size(*size)),
    ("torch", "device"): Named("device", lambda *where: device("cpu")),  # where all tensors go
    ("torch", "Tensor"): Named("Tensor", _rebuild_tensor),
    ("torch._tensor", "_rebuild_from_type_v2"): Named("tensor", _rebuild_from_type),
    ("torch.nn.parameter", "Parameter"): Named("Parameter", _rebuild_parameter),
}
_calls: dict[str, Callable] = {
    "_rebuild_tensor": _rebuild_tensor, "_rebuild_tensor_v2": _rebuild_tensor,
    "_rebuild_tensor_v3": _rebuild_typed, "_rebuild_parameter": _rebuild_parameter,
    "_rebuild_parameter_with_state": _rebuild_parameter,
}  # fmt: skip
for _name, _call in _calls.items():
    _NAMES["torch._utils", _name] = Named(_name, _call)
for _name, _kind in _STORAGES.items():
    for _module in ("torch", "torch.storage"):
        _NAMES[_module, _name] = _StorageType(_kind)


def _find(module: str, name: str) -> Any:
    """What a name of the pickle stands for. ValueError for all that could run code."""
    if (module, name) in _NAMES:
        return _NAMES[module, name]
    found = allowed(module, name)
    if found is not None:
        return Named(name, found, found if isinstance(found, type) else None)
    if module == "torch":
        dtype = getattr(lamina, name, None)
        if isinstance(dtype, lamina.dtype):
            return dtype
        if name.startswith(("uint", "int", "float", "bfloat", "complex", "q")):
            return _StorageType(name)
    text = f"it refers to {module}.{name}, and only tensors and plain containers are read"
    if module.startswith("torch.nn"):
        raise ValueError(f"{text} (the file holds a whole module); {_ADVICE}")
    raise ValueError(
        f"{text}; {_ADVICE}, or, for a class or function you trust, allow it with "
        "lamina.serialization.safe_globals([...])"
    )


# ---- the two formats -----------------------------------------------------------------------------
def _fill(tensor, file) -> None:
    """Reads a tensor's bytes. ValueError when there are too few."""
    if tensor.dtype is lamina.bool:  # any byte but 0 is True
        held = lamina.empty(tensor.shape, dtype=lamina.uint8, device="cpu")
        _fill(held, file)
        tensor.copy_(held != 0)
        return
    data = _core.bytes_of(tensor)
    while len(data):
        n = file.readinto(data)
        if not n:
            raise ValueError("it is cut off inside a storage")
        data = data[n:]


def _storage_of(identifier) -> tuple[Any, str, int]:
    """(dtype or None, key, elements) of a storage's persistent id."""
    if not isinstance(identifier, tuple) or len(identifier) < 5 or identifier[0] != "storage":
        raise ValueError(f"its pickle refers to {identifier!r:.60}, which is no storage")
    _, kind, key, _, count = identifier[:5]
    if not isinstance(kind, _StorageType) or not isinstance(key, str) or not _naturals((count,)):
        raise ValueError(f"its pickle refers to a storage by {identifier!r:.60}")
    return (None if kind.dtype == "untyped" else _dtype(kind.dtype)), key, count


def _checked(storage, key: str, dtype, count: int):
    """The storage, if it is what the pickle says. ValueError otherwise."""
    if storage.dtype is not dtype or storage.numel() != count:
        raise ValueError(
            f"its storage {key!r} has {storage.numel()} elements of {storage.dtype} at one place "
            f"and {count} of {dtype} at another"
        )
    return storage


class Zip:
    """A zip archive of PyTorch; storages are read when they are first needed."""

    def __init__(self, archive: zipfile.ZipFile):
        self.archive = archive
        self.members = {info.filename: info for info in archive.infolist()}
        pickles = [name for name in self.members if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError("it is a zip archive, but holds no data.pkl as PyTorch's do")
        self.root = pickles[0].removesuffix("data.pkl")
        self.storages: dict[str, Any] = {}

    def member(self, name: str) -> zipfile.ZipInfo:
        info = self.members.get(self.root + name)
        if info is None or info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise ValueError(f"its member {self.root + name!r} is missing or compressed")
        return info

    def load(self):
        """The object. Errors as `load_rows`."""
        if self.root + "byteorder" in self.members:
            order = self.archive.read(self.member("byteorder"))
            if order != b"little":
                raise ValueError(f"its byte order is {order!r:.20}; only little is read")
        data = io.BytesIO(self.archive.read(self.member("data.pkl")))
        return read_pickle(data, _find, self.storage)

    def storage(self, identifier):
        dtype, key, count = _storage_of(identifier)
        if dtype is None:
            return _StorageType("of an untyped storage")
        if key not in self.storages:
            info = self.member(f"data/{key}")
            if info.file_size != count * dtype.itemsize:
                raise ValueError(
                    f"its storage {key!r} has {info.file_size} bytes, and {count} elements of "
                    f"{dtype.itemsize} bytes were announced"
                )
            self.storages[key] = lamina.empty((count,), dtype=dtype)
            with self.archive.open(info) as file:
                _fill(self.storages[key], file)
        return _checked(self.storages[key], key, dtype, count)


class _Rest:
    """A file whose reads never ask for more than is left."""

    def __init__(self, file, left: int):
        self.file, self.end = file, file.tell() + left

    def read(self, n: int) -> bytes:
        return self.file.read(min(n, max(0, self.end - self.file.tell())))

    def readline(self) -> bytes:
        return self.file.readline(4096)

    def readinto(self, data) -> int:
        return self.file.readinto(data)


def load_rows(file, left: int):
    """An object of the older format. ValueError when it is damaged, or holds what is no tensor,
    number, string or container of them."""
    rest = _Rest(file, left)
    if read_pickle(rest, _find) != _MAGIC:
        raise ValueError("it is a pickle, but not one of PyTorch's files; lamina loads no others")
    if read_pickle(rest, _find) != 1001 or not isinstance(facts := read_pickle(rest, _find), dict):
        raise ValueError("its version of PyTorch's older format is unknown")
    if facts.get("little_endian") is not True:
        raise ValueError("its byte order is big; only little is read")
    storages: dict[str, Any] = {}

    def storage(identifier):
        dtype, key, count = _storage_of(identifier)
        if len(identifier) > 5 and identifier[5] is not None:
            raise ValueError("it holds views of storages, as PyTorch before 0.4 wrote them")
        if key not in storages:
            if dtype is None or count * dtype.itemsize > left:
                raise ValueError(f"its storage {key!r} of {count} elements is longer than the file")
            storages[key] = lamina.empty((count,), dtype=dtype)
        return _checked(storages[key], key, dtype, count)

    made = read_pickle(rest, _find, storage)
    keys = read_pickle(rest, _find)
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages):
        raise ValueError("its list of storages is not that of its tensors")
    for key in keys:
        count = int.from_bytes(rest.read(8), "little")
        _fill(_checked(storages[key], key, storages[key].dtype, count), rest)
    return made
