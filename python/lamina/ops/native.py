"""Functions PyTorch has twice: here with the arguments of ``torch.<name>``; those of
``torch.nn.functional.<name>`` are in the modules of the operations."""

from __future__ import annotations

from .._core import Tensor
from .dropout import alpha_dropout as _alpha_dropout
from .dropout import dropout as _dropout
from .dropout import feature_alpha_dropout as _feature_alpha_dropout
from .index import embedding as _embedding
from .norm import group_norm as _group_norm
from .norm import layer_norm as _layer_norm

__all__ = [
    "embedding", "dropout", "alpha_dropout", "feature_alpha_dropout", "layer_norm", "group_norm"
]  # fmt: skip


def embedding(weight: Tensor, indices: Tensor, padding_idx=-1, scale_grad_by_freq=False,
              sparse=False) -> Tensor:  # fmt: skip
    """`nn.functional.embedding` with `weight` first; a padding_idx below 0 is none."""
    padding_idx = padding_idx if padding_idx >= 0 else None
    return _embedding(
        indices, weight, padding_idx, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse
    )


def dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """`nn.functional.dropout`."""
    return _dropout(input, p, train)


def alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """`nn.functional.alpha_dropout`."""
    return _alpha_dropout(input, p, train)


def feature_alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """`nn.functional.feature_alpha_dropout`."""
    return _feature_alpha_dropout(input, p, train)


def layer_norm(input: Tensor, normalized_shape, weight=None, bias=None, eps=1e-5,
               cudnn_enable=True) -> Tensor:  # fmt: skip
    """`nn.functional.layer_norm`; cudnn_enable is without effect."""
    return _layer_norm(input, normalized_shape, weight, bias, eps)


def group_norm(input: Tensor, num_groups, weight=None, bias=None, eps=1e-5,
               cudnn_enabled=True) -> Tensor:  # fmt: skip
    """`nn.functional.group_norm`; cudnn_enabled is without effect."""
    return _group_norm(input, num_groups, weight, bias, eps)
