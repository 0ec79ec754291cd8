"""Parameters as one vector, and back."""

from __future__ import annotations

from ..._core import ShapeError, Tensor
from ...ops.join import cat

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters) -> Tensor:
    """All elements of the parameters one after the other, a 1-D tensor (differentiable)."""
    return cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters) -> None:
    """Makes each parameter's memory a piece of `vec`, in order.

    Raises TypeError when vec is no tensor, ShapeError when it is too short.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: expected a tensor, but got: {type(vec).__name__}")
    at = 0
    for p in parameters:
        n = p.numel()
        if at + n > vec.numel():
            raise ShapeError(
                f"vector_to_parameters: the vector has {vec.numel()} elements, and the parameter "
                f"of shape {tuple(p.shape)} needs {n} from number {at} on"
            )
        p.data = vec[at : at + n].view(tuple(p.shape)).data
        at += n
