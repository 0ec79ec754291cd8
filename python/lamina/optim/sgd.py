"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._core import sgd_step
from ..autograd import enable_grad, no_grad
from ._fused import FusedOptimizer, check_not_negative, write_numbers

FORMS = ("torch", "lr_inside", "ema")


class SGD(FusedOptimizer):
    r"""Stochastic gradient descent with momentum.

    With gradient g (negated when maximize)::

        g = g + weight_decay * p
        b = momentum * b + (1 - dampening) * g        (b = g at the first step)
        d = g + momentum * b  (nesterov),  b  (momentum),  g  (momentum = 0)
        p = p - lr * d

    form and lookahead are not PyTorch's; they give the other forms found in textbooks::

        form="lr_inside":  b = momentum * b + lr * (1 - dampening) * g;  p = p - b
        form="ema":        b = momentum * b + (1 - momentum) * g;        p = p - lr * b
        lookahead:         g at p - lr * momentum * b  (lr_inside: p - momentum * b)

    with b = 0 before the first step. "lr_inside" (Goodfellow, Bengio and Courville, Deep Learning
    (2016), algorithm 8.2) differs from PyTorch's only when lr changes; "ema" is PyTorch's with
    dampening = momentum but for the first step. lookahead is Nesterov's momentum as Sutskever et
    al. write it: ``step(closure)`` moves the parameters ahead, calls the closure there and moves
    them back before the step (weight_decay acts on the parameters, not on the point ahead).

    params: Tensors, (name, Tensor) pairs or group dicts, float32 or float64 (halves through
    float32). State: ``momentum_buffer``, when momentum != 0. foreach: accepted and ignored (every
    step is one fused launch). fused: on CUDA the counters and the learning rate lie on the device,
    not on the CPU. differentiable: only False.

    Raises ValueError for negative options, for nesterov without momentum, with dampening or with
    another form, and for a step without closure with lookahead.

    Polyak, "Some methods of speeding up the convergence of iteration methods" (1964); Sutskever
    et al., "On the importance of initialization and momentum in deep learning" (2013).
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
        form: str = "torch",
        lookahead: bool = False,
    ):
        check_not_negative(lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        if form not in FORMS:
            raise ValueError(f"SGD: form must be one of {FORMS}, got {form!r}")
        if nesterov and (lookahead or form != "torch"):
            raise ValueError(
                "SGD: nesterov=True is PyTorch's rearranged form; use lookahead=True alone, or "
                "with another form"
            )
        if form == "ema" and dampening != 0:
            raise ValueError(f"SGD: form='ema' has its own dampening, got dampening={dampening}")
        own: dict[str, Any] = {} if form == "torch" else {"form": form}
        if lookahead:
            own["lookahead"] = True
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
                "foreach": foreach,
                "differentiable": differentiable,
                "fused": fused,
                **own,
            },
        )

    def _state_names(self, group):
        return ("momentum_buffer",) if group["momentum"] != 0 else ()

    def _write_numbers(self, group, numbers):
        lr, momentum, form = group["lr"], group["momentum"], group.get("form", "torch")
        dampening, gain = group["dampening"], 1.0
        if form == "ema":
            dampening = momentum
        elif form == "lr_inside" and momentum != 0:
            lr, gain = 1.0, lr
        write_numbers(
            numbers, lr, momentum, dampening, group["weight_decay"], group["maximize"],
            form != "torch", gain,
        )  # fmt: skip

    def _launch(self, group, plan):
        buffers = plan.states[0] if plan.states else ()
        return sgd_step(plan.numbers, plan.params, buffers, group["nesterov"])

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; see `Optimizer.step`. With lookahead, `closure` is needed and is called with
        the parameters at the point ahead."""
        groups = [g for g in self.param_groups if g.get("lookahead")]
        if not groups:
            return super().step(closure)
        if closure is None:
            raise ValueError(
                "SGD: lookahead=True takes the gradient at another point than the parameters; call "
                "step(closure) with a function that computes the loss and its gradients"
            )
        places = []
        with no_grad():
            for group in groups:
                size = 1.0 if group.get("form") == "lr_inside" else float(group["lr"])
                for p in group["params"]:
                    velocity = self.state[p].get("momentum_buffer") if p in self.state else None
                    if velocity is not None:
                        places.append((p, p.clone()))
                        p.sub_(velocity, alpha=size * group["momentum"])
        try:
            with enable_grad():
                loss = closure()
        finally:
            with no_grad():
                for p, place in places:
                    p.copy_(place)
        super().step()
        return loss
