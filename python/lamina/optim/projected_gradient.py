"""Projected gradient descent, and projections onto simple sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._core import Tensor
from ..autograd import no_grad
from ..ops.creation import arange
from .sgd import SGD


class ProjectedGradient(SGD):
    r"""SGD that returns to a set after every step: p = P(p - lr * d), P(z) the nearest point of it.

    projection: a function from a tensor to its nearest point in the set, such as `project_box`
    with its limits bound (``functools.partial(project_box, low=0, high=1)``); an option of
    parameter groups. The other arguments, state and errors are those of `SGD`. For another
    optimizer call the projection in ``register_step_post_hook``. PyTorch has no such class.

    Bertsekas, Nonlinear Programming (1999), section 2.3.
    """

    def __init__(self, params, projection: Callable[[Tensor], Tensor], lr=1e-3, **options):
        super().__init__(params, lr, **options)
        self.defaults["projection"] = projection
        for group in self.param_groups:
            group.setdefault("projection", projection)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """A step of SGD, then the projection of the parameters that have a gradient."""
        loss = super().step(closure)
        with no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.copy_(group["projection"](p))
        return loss


def project_box(x: Tensor, low=None, high=None) -> Tensor:
    """The nearest tensor with low <= y <= high elementwise (None: no limit). With
    low = x0 - e, high = x0 + e: the ball of radius e around x0 in the largest-element norm."""
    return x.clamp(low, high)


def project_ball(x: Tensor, radius: float = 1.0, dim=None) -> Tensor:
    """The nearest tensor whose Euclidean norm (along `dim`, or of all elements) is at most
    radius: y = x * min(1, radius / |x|)."""
    size = (x * x).sum(dim, keepdim=True).sqrt() if dim is not None else (x * x).sum().sqrt()
    return x * (radius / size.clamp(min=radius))


def project_sphere(x: Tensor, radius: float = 1.0, dim=None) -> Tensor:
    """The nearest tensor whose Euclidean norm (along `dim`, or of all elements) is radius:
    y = radius x / |x|; the unit-norm constraint. 0, whose nearest points are not unique, stays."""
    size = (x * x).sum(dim, keepdim=True).sqrt() if dim is not None else (x * x).sum().sqrt()
    return x * (radius / size.masked_fill(size == 0, 1))


def project_simplex(x: Tensor, total: float = 1.0, dim: int = -1) -> Tensor:
    """The nearest tensor with y >= 0 and sum(y) = total along `dim`: y = max(x - t, 0).

    t = (sum of the k largest x - total) / k, for the largest k that leaves the k-th positive
    (Duchi et al., "Efficient projections onto the l1-ball for learning in high dimensions", 2008).
    """
    x = x.movedim(dim, -1)
    falling = x.sort(-1, descending=True)[0]
    n = arange(1, x.shape[-1] + 1, dtype=x.dtype)
    t = (falling.cumsum(-1) - total) / n
    k = (falling > t).sum(-1, keepdim=True)
    return (x - t.gather(-1, k - 1)).clamp(min=0).movedim(-1, dim)
