"""Variants of batch normalisation in what the statistics of training are. PyTorch has neither."""

from __future__ import annotations

from .._core import ShapeError, Tensor
from ..autograd import no_grad
from ..ops.join import cat
from . import functional as F
from .normalization import _Norm

__all__ = ["BatchRenorm", "GhostBatchNorm"]


class _AnyBatch(_Norm):
    def _check_input(self, input: Tensor) -> None:
        if input.dim() < 2 or input.shape[1] != self.num_features:
            raise ShapeError(
                f"{self._get_name()}: expected an input (N, {self.num_features}, ...), got shape "
                f"{tuple(input.shape)}"
            )


class GhostBatchNorm(_AnyBatch):
    """Batch normalisation with statistics of small parts ("ghosts") of the batch: samples
    1 ... ghost_size, the next ghost_size, and so on (the last part may be smaller).

    The noise of small batches stays though the batch is large. The running statistics move once
    per part. (N, C, ...) to the same shape. Arguments but ghost_size, state and evaluation as
    `BatchNorm1d`. Raises ValueError unless ghost_size > 0, ShapeError for other channels.

    Hoffer, Hubara and Soudry, "Train longer, generalize better" (NeurIPS 2017), algorithm 1.
    """

    def __init__(self, num_features, ghost_size=32, eps=1e-5, momentum=0.1, affine=True,
                 track_running_stats=True, device=None, dtype=None, *, bias=True):  # fmt: skip
        if ghost_size < 1:
            raise ValueError(f"GhostBatchNorm: ghost_size must be positive, got {ghost_size}")
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype,
                         bias=bias)  # fmt: skip
        self.ghost_size = ghost_size

    def forward(self, input: Tensor) -> Tensor:
        """The normalised input; in training the running statistics move."""
        self._check_input(input)
        mean, var = self.running_mean, self.running_var
        if not self.training and mean is not None:
            return F.batch_norm(input, mean, var, self.weight, self.bias, False, 0.0, self.eps)
        parts = []
        for part in input.split(self.ghost_size):
            momentum = self.momentum
            if mean is not None:
                self.num_batches_tracked.add_(1)
                if momentum is None:
                    momentum = 1.0 / self.num_batches_tracked.item()
            parts.append(
                F.batch_norm(part, mean, var, self.weight, self.bias, True, momentum or 0.0,
                             self.eps)
            )  # fmt: skip
        return parts[0] if len(parts) == 1 else cat(parts, 0)

    def extra_repr(self) -> str:
        return super().extra_repr() + f", ghost_size={self.ghost_size}"


class BatchRenorm(_AnyBatch):
    """Batch renormalisation: batch normalisation moved towards what evaluation will do.

    In training, with the batch's mean m and deviation s = sqrt(var + eps), and the running M, S::

        r = s / S within [1 / r_max, r_max],  d = (m - M) / S within [-d_max, d_max]
        y = ((x - m) / s * r + d) * weight + bias

    r and d have no gradient. r_max = 1 and d_max = 0 is batch normalisation; the paper raises both
    to 3 and 5 while it trains (set the attributes). Evaluation and state are `BatchNorm1d`'s, so
    weights can be exchanged. (N, C, ...) to the same shape; small batches are what it is for.

    Ioffe, "Batch renormalization" (NeurIPS 2017), algorithm 1.
    """

    def __init__(self, num_features, eps=1e-5, momentum=0.01, affine=True, r_max=3.0, d_max=5.0,
                 device=None, dtype=None, *, bias=True):  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, True, device, dtype, bias=bias)
        self.r_max, self.d_max = r_max, d_max

    def forward(self, input: Tensor) -> Tensor:
        """The normalised input; in training the running statistics move."""
        self._check_input(input)
        mean, var = self.running_mean, self.running_var
        if not self.training:
            return F.batch_norm(input, mean, var, self.weight, self.bias, False, 0.0, self.eps)
        with no_grad():
            self.num_batches_tracked.add_(1)
            momentum = self.momentum
            if momentum is None:
                momentum = 1.0 / self.num_batches_tracked.item()
            dims = [0, *range(2, input.dim())]
            x = input.detach()
            batch_mean = x.mean(dims)
            batch_std = (x.var(dims, correction=0) + self.eps).sqrt()
            std = (var + self.eps).sqrt()
            r = (batch_std / std).clamp(1 / self.r_max, self.r_max)
            d = ((batch_mean - mean) / std).clamp(-self.d_max, self.d_max)
        weight, bias = r, d
        if self.weight is not None:
            weight, bias = r * self.weight, d * self.weight
        if self.bias is not None:
            bias = bias + self.bias
        return F.batch_norm(input, mean, var, weight, bias, True, momentum, self.eps)

    def extra_repr(self) -> str:
        return super().extra_repr() + f", r_max={self.r_max}, d_max={self.d_max}"
