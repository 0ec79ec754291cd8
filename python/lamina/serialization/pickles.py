"""Pickles of plain data, read without running anything.

A pickle is a program for a machine with a stack (docs.python.org, "pickletools"). Python's own
machine calls whatever the program names; this one knows the names in a table given to it, calls
what stands there, and refuses every other name, so a file can build containers, numbers, strings
and what the table offers, and nothing else.
"""

from __future__ import annotations

import pickletools
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

_MARK = object()
_MOST = 10_000_000  # operations; a state_dict takes about 50 a tensor


class Named:
    """What a name of the file stands for, if the file may call it: name, for messages; call, what
    it is called as; new, what makes an empty object that then takes attributes (a class only)."""

    __slots__ = ("name", "call", "new")

    def __init__(self, name: str, call: Callable, new: type | None = None):
        self.name, self.call, self.new = name, call, new


def _encode(text: str, encoding: str = "utf-8") -> bytes:
    """bytes in protocol 2: their characters as latin-1."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "utf-8"):
        raise ValueError(f"it encodes a {type(text).__name__} as {encoding!r:.40}")
    return text.encode(encoding)


def _check_keys(keys) -> None:
    """Keys of dicts and sets: plain values, and tuples of those (hashing goes as deep as they)."""
    for key in keys:
        inside = key if type(key) is tuple else (key,)
        if not all(x is None or isinstance(x, (str, int, float, bytes, complex)) for x in inside):
            raise ValueError(f"its pickle has a {type(key).__name__} as a key or in a set")


def _make_set(items=()) -> set:
    _check_keys(items)
    return set(items)


def _make_bytearray(text="", encoding="latin-1") -> bytearray:
    return bytearray(text if isinstance(text, bytes) else _encode(text, encoding))


def _make_defaultdict(factory=None) -> defaultdict:
    if factory is None:
        return defaultdict()
    if not isinstance(factory, Named) or factory.name not in _FACTORIES:
        raise ValueError("its pickle has a defaultdict of something unknown")
    return defaultdict(_FACTORIES[factory.name])


def _make_ordered(pairs=()) -> OrderedDict:
    _check_keys(k for k, _ in pairs)
    return OrderedDict(pairs)


_FACTORIES: dict[str, Callable] = {t.__name__: t for t in (dict, list, int, float, set)}
PLAIN: dict[tuple[str, str], Any] = {
    ("_codecs", "encode"): Named("encode", _encode),
    ("collections", "OrderedDict"): Named("OrderedDict", _make_ordered),
    ("collections", "defaultdict"): Named("defaultdict", _make_defaultdict),
}
for _module in ("builtins", "__builtin__"):
    for _type in (dict, list, int, float):  # what a defaultdict makes; they are not called
        PLAIN[_module, _type.__name__] = Named(_type.__name__, _type)
    PLAIN[_module, "set"] = Named("set", _make_set)
    PLAIN[_module, "frozenset"] = Named("frozenset", lambda items=(): frozenset(_make_set(items)))
    PLAIN[_module, "complex"] = Named("complex", complex)
    PLAIN[_module, "bytearray"] = Named("bytearray", _make_bytearray)

_VALUES = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE",
    "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable] = {
    "EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set, "EMPTY_TUPLE": tuple
}  # fmt: skip


def _operations(source) -> Iterator[tuple[Any, Any]]:
    """(operation, argument) in turn. ValueError where the bytes are none."""
    operations = pickletools.genops(source)
    while True:
        try:
            code, argument, _ = next(operations)
        except StopIteration:
            return
        except ValueError as error:
            raise ValueError(f"its pickle is damaged ({error})") from None
        yield code, argument


class _Machine:
    """The stack and the memo. Every method but `run` is one operation, or a few alike."""

    def __init__(self, find: Callable[[str, str], Any], persistent: Callable[[Any], Any]):
        self.find, self.persistent = find, persistent
        self.stack: list = []
        self.memo: dict[int, Any] = {}
        self.made: list = []  # objects of classes that `find` lets it make

    def run(self, source) -> Any:
        """The object of the pickle that begins where the file stands."""
        for count, (code, argument) in enumerate(_operations(source)):
            name = code.name
            if name == "STOP":
                return self.pop()
            if count > _MOST:
                raise ValueError(f"its pickle has more than {_MOST} operations")
            if name in _VALUES:
                self.stack.append(argument)
            elif name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name])
            elif name in _EMPTY:
                self.stack.append(_EMPTY[name]())
            elif name not in ("PROTO", "FRAME"):
                operation = getattr(self, f"op_{name}", None)
                if operation is None:
                    raise ValueError(f"its pickle uses {name}, which plain data does not need")
                operation(argument)
        raise ValueError("its pickle has no end")

    def pop(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise ValueError("its pickle takes from an empty stack")
        return self.stack.pop()

    def top(self, *kinds) -> Any:
        found = self.stack[-1] if self.stack else None
        if not isinstance(found, kinds):
            raise ValueError(f"its pickle treats a {type(found).__name__} as another type")
        return found

    def since_mark(self) -> list:
        for i in range(len(self.stack) - 1, -1, -1):
            if self.stack[i] is _MARK:
                items = self.stack[i + 1 :]
                del self.stack[i:]
                return items
        raise ValueError("its pickle lacks a mark")

    # ---- memo
    def op_PUT(self, i):
        self.memo[i] = self.stack[-1] if self.stack else self.pop()

    op_BINPUT = op_LONG_BINPUT = op_PUT

    def op_MEMOIZE(self, _):
        self.op_PUT(len(self.memo))

    def op_GET(self, i):
        if i not in self.memo:
            raise ValueError(f"its pickle refers to object {i}, which was not there before")
        self.stack.append(self.memo[i])

    op_BINGET = op_LONG_BINGET = op_GET

    # ---- containers
    def op_MARK(self, _):
        self.stack.append(_MARK)

    def op_POP(self, _):
        self.stack.pop() if self.stack else self.pop()

    def op_POP_MARK(self, _):
        self.since_mark()

    def op_DUP(self, _):
        self.stack += [self.pop()] * 2

    def op_LIST(self, _):
        self.stack.append(self.since_mark())

    def op_TUPLE(self, _):
        self.stack.append(tuple(self.since_mark()))

    def op_FROZENSET(self, _):
        self.stack.append(frozenset(_make_set(self.since_mark())))

    def op_TUPLE1(self, _):
        self.take_tuple(1)

    def op_TUPLE2(self, _):
        self.take_tuple(2)

    def op_TUPLE3(self, _):
        self.take_tuple(3)

    def take_tuple(self, n: int):
        self.stack.append(tuple([self.pop() for _ in range(n)][::-1]))

    def op_APPEND(self, _):
        item = self.pop()
        self.top(list).append(item)

    def op_APPENDS(self, _):
        items = self.since_mark()
        self.top(list).extend(items)

    def op_ADDITEMS(self, _):
        items = self.since_mark()
        self.top(set).update(_make_set(items))

    def op_DICT(self, _):
        self.stack.append({})
        self.stack += [_MARK, *self.since_mark()]
        self.op_SETITEMS(None)

    def op_SETITEM(self, _):
        value, key = self.pop(), self.pop()
        _check_keys([key])
        self.top(dict)[key] = value

    def op_SETITEMS(self, _):
        items = self.since_mark()
        if len(items) % 2:
            raise ValueError("its pickle has a key without a value")
        _check_keys(items[::2])
        self.top(dict).update(zip(items[::2], items[1::2]))

    # ---- names
    def op_GLOBAL(self, argument: str):
        module, _, name = argument.partition(" ")
        self.stack.append(self.find(module, name))

    def op_STACK_GLOBAL(self, _):
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError("its pickle names something by what is no string")
        self.stack.append(self.find(module, name))

    def op_REDUCE(self, _):
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Named) or not isinstance(arguments, tuple):
            raise ValueError(f"its pickle calls a {type(function).__name__}")
        try:
            self.stack.append(function.call(*arguments))
        except TypeError as error:
            raise ValueError(f"its call of {function.name} fails ({error})") from None

    def op_NEWOBJ(self, _):
        arguments, named = self.pop(), self.pop()
        if isinstance(named, Named) and named.new is not None and isinstance(arguments, tuple):
            self.stack.append(named.new.__new__(named.new, *arguments))
            self.made.append(self.stack[-1])
        else:
            self.stack += [named, arguments]
            self.op_REDUCE(None)

    def op_BUILD(self, _):
        state = self.pop()
        obj = self.stack[-1] if self.stack else self.pop()
        of_state_dict = isinstance(obj, OrderedDict) and isinstance(state, dict)
        if of_state_dict and set(state) <= {"_metadata"}:
            vars(obj).update(state)
        elif not any(obj is made for made in self.made):
            raise ValueError(f"its pickle sets attributes of a {type(obj).__name__}")
        elif hasattr(type(obj), "__setstate__"):
            obj.__setstate__(state)
        else:
            vars(obj).update(state)

    def op_PERSID(self, argument):
        self.stack.append(self.persistent(argument))

    def op_BINPERSID(self, _):
        self.stack.append(self.persistent(self.pop()))


def _refuse_reference(_):
    raise ValueError("its pickle refers to something outside itself")


def read_pickle(source, find, persistent=_refuse_reference) -> Any:
    """The object of the pickle that begins where the binary file `source` stands.

    find(module, name): what a name stands for; a `Named` can be called by the file. persistent: the
    object for a persistent id. ValueError when the pickle is damaged or wants anything else.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # backslashes in damaged strings
            return _Machine(find, persistent).run(source)
    except ValueError:
        raise
    except (TypeError, KeyError, OverflowError, RecursionError, MemoryError) as error:
        raise ValueError(f"its pickle is damaged ({error})") from None
