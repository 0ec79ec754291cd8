"""Dropout layers. In training each element (or channel) is 0 with probability p and the rest grow
by 1 / (1 - p); in evaluation the input passes unchanged (Srivastava et al., JMLR 2014)."""

from __future__ import annotations

from .._core import Tensor
from . import functional as F
from .module import Module

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d",
           "FeatureAlphaDropout"]  # fmt: skip


class _Dropout(Module):
    """Raises ValueError when p is not within [0, 1]."""

    def __init__(self, p=0.5, inplace=False):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p, self.inplace = p, inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Drops elements. Any shape. Raises ValueError when p is not within [0, 1]."""

    def forward(self, input: Tensor) -> Tensor:
        """x with elements dropped in training, x otherwise."""
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_Dropout):
    """Drops whole channels of (N, C, L) or (C, L) (Tompson et al., CVPR 2015)."""

    def forward(self, input: Tensor) -> Tensor:
        """x with channels dropped in training, x otherwise."""
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_Dropout):
    """Drops whole channels of (N, C, H, W) (Tompson et al., CVPR 2015). As in PyTorch, three
    dimensions are read as (N, C, L) and two as (N, C), with a warning."""

    def forward(self, input: Tensor) -> Tensor:
        """x with channels dropped in training, x otherwise."""
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_Dropout):
    """Drops whole channels of (N, C, D, H, W) or (C, D, H, W) (Tompson et al., CVPR 2015)."""

    def forward(self, input: Tensor) -> Tensor:
        """x with channels dropped in training, x otherwise."""
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_Dropout):
    """Sets elements to SELU's negative limit and rescales, so that mean 0 and variance 1 are kept
    (Klambauer et al., NeurIPS 2017)."""

    def forward(self, input: Tensor) -> Tensor:
        """x with elements dropped in training, x otherwise."""
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_Dropout):
    """`AlphaDropout` of whole channels."""

    def forward(self, input: Tensor) -> Tensor:
        """x with channels dropped in training, x otherwise."""
        return F.feature_alpha_dropout(input, self.p, self.training)
