"""Parameter groups by what is decayed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._core import Tensor


def decay_groups(named_parameters: Iterable[tuple[str, Tensor]], weight_decay: float,
                 skip: tuple[str, ...] = ()) -> list[dict[str, Any]]:  # fmt: skip
    """Two groups for an optimizer: parameters that are decayed, and biases, scales and others with
    fewer than two dimensions, or whose name contains one of `skip`, that are not.

    named_parameters: ``model.named_parameters()``; those without gradient are left out. Empty
    groups are left out. The L2 penalty of the textbooks usually excludes the bias; PyTorch's
    weight_decay applies to every parameter of a group. PyTorch has no such function.

    >>> optimizer = optim.AdamW(optim.decay_groups(model.named_parameters(), 0.01), lr=1e-3)
    """
    decayed: list[Tensor] = []
    kept: list[Tensor] = []
    for name, p in named_parameters:
        if p.requires_grad:
            plain = p.dim() >= 2 and not any(s in name for s in skip)
            (decayed if plain else kept).append(p)
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return [g for g in groups if g["params"]]
