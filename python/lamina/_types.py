"""Size and device: the two small value types around a tensor."""

from __future__ import annotations

import math
from _thread import _local  # threading itself is slow to import


class Size(tuple):
    """The shape of a tensor: a tuple of ints with `numel`.

    >>> lamina.zeros(2, 3).shape.numel()
    6
    """

    __slots__ = ()

    def numel(self) -> int:
        """The product of the sizes."""
        return math.prod(self)

    def __repr__(self) -> str:
        return f"lamina.Size({list(self)})"

    def __add__(self, other):
        return Size(tuple(self) + tuple(other))

    def __getitem__(self, key):
        item = tuple.__getitem__(self, key)
        return Size(item) if isinstance(key, slice) else item


class _Default(_local):
    """A thread's `set_default_device`: where tensors made without `device` are, for `_core`; and
    what it was outside `with device(...)`."""

    where = -1

    def __init__(self):
        self.before: list[int] = []


_default = _Default()
_DEVICES = ("cpu", "cuda", "mps", "xpu", "meta")


class device:
    """Where a tensor's memory is: ``device("cpu")``, ``device("cuda", 0)``, ``device("cuda:1")``.

    Raises RuntimeError for any other type.
    """

    __slots__ = ("type", "index")

    def __init__(self, type="cpu", index=None):
        if isinstance(type, device):
            type, index = type.type, type.index
        elif isinstance(type, int):
            type, index = "cuda", type
        elif ":" in type:
            type, number = type.split(":", 1)
            if not number.isdigit():
                raise RuntimeError(f"device: invalid index {number!r} in {type}:{number}")
            index = int(number)
        if type not in _DEVICES:
            raise RuntimeError(f"device: expected one of {', '.join(_DEVICES)}, got {type!r}")
        self.type = type
        self.index = index

    def _where(self) -> int:
        """The device's number for `_core`, -1 for the CPU; DeviceError when it is not there."""
        if self.type == "cpu":
            return -1
        from . import _core

        if self.type != "cuda":
            raise _core.DeviceError(f"device: lamina has no {self.type} devices; use 'cpu'")
        count = _core.device_count()
        if not count:
            raise _core.DeviceError(
                f"device: {self} is not available ({_core.device_trouble()}); use 'cpu'"
            )
        index = _core.current_device() if self.index is None else self.index
        if index >= count:
            raise _core.DeviceError(f"device: there is no {self}, the last is cuda:{count - 1}")
        return index

    def _require(self) -> None:
        if self.type != "cpu":
            self._where()

    def __enter__(self):
        where = self._where()
        _default.before.append(_default.where)
        _default.where = where
        return self

    def __exit__(self, *_) -> None:
        _default.where = _default.before.pop()

    def __repr__(self) -> str:
        return (
            f"device(type={self.type!r})"
            if self.index is None
            else f"device(type={self.type!r}, index={self.index})"
        )

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __reduce__(self):
        return (device, (self.type, self.index))
