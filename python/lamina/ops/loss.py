"""Losses. Each returns one number (``reduction="mean"``, the default, or "sum") or a value per
element or row ("none"). `size_average` and `reduce` are PyTorch's older way to say so.

Elementwise losses are one fused function with one derivative (cpp/kernels/formulas.h), then a mean;
cross_entropy is one op with a one-pass gradient.
"""

from __future__ import annotations

import math
import warnings

from .. import _core
from .._core import Tensor
from .._expect import fails
from ._method import under_autocast
from .view import broadcast_tensors

__all__ = ["cosine_similarity", "pairwise_distance"]
__functional__ = [
    *__all__, "cross_entropy", "nll_loss", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div",
    "poisson_nll_loss", "hinge_embedding_loss", "margin_ranking_loss", "cosine_embedding_loss",
    "triplet_margin_loss", "triplet_margin_with_distance_loss", "soft_margin_loss",
    "multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss",
]  # fmt: skip


# ---- shared -------------------------------------------------------------------------------------
def _legacy(size_average, reduce) -> str:
    """The reduction the two deprecated arguments name."""
    if reduce is not None and not reduce:
        reduction = "none"
    else:
        reduction = "mean" if size_average is None or size_average else "sum"
    warnings.warn(
        "size_average and reduce args will be deprecated, please use "
        f"reduction={reduction!r} instead.",
        stacklevel=3,
    )
    return reduction


