"""Noise and other regularisers beyond PyTorch's dropout family, and maxout.

PyTorch has none of these functions (torchvision has stochastic_depth).
"""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from .join import pad

__all__: list[str] = []
__functional__ = ["variational_dropout", "concrete_dropout", "stochastic_depth", "maxout",
                  "blur_pool2d"]  # fmt: skip


def _check(name: str, p) -> None:
    if not 0 <= p <= 1:
        raise _core.ArgumentError(f"{name}: p must be between 0 and 1, got {p}")


def variational_dropout(input: Tensor, p=0.5, dim=1, training=True) -> Tensor:
    """`dropout` with one mask for all positions along `dim`: the same units of a sequence are
    dropped at every step (Gal and Ghahramani, NeurIPS 2016).

    dim: the dimension of time; 1 for (N, T, ...), 0 for (T, N, ...). A tuple shares the mask along
    several. Returns x m / (1 - p), m of size 1 along `dim`; x when not training. Raises ValueError
    for p outside [0, 1].
    """
    _check("variational_dropout", p)
    if not training or p == 0 or input.numel() == 0:
        return input
    shape = list(input.shape)
    for d in dim if isinstance(dim, (tuple, list)) else (dim,):
        shape[d] = 1
    return input * _core.dropout(input.new_full(tuple(shape), 1), p, None)


def concrete_dropout(input: Tensor, logit: Tensor, temperature=0.1) -> Tensor:
    """Dropout whose rate p = sigmoid(logit) has a gradient: x (1 - z) / (1 - p) with

    z = sigmoid((logit + log u - log(1 - u)) / temperature), u uniform on (0, 1): near 0 or 1 for a
    small temperature, 1 with probability p. input: any shape; logit: a tensor broadcast to it.
    (Gal, Hron and Kendall, "Concrete dropout", NeurIPS 2017.)
    """
    u = input.new_full(input.shape, 0).uniform_(1e-7, 1 - 1e-7)
    z = _core.sigmoid((logit + u.log() - (1 - u).log()) / temperature)
    return input * (1 - z) / (1 - _core.sigmoid(logit))


def stochastic_depth(input: Tensor, p: float, mode: str, training: bool = True) -> Tensor:
    """The branch of a residual block, dropped as a whole with probability p, else divided by
    1 - p: y = x + stochastic_depth(F(x), ...) (Huang et al., ECCV 2016).

    mode: "batch", one draw for all samples, or "row", one for each. When not training: the input.
    (The paper multiplies by 1 - p in evaluation instead; the expectation is the same.)
    Raises ValueError for p outside [0, 1] or another mode.
    """
    if p < 0.0 or p > 1.0:
        raise _core.ArgumentError(f"drop probability has to be between 0 and 1, but got {p}")
    if mode not in ("batch", "row"):
        raise _core.ArgumentError(f"mode has to be either 'batch' or 'row', but got {mode}")
    if not training or p == 0.0 or input.numel() == 0:
        return input
    rows = input.shape[0] if mode == "row" else 1
    shape = (rows, *[1] * (input.dim() - 1))
    return input * _core.dropout(input.new_full(shape, 1), p, None)


def maxout(input: Tensor, pieces: int, dim: int = 1) -> Tensor:
    """y_c = max over k < pieces of x_{c pieces + k} along `dim`: the size there is divided by
    `pieces` (Goodfellow et al., ICML 2013). ShapeError unless it is a multiple."""
    size = input.shape[dim]
    if pieces < 1 or size % pieces:
        raise _core.ShapeError(
            f"maxout: size {size} of dimension {dim} is no multiple of {pieces} pieces, input has "
            f"shape {tuple(input.shape)}"
        )
    at = dim % input.dim()
    shape = tuple(input.shape)
    grouped = input.reshape((*shape[:at], size // pieces, pieces, *shape[at + 1 :]))
    return grouped.amax(at + 1)


def blur_pool2d(input: Tensor, size: int = 3, stride: int = 2) -> Tensor:
    """Every `stride`-th point of the input under a low-pass filter: down-sampling without aliasing
    (Zhang, "Making convolutional networks shift-invariant again", ICML 2019).

    The filter is the outer product of binomial coefficients ((1 2 1) / 4 for size 3) with itself;
    edges are reflected. (N, C, H, W) to (N, C, ceil(H / stride), ceil(W / stride)). Raises
    ValueError for a size below 1, ShapeError for other inputs.
    """
    if size < 1:
        raise _core.ArgumentError(f"blur_pool2d: size must be at least 1, got {size}")
    if input.dim() != 4:
        raise _core.ShapeError(
            f"blur_pool2d: expected an input (N, C, H, W), got shape {tuple(input.shape)}"
        )
    row = [1.0]
    for _ in range(size - 1):
        row = [a + b for a, b in zip([0.0, *row], [*row, 0.0])]
    line = input.new_full((size,), 0)
    for i, value in enumerate(row):
        line[i] = value / 2.0 ** (size - 1)
    channels = input.shape[1]
    kernel = (line.unsqueeze(1) * line).expand((channels, 1, size, size))
    before, after = (size - 1) // 2, size // 2
    padded = pad(input, (before, after, before, after), mode="reflect") if size > 1 else input
    return _core.conv(padded, kernel, None, 2, stride, 0, 1, channels, False)
