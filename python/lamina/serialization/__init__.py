"""Saving and loading: nested state as one safetensors file, never as a pickle.

A file is (github.com/huggingface/safetensors, "Format")

    8 bytes    n, the length of the header, little endian
    n bytes    the header, JSON: {name: {"dtype", "shape", "data_offsets": [begin, end]}, ...}
    the rest   the bytes of the tensors, row-major, little endian, without holes

`save_file` and `load_file` handle tensors by name, as the safetensors package does. `save` and
`load` handle any nesting of dicts, lists and tuples: its tensors go into the file under the path
of their keys, and what is around them as JSON under ``"lamina.tree"`` in the header's
``__metadata__``, so that every reader of safetensors can open the file. Nothing in a file is ever
executed. `load` also reads files of PyTorch and NumPy, see torch_files.py.

A file is written beside its name, flushed to the disk and renamed: a program killed at any moment
leaves the old file or the new one, never half of one.
"""

from __future__ import annotations

import lamina

from .._types import device as _device
from .files import open_to_read, replacing
from .format import is_foreign, read, read_metadata, read_open, write
from .objects import add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals
from .tree import pack, unpack

__all__ = [
    "save", "load", "save_file", "load_file", "load_metadata", "add_safe_globals",
    "clear_safe_globals", "get_safe_globals", "safe_globals",
]  # fmt: skip


def save(obj, f, *_, **__) -> None:
    """Save nested state to `f`, a path or a file open for writing in binary mode.

    ``lamina.save(model.state_dict(), "model.safetensors")``. `obj` may be any nesting of dicts
    (keys: str, int, float, bool, None; their order is kept, and that of an OrderedDict), lists,
    tuples, tensors of every dtype and shape, int, float, bool, str, bytes, None and lamina dtypes,
    NumPy arrays, and whole modules (the names of their classes and their attributes, no code or
    hooks; the classes must be there when they are loaded). Views are written as tensors of their
    own, a Parameter as a tensor with ``requires_grad``. A path is replaced in one step,
    see the top of this file; the ending of its name is free.

    Raises TypeError for anything else, with the path of keys to it; ValueError for an object that
    contains itself; OSError when the file cannot be written (the old file then stays).

    >>> import io, lamina
    >>> file = io.BytesIO()
    >>> lamina.save({"step": 3, "weights": [lamina.ones(2)]}, file)
    >>> lamina.load(io.BytesIO(file.getvalue()))
    {'step': 3, 'weights': [tensor([1., 1.])]}
    """
    write(*pack(obj), f)


def save_file(tensors, path, metadata=None) -> None:
    """Save a dict of tensors by name as a plain safetensors file.

    `metadata`: a dict of str by str, kept in the header. `path` as in `save`. Raises TypeError when
    a name or a value has another type, ValueError for the reserved name ``__metadata__``, OSError
    as `save`.
    """
    if not isinstance(tensors, dict):
        raise TypeError(f"save_file: tensors must be a dict, got {type(tensors).__name__}")
    for name, t in tensors.items():
        if not isinstance(name, str) or not isinstance(t, lamina.Tensor):
            raise TypeError(
                f"save_file: expected a tensor by a str, got {type(t).__name__} by {name!r}; use "
                "lamina.save for nested state"
            )
        if name == "__metadata__":
            raise ValueError("save_file: the name __metadata__ is reserved; rename the tensor")
    for key, value in (metadata or {}).items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"save_file: metadata must be str by str, got {value!r} by {key!r}")
    write(tensors, dict(metadata or {}), path)


def _mover(map_location):
    """What gives a tensor in host memory its place; None when all stay. TypeError for what is no
    map_location, DeviceError for a device that is not there."""
    where = map_location
    if isinstance(where, dict):
        where = where.get("cpu")
    if where is None:
        return None
    if isinstance(where, (str, int, _device)) and not isinstance(where, bool):
        place = _device(where)
        place._require()
        return None if place.type == "cpu" else lambda t: t.to(place)
    if not callable(where) or isinstance(map_location, dict):
        raise TypeError(
            "load: map_location must be None, 'cpu', a lamina.device or its name or number, a dict "
            f"of these or a function, got {type(where).__name__}"
        )

    def chosen(t):
        made = where(t, "cpu")
        if made is not None and not isinstance(made, lamina.Tensor):
            raise TypeError(
                "load: a function as map_location must return a tensor or None, got "
                f"{type(made).__name__}"
            )
        return t if made is None else made

    return chosen


def _placed(value, move, known=None):
    """`value` with its tensors, inside dicts, lists, tuples and modules too, moved by `move`; what
    was one tensor stays one."""
    if move is None:
        return value
    known = {} if known is None else known
    if isinstance(value, lamina.Tensor):
        if id(value) not in known:
            made = move(value.detach()).detach()
            if isinstance(value, lamina.nn.Parameter):
                made = lamina.nn.Parameter(made, value.requires_grad)
            known[id(value)] = value, made.requires_grad_(value.requires_grad)
        return known[id(value)][1]
    if type(value) in (list, tuple):
        return type(value)(_placed(v, move, known) for v in value)
    if isinstance(value, dict):
        for key in value:
            value[key] = _placed(value[key], move, known)
    elif isinstance(value, lamina.nn.Module):
        value._apply(lambda t: move(t.detach()))
    return value


def load(f, map_location=None, pickle_module=None, *, weights_only=True, mmap=None, **_):
    """What `save` wrote to `f`, a path or a seekable file open for reading in binary mode.

    A safetensors file from elsewhere comes back as a dict of tensors by name, and so does a .npz
    file; a .npy file as a tensor. A file of PyTorch's (.pt, of any version since 0.4) gives what
    was saved, if that is tensors, parameters, numbers, strings and containers of them, such as
    state_dicts; tensors that shared memory share it again. Nothing in a file is executed; but
    classes of saved modules that are not lamina's own are made only when `safe_globals` allows
    them, or with weights_only=False (which imports their modules; it does nothing for a .pt file).
    `map_location`: the device that the tensors go to (None: the CPU, wherever they were): its name
    or number, or a dict with it under "cpu", or a function of (tensor, "cpu") that returns the
    tensor to take or None for this one. From a file object exactly one saved object is read, from
    where the file stands.

    Raises FileNotFoundError; ValueError with the file's name when it is damaged, cut off, of
    another format, or holds what is none of the above (as a whole module of PyTorch's).
    """
    move = _mover(map_location)
    with open_to_read(f) as (file, where, left, must_end):
        try:
            head = file.read(4)
            file.seek(-len(head), 1)
            if is_foreign(head):
                from .foreign import read_foreign  # slow to import

                return _placed(read_foreign(head, file, left), move)
            return _placed(unpack(*read_open(file, left, must_end), not weights_only), move)
        except ValueError as error:
            raise ValueError(f"load: {where}: {error}") from None


def load_file(path) -> dict:
    """The tensors of a safetensors file by name, in the order of its header.

    Raises FileNotFoundError; ValueError with the file's name when it is damaged. A file written by
    `save` gives its tensors by the path of their keys ("optimizer.state.0.exp_avg").
    """
    return read(path)[0]


def load_metadata(path) -> dict:
    """The metadata of a safetensors file, str by str; its tensors are not read. Errors as
    `load_file`."""
    return read_metadata(path)
