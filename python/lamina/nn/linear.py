"""Layers that multiply by a matrix."""

from __future__ import annotations

import math

from .._core import Tensor
from ..ops.creation import empty
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter

__all__ = ["Identity", "Linear", "Bilinear"]


def _new(*shape, device=None, dtype=None) -> Parameter:
    """An uninitialised parameter. Raises TypeError for sizes that are no integers, ValueError for
    negative ones."""
    for n in shape:
        if not hasattr(n, "__index__"):
            raise TypeError(f"a layer's sizes must be integers, got {n!r} in {shape}")
        if n < 0:
            raise ValueError(f"a layer's sizes cannot be negative, got {n} in {shape}")
    return Parameter(empty(shape, dtype=dtype, device=device))


class Identity(Module):
    """Returns its input; arguments are ignored."""

    def __init__(self, *args, **kwargs):
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        """The input."""
        return input


class Linear(Module):
    """y = x W^T + b: (*, in_features) to (*, out_features).

    Parameters: weight (out_features, in_features) and, with ``bias=True``, bias (out_features),
    both uniform on (-k, k), k = 1 / sqrt(in_features) (kaiming_uniform_ with a = sqrt(5)).
    """

    def __init__(self, in_features, out_features, bias=True, device=None, dtype=None):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = _new(out_features, in_features, device=device, dtype=dtype)
        if bias:
            self.bias = _new(out_features, device=device, dtype=dtype)
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        """x W^T + b."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class NonDynamicallyQuantizableLinear(Linear):
    """`Linear` under the name PyTorch prints for the output projection of MultiheadAttention."""


class Bilinear(Module):
    """y_k = x1^T W_k x2 + b_k: (*, in1_features) and (*, in2_features) to (*, out_features).

    Parameters: weight (out_features, in1_features, in2_features), bias (out_features), uniform on
    (-k, k), k = 1 / sqrt(in1_features). Raises ValueError when in1_features is not positive.
    """

    def __init__(self, in1_features, in2_features, out_features, bias=True, device=None,
                 dtype=None):  # fmt: skip
        super().__init__()
        if in1_features <= 0:
            raise ValueError(f"in1_features must be > 0, but got {in1_features}")
        self.in1_features, self.in2_features = in1_features, in2_features
        self.out_features = out_features
        self.weight = _new(out_features, in1_features, in2_features, device=device, dtype=dtype)
        if bias:
            self.bias = _new(out_features, device=device, dtype=dtype)
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        """x1^T W x2 + b."""
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )
