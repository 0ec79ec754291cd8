"""K-FAC: the natural gradient of networks of linear layers."""

from __future__ import annotations

import math
from typing import Any

from .._core import float64
from ..autograd import enable_grad, no_grad
from ..ops.creation import eye, ones
from ..ops.join import cat
from ._fused import check_not_negative
from ._vectors import plain, solve
from .optimizer import Optimizer


class KFAC(Optimizer):
    r"""K-FAC: natural-gradient steps with one Kronecker product per linear layer for the Fisher
    information matrix.

    For a linear layer s = W a (a: the inputs, and a 1 when there is a bias; g: the gradients of the
    samples' losses by s) the layer's block of the Fisher matrix is taken as A x G::

        A = decay * A + (1 - decay) * mean(a a^T),  G = decay * G + (1 - decay) * mean(g g^T)
        pi = sqrt(mean of A's diagonal / mean of G's diagonal)
        W = W - lr * (G + sqrt(damping) / pi I)^-1 dL/dW (A + sqrt(damping) pi I)^-1

    A starts as the first mean. Other parameters take the step p = p - lr * dL/dp.

    model: a module; hooks on its linear layers (those with `in_features` and a weight (out, in))
    see their inputs and gradients while they train. The loss must be a mean over its samples:
    ``loss.backward()``, then ``step()``. A layer called several times between steps adds to its
    means. For small layers: a step solves with the matrices (float64) in in^3 + out^3.

    State, of each weight: ``A`` and ``G``. `remove_hooks` ends the watching. PyTorch has no K-FAC.
    Raises ValueError for a negative lr or damping, and a decay outside [0, 1).

    Martens and Grosse, "Optimizing neural networks with Kronecker-factored approximate curvature"
    (2015), sections 3 and 6.3; with the gradients of the training loss (empirical Fisher matrix).
    """

    def __init__(self, model, lr: float = 0.1, damping: float = 1e-2, decay: float = 0.95):
        check_not_negative(lr=lr)
        if not damping >= 0:
            raise ValueError(f"Invalid damping value: {damping}")
        if not 0 <= decay < 1:
            raise ValueError(f"Invalid decay value: {decay}")
        super().__init__(model.parameters(), {"lr": lr, "damping": damping, "decay": decay})
        self._layers = [
            m
            for m in model.modules()
            if hasattr(m, "in_features")
            and getattr(m, "weight", None) is not None
            and tuple(m.weight.shape) == (getattr(m, "out_features", None), m.in_features)
        ]
        self._sums: dict[int, Any] = {}
        self._hooks = [m.register_forward_hook(self._see) for m in self._layers]

    def remove_hooks(self) -> None:
        """Take the hooks away from the layers."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def _see(self, layer, inputs, output) -> None:
        """Notes a layer's inputs, and its gradients when they come."""
        if not (layer.training and output.requires_grad):
            return
        a = plain(inputs[0]).reshape(-1, layer.in_features)
        if layer.bias is not None:
            a = cat([a, ones(a.shape[0], 1, dtype=float64)], 1)
        count = a.shape[0]

        def gradients(g) -> None:
            g = plain(g).reshape(count, -1) * count  # of a sample's loss, not of the mean
            n, aa, gg = self._sums.get(id(layer), (0, 0.0, 0.0))
            self._sums[id(layer)] = (n + count, aa + a.t() @ a, gg + g.t() @ g)

        output.register_hook(gradients)

    def step(self, closure=None) -> Any:
        """One step from the gradients there are, or from those `closure` computes."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        (group,) = self.param_groups
        lr, damping = float(group["lr"]), float(group["damping"])
        done = set()
        with no_grad():
            for layer in self._layers:
                if layer.weight.grad is None or id(layer) not in self._sums:
                    continue
                self._average(layer, group["decay"])
                self._move(layer, lr, damping)
                done |= {id(layer.weight), id(layer.bias)}
            for p in group["params"]:
                if p.grad is not None and id(p) not in done:
                    p.sub_(p.grad, alpha=lr)
        self._sums.clear()
        return loss

    def _average(self, layer, decay: float) -> None:
        state = self.state[layer.weight]
        count, *sums = self._sums[id(layer)]
        for name, total in zip("AG", sums):
            mean = total / max(count, 1)
            if name in state:
                mean = decay * plain(state[name]) + (1 - decay) * mean
            state[name] = mean

    def _move(self, layer, lr: float, damping: float) -> None:
        state = self.state[layer.weight]
        a, g = plain(state["A"]), plain(state["G"])
        gradient = plain(layer.weight.grad)
        if layer.bias is not None:
            gradient = cat([gradient, plain(layer.bias.grad).unsqueeze(1)], 1)
        sizes = [m.diagonal().mean().item() for m in (a, g)]
        ratio = sizes[0] / max(sizes[1], 1e-30)
        pi = math.sqrt(ratio) if ratio > 0 else 1.0
        a = a + math.sqrt(damping) * pi * eye(a.shape[0], dtype=float64)
        g = g + math.sqrt(damping) / pi * eye(g.shape[0], dtype=float64)
        change = solve("KFAC", a, solve("KFAC", g, gradient).t()).t()
        n = layer.in_features
        for p, part in ((layer.weight, change[:, :n]), (layer.bias, change[:, n:])):
            if p is not None:
                p.sub_(part.reshape(p.shape).to(p.dtype), alpha=lr)
