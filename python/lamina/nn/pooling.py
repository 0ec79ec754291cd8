"""Pooling layers: maxima and means over windows.

Inputs are (N, C, L) or (C, L) in 1 dimension, (N, C, H, W) or (C, H, W) in 2 and (N, C, D, H, W) or
(C, D, H, W) in 3. Windows give
floor((L + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1 outputs (ceil with ceil_mode);
adaptive layers give exactly `output_size`.
"""

from __future__ import annotations

from .._core import Tensor
from . import functional as F
from ._sizes import per_dim
from .module import Module

__all__ = [
    "MaxPool1d", "MaxPool2d", "MaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d",
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d", "AdaptiveMaxPool3d", "LPPool1d", "LPPool2d", "LPPool3d",
]  # fmt: skip


class _MaxPool(Module):
    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False,
                 ceil_mode=False):  # fmt: skip
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def _run(self, pool, input: Tensor):
        return pool(input, self.kernel_size, self.stride, self.padding, self.dilation,
                    ceil_mode=self.ceil_mode, return_indices=self.return_indices)  # fmt: skip

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The maximum of each window; padding counts as -infinity. With return_indices also the
    positions of the maxima (int64)."""

    def forward(self, input: Tensor):
        """The maxima, or (maxima, positions)."""
        return self._run(F.max_pool1d, input)


class MaxPool2d(_MaxPool):
    """The maximum of each window; padding counts as -infinity. With return_indices also the
    positions of the maxima in their H x W plane (int64)."""

    def forward(self, input: Tensor):
        """The maxima, or (maxima, positions)."""
        return self._run(F.max_pool2d, input)


class MaxPool3d(_MaxPool):
    """The maximum of each window; padding counts as -infinity. With return_indices also the
    positions of the maxima in their D x H x W volume (int64)."""

    def forward(self, input: Tensor):
        """The maxima, or (maxima, positions)."""
        return self._run(F.max_pool3d, input)


class AvgPool1d(Module):
    """The mean of each window. count_include_pad: padding zeros count as elements."""

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False,
                 count_include_pad=True):  # fmt: skip
        super().__init__()
        self.kernel_size = per_dim(kernel_size, 1)
        self.stride = self.kernel_size if stride is None else per_dim(stride, 1)
        self.padding = per_dim(padding, 1)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """The means."""
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
                            self.count_include_pad)  # fmt: skip

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool(Module):
    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False,
                 count_include_pad=True, divisor_override=None):  # fmt: skip
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def _run(self, pool, input: Tensor) -> Tensor:
        return pool(input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
                    self.count_include_pad, self.divisor_override)  # fmt: skip

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPool):
    """The mean of each window. count_include_pad: padding zeros count as elements;
    divisor_override divides each sum instead of the number of elements."""

    def forward(self, input: Tensor) -> Tensor:
        """The means."""
        return self._run(F.avg_pool2d, input)


class AvgPool3d(_AvgPool):
    """`AvgPool2d` over three dimensions."""

    def forward(self, input: Tensor) -> Tensor:
        """The means."""
        return self._run(F.avg_pool3d, input)


class _AdaptiveAvgPool(Module):
    def __init__(self, output_size):
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means over output_size windows: output i covers floor(i L / n) to ceil((i + 1) L / n)."""

    def forward(self, input: Tensor) -> Tensor:
        """The means."""
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """`AdaptiveAvgPool1d` over two dimensions; None keeps the size of one."""

    def forward(self, input: Tensor) -> Tensor:
        """The means."""
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """`AdaptiveAvgPool1d` over three dimensions; None keeps the size of one."""

    def forward(self, input: Tensor) -> Tensor:
        """The means."""
        return F.adaptive_avg_pool3d(input, self.output_size)


class _AdaptiveMaxPool(Module):
    def __init__(self, output_size, return_indices=False):
        super().__init__()
        self.output_size, self.return_indices = output_size, return_indices

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Maxima over the windows of `AdaptiveAvgPool1d`; with return_indices also their positions."""

    def forward(self, input: Tensor):
        """The maxima, or (maxima, positions)."""
        return F.adaptive_max_pool1d(input, self.output_size, return_indices=self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """`AdaptiveMaxPool1d` over two dimensions; None keeps the size of one."""

    def forward(self, input: Tensor):
        """The maxima, or (maxima, positions)."""
        return F.adaptive_max_pool2d(input, self.output_size, return_indices=self.return_indices)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """`AdaptiveMaxPool1d` over three dimensions; None keeps the size of one."""

    def forward(self, input: Tensor):
        """The maxima, or (maxima, positions)."""
        return F.adaptive_max_pool3d(input, self.output_size, return_indices=self.return_indices)


class _LPPool(Module):
    def __init__(self, norm_type, kernel_size, stride=None, ceil_mode=False):
        super().__init__()
        self.norm_type, self.kernel_size = norm_type, kernel_size
        self.stride, self.ceil_mode = stride, ceil_mode

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """(sum of x^p)^(1/p) of each window, p = norm_type."""

    def forward(self, input: Tensor) -> Tensor:
        """The norms."""
        return F.lp_pool1d(input, float(self.norm_type), self.kernel_size, self.stride,
                           self.ceil_mode)  # fmt: skip


class LPPool2d(_LPPool):
    """(sum of x^p)^(1/p) of each window, p = norm_type."""

    def forward(self, input: Tensor) -> Tensor:
        """The norms."""
        return F.lp_pool2d(input, float(self.norm_type), self.kernel_size, self.stride,
                           self.ceil_mode)  # fmt: skip


class LPPool3d(_LPPool):
    """(sum of x^p)^(1/p) of each window, p = norm_type."""

    def forward(self, input: Tensor) -> Tensor:
        """The norms."""
        return F.lp_pool3d(input, float(self.norm_type), self.kernel_size, self.stride,
                           self.ceil_mode)  # fmt: skip