def _reduce(name: str, loss: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return _core.mean_all(loss)
    if reduction == "sum":
        return _core.sum_all(loss)
    if reduction != "none":
        raise _core.ArgumentError(
            f"{name}: reduction must be 'none', 'mean' or 'sum', got {reduction!r}"
        )
    return loss


def _fits(name: str, input: Tensor, target: Tensor) -> None:
    """Input and target of an elementwise loss: equal shapes, or a broadcast to one of them."""
    a, b = tuple(input.shape), tuple(target.shape)
    if a == b:
        return
    n = max(len(a), len(b))
    pairs = zip((1,) * (n - len(a)) + a, (1,) * (n - len(b)) + b, strict=True)
    wide = tuple(max(p, q) if p and q else 0 for p, q in pairs)
    if math.prod(wide) > max(input.numel(), target.numel()):
        raise _core.ShapeError(
            f"{name}: input has shape {a} and target {b}; they would broadcast to {wide}, pairing "
            "every input with every target. Make the shapes equal: "
            "input.squeeze(-1) or target.unsqueeze(-1)"
        )
    warnings.warn(
        f"{name}: target has shape {b} and input {a}; they are broadcast. Make the shapes equal",
        stacklevel=3,
    )


def _equal(name: str, input: Tensor, target: Tensor, what="target") -> None:
    if input.shape != target.shape:
        raise _core.ShapeError(
            f"{name}: input has shape {tuple(input.shape)} and {what} {tuple(target.shape)}; they "
            "must be equal"
        )


# ---- classes ------------------------------------------------------------------------------------
def cross_entropy(input: Tensor, target: Tensor, weight=None, size_average=None, ignore_index=-100,
                  reduce=None, reduction="mean", label_smoothing=0.0) -> Tensor:  # fmt: skip
    """-sum_c q_c log softmax(x)_c for scores x (N, C), (C) or (N, C, d1, ...).

    target: class numbers (N, d1, ...), an integer tensor; q is 1 at the target, times `weight` (C)
    of that class. Rows whose target is `ignore_index` count for nothing; the mean divides by the
    sum of the targets' weights. Or probabilities q in the input's shape; the mean then divides by
    N d1 .... With label_smoothing e, q becomes (1 - e) q + e / C (Szegedy et al., CVPR 2016).

    Raises IndexError naming a class number out of range and its place, ShapeError, ValueError.

    >>> lamina.nn.functional.cross_entropy(lamina.zeros(2, 4), lamina.tensor([0, 3]))
    tensor(1.3863)
    """
    if size_average is not None or reduce is not None:
        reduction = _legacy(size_average, reduce)
    return _core.cross_entropy(input, target, weight, reduction, ignore_index, label_smoothing)


@under_autocast("float32", "float32")
def nll_loss(input: Tensor, target: Tensor, weight=None, size_average=None, ignore_index=-100,
             reduce=None, reduction="mean") -> Tensor:  # fmt: skip
    """-w_t x_t for log-probabilities x (N, C), (C) or (N, C, d1, ...) and class numbers t.

    The mean divides by the sum of w_t; rows with target `ignore_index` count for nothing. Raises
    IndexError naming a class number out of range and its place, ShapeError.
    """
    if size_average is not None or reduce is not None:
        reduction = _legacy(size_average, reduce)
    if not input.is_cuda:  # there, of functions whose errors come when the device is synchronised
        return _core.nll_loss(input, target, weight, reduction, ignore_index)
    along = 1 if input.dim() > 1 else 0
    shape = tuple(input.shape)
    if input.dim() == 0 or tuple(target.shape) != shape[:along] + shape[along + 1 :]:
        raise _core.ShapeError(
            f"nll_loss: target has shape {tuple(target.shape)}, expected "
            f"{shape[:along] + shape[along + 1 :]} for an input of shape {shape} with classes in "
            f"dimension {along}"
        )
    if target.dtype not in (_core.int64, _core.uint8):
        raise _core.DTypeError(
            f"nll_loss: target must be int64 class numbers, got {target.dtype}; use .long()"
        )
    classes = shape[along]
    ignored = target == ignore_index
    rows = target.long().masked_fill(ignored, 0)
    right = (rows >= 0) & (rows < classes)
    if fails(right, _core.RangeError, f"nll_loss: a target is out of range for {classes} classes"):
        place = right.logical_not().nonzero()[0].tolist()
        raise _core.RangeError(
            f"nll_loss: target {int(target[tuple(place)])} at position {tuple(place)} is out of "
            f"range for {classes} classes; targets must be 0 to {classes - 1} or ignore_index "
            f"({ignore_index})"
        )
    w = ignored.logical_not().to(input.dtype)
    if weight is not None:
        w = w * weight.to(input.dtype)[rows]
    picked = _core.gather(input, along, rows.unsqueeze(along)).squeeze(along)
    loss = -(picked.masked_fill(ignored, 0) * w)
    if reduction == "mean":
        return loss.sum() / w.sum()
    return _reduce("nll_loss", loss, reduction)


# ---- elementwise --------------------------------------------------------------------------------
def mse_loss(input: Tensor, target: Tensor, size_average=None, reduce=None, reduction="mean",
             weight=None) -> Tensor:  # fmt: skip
    """(x - y)^2, times `weight`; the weighted mean divides by the sum of weights.

    Shapes must be equal; a broadcast to one of the two warns, and one to something larger than
    both, such as (N, 1) against (N,), raises ShapeError.
    """
    if size_average is not None or reduce is not None:
        reduction = _legacy(size_average, reduce)
    _fits("mse_loss", input, target)
    return _weighted("mse_loss", _core.mse(input, target), weight, reduction)


def l1_loss(input: Tensor, target: Tensor, size_average=None, reduce=None, reduction="mean",
            weight=None) -> Tensor:  # fmt: skip
    """|x - y|; otherwise as `mse_loss`."""
    if size_average is not None or reduce is not None:
        reduction = _legacy(size_average, reduce)
    _fits("l1_loss", input, target)
    return _weighted("l1_loss", _core.l1(input, target), weight, reduction)


def _weighted(name, loss, weight, reduction):
    if weight is None:
        return _reduce(name, loss, reduction)
    if reduction == "mean":
        return (loss * weight).sum() / weight.expand(loss.shape).sum()
    return _reduce(name, loss * weight, reduction)


def smooth_l1_loss(input: Tensor, target: Tensor, size_average=None, reduce=None,
                   reduction="mean", beta=1.0) -> Tensor:  # fmt: skip
    """d^2 / (2 beta) where d = |x - y| < beta, else d - beta / 2 (Girshick, ICCV 2015).

    Shapes as `mse_loss`. Raises ValueError for a negative beta.
    """
    if size_average is not None or reduce is not None:
        reduction = _legacy(size_average, reduce)
    if beta < 0:
        raise _core.ArgumentError(f"smooth_l1_loss: beta must not be negative, got {beta}")
    _fits("smooth_l1_loss", input, target)
    return _reduce("smooth_l1_loss", _core.smooth_l1(input, target, beta), reduction)


def huber_loss(input: Tensor, target: Tensor, reduction="mean", delta=1.0, weight=None) -> Tensor:
    """d^2 / 2 where d = |x - y| <= delta, else delta (d - delta / 2) (Huber, 1964).

    Shapes as `mse_loss`. Raises ValueError unless delta > 0.
    """
    if delta <= 0:
        raise _core.ArgumentError(f"huber_loss: delta must be positive, got {delta}")
    _fits("huber_loss", input, target)
    return _weighted("huber_loss", _core.huber(input, target, delta), weight, reduction)


@under_autocast("float32", "unsafe")
def binary_cross_entropy(input: Tensor, target: Tensor, weight=None, size_average=None,
                         reduce=None, reduction="mean") -> Tensor:  # fmt: skip
    """-(y log x + (1 - y) log(1 - x)) for probabilities x, times `weight`; logarithms are not taken
    below -100. Raises ShapeError when shapes differ, ValueError when x is not within [0, 1]."""
    if size_average is not None or reduce is not None:
        reduction = _legacy(size_average, reduce)
    _equal("binary_cross_entropy", input, target)
    what = (
        "binary_cross_entropy: input must be probabilities between 0 and 1; use "
        "binary_cross_entropy_with_logits for scores"
    )
    if fails(((input < 0) | (input > 1)).logical_not(), _core.ArgumentError, what):
        raise _core.ArgumentError(what)
    loss = _core.bce(input, target)
    return _reduce("binary_cross_entropy", loss if weight is None else loss * weight, reduction)


@under_autocast("float32", "float32")
def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight=None, size_average=None, reduce=None, reduction="mean",
    pos_weight=None,
) -> Tensor:  # fmt: skip
    """max(x, 0) - x y + log(1 + e^-|x|): binary cross-entropy of sigmoid(x), stable for every x.

    pos_weight p (broadcast to the input) weighs positive targets:
    (1 - y) x + (1 + (p - 1) y) log(1 + e^-x). `weight` multiplies the loss. Raises ShapeError when
    shapes differ.
    """
    if size_average is not None or reduce is not None:
        reduction = _legacy(size_average, reduce)
    _equal("binary_cross_entropy_with_logits", input, target)
    if pos_weight is None:
        loss = _core.bce_with_logits(input, target)
    else:
        loss = (1 - target) * input - ((pos_weight - 1) * target + 1) * _core.log_sigmoid(input)
    if weight is not None:
        loss = loss * weight
    return _reduce("binary_cross_entropy_with_logits", loss, reduction)


