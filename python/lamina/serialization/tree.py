"""Nested state as JSON and tensors by name, and back."""

from __future__ import annotations

import base64
import json
import math
from collections import OrderedDict
from typing import Any

import lamina

from .._types import Size
from . import objects
from .format import DTYPES, NAMES, parse

_MAX_DEPTH = 100
_KEY = "lamina.tree"  # of the metadata
_VERSION = 1


class _Taking:
    """Turns nested objects into JSON and takes the tensors out of them, by name."""

    def __init__(self) -> None:
        self.tensors: dict[str, Any] = {}
        self.parameters: dict[int, str] = {}  # id: name; a shared one is written once
        self.whole: dict[int, int] = {}  # id of a module: its number

    def tensor(self, obj, path: tuple) -> dict:
        """A tensor, or a Parameter with what makes it one."""
        from ..nn import Parameter

        if not isinstance(obj, Parameter):
            self.tensors[name := self.name(path)] = obj
            return {"tensor": name, **({"requires_grad": True} if obj.requires_grad else {})}
        if id(obj) not in self.parameters:
            self.tensors[name := self.name(path)] = obj
            self.parameters[id(obj)] = name
        kind = "parameter" if self.whole else "tensor"
        name = self.parameters[id(obj)]
        return {kind: name, **({"requires_grad": True} if obj.requires_grad else {})}

    def array(self, obj, path: tuple):
        """A NumPy array, or a number of its."""
        if not obj.shape and not hasattr(obj, "flags"):
            return self.tree(obj.item(), path)
        try:
            tensor = lamina.from_numpy(obj.copy())
        except TypeError as error:
            raise TypeError(f"save: {_where(path)}: {error}") from None
        self.tensors[name := self.name(path)] = tensor
        return {"array": name}

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
            return self.tensor(obj, path)
        if type(obj).__module__ == "numpy" and hasattr(obj, "__array_interface__"):
            return self.array(obj, path)
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
        if objects.is_saved_whole(obj):
            if id(obj) in self.whole:
                return {"again": self.whole[id(obj)]}
            self.whole[id(obj)] = len(self.whole)
            state = self.tree(objects.state_of(obj), path)
            return {"object": [*objects.name_of(type(obj)), state]}
        if callable(obj) and hasattr(obj, "__qualname__") and hasattr(obj, "__module__"):
            if "<" not in obj.__qualname__ and not hasattr(obj, "__self__"):
                return {"global": [*objects.name_of(obj)]}
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


class _Making:
    """Builds what `_Taking.tree` wrote. ValueError where it is damaged."""

    def __init__(self, tensors: dict, everything: bool):
        self.tensors, self.everything = tensors, everything
        self.used: set[str] = set()
        self.parameters: dict[str, Any] = {}
        self.whole: list = []

    def tensor(self, kind: str, name: str, node: dict):
        """The tensor `name`, as a tensor, a Parameter or an array."""
        if name not in self.tensors:
            raise ValueError(f"its tree names a tensor {name!r} that is not in the file")
        self.used.add(name)
        tensor = self.tensors[name]
        if kind == "array":
            return tensor.numpy()
        requires_grad = node.get("requires_grad") is True and tensor.dtype.is_floating_point
        if kind == "parameter":
            from ..nn import Parameter

            if name not in self.parameters:
                self.parameters[name] = Parameter(tensor, requires_grad)
            return self.parameters[name]
        return tensor.requires_grad_() if requires_grad else tensor

    def whole_object(self, content: list):
        """An object of the named class."""
        module, name, state = content
        cls = objects.find(module, name, self.everything)
        if not isinstance(cls, type):
            raise ValueError(f"{module}.{name} is not a class")
        place = len(self.whole)
        self.whole.append(None)
        made = objects.make(cls, self.build(state))
        self.whole[place] = made
        return made

    def build(self, node):
        """The object of one node of the tree."""
        if node is None or isinstance(node, (bool, int, float, str)):
            return node
        if isinstance(node, list):
            return [self.build(v) for v in node]
        kind = next(iter(node), None)
        content = node.get(kind)
        if kind in ("tensor", "parameter", "array") and isinstance(content, str):
            return self.tensor(kind, content, node)
        if kind in ("dict", "ordered") and isinstance(content, list):
            out: dict = OrderedDict() if kind == "ordered" else {}
            for pair in content:
                if (
                    not isinstance(pair, list)
                    or len(pair) != 2
                    or isinstance(pair[0], (list, dict))
                ):
                    raise ValueError(f"its tree has {pair!r:.60} where a key and a value should be")
                out[pair[0]] = self.build(pair[1])
            return out
        if kind in ("tuple", "size") and isinstance(content, list):
            items = [self.build(v) for v in content]
            return Size(items) if kind == "size" else tuple(items)
        if kind == "float" and content in ("nan", "inf", "-inf"):
            return float(content)
        if kind == "bytes" and isinstance(content, str):
            return base64.b64decode(content, validate=True)
        if kind == "dtype" and content in DTYPES:
            return DTYPES[content]
        if kind == "object" and isinstance(content, list) and len(content) == 3:
            return self.whole_object(content)
        if kind == "again" and isinstance(content, int) and content < len(self.whole):
            return self.whole[content]
        if kind == "global" and isinstance(content, list) and len(content) == 2:
            return objects.find(content[0], content[1], self.everything)
        raise ValueError(f"its tree has an entry that this version does not know: {node!r:.60}")


def pack(obj) -> tuple[dict, dict]:
    """(tensors by name, metadata) of a nested object. The errors of `save`."""
    taking = _Taking()
    tree = {"version": _VERSION, "tree": taking.tree(obj)}
    return taking.tensors, {_KEY: json.dumps(tree, separators=(",", ":"))}


def unpack(tensors: dict, metadata: dict, everything: bool = False):
    """What was packed; the dict of tensors itself when that was not done by `pack`. ValueError when
    the metadata is damaged."""
    if _KEY not in metadata:
        return tensors
    held = parse(metadata[_KEY], "tree")
    if held.get("version") != _VERSION or "tree" not in held:
        raise ValueError(f"its tree has version {held.get('version')!r}; lamina reads {_VERSION}")
    making = _Making(tensors, everything)
    try:
        obj = making.build(held["tree"])
    except RecursionError:
        raise ValueError("its tree is nested too deeply") from None
    if len(making.used) != len(tensors):
        raise ValueError(f"the tensor {min(set(tensors) - making.used)!r} is not in its tree")
    return obj
