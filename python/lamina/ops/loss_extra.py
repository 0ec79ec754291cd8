"""Losses for unbalanced classes, overlap, margins, quantiles, and unaligned sequences.

PyTorch has only ctc_loss and gaussian_nll_loss; sigmoid_focal_loss is torchvision's.
"""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from .._expect import fails
from .creation import tensor
from .loss import _equal, _reduce, nll_loss

__all__ = ["ctc_loss"]
__functional__ = [
    "cost_sensitive_loss", "ctc_loss", "dice_loss", "distillation_loss", "focal_loss",
    "gaussian_nll_loss", "hinge_loss", "jaccard_loss", "quantile_loss", "sigmoid_focal_loss",
]  # fmt: skip


def focal_loss(input: Tensor, target: Tensor, gamma=2.0, weight=None, ignore_index=-100,
               reduction="mean") -> Tensor:  # fmt: skip
    """-w_t (1 - p_t)^gamma log p_t for scores x (N, C, ...) or (C), p = softmax(x), and class
    numbers t (N, ...): easy examples, with p_t near 1, count less (Lin et al., ICCV 2017).

    gamma: 0 is the sum of cross-entropy's rows. weight: (C), alpha in the paper. The mean divides
    by the number of targets that are not ignore_index. Errors as `nll_loss`.
    """
    along = 1 if input.dim() > 1 else 0
    logs = _core.log_softmax(input, along)
    ignored = target == ignore_index
    safe = target.long().masked_fill(ignored, 0)
    nll = nll_loss(logs, safe, reduction="none")  # also checks the class numbers
    loss = (1 - (-nll).exp()) ** gamma * nll
    if weight is not None:
        loss = loss * weight.to(input.dtype)[safe]
    loss = loss.masked_fill(ignored, 0)
    if reduction == "mean":
        return loss.sum() / ignored.logical_not().sum()
    return _reduce("focal_loss", loss, reduction)


def cost_sensitive_loss(input: Tensor, target: Tensor, cost: Tensor, reduction="mean") -> Tensor:
    """sum_k p_k cost[t, k], p = softmax(x): the expected cost of answering by p where the class is
    t (Elkan, "The foundations of cost-sensitive learning", 2001).

    input: scores (N, C); target: class numbers (N); cost: (C, C), a row per true class, a column
    per answer. Raises ShapeError for other shapes, ValueError for another reduction.
    """
    if input.dim() != 2 or cost.shape != (input.shape[1],) * 2 or target.shape != input.shape[:1]:
        raise _core.ShapeError(
            "cost_sensitive_loss: expected input (N, C), target (N) and cost (C, C), got "
            f"{tuple(input.shape)}, {tuple(target.shape)} and {tuple(cost.shape)}"
        )
    expected = _core.softmax(input, 1) * cost.to(input.dtype).index_select(0, target)
    return _reduce("cost_sensitive_loss", expected.sum(1), reduction)


def distillation_loss(input: Tensor, teacher: Tensor, temperature=1.0) -> Tensor:
    """T^2 KL(softmax(teacher / T) || softmax(input / T)), the mean over samples: T^2 keeps the size
    of the gradient (Hinton, Vinyals and Dean, "Distilling the knowledge in a network", 2015).

    input, teacher: scores (..., C) of one shape; temperature: T > 0, above 1 softens both. No
    gradient goes to the teacher. Raises ShapeError for other shapes, ValueError for T <= 0.
    """
    _equal("distillation_loss", input, teacher)
    if temperature <= 0:
        raise ValueError(f"distillation_loss: temperature must be positive, got {temperature}")
    q = _core.log_softmax(input / temperature, -1)
    p = _core.log_softmax(teacher.detach() / temperature, -1)
    return (p.exp() * (p - q)).sum(-1).mean() * temperature**2


def sigmoid_focal_loss(inputs: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2,
                       reduction: str = "none") -> Tensor:  # fmt: skip
    """a_t (1 - p_t)^gamma times binary cross-entropy, p_t = p for targets 1 and 1 - p for 0,
    p = sigmoid(inputs), a_t likewise alpha and 1 - alpha (Lin et al., ICCV 2017).

    inputs: scores; targets: 0 and 1, of the same shape and floating dtype. alpha: -1 leaves a_t
    out. The arguments are torchvision's. Raises ValueError for an alpha outside [0, 1] but -1.
    """
    if not (0 <= alpha <= 1) and alpha != -1:
        raise _core.ArgumentError(
            f"Invalid alpha value: {alpha}. alpha must be in the range [0,1] or -1 for ignore."
        )
    _equal("sigmoid_focal_loss", inputs, targets)
    loss = _core.bce_with_logits(inputs, targets)
    p = _core.sigmoid(inputs)
    loss = loss * (p * (1 - targets) + (1 - p) * targets) ** gamma
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    return _reduce("sigmoid_focal_loss", loss, reduction)