@under_autocast("float32", "float32")
def kl_div(input: Tensor, target: Tensor, size_average=None, reduce=None, reduction="mean",
           log_target=False) -> Tensor:  # fmt: skip
    """y (log y - x) for log-probabilities x and probabilities y (their logarithms with
    `log_target`): the Kullback-Leibler divergence. ``reduction="batchmean"`` divides the sum by
    the size of dimension 0, which is the mathematical definition."""
    if size_average is not None or reduce is not None:
        reduction = _legacy(size_average, reduce)
    loss = (_core.kl_div_log_target if log_target else _core.kl_div)(input, target)
    if reduction == "batchmean":
        return loss.sum() / (input.shape[0] if input.dim() else 1)
    return _reduce("kl_div", loss, reduction)


@under_autocast("float32", "float32")
def poisson_nll_loss(input: Tensor, target: Tensor, log_input=True, full=False, size_average=None,
                     eps=1e-8, reduce=None, reduction="mean") -> Tensor:  # fmt: skip
    """e^x - y x for a log rate x (``log_input=False``: x - y log(x + eps) for a rate).

    full adds Stirling's approximation of log y!, y log y - y + log(2 pi y) / 2, where y > 1.
    """
    if size_average is not None or reduce is not None:
        reduction = _legacy(size_average, reduce)
    if log_input:
        loss = _core.poisson_nll(input, target)
    else:
        loss = input - target * (input + eps).log()
    if full:
        y = target.masked_fill(target <= 1, 1)
        stirling = y * y.log() - y + 0.5 * (2 * math.pi * y).log()
        loss = loss + stirling.masked_fill(target <= 1, 0)
    return _reduce("poisson_nll_loss", loss, reduction)


