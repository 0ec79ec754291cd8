"""Dropout kept on in evaluation, for an estimate of how certain a model is."""

from __future__ import annotations

from ..._core import Tensor
from ...autograd import no_grad
from ...ops.join import stack
from ..module import Module

__all__ = ["mc_dropout"]


def mc_dropout(model: Module, *inputs, passes: int = 20) -> tuple[Tensor, Tensor]:
    """Mean and variance (divided by passes) of the model's outputs over `passes` forward passes in
    evaluation mode but for its dropout layers, which stay on: Monte Carlo dropout.

    Every module whose class has "Dropout" in its name, or is DropConnect's mask, is switched on.
    Modes are restored; no gradients. Returns two tensors of the output's shape. ValueError for
    passes < 1.

    Gal and Ghahramani, "Dropout as a Bayesian approximation" (ICML 2016).
    """
    if passes < 1:
        raise ValueError(f"mc_dropout: passes must be at least 1, got {passes}")
    modes = [(m, m.training) for m in model.modules()]
    try:
        model.eval()
        for m, _ in modes:
            if "Dropout" in type(m).__name__ or getattr(m, "_drops", False):
                m.training = True
        with no_grad():
            outputs = stack([model(*inputs) for _ in range(passes)])
    finally:
        for m, mode in modes:
            m.training = mode
    return outputs.mean(0), outputs.var(0, correction=0)
