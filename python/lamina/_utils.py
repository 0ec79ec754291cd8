"""Several tensors as one: ``torch._utils``' two functions for gradients in one piece of memory."""

from __future__ import annotations

from ._core import Tensor
from .ops.join import cat

__all__ = ["_flatten_dense_tensors", "_unflatten_dense_tensors"]


def _flatten_dense_tensors(tensors) -> Tensor:
    """All elements of tensors of one dtype, one after another, as one dimension (a copy)."""
    return cat([t.contiguous().view(-1) for t in tensors])


def _unflatten_dense_tensors(flat: Tensor, tensors) -> tuple:
    """Views of `flat` with the shapes of `tensors`: the inverse of `_flatten_dense_tensors`."""
    views, at = [], 0
    for t in tensors:
        views.append(flat.narrow(0, at, t.numel()).view_as(t))
        at += t.numel()
    return tuple(views)