def hinge_embedding_loss(input: Tensor, target: Tensor, margin=1.0, size_average=None, reduce=None,
                         reduction="mean") -> Tensor:  # fmt: skip
    """x where the target is 1, max(0, margin - x) where it is -1."""
    if size_average is not None or reduce is not None:
        reduction = _legacy(size_average, reduce)
    loss = _core.hinge_embedding(input, target, margin)
    return _reduce("hinge_embedding_loss", loss, reduction)


def soft_margin_loss(input: Tensor, target: Tensor, size_average=None, reduce=None,
                     reduction="mean") -> Tensor:  # fmt: skip
    """log(1 + e^(-y x)) for targets y of 1 and -1."""
    if size_average is not None or reduce is not None:
        reduction = _legacy(size_average, reduce)
    _equal("soft_margin_loss", input, target)
    return _reduce("soft_margin_loss", _core.soft_margin(input, target), reduction)


# ---- pairs and triplets -------------------------------------------------------------------------
@under_autocast("float32", "float32")
def margin_ranking_loss(input1: Tensor, input2: Tensor, target: Tensor, margin=0, size_average=None,
                        reduce=None, reduction="mean") -> Tensor:  # fmt: skip
    """max(0, -y (x1 - x2) + margin): y = 1 wants x1 larger, y = -1 x2."""
    if size_average is not None or reduce is not None:
        reduction = _legacy(size_average, reduce)
    loss = _core.relu(margin - target * (input1 - input2))
    return _reduce("margin_ranking_loss", loss, reduction)


@under_autocast(cuda="float32")
def cosine_similarity(x1: Tensor, x2: Tensor, dim=1, eps=1e-8) -> Tensor:
    """x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along `dim`; the inputs broadcast together."""
    if x1.dtype.is_complex or x2.dtype.is_complex:
        raise _core.DTypeError(
            f"cosine_similarity: expected real tensors, got {x1.dtype} and {x2.dtype}"
        )
    x1, x2 = broadcast_tensors(x1, x2)
    n1 = _core.norm(x1, 2.0, dim, True).clamp(min=eps)
    n2 = _core.norm(x2, 2.0, dim, True).clamp(min=eps)
    return _core.sum((x1 / n1) * (x2 / n2), dim, False, None)


