"""Layers that add a border to the last dimensions of (N, C, ...) or (C, ...)."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from . import functional as F
from ._sizes import per_dim
from .module import Module

__all__ = [
    f"{kind}Pad{d}d" for kind in ("Circular", "Constant", "Reflection", "Replication", "Zero")
    for d in (1, 2, 3)
]  # fmt: skip


class _Pad(Module):
    """padding: one int, or (left, right) in 1 dimension, (left, right, top, bottom) in 2 and (left,
    right, top, bottom, front, back) in 3."""

    dims: int
    mode: str

    def __init__(self, padding):
        super().__init__()
        self.padding = per_dim(padding, 2 * self.dims)
        if len(self.padding) != 2 * self.dims:
            raise ValueError(
                f"{self._get_name()}: padding must be an int or {2 * self.dims} ints, got {padding}"
            )

    def forward(self, input: Tensor) -> Tensor:
        """The padded input."""
        if self.mode != "constant" and input.dim() - self.dims not in (1, 2):
            raise _core.ShapeError(
                f"{self._get_name()}: expected {self.dims + 1}D or {self.dims + 2}D input, got "
                f"shape {tuple(input.shape)}"
            )
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return str(self.padding)


class _ConstantPad(_Pad):
    mode = "constant"

    def __init__(self, padding, value):
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """The padded input."""
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """A border of `value` left and right. padding: int or (left, right)."""

    dims = 1


class ConstantPad2d(_ConstantPad):
    """A border of `value` on four sides. padding: int or (left, right, top, bottom)."""

    dims = 2


class ConstantPad3d(_ConstantPad):
    """A border of `value` on six sides. padding: int or (left, right, top, bottom, front, back)."""

    dims = 3


class ZeroPad1d(_Pad):
    """A border of zeros left and right. padding: int or (left, right)."""

    dims, mode = 1, "constant"


class ZeroPad2d(_Pad):
    """A border of zeros on four sides. padding: int or (left, right, top, bottom)."""

    dims, mode = 2, "constant"


class ZeroPad3d(_Pad):
    """A border of zeros on six sides. padding: int or (left, right, top, bottom, front, back)."""

    dims, mode = 3, "constant"


class ReflectionPad1d(_Pad):
    """The input mirrored about its first and last elements. padding: int or (left, right)."""

    dims, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """The input mirrored about its edges. padding: int or (left, right, top, bottom)."""

    dims, mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """The input mirrored about its faces. padding: int or (left, right, top, bottom, front,
    back)."""

    dims, mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """The first and last elements repeated. padding: int or (left, right)."""

    dims, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """The edges repeated. padding: int or (left, right, top, bottom)."""

    dims, mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """The faces repeated. padding: int or (left, right, top, bottom, front, back)."""

    dims, mode = 3, "replicate"


class CircularPad1d(_Pad):
    """The input repeated periodically. padding: int or (left, right)."""

    dims, mode = 1, "circular"


class CircularPad2d(_Pad):
    """The input repeated periodically in both directions. padding: int or (left, right, top,
    bottom)."""

    dims, mode = 2, "circular"


class CircularPad3d(_Pad):
    """The input repeated periodically in three directions. padding: int or (left, right, top,
    bottom, front, back)."""

    dims, mode = 3, "circular"
