"""Convolution layers."""

from __future__ import annotations

import math

from .._core import Tensor
from . import functional as F
from . import init
from ._sizes import per_dim
from .linear import _new
from .module import Module

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

_MODES = ("zeros", "reflect", "replicate", "circular")


class _Conv(Module):
    """What the convolutions of 1, 2 and 3 dimensions share."""

    dims: int
    _transposed = False

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1,
                 groups=1, bias=True, padding_mode="zeros", device=None, dtype=None):  # fmt: skip
        super().__init__()
        n = self.dims
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(f"{name} must be divisible by groups")
        if padding_mode not in _MODES:
            raise ValueError(f"padding_mode must be one of {_MODES}, but got {padding_mode=}")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = per_dim(kernel_size, n)
        self.stride, self.dilation = per_dim(stride, n), per_dim(dilation, n)
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(
                    f"Invalid padding string {padding!r}, should be one of 'same', 'valid'"
                )
            if padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
        else:
            padding = per_dim(padding, n)
        self.padding, self.groups, self.padding_mode = padding, groups, padding_mode
        for name in ("kernel_size", "stride", "dilation", "padding"):
            value = getattr(self, name)
            if not isinstance(value, str) and len(value) != n:
                raise ValueError(
                    f"{self._get_name()}: {name} must be an int or {n} ints, got {value}"
                )
        ends = (in_channels, out_channels) if self._transposed else (out_channels, in_channels)
        self.weight = _new(ends[0], ends[1] // groups, *self.kernel_size,
                           device=device, dtype=dtype)  # fmt: skip
        if bias:
            self.bias = _new(out_channels, device=device, dtype=dtype)
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in = math.prod(self.weight.shape[1:])
            if fan_in:
                init.uniform_(self.bias, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    def _ends(self) -> tuple:
        """How much to pad each end, last dimension first, as F.pad takes it."""
        ends: list = []
        for i in reversed(range(self.dims)):
            if self.padding == "same":
                total = self.dilation[i] * (self.kernel_size[i] - 1)
                ends += [total // 2, total - total // 2]
            else:
                ends += [0, 0] if self.padding == "valid" else [self.padding[i]] * 2
        return tuple(ends)

    def _run(self, convolution, input: Tensor) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._ends(), mode=self.padding_mode), 0
        return convolution(input, self.weight, self.bias, self.stride, padding, self.dilation,
                           self.groups)  # fmt: skip

    def extra_repr(self) -> str:
        s = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        )
        none = (0,) * self.dims
        if self.padding != none:
            s += f", padding={self.padding}"
        if self.dilation != (1,) * self.dims:
            s += f", dilation={self.dilation}"
        if self.groups != 1:
            s += f", groups={self.groups}"
        if self.bias is None:
            s += ", bias=False"
        if self.padding_mode != "zeros":
            s += f", padding_mode={self.padding_mode}"
        return s


class Conv1d(_Conv):
    """y[n, o, t] = b[o] + sum over c, k of w[o, c, k] x[n, c, t * stride + k * dilation - padding].

    (N, C_in, L) or (C_in, L) to (N, C_out, L') or (C_out, L'),
    L' = floor((L + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1.

    Args:
        padding: an int, "valid" (0) or "same" (L' = L, stride 1 only).
        groups: output o sees only the C_in / groups channels of its group.
        padding_mode: what lies beyond the ends: "zeros", "reflect", "replicate" or "circular".

    Parameters: weight (C_out, C_in / groups, kernel_size) and bias (C_out), uniform on (-k, k),
    k = 1 / sqrt(C_in / groups * kernel_size). Raises ValueError for settings that do not fit.
    """

    dims = 1

    def forward(self, input: Tensor) -> Tensor:
        """The convolution of `input`."""
        return self._run(F.conv1d, input)


class Conv2d(_Conv):
    """The convolution of `Conv1d` over two dimensions: (N, C_in, H, W) or (C_in, H, W) to
    (N, C_out, H', W') or (C_out, H', W').

    kernel_size, stride, padding and dilation are ints or pairs (vertical, horizontal). Parameters:
    weight (C_out, C_in / groups, kernel height, kernel width), bias (C_out).
    """

    dims = 2

    def forward(self, input: Tensor) -> Tensor:
        """The convolution of `input`."""
        return self._run(F.conv2d, input)