def _overlap(name: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of x t and of x + t over all dimensions but the first (samples)."""
    _equal(name, input, target)
    if input.dim() == 0:
        raise _core.ShapeError(f"{name}: expected an input (N, ...), got a number")
    rest = list(range(1, input.dim()))
    both, either = input * target, input + target
    return (both.sum(rest), either.sum(rest)) if rest else (both, either)


def dice_loss(input: Tensor, target: Tensor, smooth=1.0, reduction="mean") -> Tensor:
    """1 - (2 sum(x t) + smooth) / (sum x + sum t + smooth) of each sample: one minus the Dice
    coefficient of a predicted and a true region (Milletari, Navab and Ahmadi, 3DV 2016, without
    their squares).

    input: probabilities (N, ...), as of sigmoid or softmax; target: 0 and 1, of the same shape (for
    several classes one-hot, or call it per class). ShapeError for other shapes.
    """
    both, either = _overlap("dice_loss", input, target)
    return _reduce("dice_loss", 1 - (2 * both + smooth) / (either + smooth), reduction)


def jaccard_loss(input: Tensor, target: Tensor, smooth=1.0, reduction="mean") -> Tensor:
    """1 - (I + smooth) / (U + smooth), I = sum(x t), U = sum(x) + sum(t) - I, of each sample: one
    minus the intersection over union of regions (Rahman and Wang, ISVC 2016).

    Arguments and shapes as `dice_loss`.
    """
    both, either = _overlap("jaccard_loss", input, target)
    return _reduce("jaccard_loss", 1 - (both + smooth) / (either - both + smooth), reduction)


def hinge_loss(input: Tensor, target: Tensor, margin=1.0, squared=False,
               reduction="mean") -> Tensor:  # fmt: skip
    """max(0, margin - t x), or its square, for scores x and labels t of -1 and 1 of the same shape:
    the loss of support-vector machines (Cortes and Vapnik, 1995). For labels y of 0 and 1 pass
    2 y - 1. `multi_margin_loss` is the form for several classes. ShapeError for other shapes.
    """
    _equal("hinge_loss", input, target)
    loss = _core.relu(margin - target * input)
    return _reduce("hinge_loss", loss * loss if squared else loss, reduction)


def quantile_loss(input: Tensor, target: Tensor, quantile=0.5, reduction="mean") -> Tensor:
    """max(q e, (q - 1) e) with e = target - input: the pinball loss, smallest where `input` is the
    q-quantile of the targets; half the absolute error for q = 1/2 (Koenker and Bassett, 1978).

    quantile: a number in (0, 1), or a tensor broadcast to the input (one per column, say). Shapes
    must be equal: ShapeError. ValueError for other quantiles.
    """
    _equal("quantile_loss", input, target)
    if not isinstance(quantile, Tensor) and not 0 < quantile < 1:
        raise _core.ArgumentError(
            f"quantile_loss: quantile must be between 0 and 1, got {quantile}"
        )
    e = target - input
    return _reduce("quantile_loss", _core.relu(e) * quantile + _core.relu(-e) * (1 - quantile),
                   reduction)  # fmt: skip


def ctc_loss(log_probs: Tensor, targets: Tensor, input_lengths, target_lengths, blank=0,
             reduction="mean", zero_infinity=False) -> Tensor:  # fmt: skip
    """-log of the probability that a sequence of frames reads as the target, when repeated labels
    and then blanks are left out: summed over all alignments by the forward recursion.

    Args:
        log_probs: (T, N, C), or (T, C) for one sequence: log-probabilities (log_softmax) of each
            frame, float32 or float64.
        targets: labels without blanks, (N, S), padded at the end, or all sequences' labels in one
            row; (S) for one sequence.
        input_lengths, target_lengths: (N) integers, tensors or tuples: frames and labels used.
        blank: the label that means none.
        reduction: "mean" divides each loss by its target's length (at least 1), then takes the
            mean over the batch; "sum"; "none": (N).
        zero_infinity: 0 loss and gradient for targets too long for their frames, instead of inf.

    The gradient is exp(log_probs) - (share of each label at each frame), that of the scores before
    log_softmax, as PyTorch's (the two agree through log_softmax).
    Cost: O(T S) time per sequence, 2 T (2 S + 1) numbers of memory.

    Raises ShapeError, ValueError for lengths out of range, IndexError for labels out of range.
    Graves et al., "Connectionist temporal classification" (ICML 2006).
    """
    if reduction not in ("none", "mean", "sum"):
        raise _core.ArgumentError(
            f"ctc_loss: reduction must be 'none', 'mean' or 'sum', got {reduction!r}"
        )
    single = log_probs.dim() == 2
    if log_probs.dim() not in (2, 3):
        raise _core.ShapeError(
            f"ctc_loss: expected log_probs (T, N, C) or (T, C), got shape {tuple(log_probs.shape)}"
        )
    if single:
        log_probs = log_probs.unsqueeze(1)
        targets = targets.unsqueeze(0) if targets.dim() == 1 else targets
    frames, samples, classes = log_probs.shape
    inputs = _lengths("input_lengths", input_lengths, samples)
    labels = _lengths("target_lengths", target_lengths, samples)
    if not 0 <= blank < classes:
        raise _core.ArgumentError(
            f"ctc_loss: blank must be in label range [0, {classes}), got {blank}"
        )
    for name, values, most in (("input_lengths", inputs, frames), ("target_lengths", labels, None)):
        for i, n in enumerate(values):
            if n < 0 or (most is not None and n > most):
                raise _core.ArgumentError(
                    f"ctc_loss: {name}[{i}] = {n} is out of range for log_probs of shape "
                    f"{tuple(log_probs.shape)}"
                )
    targets = targets.long()
    if targets.dim() == 1:  # one row of all
        if sum(labels) != targets.shape[0]:
            raise _core.ArgumentError(
                f"ctc_loss: target_lengths sum to {sum(labels)} but targets has "
                f"{targets.shape[0]} labels"
            )
        starts = [sum(labels[:i]) for i in range(samples)]
    else:
        if targets.dim() != 2 or targets.shape[0] != samples:
            raise _core.ShapeError(
                f"ctc_loss: expected targets ({samples}, S) or one row, got shape "
                f"{tuple(targets.shape)}"
            )
        width = targets.shape[1]
        if max(labels, default=0) > width:
            raise _core.ArgumentError(
                f"ctc_loss: target_lengths has {max(labels)} but targets only {width} columns"
            )
        starts = [i * width for i in range(samples)]
    table = _core.tensor([inputs, labels, starts], _core.int64)
    table, flat = table.reshape(3, samples), targets.to(log_probs.device).reshape(-1)
    loss = _core.ctc_loss(log_probs, flat, table, blank, zero_infinity)
    if reduction == "mean":
        sizes = tensor([float(max(n, 1)) for n in labels], dtype=loss.dtype, device=loss.device)
        return (loss / sizes).mean()
    if reduction == "sum":
        return loss.sum()
    return loss.squeeze(0) if single else loss


def _lengths(name: str, value, samples: int) -> list[int]:
    values = value.reshape(-1).tolist() if isinstance(value, Tensor) else value
    values = [int(n) for n in (values if isinstance(values, (list, tuple)) else [values])]
    if len(values) != samples:
        raise _core.ArgumentError(
            f"ctc_loss: {name} must be of size batch_size {samples}, got {values}"
        )
    return values


def gaussian_nll_loss(input: Tensor, target: Tensor, var, full=False, eps=1e-6,
                      reduction="mean") -> Tensor:  # fmt: skip
    """(log v + (x - y)^2 / v) / 2 with v = max(var, eps), whose gradient ignores the clamping.

    var: the input's shape, that with a last dimension of 1 or without it, or a number. full adds
    log(2 pi) / 2. Raises ValueError for a negative variance, ShapeError (Nix and Weigend, 1994).
    """
    if not isinstance(var, Tensor):
        var = input.new_full(input.shape, float(var))
    elif tuple(var.shape) != tuple(input.shape):
        if tuple(var.shape) == tuple(input.shape[:-1]):
            var = var.unsqueeze(-1)
        elif tuple(var.shape[:-1]) != tuple(input.shape[:-1]) or var.shape[-1] != 1:
            raise _core.ShapeError(
                f"gaussian_nll_loss: var has shape {tuple(var.shape)}; expected the input's "
                f"{tuple(input.shape)}, or that with a last dimension of 1 or without it"
            )
    what = "gaussian_nll_loss: var must not be negative"
    if fails((var < 0).logical_not(), _core.ArgumentError, what):
        raise _core.ArgumentError(what)
    v = var + (var.detach().clamp(min=eps) - var.detach())
    loss = 0.5 * (v.log() + (input - target) ** 2 / v)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return _reduce("gaussian_nll_loss", loss, reduction)
