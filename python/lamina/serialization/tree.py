"""Nested state as JSON and tensors by name, and back."""

from __future__ import annotations

import base64
import json
import math
from collections import OrderedDict
from typing import Any

import lamina

from .._types import Size
from .format import DTYPES, NAMES, parse

_MAX_DEPTH = 100
_KEY = "lamina.tree"  # of the metadata
_VERSION = 1


class _Taking:
    """Turns nested objects into JSON and takes the tensors out of them, by name."""

    def __init__(self) -> None:
        self.tensors: dict[str, Any] = {}

    def name(self, path: tuple) -> str:
        """A name for the tensor at `path` that no other one has."""
        base = ".".join(map(str, path)) or "tensor"
        name, n = base, 1
        while name in self.tensors or name == "__metadata__":
            n += 1
            name = f"{base}~{n}"
        return name

    def tree(self, obj, path: tuple = ()):
        """Scalars stand for themselves, a list for a list, ``{kind: content}`` for the rest."""
        if len(path) > _MAX_DEPTH:
            raise ValueError(
                f"save: {_where(path[:4])}... is nested more than {_MAX_DEPTH} deep; does the "
                "object contain itself?"
            )
        if obj is None or isinstance(obj, (bool, str)):
            return obj if obj is None or isinstance(obj, bool) else str(obj)
        if isinstance(obj, int):
            return int(obj)
        if isinstance(obj, float):
            return float(obj) if math.isfinite(obj) else {"float": repr(float(obj))}
        if isinstance(obj, lamina.Tensor):
            name = self.name(path)
            self.tensors[name] = obj
            return {"tensor": name, **({"requires_grad": True} if obj.requires_grad else {})}
        if isinstance(obj, dict):
            items = [[_key(k, path), self.tree(v, (*path, k))] for k, v in obj.items()]
            return {"ordered" if isinstance(obj, OrderedDict) else "dict": items}
        if isinstance(obj, (list, tuple)):
            items = [self.tree(v, (*path, i)) for i, v in enumerate(obj)]
            if isinstance(obj, list):
                return items
            return {"size" if isinstance(obj, Size) else "tuple": items}
        if isinstance(obj, (bytes, bytearray)):
            return {"bytes": base64.b64encode(obj).decode("ascii")}
        if isinstance(obj, lamina.dtype):
            return {"dtype": NAMES[obj]}
        raise TypeError(
            f"save: {_where(path)} is a {type(obj).__name__}, which cannot be saved; save tensors, "
            f"numbers, strings and dicts, lists or tuples of them{_advice(obj)}"
        )


def _where(path: tuple) -> str:
    return "obj" + "".join(f"[{k!r}]" for k in path)


def _advice(obj) -> str:
    if hasattr(obj, "state_dict"):
        return " (here: its state_dict())"
    if hasattr(obj, "__array__"):
        return " (here: lamina.tensor(...) of it, or .item())"
    return " (here: list(...) of it)" if isinstance(obj, (set, frozenset)) else ""


def _key(key, path: tuple):
    if key is None or isinstance(key, (str, int)):
        return key
    if isinstance(key, float) and math.isfinite(key):
        return key
    raise TypeError(
        f"save: {_where(path)} has the key {key!r} of type {type(key).__name__}; keys must be str, "
        "int, float, bool or None"
    )


def _build(node, tensors: dict, used: set):
    """The object that `_Taking.tree` wrote as `node`. ValueError where it is damaged."""
    if node is None or isinstance(node, (bool, int, float, str)):
        return node
    if isinstance(node, list):
        return [_build(v, tensors, used) for v in node]
    kind = next(iter(node), None)
    content = node.get(kind)
    if kind == "tensor" and isinstance(content, str):
        if content not in tensors:
            raise ValueError(f"its tree names a tensor {content!r} that is not in the file")
        used.add(content)
        tensor = tensors[content]
        if node.get("requires_grad") is True and tensor.dtype.is_floating_point:
            tensor.requires_grad_()
        return tensor
    if kind in ("dict", "ordered") and isinstance(content, list):
        out: dict = OrderedDict() if kind == "ordered" else {}
        for pair in content:
            if not isinstance(pair, list) or len(pair) != 2 or isinstance(pair[0], (list, dict)):
                raise ValueError(f"its tree has {pair!r:.60} where a key and a value should be")
            out[pair[0]] = _build(pair[1], tensors, used)
        return out
    if kind in ("tuple", "size") and isinstance(content, list):
        items = [_build(v, tensors, used) for v in content]
        return Size(items) if kind == "size" else tuple(items)
    if kind == "float" and content in ("nan", "inf", "-inf"):
        return float(content)
    if kind == "bytes" and isinstance(content, str):
        return base64.b64decode(content, validate=True)
    if kind == "dtype" and content in DTYPES:
        return DTYPES[content]
    raise ValueError(f"its tree has an entry that this version does not know: {node!r:.60}")


def pack(obj) -> tuple[dict, dict]:
    """(tensors by name, metadata) of a nested object. The errors of `save`."""
    taking = _Taking()
    tree = {"version": _VERSION, "tree": taking.tree(obj)}
    return taking.tensors, {_KEY: json.dumps(tree, separators=(",", ":"))}


def unpack(tensors: dict, metadata: dict):
    """What was packed; the dict of tensors itself when that was not done by `pack`. ValueError when
    the metadata is damaged."""
    if _KEY not in metadata:
        return tensors
    held = parse(metadata[_KEY], "tree")
    if held.get("version") != _VERSION or "tree" not in held:
        raise ValueError(f"its tree has version {held.get('version')!r}; lamina reads {_VERSION}")
    used: set[str] = set()
    try:
        obj = _build(held["tree"], tensors, used)
    except RecursionError:
        raise ValueError("its tree is nested too deeply") from None
    if len(used) != len(tensors):
        raise ValueError(f"the tensor {min(set(tensors) - used)!r} is not in its tree")
    return obj
