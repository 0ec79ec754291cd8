"""Parameter and Buffer: tensors that a Module registers when they are assigned to it."""

from __future__ import annotations

from .. import _core
from .._core import Tensor

__all__ = ["Parameter", "Buffer"]


def _rebuild(cls, data: Tensor, requires_grad, attributes: dict):
    made = cls.__new__(cls, data, requires_grad)
    made.__dict__.update(attributes)
    return made


class Parameter(Tensor):
    """A tensor that a Module trains.

    Args:
        data: a tensor (its memory is shared), or None for an empty one.
        requires_grad: whether backward fills ``.grad``; only floating point and complex tensors
            can.

    Assigning one to an attribute of a Module registers it: it then appears in
    ``module.parameters()`` and ``module.state_dict()``. Raises TypeError when data is no tensor.
    """

    def __new__(cls, data=None, requires_grad=True):
        if data is None:
            data = _core.empty((0,), _core.default_dtype())
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter: data must be a tensor, got {type(data).__name__}")
        return Tensor._make_subclass(cls, data.detach(), requires_grad)

    def __init__(self, *args, **kwargs):
        pass

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()

    def __deepcopy__(self, memo):
        """A Parameter with its own memory and copies of the attributes; ``.grad`` is not copied."""
        from copy import deepcopy

        if id(self) in memo:
            return memo[id(self)]
        memo[id(self)] = made = _rebuild(
            type(self), self.detach().clone(), self.requires_grad, deepcopy(self.__dict__, memo)
        )
        return made

    def __reduce_ex__(self, protocol):
        return _rebuild, (type(self), self.detach(), self.requires_grad, dict(self.__dict__))


class _BufferType(type(Tensor)):  # type: ignore[misc]
    def __instancecheck__(cls, instance) -> bool:
        return super().__instancecheck__(instance) or (
            isinstance(instance, Tensor) and getattr(instance, "_is_buffer", False)
        )


class Buffer(Tensor, metaclass=_BufferType):
    """A tensor that belongs to a Module's state but is not trained, such as a running mean.

    Returns a plain Tensor marked so that assigning it to an attribute of a Module registers it as
    a buffer.

    Args:
        data: a tensor, or None for an empty one.
        persistent: whether the buffer is part of ``state_dict()``.
    """

    def __new__(cls, data=None, *, persistent=True):
        if data is None:
            data = _core.empty((0,), _core.default_dtype())
        made = data.detach().requires_grad_(data.requires_grad)
        made.persistent = persistent
        made._is_buffer = True
        return made
