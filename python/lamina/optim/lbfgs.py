"""L-BFGS."""

from __future__ import annotations

from .._core import Tensor
from ..autograd import enable_grad, no_grad
from ..ops.join import cat
from ._fused import check_not_negative
from .optimizer import Optimizer


def _cubic_minimum(x1, f1, g1, x2, f2, g2, bounds=None) -> float:
    """Where the cubic through two values and slopes is smallest between the bounds.

    Nocedal and Wright, Numerical Optimization (2006), equation 3.59.
    """
    low, high = bounds if bounds is not None else (min(x1, x2), max(x1, x2))
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1 * d1 - g1 * g2
    if square < 0:
        return (low + high) / 2
    d2 = square**0.5
    if x1 <= x2:
        at = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
    else:
        at = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2))
    return min(max(at, low), high)


def _strong_wolfe(evaluate, t, d, f, g, slope, c1=1e-4, c2=0.9, least=1e-9, most=25):
    """A step t along d with f(t) <= f + c1 t slope and |slope(t)| <= c2 |slope|.

    Nocedal and Wright (2006), algorithms 3.5 (bracketing) and 3.6 (zooming in). Returns
    (value, gradient, step, evaluations).
    """
    reach = float(d.abs().max())
    value, grad = evaluate(t)
    calls, new_slope = 1, float(grad.dot(d))
    before = (0.0, f, g, slope)
    done, steps = False, 0
    bracket: list = []
    while steps < most:
        now = (t, value, grad, new_slope)
        if value > f + c1 * t * slope or (steps > 1 and value >= before[1]):
            bracket = [before, now]
            break
        if abs(new_slope) <= -c2 * slope:
            bracket, done = [now], True
            break
        if new_slope >= 0:
            bracket = [before, now]
            break
        bounds = (t + 0.01 * (t - before[0]), t * 10)
        t = _cubic_minimum(before[0], before[1], before[3], t, value, new_slope, bounds)
        before = now
        value, grad = evaluate(t)
        calls, new_slope, steps = calls + 1, float(grad.dot(d)), steps + 1
    if steps == most:
        bracket = [(0.0, f, g, slope), (t, value, grad, new_slope)]
    stuck = False
    low, high = (0, 1) if bracket[0][1] <= bracket[-1][1] else (1, 0)
    while not done and steps < most:
        if abs(bracket[1][0] - bracket[0][0]) * reach < least:
            break
        t = _cubic_minimum(*bracket[0][:2], bracket[0][3], *bracket[1][:2], bracket[1][3])
        ends = (bracket[0][0], bracket[1][0])
        width = max(ends) - min(ends)
        margin = 0.1 * width
        if min(max(ends) - t, t - min(ends)) < margin:  # too near an end
            if stuck or t >= max(ends) or t <= min(ends):
                nearer_high = abs(t - max(ends)) < abs(t - min(ends))
                t = max(ends) - margin if nearer_high else min(ends) + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        value, grad = evaluate(t)
        calls, new_slope, steps = calls + 1, float(grad.dot(d)), steps + 1
        now = (t, value, grad, new_slope)
        if value > f + c1 * t * slope or value >= bracket[low][1]:
            bracket[high] = now
            low, high = (0, 1) if bracket[0][1] <= bracket[1][1] else (1, 0)
        else:
            if abs(new_slope) <= -c2 * slope:
                done = True
            elif new_slope * (bracket[high][0] - bracket[low][0]) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = now
    best = bracket[low if len(bracket) > 1 else 0]
    return best[1], best[2], best[0], calls


