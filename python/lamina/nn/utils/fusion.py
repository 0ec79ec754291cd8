"""A trained layer and the batch normalization behind it as one layer, for inference."""

from __future__ import annotations

import copy

from ..._core import Tensor
from ...ops.creation import ones_like, zeros_like
from ..parameter import Parameter

__all__ = [
    "fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights",
]  # fmt: skip


def _fused(w, b, mean, var, eps, gain, shift, dim) -> tuple[Parameter, Parameter]:
    """With s = gain / sqrt(var + eps) along dimension `dim` of w: s w and s (b - mean) + shift."""
    b = zeros_like(mean) if b is None else b
    gain = ones_like(mean) if gain is None else gain
    shift = zeros_like(mean) if shift is None else shift
    s = gain * (var + eps).rsqrt()
    shape = [1] * w.dim()
    shape[dim] = -1
    weight, bias = w * s.reshape(shape).to(w.dtype), ((b - mean) * s + shift).to(b.dtype)
    return (
        Parameter(weight.detach(), requires_grad=w.requires_grad),
        Parameter(bias.detach(), requires_grad=b.requires_grad),
    )


def fuse_conv_bn_weights(conv_w: Tensor, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b,
                         transpose=False):  # fmt: skip
    """(weight, bias) of the convolution that does convolution and batch normalization.

    Args:
        conv_w, conv_b: weight and bias (or None) of the convolution, a transposed one if transpose.
        bn_rm, bn_rv, bn_eps, bn_w, bn_b: running mean and variance, eps, weight and bias.
    """
    return _fused(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 1 if transpose else 0)


def fuse_linear_bn_weights(linear_w: Tensor, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b):
    """(weight, bias) of the linear layer that does linear layer and batch normalization."""
    return _fused(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 0)


def _fuse(layer, bn, dim: int):
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("fusion: the batch normalization has no running statistics")
    made = copy.deepcopy(layer)
    made.weight, made.bias = _fused(
        layer.weight, layer.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, dim
    )
    return made


def fuse_conv_bn_eval(conv, bn, transpose=False):
    """A convolution like `conv` (transposed if `transpose`, with one group) that gives bn(conv(x)).

    Both are in eval mode, else AssertionError; neither is changed.
    """
    return _fuse(conv, bn, 1 if transpose else 0)


def fuse_linear_bn_eval(linear, bn):
    """A linear layer that gives bn(linear(x)). Raises AssertionError unless both are in eval mode
    and `bn` has as many features as the layer gives, or one."""
    if bn.num_features not in (1, linear.out_features):
        raise AssertionError(
            f"fusion: batch normalization of {bn.num_features} features behind a linear layer of "
            f"{linear.out_features}"
        )
    return _fuse(linear, bn, 0)
