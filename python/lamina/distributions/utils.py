"""What the distributions share: broadcasting of parameters, probabilities and their logits."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from ..autograd import enable_grad
from ..ops.creation import tensor
from ..ops.view import broadcast_shapes

__all__ = [
    "broadcast_all", "clamp_probs", "eps_of", "lazy_property", "logits_to_probs", "probs_to_logits",
    "sum_rightmost",
]  # fmt: skip

_EPS = {_core.float64: 2.0**-52, _core.float16: 2.0**-10, _core.bfloat16: 2.0**-7}


def eps_of(dtype) -> float:
    """The distance from 1 to the next number of a floating dtype."""
    return _EPS.get(dtype, 2.0**-23)


def broadcast_all(*values) -> tuple[Tensor, ...]:
    """The values, numbers or tensors, as tensors of one shape.

    Numbers take the dtype of the first floating tensor, or the default dtype, and the device of the
    first tensor. Raises ValueError for anything else.
    """
    for v in values:
        if not isinstance(v, (Tensor, int, float)):
            raise ValueError(
                f"broadcast_all: parameters must be numbers or tensors, got {type(v).__name__}"
            )
    dtype = next(
        (v.dtype for v in values if isinstance(v, Tensor) and v.dtype.is_floating_point),
        _core.default_dtype(),
    )
    device = next((v.device for v in values if isinstance(v, Tensor)), None)
    tensors = [
        v if isinstance(v, Tensor) else tensor(v, dtype=dtype, device=device) for v in values
    ]
    shape = tuple(broadcast_shapes(*(t.shape for t in tensors)))
    return tuple(t if t.shape == shape else t.expand(shape) for t in tensors)


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities kept in [eps, 1 - eps], so that their logarithms are finite."""
    eps = eps_of(probs.dtype)
    return probs.clamp(min=eps, max=1 - eps)


def logits_to_probs(logits: Tensor, is_binary=False) -> Tensor:
    """sigmoid(logits), or softmax over the last dimension."""
    return logits.sigmoid() if is_binary else logits.softmax(-1)


def probs_to_logits(probs: Tensor, is_binary=False) -> Tensor:
    """log(p / (1 - p)), or log p, of probabilities kept away from 0 and 1 by one eps."""
    p = clamp_probs(probs)
    return p.log() - (-p).log1p() if is_binary else p.log()


def sum_rightmost(value: Tensor, dims: int) -> Tensor:
    """The sum over the last `dims` dimensions."""
    return value if dims == 0 else value.reshape(*value.shape[: value.dim() - dims], -1).sum(-1)


class lazy_property:
    """A method whose result, computed at the first access, becomes the attribute."""

    def __init__(self, wrapped):
        self.wrapped = wrapped
        self.__doc__ = wrapped.__doc__

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        with enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value
