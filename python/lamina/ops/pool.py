"""Pooling: the largest or the mean element of every window of the last one or two dimensions.

Inputs are (N, C, L) or (C, L) for the 1d functions, (N, C, H, W) or (C, H, W) for the 2d ones, of a
floating dtype; results have the same dtype. A number stands for the same number in every
dimension. With padding p, dilation d, kernel k and stride s, n inputs give
``floor((n + 2 p - d (k - 1) - 1) / s) + 1`` outputs (``ceil`` with `ceil_mode`, leaving out windows
that would begin in the padding after the input). All raise ShapeError for other numbers of
dimensions or an input smaller than the kernel, DTypeError for integers.
"""

from __future__ import annotations

from .. import _core
from .._core import Tensor

__all__ = ["max_pool1d", "max_pool2d", "max_pool1d_with_indices", "avg_pool1d",
           "adaptive_avg_pool1d"]  # fmt: skip
__functional__ = [
    *__all__, "max_pool2d_with_indices", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool1d",
    "adaptive_max_pool2d", "adaptive_max_pool1d_with_indices", "adaptive_max_pool2d_with_indices",
    "lp_pool1d", "lp_pool2d",
]  # fmt: skip


def _max(input, nd, kernel, stride, padding, dilation, ceil_mode, indices):
    y = _core.max_pool(
        input, nd, kernel, () if stride is None else stride, padding, dilation, ceil_mode, indices
    )
    return y if indices else y[0]


def max_pool1d(
    input: Tensor, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
    return_indices=False,
):  # fmt: skip
    """y[n, c, i] = max_k x[n, c, s i + d k - p]; NaN wins. `stride` is `kernel_size` by default.

    With return_indices also the positions of the maxima (int64; the last NaN, else the first
    largest).
    """
    return _max(input, 1, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Tensor, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
    return_indices=False,
):  # fmt: skip
    """y[n, c, i, j] = max_{k, l} x[n, c, s i + d k - p, s j + d l - p]; NaN wins.

    `stride` is `kernel_size` by default. With return_indices also the positions of the maxima,
    h * W + w (int64).
    """
    return _max(input, 2, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool1d_with_indices(
    input: Tensor, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
    return_indices=True,
):  # fmt: skip
    """`max_pool1d` with ``return_indices=True``."""
    return _max(input, 1, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool2d_with_indices(
    input: Tensor, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
    return_indices=True,
):  # fmt: skip
    """`max_pool2d` with ``return_indices=True``."""
    return _max(input, 2, kernel_size, stride, padding, dilation, ceil_mode, True)


def _avg(input, nd, kernel, stride, padding, ceil_mode, count_include_pad, divisor):
    return _core.avg_pool(
        input, nd, kernel, () if stride is None else stride, padding, ceil_mode, count_include_pad,
        divisor,
    )  # fmt: skip


def avg_pool1d(
    input: Tensor, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True
) -> Tensor:
    """y[n, c, i] = sum_k x[n, c, s i + k - p] / k; zeros in the padding count unless
    ``count_include_pad=False``. `stride` is `kernel_size` by default."""
    return _avg(input, 1, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Tensor, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
    divisor_override=None,
) -> Tensor:  # fmt: skip
    """y = sum of each window / number of its elements, or / `divisor_override`.

    Zeros in the padding count unless ``count_include_pad=False``; what `ceil_mode` lets reach past
    the padding never does. `stride` is `kernel_size` by default.
    """
    return _avg(
        input, 2, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def _size(output_size, nd: int):
    """An output size in which None keeps the input's (-1)."""
    if output_size is None:
        return (-1,) * nd
    if not isinstance(output_size, (tuple, list)):
        return output_size
    return tuple(-1 if n is None else n for n in output_size)


def adaptive_avg_pool1d(input: Tensor, output_size) -> Tensor:
    """`output_size`: output i covers inputs floor(i n / size) to ceil((i + 1) n / size) - 1."""
    return _core.adaptive_avg_pool(input, 1, _size(output_size, 1))


def adaptive_avg_pool2d(input: Tensor, output_size) -> Tensor:
    """`output_size` (int, or two ints or None, which keeps a size) means per plane; output i covers
    inputs floor(i n / size) to ceil((i + 1) n / size) - 1 of each dimension."""
    return _core.adaptive_avg_pool(input, 2, _size(output_size, 2))


def _adaptive_max(input, nd, output_size, indices):
    y = _core.adaptive_max_pool(input, nd, _size(output_size, nd), indices)
    return y if indices else y[0]


def adaptive_max_pool1d(input: Tensor, output_size, return_indices=False):
    """As `adaptive_avg_pool1d`, the largest element; with return_indices also its position."""
    return _adaptive_max(input, 1, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size, return_indices=False):
    """As `adaptive_avg_pool2d`, the largest element; with return_indices also its position
    h * W + w."""
    return _adaptive_max(input, 2, output_size, return_indices)


def adaptive_max_pool1d_with_indices(input: Tensor, output_size, return_indices=True):
    """`adaptive_max_pool1d` with ``return_indices=True``."""
    return _adaptive_max(input, 1, output_size, True)


def adaptive_max_pool2d_with_indices(input: Tensor, output_size, return_indices=True):
    """`adaptive_max_pool2d` with ``return_indices=True``."""
    return _adaptive_max(input, 2, output_size, True)


def _lp_of(input, norm_type, mean_of, elements: int) -> Tensor:
    """(sum of x^p)^(1/p) per window from the means of windows of `elements` elements."""
    means = mean_of(input if norm_type == 1 else input**norm_type)
    return (means.sign() * means.abs().relu() * elements) ** (1.0 / norm_type)


def _lp(input, nd, norm_type, kernel, stride, ceil_mode):
    k = kernel if isinstance(kernel, int) else None
    elements = k**nd if k is not None else kernel[0] * (kernel[1] if nd == 2 else 1)

    def means(powers):
        return _avg(powers, nd, kernel, stride, 0, ceil_mode, True, None)

    return _lp_of(input, norm_type, means, elements)


def lp_pool1d(input: Tensor, norm_type, kernel_size, stride=None, ceil_mode=False) -> Tensor:
    """(sum over each window of x^p)^(1/p), p = `norm_type`."""
    return _lp(input, 1, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input: Tensor, norm_type, kernel_size, stride=None, ceil_mode=False) -> Tensor:
    """(sum over each window of x^p)^(1/p), p = `norm_type`."""
    return _lp(input, 2, norm_type, kernel_size, stride, ceil_mode)
