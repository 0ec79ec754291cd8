"""Penalties on the size of parameters, to be added to a loss."""

from __future__ import annotations

from collections.abc import Iterable

from ..._core import Tensor

__all__ = ["weight_penalty"]


def weight_penalty(parameters: Iterable[Tensor], l1: float = 0.0, l2: float = 0.0,
                   halved: bool = True) -> Tensor:  # fmt: skip
    """l1 sum |w| + l2 / 2 sum w^2 over all parameters: lasso, ridge, or both (elastic net; Zou and
    Hastie, 2005).

    halved: False leaves the 1/2 out, as some texts do; with it, l2 equals SGD's weight_decay. A
    number with a gradient. To leave biases out pass only what is meant, such as
    ``[p for p in model.parameters() if p.dim() > 1]``. An l1 gradient step does not stop at exactly
    0; `nn.functional.softshrink` with lambd = lr * l1 after a step does (the proximal step), for
    instance as the projection of `optim.ProjectedGradient`. ValueError for no parameters.
    PyTorch has no such function.
    """
    total = None
    for p in parameters:
        part = None
        if l1:
            part = l1 * p.abs().sum()
        if l2:
            square = (l2 / 2 if halved else l2) * (p * p).sum()
            part = square if part is None else part + square
        if part is None:
            part = 0.0 * p.sum()
        total = part if total is None else total + part
    if total is None:
        raise ValueError("weight_penalty: no parameters")
    return total
