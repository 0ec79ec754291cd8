"""Training samples mixed from two: mixup and CutMix. For a batch x (N, ...) and its targets.

>>> x, targets, lam = lamina.utils.mixing.mixup(x, y, alpha=0.4)
>>> loss = lamina.utils.mixing.mixed_loss(nn.functional.cross_entropy, model(x), targets, lam)

Draws come from lamina's default generator. PyTorch has no such functions (torchvision has
transforms).
"""

from __future__ import annotations

from .._core import Tensor
from ..random import randint, randperm

__all__ = ["beta", "cutmix", "mixed_loss", "mixup"]


def beta(a: float, b: float) -> float:
    """One draw of the Beta(a, b) distribution, following `lamina.manual_seed`. ValueError unless
    both are positive."""
    if not (a > 0 and b > 0):
        raise ValueError(f"beta: parameters must be positive, got {a} and {b}")
    from ..distributions import Beta

    return Beta(float(a), float(b)).sample().item()


def mixup(x: Tensor, y: Tensor, alpha: float = 0.4):
    """x' = lam x + (1 - lam) x[order], with one lam of Beta(alpha, alpha) and a random order.

    Returns (x', (y, y[order]), lam). Targets are mixed in the loss (`mixed_loss`), or, when they
    are probabilities, as lam y + (1 - lam) y[order]. alpha: usually 0.2 to 1.

    Zhang et al., "mixup: beyond empirical risk minimization" (2018).
    """
    lam, order = beta(alpha, alpha), randperm(x.shape[0])
    return lam * x + (1 - lam) * x[order], (y, y[order]), lam


def cutmix(x: Tensor, y: Tensor, alpha: float = 1.0):
    """A box of every image (N, C, H, W) is taken from another image of the batch.

    The box covers 1 - lam of the image, lam of Beta(alpha, alpha), around a uniform centre; what
    hangs over the edge is cut off. Returns (x', (y, y[order]), lam) with lam the part of the image
    that was left. Use as `mixup`.

    Yun et al., "CutMix" (ICCV 2019).
    """
    lam, order = beta(alpha, alpha), randperm(x.shape[0])
    height, width = x.shape[-2:]
    size = (1 - lam) ** 0.5
    spans = []
    for n in (height, width):
        centre, half = int(randint(0, n, ())), int(n * size) // 2
        spans.append((max(centre - half, 0), min(centre + half, n)))
    (top, bottom), (left, right) = spans
    mixed = x.clone()
    mixed[..., top:bottom, left:right] = x[order][..., top:bottom, left:right]
    lam = 1 - (bottom - top) * (right - left) / (height * width)
    return mixed, (y, y[order]), lam


def mixed_loss(loss, scores: Tensor, targets: tuple[Tensor, Tensor], lam: float) -> Tensor:
    """lam loss(scores, targets[0]) + (1 - lam) loss(scores, targets[1])."""
    first, second = targets
    return lam * loss(scores, first) + (1 - lam) * loss(scores, second)
