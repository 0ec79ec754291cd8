"""Gradients checked against central differences."""

from __future__ import annotations

from .. import _core
from .._core import Tensor


def _tuple(x) -> tuple:
    return (x,) if isinstance(x, Tensor) else tuple(x)


def _floating(outputs) -> list:
    pairs = [_core.view_as_real(o) if o.dtype.is_complex else o for o in _tuple(outputs)]
    return [o for o in pairs if o.dtype.is_floating_point]


def _on_pairs(func, inputs) -> tuple:
    """`func` and its inputs with (..., 2) real numbers in place of complex ones."""
    made = [isinstance(x, Tensor) and x.dtype.is_complex for x in inputs]
    real = [_core.view_as_real(x.detach()) if z else x for x, z in zip(inputs, made)]
    for new, x, z in zip(real, inputs, made):
        if z:
            new.requires_grad = x.requires_grad

    def on_pairs(*xs):
        return func(*(_core.view_as_complex(x) if z else x for x, z in zip(xs, made)))

    return on_pairs, tuple(real)


def gradcheck(
    func, inputs, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True, nondet_tol=0.0,
    check_undefined_grad=True, fast_mode=False, **_,
) -> bool:  # fmt: skip
    """Compares d func / d inputs from backward with (f(x + eps) - f(x - eps)) / (2 eps), element
    by element.

    Inputs that require grad should be float64; complex ones and complex outputs are checked as
    pairs of real numbers. Returns True, or raises RuntimeError with both
    Jacobians (returns False with ``raise_exception=False``).
    """
    from ..ops.creation import zeros_like
    from . import grad

    inputs = _tuple(inputs)
    if any(isinstance(x, Tensor) and x.dtype.is_complex for x in inputs):
        func, inputs = _on_pairs(func, inputs)
    wanted = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
    if not wanted:
        raise ValueError("gradcheck: no input requires grad; nothing to check")
    outputs = _floating(func(*inputs))
    for number, output in enumerate(outputs):
        for x in wanted:
            numeric = []
            flat = x.data.view(-1) if x.is_contiguous() else None
            if flat is None:
                raise ValueError("gradcheck: inputs must be contiguous; use .contiguous()")
            for i in range(x.numel()):
                before = flat[i].item()
                values = []
                for step in (eps, -eps):
                    flat[i] = before + step
                    _core.set_grad_enabled(False)
                    try:
                        values.append(_floating(func(*inputs))[number].clone())
                    finally:
                        _core.set_grad_enabled(True)
                flat[i] = before
                numeric.append(((values[0] - values[1]) / (2 * eps)).reshape(-1).tolist())
            for j in range(output.numel()):
                v = zeros_like(output)
                v.view(-1)[j] = 1
                # a fresh graph for each row: writing to x above changed its version
                fresh = _floating(func(*inputs))[number]
                g = grad(fresh, x, v, allow_unused=True)[0] if fresh.requires_grad else None
                row = [0.0] * x.numel() if g is None else g.reshape(-1).tolist()
                for i, value in enumerate(row):
                    expected = numeric[i][j]
                    if not abs(value - expected) <= atol + rtol * abs(expected):
                        if not raise_exception:
                            return False
                        raise RuntimeError(
                            f"gradcheck: d output[{number}][{j}] / d input[{i}] of shape "
                            f"{tuple(x.shape)} is {value} by backward but {expected} numerically"
                        )
    return True


def gradgradcheck(
    func, inputs, grad_outputs=None, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True, **_
) -> bool:
    """`gradcheck` of the gradient itself: second derivatives."""
    from ..random import randn_like
    from . import grad
    from .grad_mode import enable_grad

    func, inputs = _on_pairs(func, _tuple(inputs))
    outputs = _floating(func(*inputs))
    if grad_outputs is None:
        grad_outputs = [randn_like(o.detach()) for o in outputs]
    grad_outputs = [g.detach().requires_grad_() for g in _floating(grad_outputs)]
    wanted = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]

    @enable_grad()
    def first(*args):
        xs, gs = args[: len(inputs)], args[len(inputs) :]
        again = _floating(func(*xs))
        used = [x for x in xs if any(x is w for w in wanted)]
        results = grad(again, used, gs, create_graph=True, materialize_grads=True)
        return tuple(r for r in results if r.requires_grad)

    return gradcheck(
        first, (*inputs, *grad_outputs), eps=eps, atol=atol, rtol=rtol,
        raise_exception=raise_exception,
    )  # fmt: skip
