"""L-BFGS."""

from __future__ import annotations

from typing import Any

from .._core import Tensor
from ..autograd import enable_grad, no_grad
from ..ops.creation import zeros_like
from ..ops.join import cat
from ._line_search import Point, strong_wolfe
from .optimizer import Optimizer


class LBFGS(Optimizer):
    r"""Limited-memory BFGS: steps by an inverse Hessian that is built from the last changes of
    the gradient. For losses of all the data, not of mini-batches.

    Each iteration, with gradient g, and the last pairs s = change of p, y = change of g::

        d = -H g     H: from the pairs, by the two-loop recursion, starting at (s.y / y.y) I
        p = p + t d  t = lr (first iteration: lr * min(1, 1 / sum(abs(g)))), or searched

    params: Tensors or (name, Tensor) pairs, one group. ``step(closure)`` needs a closure that
    computes the loss and its gradients (zero_grad, forward, backward); it is called several times.

    Args:
        lr: the step size, or the first trial of the line search.
        max_iter, max_eval: iterations and evaluations per step (max_eval None: 1.25 max_iter).
        tolerance_grad: stop when no element of the gradient is larger.
        tolerance_change: stop when the parameters and the loss change by less.
        history_size: pairs kept; memory is 2 history_size times the parameters.
        line_search_fn: None or "strong_wolfe".

    State, of the first parameter: ``func_evals``, ``n_iter``, ``d``, ``t``, ``old_dirs`` (y),
    ``old_stps`` (s), ``ro`` (1 / s.y), ``H_diag``, ``prev_flat_grad``, ``prev_loss``.

    Raises ValueError for several groups, a negative lr or an unknown line search.

    Liu and Nocedal, "On the limited memory BFGS method for large scale optimization" (1989);
    Nocedal and Wright, Numerical Optimization (2006), algorithms 7.4 and 7.5.
    """

    def __init__(
        self,
        params,
        lr=1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ):
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not lr >= 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if line_search_fn not in (None, "strong_wolfe"):
            raise ValueError(
                f"LBFGS: line_search_fn must be None or 'strong_wolfe', got {line_search_fn!r}"
            )
        super().__init__(
            params,
            {
                "lr": lr,
                "max_iter": max_iter,
                "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
                "tolerance_grad": tolerance_grad,
                "tolerance_change": tolerance_change,
                "history_size": history_size,
                "line_search_fn": line_search_fn,
            },
        )
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    # ---- the parameters as one vector ------------------------------------------------------
    def _flat_grad(self) -> Tensor:
        parts = [
            (zeros_like(p.detach()) if p.grad is None else p.grad).reshape(-1)
            for p in self.param_groups[0]["params"]
        ]
        return cat(parts, 0)

    def _move(self, t: float, direction: Tensor) -> None:
        start = 0
        for p in self.param_groups[0]["params"]:
            n = p.numel()
            p.add_(direction.narrow(0, start, n).reshape(p.shape), alpha=t)
            start += n

    # ---- the step --------------------------------------------------------------------------
    def _direction(self, state: dict[str, Any], g: Tensor, history: int) -> Tensor:
        """-H g; takes the last change of p and g into the history first."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
            return -g
        ys, ss, ro = state["old_dirs"], state["old_stps"], state["ro"]
        y, s = g - state["prev_flat_grad"], state["d"] * state["t"]
        sy = float(y.dot(s))
        if sy > 1e-10:  # else H would not stay positive definite
            if len(ys) == history:
                for kept in (ys, ss, ro):
                    kept.pop(0)
            ys.append(y)
            ss.append(s)
            ro.append(1.0 / sy)
            state["H_diag"] = sy / float(y.dot(y))
        q, alphas = -g, [0.0] * len(ys)
        for i in reversed(range(len(ys))):
            alphas[i] = float(ss[i].dot(q)) * ro[i]
            q = q.add(ys[i], alpha=-alphas[i])
        d = q * state["H_diag"]
        for i in range(len(ys)):
            d = d.add(ss[i], alpha=alphas[i] - float(ys[i].dot(d)) * ro[i])
        return d

    def _search(self, closure, start: Point, t: float, d: Tensor, tolerance: float):
        """The point a line search ends at, with the parameters there, and its evaluations."""
        params = self.param_groups[0]["params"]
        origin = [p.clone() for p in params]

        def place(t: float) -> None:
            for p, x in zip(params, origin):
                p.copy_(x)
            self._move(t, d)

        def at(t: float) -> Point:
            place(t)
            with enable_grad():
                loss = float(closure())
            g = self._flat_grad()
            return Point(t, loss, g, float(g.dot(d)))

        point, evaluations = strong_wolfe(at, start, t, float(d.abs().max()), tolerance)
        place(point.t)
        return point, evaluations

    def step(self, closure=None) -> Any:
        """Up to max_iter iterations; returns the loss before the first one.

        closure: computes the loss and its gradients (required: TypeError).
        """
        if closure is None:
            raise TypeError("LBFGS: step(closure) needs a closure that computes the loss")
        with no_grad():
            return self._step(closure)

    def _step(self, closure) -> Any:
        group = self.param_groups[0]
        lr, change = float(group["lr"]), group["tolerance_change"]
        state = self.state[group["params"][0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)

        with enable_grad():
            first_loss = closure()
        loss, g = float(first_loss), self._flat_grad()
        evaluations, iterations = 1, 0
        state["func_evals"] += 1
        if float(g.abs().max()) <= group["tolerance_grad"]:
            return first_loss

        while iterations < group["max_iter"]:
            iterations += 1
            state["n_iter"] += 1
            d = self._direction(state, g, group["history_size"])
            t = lr if state["n_iter"] > 1 else min(1.0, 1.0 / float(g.abs().sum())) * lr
            slope = float(g.dot(d))
            state.update(d=d, t=t, prev_flat_grad=g, prev_loss=loss)
            if slope > -change:
                break
            before = loss
            if group["line_search_fn"] is not None:
                point, used = self._search(closure, Point(0.0, loss, g, slope), t, d, change)
                t, loss, g = point.t, point.loss, point.gradient
            else:
                self._move(t, d)
                used = 0
                if iterations != group["max_iter"]:
                    with enable_grad():
                        loss = float(closure())
                    g = self._flat_grad()
                    used = 1
            state["t"] = t
            evaluations += used
            state["func_evals"] += used
            if (
                evaluations >= group["max_eval"]
                or float(g.abs().max()) <= group["tolerance_grad"]
                or float(d.abs().max()) * abs(t) <= change
                or abs(loss - before) < change
            ):
                break
        return first_loss