class LBFGS(Optimizer):
    r"""L-BFGS: quasi-Newton steps from the last `history_size` changes of the gradient.

    A call of `step` makes up to max_iter moves p = p + t d, d = -H g, where H is the inverse
    Hessian that the pairs y = (change of g), s = (change of p) imply (two-loop recursion)::

        q = -g;  newest first: a_i = (s_i . q) / (y_i . s_i), q = q - a_i y_i
        d = q (y . s) / (y . y) of the newest pair
        oldest first: d = d + s_i (a_i - (y_i . d) / (y_i . s_i))

    The first move has t = min(1, 1 / sum|g|) lr, later ones lr; with line_search_fn="strong_wolfe"
    these are where the search for t begins.

    Args:
        params: Tensors of one group. max_iter: moves per step. max_eval: evaluations per step
            (default 1.25 max_iter). tolerance_grad: stop when max|g| is not above it.
        tolerance_change: stop when max|t d| or the change of the loss is not above it.
        line_search_fn: None or "strong_wolfe"; anything else raises RuntimeError at a step.

    Raises ValueError for a negative learning rate or more than one group.

    Nocedal, "Updating quasi-Newton matrices with limited storage" (1980); Nocedal and Wright,
    Numerical Optimization (2006), chapters 3 and 7.
    """

    def __init__(self, params, lr=1, max_iter: int = 20, max_eval: int | None = None,
                 tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9,
                 history_size: int = 100, line_search_fn: str | None = None):  # fmt: skip
        check_not_negative(lr=lr)
        super().__init__(params, {
            "lr": lr, "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change,
            "history_size": history_size, "line_search_fn": line_search_fn,
        })  # fmt: skip
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    def _gradient(self) -> Tensor:
        """All gradients as one vector, zeros where there is none."""
        return cat([
            p.new_zeros(p.numel()) if p.grad is None else p.grad.reshape(-1) for p in self._params
        ])  # fmt: skip

    def _move(self, t: float, d: Tensor) -> None:
        """p = p + t d."""
        at = 0
        for p in self._params:
            p.add_(d[at : at + p.numel()].view(p.shape), alpha=t)
            at += p.numel()

    def _direction(self, g: Tensor, state: dict) -> Tensor:
        """-H g by the two-loop recursion."""
        old_y, old_s, ro = state["old_dirs"], state["old_stps"], state["ro"]
        a = [0.0] * len(old_y)
        q = g.neg()
        for i in reversed(range(len(old_y))):
            a[i] = float(old_s[i].dot(q)) * ro[i]
            q.add_(old_y[i], alpha=-a[i])
        d = q.mul_(state["H_diag"])
        for i in range(len(old_y)):
            d.add_(old_s[i], alpha=a[i] - float(old_y[i].dot(d)) * ro[i])
        return d

    def _remember(self, g: Tensor, state: dict, size: int) -> None:
        """Adds the pair of the last move, unless it is not curved upwards."""
        y, s = g - state["prev_flat_grad"], state["d"] * state["t"]
        ys = float(y.dot(s))
        if ys <= 1e-10:
            return
        if len(state["old_dirs"]) == size:
            for name in ("old_dirs", "old_stps", "ro"):
                state[name].pop(0)
        state["old_dirs"].append(y)
        state["old_stps"].append(s)
        state["ro"].append(1.0 / ys)
        state["H_diag"] = ys / float(y.dot(y))

    def step(self, closure):
        """Up to max_iter moves. closure: clears the gradients, computes the loss, calls backward
        and returns the loss. Returns the loss at the start."""
        with no_grad():
            return self._step(closure)

    def _step(self, closure):
        def evaluate_here() -> float:
            with enable_grad():
                return float(closure())

        group = self.param_groups[0]
        lr, least = float(group["lr"]), group["tolerance_change"]
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        with enable_grad():
            first_loss = closure()
        loss = float(first_loss)
        evaluations = 1
        state["func_evals"] += 1
        g = self._gradient()
        if float(g.abs().max()) <= group["tolerance_grad"]:
            return first_loss
        for moves in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
                d = g.neg()
                t = min(1.0, 1.0 / float(g.abs().sum())) * lr
            else:
                self._remember(g, state, group["history_size"])
                d, t = self._direction(g, state), lr
            state["prev_flat_grad"] = g.clone()
            state["prev_loss"] = previous = loss
            slope = float(g.dot(d))
            state["d"], state["t"] = d, t
            if slope > -least:
                break
            calls = 0
            if group["line_search_fn"] is None:
                self._move(t, d)
                if moves != group["max_iter"]:
                    loss, calls = evaluate_here(), 1
                    g = self._gradient()
            elif group["line_search_fn"] == "strong_wolfe":
                start = [p.clone() for p in self._params]

                def evaluate(t, start=start, d=d):
                    self._move(t, d)
                    value = evaluate_here()
                    grad = self._gradient()
                    for p, old in zip(self._params, start):
                        p.copy_(old)
                    return value, grad

                loss, g, t, calls = _strong_wolfe(evaluate, t, d, loss, g, slope)
                self._move(t, d)
                state["t"] = t
            else:
                raise RuntimeError("only 'strong_wolfe' is supported")
            evaluations += calls
            state["func_evals"] += calls
            if (
                evaluations >= group["max_eval"]
                or float(g.abs().max()) <= group["tolerance_grad"]
                or float((d * t).abs().max()) <= least
                or abs(loss - previous) < least
            ):
                break
        return first_loss
