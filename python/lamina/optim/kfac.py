"""K-FAC: the natural gradient of networks of linear layers."""

from __future__ import annotations

import math
from typing import Any

from ..autograd import enable_grad, no_grad
from ..ops.creation import from_numpy
from ._fused import check_not_negative
from ._vectors import array
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
        import numpy as np

        a = array(inputs[0]).reshape(-1, layer.in_features)
        if layer.bias is not None:
            a = np.concatenate([a, np.ones((len(a), 1))], 1)

        def gradients(g) -> None:
            g = array(g).reshape(len(a), -1) * len(a)  # of a sample's loss, not of the mean
            count, aa, gg = self._sums.get(id(layer), (0, 0.0, 0.0))
            self._sums[id(layer)] = (count + len(a), aa + a.T @ a, gg + g.T @ g)

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
                mean = decay * array(state[name]) + (1 - decay) * mean
            state[name] = from_numpy(mean)

    def _move(self, layer, lr: float, damping: float) -> None:
        import numpy as np

        state = self.state[layer.weight]
        a, g = array(state["A"]), array(state["G"])
        gradient = array(layer.weight.grad)
        if layer.bias is not None:
            gradient = np.concatenate([gradient, array(layer.bias.grad)[:, None]], 1)
        ratio = (np.trace(a) / len(a)) / max(np.trace(g) / len(g), 1e-30)
        pi = math.sqrt(ratio) if ratio > 0 else 1.0
        a = a + math.sqrt(damping) * pi * np.eye(len(a))
        g = g + math.sqrt(damping) / pi * np.eye(len(g))
        try:
            change = np.linalg.solve(a, np.linalg.solve(g, gradient).T).T
        except np.linalg.LinAlgError:
            raise ValueError("KFAC: a factor is singular; use damping > 0") from None
        n = layer.in_features
        for p, part in ((layer.weight, change[:, :n]), (layer.bias, change[:, n:])):
            if p is not None:
                part = np.ascontiguousarray(part).reshape(tuple(p.shape))
                p.sub_(from_numpy(part).to(p.dtype), alpha=lr)
