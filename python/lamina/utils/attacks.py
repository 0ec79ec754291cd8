"""Adversarial examples: inputs changed a little so that a model errs, for tests and training.

>>> x_bad = lamina.utils.attacks.fgsm(model, x, y, eps=8 / 255)

`model` is a function from inputs to scores; `loss` one from (scores, labels) to a number, by
default cross-entropy. The model's mode and its parameters' gradients are left as they are. PyTorch
has no such functions.
"""

from __future__ import annotations

from collections.abc import Callable

from .._core import Tensor
from ..autograd import enable_grad, grad, no_grad

__all__ = ["fgsm", "pgd"]


def _cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    from ..ops.loss import cross_entropy

    return cross_entropy(scores, labels)


def _within(x: Tensor, low: float | None, high: float | None) -> Tensor:
    return x if low is None and high is None else x.clamp(low, high)


def _input_gradient(model: Callable, x: Tensor, y: Tensor, loss: Callable) -> Tensor:
    x = x.detach().requires_grad_()
    with enable_grad():
        return grad(loss(model(x), y), [x])[0]


def fgsm(model: Callable, x: Tensor, y: Tensor, eps: float, loss: Callable | None = None,
         low: float | None = 0.0, high: float | None = 1.0) -> Tensor:  # fmt: skip
    """x + eps sign(dL/dx), within [low, high] (None: no limit): the fast gradient sign method.

    x: inputs (N, ...), floating; y: labels. Returns a tensor like x, without gradients. Raises
    ValueError for a negative eps.

    Goodfellow, Shlens and Szegedy, "Explaining and harnessing adversarial examples" (2015).
    """
    if eps < 0:
        raise ValueError(f"fgsm: eps must not be negative, got {eps}")
    gradient = _input_gradient(model, x, y, loss or _cross_entropy)
    with no_grad():
        return _within(x.detach() + eps * gradient.sign(), low, high)


def pgd(model: Callable, x: Tensor, y: Tensor, eps: float, step: float, steps: int = 7,
        loss: Callable | None = None, low: float | None = 0.0, high: float | None = 1.0,
        random_start: bool = True) -> Tensor:  # fmt: skip
    """Projected gradient descent: `steps` times z = P(z + step sign(dL/dz)), P the nearest point
    with max |z - x| <= eps and within [low, high] (None: no limit).

    random_start: begin at a uniform draw of the eps-box around x instead of at x. The usual numbers
    for images in [0, 1]: eps 8/255, step 2/255, 7 steps. Arguments, result and errors as `fgsm`.

    Madry et al., "Towards deep learning models resistant to adversarial attacks" (2018).
    """
    if eps < 0 or step < 0:
        raise ValueError(f"pgd: eps and step must not be negative, got {eps} and {step}")
    with no_grad():
        start = x.detach()
        z = start
        if random_start:
            z = _within(start + start.clone().uniform_(-eps, eps), low, high)
    for _ in range(steps):
        gradient = _input_gradient(model, z, y, loss or _cross_entropy)
        with no_grad():
            z = z + step * gradient.sign()
            z = _within(start + (z - start).clamp(-eps, eps), low, high)
    return z