def pairwise_distance(x1: Tensor, x2: Tensor, p=2.0, eps=1e-6, keepdim=False) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last dimension."""
    return _core.norm(x1 - x2 + eps, float(p), -1, keepdim)


@under_autocast("float32", "float32")
def cosine_embedding_loss(input1: Tensor, input2: Tensor, target: Tensor, margin=0,
                          size_average=None, reduce=None, reduction="mean") -> Tensor:  # fmt: skip
    """1 - cos(x1, x2) where the target is 1, max(0, cos(x1, x2) - margin) where it is -1.

    Inputs (N, D) with targets (N), or (D) with a 0-dim target.
    """
    if size_average is not None or reduce is not None:
        reduction = _legacy(size_average, reduce)
    cos = cosine_similarity(input1, input2, dim=-1)
    loss = _core.where(target > 0, 1 - cos, _core.relu(cos - margin))
    return _reduce("cosine_embedding_loss", loss, reduction)


@under_autocast("float32", "float32")
def triplet_margin_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin=1.0, p=2,
                        eps=1e-6, swap=False, size_average=None, reduce=None,
                        reduction="mean") -> Tensor:  # fmt: skip
    """max(0, d(a, p) - d(a, n) + margin), d the `pairwise_distance`; with `swap`, d(p, n) is used
    where it is smaller than d(a, n) (Balntas et al., BMVC 2016)."""
    if size_average is not None or reduce is not None:
        reduction = _legacy(size_average, reduce)

    def distance(x, y):
        return pairwise_distance(x, y, p, eps)

    return triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=distance, margin=margin, swap=swap,
        reduction=reduction,
    )  # fmt: skip


def triplet_margin_with_distance_loss(anchor: Tensor, positive: Tensor, negative: Tensor, *,
                                      distance_function=None, margin=1.0, swap=False,
                                      reduction="mean") -> Tensor:  # fmt: skip
    """`triplet_margin_loss` with any function of two tensors as the distance."""
    distance = pairwise_distance if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = _core.minimum(far, distance(positive, negative))
    loss = _core.relu(margin + near - far)
    return _reduce("triplet_margin_loss", loss, reduction)


# ---- several labels -----------------------------------------------------------------------------
@under_autocast("float32", "float32")
def multi_margin_loss(input: Tensor, target: Tensor, p=1, margin=1.0, weight=None,
                      size_average=None, reduce=None, reduction="mean") -> Tensor:  # fmt: skip
    """sum over c != t of max(0, margin - x_t + x_c)^p / C, times weight[t]; input (N, C) or (C)."""
    if size_average is not None or reduce is not None:
        reduction = _legacy(size_average, reduce)
    at = target.long().unsqueeze(-1)
    gap = _core.relu(margin - _core.gather(input, -1, at) + input)
    loss = gap if p == 1 else gap**p
    if weight is not None:
        loss = loss * weight.to(input.dtype)[at]
    zero = loss.new_full((), 0.0).expand(at.shape)
    loss = _core.scatter(loss, -1, at, zero, "", True)
    return _reduce("multi_margin_loss", loss.sum(-1) / input.shape[-1], reduction)


@under_autocast("float32", "float32")
def multilabel_margin_loss(input: Tensor, target: Tensor, size_average=None, reduce=None,
                           reduction="mean") -> Tensor:  # fmt: skip
    """sum over labels y and non-labels c of max(0, 1 - (x_y - x_c)) / C; each row of target lists
    its labels and ends at the first -1. input and target (N, C) or (C)."""
    if size_average is not None or reduce is not None:
        reduction = _legacy(size_average, reduce)
    _equal("multilabel_margin_loss", input, target)
    listed = (target < 0).long().cumsum(-1) == 0
    at = target.long().masked_fill(listed.logical_not(), 0)
    one = listed.to(input.dtype)
    is_label = _core.scatter(input.new_full(input.shape, 0.0), -1, at, one, "amax", True)
    gap = _core.relu(1 - _core.gather(input, -1, at).unsqueeze(-1) + input.unsqueeze(-2))
    loss = gap * one.unsqueeze(-1) * (1 - is_label).unsqueeze(-2)
    return _reduce("multilabel_margin_loss", loss.sum((-1, -2)) / input.shape[-1], reduction)


def multilabel_soft_margin_loss(input: Tensor, target: Tensor, weight=None, size_average=None,
                                reduce=None, reduction="mean") -> Tensor:  # fmt: skip
    """The mean over classes of binary cross-entropy with logits, one label each; input (N, C)."""
    if size_average is not None or reduce is not None:
        reduction = _legacy(size_average, reduce)
    _equal("multilabel_soft_margin_loss", input, target)
    loss = _core.bce_with_logits(input, target)
    if weight is not None:
        loss = loss * weight
    return _reduce("multilabel_soft_margin_loss", loss.mean(-1), reduction)
