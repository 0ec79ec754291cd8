"""More losses as modules: CTC, focal, Dice, Jaccard (IoU), hinge, quantile.

Formulas, shapes, errors and sources stand with the function of each loss in
`lamina.nn.functional`. PyTorch has only CTCLoss.
"""

from __future__ import annotations

from .._core import Tensor
from . import functional as F
from .loss import _Loss, _WeightedLoss

__all__ = ["CTCLoss", "DiceLoss", "FocalLoss", "HingeLoss", "JaccardLoss", "QuantileLoss"]


class CTCLoss(_Loss):
    """-log of the probability that frames (T, N, C) of log-probabilities read as the targets, over
    all alignments (Graves et al., ICML 2006; see F.ctc_loss).

    blank: the label that means none. zero_infinity: 0 for targets too long for their frames.
    reduction "mean" divides each loss by its target's length first.
    """

    def __init__(self, blank=0, reduction="mean", zero_infinity=False):
        super().__init__(reduction=reduction)
        self.blank, self.zero_infinity = blank, zero_infinity

    def forward(self, log_probs: Tensor, targets: Tensor, input_lengths, target_lengths) -> Tensor:
        """The loss of `log_probs` for `targets`."""
        return F.ctc_loss(log_probs, targets, input_lengths, target_lengths, self.blank,
                          self.reduction, self.zero_infinity)  # fmt: skip


class FocalLoss(_WeightedLoss):
    """-w_t (1 - p_t)^gamma log p_t for scores (N, C, ...) and class numbers (N, ...) (Lin et al.,
    ICCV 2017). weight: (C), the paper's alpha."""

    def __init__(self, gamma=2.0, weight=None, ignore_index=-100, reduction="mean"):
        super().__init__(weight, reduction=reduction)
        self.gamma, self.ignore_index = gamma, ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of scores `input` for `target`."""
        return F.focal_loss(input, target, self.gamma, self.weight, self.ignore_index,
                            self.reduction)  # fmt: skip

    def extra_repr(self) -> str:
        return f"gamma={self.gamma}"


class _Overlap(_Loss):
    def __init__(self, smooth=1.0, reduction="mean"):
        super().__init__(reduction=reduction)
        self.smooth = smooth

    def extra_repr(self) -> str:
        return f"smooth={self.smooth}"


class DiceLoss(_Overlap):
    """1 - (2 sum(x t) + smooth) / (sum x + sum t + smooth) of each sample (N, ...); x are
    probabilities."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of probabilities `input` for `target`."""
        return F.dice_loss(input, target, self.smooth, self.reduction)


class JaccardLoss(_Overlap):
    """1 - intersection over union (soft, smoothed) of each sample (N, ...); x are probabilities."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of probabilities `input` for `target`."""
        return F.jaccard_loss(input, target, self.smooth, self.reduction)


class HingeLoss(_Loss):
    """max(0, margin - t x), or its square, for labels t of -1 and 1."""

    def __init__(self, margin=1.0, squared=False, reduction="mean"):
        super().__init__(reduction=reduction)
        self.margin, self.squared = margin, squared

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of scores `input` for `target`."""
        return F.hinge_loss(input, target, self.margin, self.squared, self.reduction)

    def extra_repr(self) -> str:
        return f"margin={self.margin}, squared={self.squared}"


class QuantileLoss(_Loss):
    """max(q e, (q - 1) e), e = target - input: smallest at the q-quantile of the targets."""

    def __init__(self, quantile=0.5, reduction="mean"):
        super().__init__(reduction=reduction)
        self.quantile = quantile

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of `input` for `target`."""
        return F.quantile_loss(input, target, self.quantile, self.reduction)

    def extra_repr(self) -> str:
        return f"quantile={self.quantile}"