class Conv3d(_Conv):
    """The convolution of `Conv1d` over three dimensions: (N, C_in, D, H, W) or (C_in, D, H, W) to
    (N, C_out, D', H', W') or (C_out, D', H', W').

    kernel_size, stride, padding and dilation are ints or triples (depth, height, width).
    Parameters: weight (C_out, C_in / groups, kernel depth, height, width), bias (C_out).
    """

    dims = 3

    def forward(self, input: Tensor) -> Tensor:
        """The convolution of `input`."""
        return self._run(F.conv3d, input)


class _ConvTranspose(_Conv):
    """What the transposed convolutions share."""

    _transposed = True

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0,
                 output_padding=0, groups=1, bias=True, dilation=1, padding_mode="zeros",
                 device=None, dtype=None):  # fmt: skip
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        if isinstance(padding, str):
            raise ValueError(f"{type(self).__name__}: padding must be ints, got {padding!r}")
        self.__dict__["output_padding"] = per_dim(output_padding, self.dims)
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups,
                         bias, padding_mode, device, dtype)  # fmt: skip

    def _output_padding(self, input: Tensor, output_size) -> tuple:
        if output_size is None:
            return self.output_padding
        n = self.dims
        size = list(output_size)[-n:]
        if len(output_size) not in (n, input.dim()):
            raise ValueError(
                f"{self._get_name()}: output_size must have {n} or {input.dim()} elements (got "
                f"{len(output_size)})"
            )
        extra = []
        for i in range(n):
            least = (
                (input.shape[i - n] - 1) * self.stride[i] - 2 * self.padding[i]
                + self.dilation[i] * (self.kernel_size[i] - 1) + 1
            )  # fmt: skip
            if not least <= size[i] < least + self.stride[i]:
                raise ValueError(
                    f"requested an output size of {size}, but valid sizes of dimension {i} range "
                    f"from {least} to {least + self.stride[i] - 1} (for an input of "
                    f"{tuple(input.shape[-n:])})"
                )
            extra.append(size[i] - least)
        return tuple(extra)

    def _run_transposed(self, convolution, input: Tensor, output_size) -> Tensor:
        return convolution(input, self.weight, self.bias, self.stride, self.padding,
                           self._output_padding(input, output_size), self.groups,
                           self.dilation)  # fmt: skip

    def extra_repr(self) -> str:
        s = super().extra_repr()
        if self.output_padding == (0,) * self.dims:
            return s
        extra = f", output_padding={self.output_padding}"
        for mark in (", groups=", ", bias="):
            if mark in s:
                return s.replace(mark, extra + mark, 1)
        return s + extra


class ConvTranspose1d(_ConvTranspose):
    """The transpose of `Conv1d`'s linear map: each input element adds its multiple of the kernel.

    (N, C_in, L) or (C_in, L) to (N, C_out, L') or (C_out, L'),
    L' = (L - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1.

    Args:
        output_padding: adds to one side of the output; must be below stride or dilation.
        groups: input channel i reaches only the C_out / groups channels of its group.

    Called with output_size, chooses the output padding that gives it. Parameters: weight (C_in,
    C_out / groups, kernel_size) and bias (C_out), uniform on (-k, k),
    k = 1 / sqrt(C_out / groups * kernel_size). Raises ValueError for settings that do not fit.
    """

    dims = 1

    def forward(self, input: Tensor, output_size=None) -> Tensor:
        """The transposed convolution of `input`."""
        return self._run_transposed(F.conv_transpose1d, input, output_size)


class ConvTranspose2d(_ConvTranspose):
    """The transposed convolution of `ConvTranspose1d` over two dimensions: (N, C_in, H, W) or
    (C_in, H, W) to (N, C_out, H', W') or (C_out, H', W')."""

    dims = 2

    def forward(self, input: Tensor, output_size=None) -> Tensor:
        """The transposed convolution of `input`."""
        return self._run_transposed(F.conv_transpose2d, input, output_size)


class ConvTranspose3d(_ConvTranspose):
    """The transposed convolution of `ConvTranspose1d` over three dimensions: (N, C_in, D, H, W) or
    (C_in, D, H, W) to (N, C_out, D', H', W') or (C_out, D', H', W')."""

    dims = 3

    def forward(self, input: Tensor, output_size=None) -> Tensor:
        """The transposed convolution of `input`."""
        return self._run_transposed(F.conv_transpose3d, input, output_size)
