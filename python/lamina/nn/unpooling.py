"""Layers that put pooled maxima back, and pooling over windows at random places."""

from __future__ import annotations

from .._core import Tensor
from . import functional as F
from ._sizes import per_dim
from .module import Module

__all__ = ["FractionalMaxPool2d", "FractionalMaxPool3d", "MaxUnpool1d", "MaxUnpool2d",
           "MaxUnpool3d"]  # fmt: skip


class _MaxUnpool(Module):
    dims: int

    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        self.kernel_size = per_dim(kernel_size, self.dims)
        self.stride = per_dim(kernel_size if stride is None else stride, self.dims)
        self.padding = per_dim(padding, self.dims)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """The maxima of `MaxPool1d` back at their positions, zeros elsewhere.

    Called with (input, indices), both (N, C, L) or (C, L), indices int64; the result has
    (L - 1) stride - 2 padding + kernel_size elements, or output_size when it is given. Raises
    ValueError for a size that the pooling cannot have had, IndexError for indices outside.
    """

    dims = 1

    def forward(self, input: Tensor, indices: Tensor, output_size=None) -> Tensor:
        """The unpooled input."""
        return F.max_unpool1d(input, indices, self.kernel_size, self.stride, self.padding,
                              output_size)  # fmt: skip


class MaxUnpool2d(_MaxUnpool):
    """`MaxUnpool1d` for (N, C, H, W) or (C, H, W)."""

    dims = 2

    def forward(self, input: Tensor, indices: Tensor, output_size=None) -> Tensor:
        """The unpooled input."""
        return F.max_unpool2d(input, indices, self.kernel_size, self.stride, self.padding,
                              output_size)  # fmt: skip


class MaxUnpool3d(_MaxUnpool):
    """`MaxUnpool1d` for (N, C, D, H, W) or (C, D, H, W)."""

    dims = 3

    def forward(self, input: Tensor, indices: Tensor, output_size=None) -> Tensor:
        """The unpooled input."""
        return F.max_unpool3d(input, indices, self.kernel_size, self.stride, self.padding,
                              output_size)  # fmt: skip


class _FractionalMaxPool(Module):
    dims: int

    def __init__(self, kernel_size, output_size=None, output_ratio=None, return_indices=False,
                 _random_samples=None):  # fmt: skip
        super().__init__()
        self.kernel_size = per_dim(kernel_size, self.dims)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else per_dim(output_size, self.dims)
        self.output_ratio = None if output_ratio is None else per_dim(output_ratio, self.dims)
        if (output_size is None) == (output_ratio is None):
            raise ValueError(
                f"{self._get_name()}: give one of output_size and output_ratio, the other stays "
                "None"
            )
        if self.output_ratio is not None and not all(0 < r < 1 for r in self.output_ratio):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")


class FractionalMaxPool2d(_FractionalMaxPool):
    """Maxima over windows at random places, output_size of them or output_ratio times the input's
    size (Graham, "Fractional max-pooling", 2015).

    (N, C, H, W) or (C, H, W). With return_indices also the positions. _random_samples (N, C, 2):
    numbers in [0, 1) to use instead of drawing them. Raises ValueError unless one of output_size
    and output_ratio is given.
    """

    dims = 2

    def forward(self, input: Tensor):
        """The maxima, or (maxima, positions)."""
        return F.fractional_max_pool2d(input, self.kernel_size, self.output_size,
                                       self.output_ratio, self.return_indices,
                                       _random_samples=self._random_samples)  # fmt: skip


class FractionalMaxPool3d(_FractionalMaxPool):
    """`FractionalMaxPool2d` for (N, C, D, H, W) or (C, D, H, W)."""

    dims = 3

    def forward(self, input: Tensor):
        """The maxima, or (maxima, positions)."""
        return F.fractional_max_pool3d(input, self.kernel_size, self.output_size,
                                       self.output_ratio, self.return_indices,
                                       _random_samples=self._random_samples)  # fmt: skip
