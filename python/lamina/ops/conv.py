"""Convolution (cross-correlation), its transpose, and patches of images.

Tensors are of one floating dtype (float16 and bfloat16 compute as float32). A number stands for
the same number in every dimension. All raise ShapeError for shapes that do not fit, DTypeError for
integers or mixed dtypes and ValueError for settings out of range. Goodfellow, Bengio and Courville,
Deep Learning (2016), chapter 9; Dumoulin and Visin, "A guide to convolution arithmetic" (2016).
"""

from __future__ import annotations

from .. import _core
from .._core import Tensor

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
           "conv_transpose3d"]  # fmt: skip
__functional__ = [*__all__, "unfold", "fold"]


def _conv(name, input, weight, bias, nd, stride, padding, dilation, groups):
    same = False
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise _core.ArgumentError(
                f"{name}: padding must be ints, 'same' or 'valid', got {padding!r}"
            )
        same, padding = padding == "same", 0
    return _core.conv(input, weight, bias, nd, stride, padding, dilation, groups, same)


def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride=1, padding=0, dilation=1,
    groups=1,
) -> Tensor:  # fmt: skip
    """y[n, o, t] = bias[o] + sum over c, k of weight[o, c, k] x[n, c, t stride + k dilation - pad].

    input (N, C, L) or (C, L), weight (O, C / groups, K), bias (O) -> (N, O, L') or (O, L'),
    L' = floor((L + 2 padding - dilation (K - 1) - 1) / stride) + 1. padding: an int, "valid" (0) or
    "same" (L' = L, stride 1; an odd surplus goes after the input). Outputs of group g see channels
    g C / groups to (g + 1) C / groups - 1.
    """
    return _conv("conv1d", input, weight, bias, 1, stride, padding, dilation, groups)


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride=1, padding=0, dilation=1,
    groups=1,
) -> Tensor:  # fmt: skip
    """The convolution of `conv1d` over two dimensions.

    input (N, C, H, W) or (C, H, W), weight (O, C / groups, KH, KW), bias (O) -> (N, O, H', W') or
    (O, H', W').

    On the CPU, kernels of 3 x 3 and stride 1 from 16 channels on are done in tiles of 2 x 2 outputs
    (Winograd), from sums of inputs: an output that reads an infinity may be NaN instead of infinite
    (others are as without it), and inputs beyond 8e37 overflow. At `set_float32_matmul_precision`
    "high" tiles are 4 x 4, and all outputs of a tile whose 6 x 6 inputs hold an infinity may be
    NaN. The environment's ``LAMINA_CONV=lanes`` forces the products themselves.
    """
    return _conv("conv2d", input, weight, bias, 2, stride, padding, dilation, groups)


def conv3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride=1, padding=0, dilation=1,
    groups=1,
) -> Tensor:  # fmt: skip
    """The convolution of `conv1d` over three dimensions.

    input (N, C, D, H, W) or (C, D, H, W), weight (O, C / groups, KD, KH, KW), bias (O) ->
    (N, O, D', H', W') or (O, D', H', W').
    """
    return _conv("conv3d", input, weight, bias, 3, stride, padding, dilation, groups)


def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride=1, padding=0,
    output_padding=0, groups=1, dilation=1,
) -> Tensor:  # fmt: skip
    """The transpose of `conv1d`'s linear map: y[n, c, t stride + k dilation - padding] sums
    weight[o, c, k] x[n, o, t].

    input (N, O, L) or (O, L), weight (O, C / groups, K), bias (C) -> (N, C, L') or (C, L'),
    L' = (L - 1) stride - 2 padding + dilation (K - 1) + output_padding + 1.
    """
    return _core.conv_transpose(
        input, weight, bias, 1, stride, padding, output_padding, groups, dilation
    )


def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride=1, padding=0,
    output_padding=0, groups=1, dilation=1,
) -> Tensor:  # fmt: skip
    """The transposed convolution of `conv_transpose1d` over two dimensions.

    input (N, O, H, W) or (O, H, W), weight (O, C / groups, KH, KW), bias (C) -> (N, C, H', W') or
    (C, H', W').
    """
    return _core.conv_transpose(
        input, weight, bias, 2, stride, padding, output_padding, groups, dilation
    )


def conv_transpose3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride=1, padding=0,
    output_padding=0, groups=1, dilation=1,
) -> Tensor:  # fmt: skip
    """The transposed convolution of `conv_transpose1d` over three dimensions.

    input (N, O, D, H, W) or (O, D, H, W), weight (O, C / groups, KD, KH, KW), bias (C) ->
    (N, C, D', H', W') or (C, D', H', W').
    """
    return _core.conv_transpose(
        input, weight, bias, 3, stride, padding, output_padding, groups, dilation
    )


def unfold(input: Tensor, kernel_size, dilation=1, padding=0, stride=1) -> Tensor:
    """The windows of every image as columns: y[n, (c, r, s), (i, j)] =
    x[n, c, i stride + r dilation - padding, j stride + s dilation - padding], zeros outside.

    (N, C, H, W) or (C, H, W) -> (N, C KH KW, L) or (C KH KW, L), L windows in row-major order.
    """
    return _core.unfold_patches(input, kernel_size, dilation, padding, stride)


def fold(input: Tensor, output_size, kernel_size, dilation=1, padding=0, stride=1) -> Tensor:
    """The sum of overlapping windows: the transpose of `unfold`.

    (N, C KH KW, L) or (C KH KW, L) -> (N, C, output_size) or (C, output_size).
    """
    return _core.fold_patches(input, output_size, kernel_size, dilation, padding, stride)
