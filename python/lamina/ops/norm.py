"""Normalisation layers: statistics over the batch, the features, or groups of channels."""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from ._method import under_autocast, write

__all__ = ["layer_norm", "rms_norm", "group_norm"]
__functional__ = ["batch_norm", "instance_norm", "layer_norm", "rms_norm", "group_norm",
                  "local_response_norm", "normalize"]  # fmt: skip


def _check_values(name: str, shape) -> None:
    if math.prod(shape) and math.prod(shape) == shape[1]:
        raise ValueError(
            f"{name}: expected more than 1 value per channel when training, got input size "
            f"{tuple(shape)}"
        )


def batch_norm(input: Tensor, running_mean, running_var, weight=None, bias=None, training=False,
               momentum=0.1, eps=1e-5) -> Tensor:  # fmt: skip
    """y = (x - mean) / sqrt(var + eps) * weight + bias per channel (Ioffe and Szegedy, ICML 2015).

    Args:
        input: (N, C, ...) floating. The others: (C,), or None.
        training: use the batch's mean and population variance, and move running_mean and
            running_var (sample variance) towards them by `momentum`, in place; else use them.
    Returns the shape and dtype of `input`.
    Raises ValueError for one value per channel in training, ShapeError for other sizes.
    """
    if training and input.dim() > 1:
        _check_values("batch_norm", input.shape)
    return _core.batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)


def instance_norm(input: Tensor, running_mean=None, running_var=None, weight=None, bias=None,
                  use_input_stats=True, momentum=0.1, eps=1e-5) -> Tensor:  # fmt: skip
    """`batch_norm` with statistics for each sample and channel (Ulyanov et al., 2016).

    With running statistics and use_input_stats, those move towards the mean over samples.
    """
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    shape = tuple(input.shape)
    if len(shape) < 3:
        raise _core.ShapeError(f"instance_norm: expected an input (N, C, ...), got shape {shape}")
    if math.prod(shape) and math.prod(shape[2:]) == 1:
        raise ValueError(
            "instance_norm: expected more than 1 spatial element when training, got input size "
            f"{shape}"
        )
    if running_mean is None:
        return _core.group_norm(input, shape[1], weight, bias, eps)
    n, c = shape[:2]
    mean, var = running_mean.repeat(n), running_var.repeat(n)
    y = _core.batch_norm(
        input.reshape((1, n * c, *shape[2:])), weight if weight is None else weight.repeat(n),
        bias if bias is None else bias.repeat(n), mean, var, True, momentum, eps,
    )  # fmt: skip
    _core.copy_(running_mean, mean.reshape((n, c)).mean(0))
    _core.copy_(running_var, var.reshape((n, c)).mean(0))
    return y.reshape(shape)


def _dims(name: str, input: Tensor, normalized_shape) -> int:
    if isinstance(normalized_shape, int):
        normalized_shape = (normalized_shape,)
    wanted = tuple(normalized_shape)
    if not wanted or tuple(input.shape[-len(wanted) :]) != wanted:
        raise _core.ShapeError(
            f"{name}: normalized_shape {wanted} is not the end of the input's shape "
            f"{tuple(input.shape)}"
        )
    return len(wanted)


def layer_norm(input: Tensor, normalized_shape, weight=None, bias=None, eps=1e-5) -> Tensor:
    """y = (x - mean) / sqrt(var + eps) * weight + bias over the last dimensions (Ba et al., 2016).

    Args:
        input: (..., *normalized_shape) floating. weight, bias: of normalized_shape, or None.
    Raises ShapeError when the shapes do not fit.
    """
    dims = _dims("layer_norm", input, normalized_shape)
    return _core.layer_norm(input, dims, weight, bias, eps)


def rms_norm(input: Tensor, normalized_shape, weight=None, eps=None) -> Tensor:
    """y = x / sqrt(mean(x^2) + eps) * weight over the last dimensions (Zhang and Sennrich, 2019).

    eps None: the smallest relative step of the type it is computed in (finfo(dtype).eps; that of
    float32 for half precision).
    """
    dims = _dims("rms_norm", input, normalized_shape)
    if eps is None:
        eps = 2.0**-52 if input.dtype is _core.float64 else 2.0**-23
    return _core.rms_norm(input, dims, weight, eps)


def group_norm(input: Tensor, num_groups, weight=None, bias=None, eps=1e-5) -> Tensor:
    """`layer_norm` of each of `num_groups` groups of channels of (N, C, ...); weight and bias are
    per channel (Wu and He, ECCV 2018). ShapeError unless num_groups divides C."""
    shape = tuple(input.shape)
    if input.numel() == num_groups and len(shape) > 1:
        raise ValueError(
            f"group_norm: expected more than 1 value per group, got input size {shape} and "
            f"{num_groups} groups"
        )
    return _core.group_norm(input, num_groups, weight, bias, eps)


def local_response_norm(input: Tensor, size, alpha=1e-4, beta=0.75, k=1.0) -> Tensor:
    """y_c = x_c / (k + alpha * mean over `size` channels around c of x^2)^beta, zeros beyond the
    ends (Krizhevsky et al., NeurIPS 2012). input: (N, C, ...) with at least 3 dimensions."""
    if input.dim() < 3:
        raise _core.ShapeError(
            f"local_response_norm: expected an input (N, C, ...), got shape {tuple(input.shape)}"
        )
    return (_lrn_of_rows if input.dim() == 3 else _lrn_of_images)(input, size, alpha, beta, k)


def _lrn(input, size, alpha, beta, k):
    if input.numel() == 0:
        return input
    squares, channels = input * input, input.shape[1]
    before = size // 2
    total = None
    for offset in range(max(-before, 1 - channels), min(size - before, channels)):
        count = channels - abs(offset)  # channels c for which c + offset is one
        part = squares.narrow(1, max(offset, 0), count)
        if offset:
            gap = list(input.shape)
            gap[1] = abs(offset)
            zeros = input.new_full(tuple(gap), 0)
            part = _core.cat([part, zeros] if offset > 0 else [zeros, part], 1)
        total = part if total is None else total + part
    return input / (total * (alpha / size) + k) ** beta


_lrn_of_rows = under_autocast("", "float32")(_lrn)
_lrn_of_images = under_autocast("float32", "float32")(_lrn)


def normalize(input: Tensor, p=2.0, dim=1, eps=1e-12, out=None) -> Tensor:
    """x / max(|x|_p, eps) along `dim`, |x|_p = (sum |x|^p)^(1/p)."""
    y = input / _core.norm(input, float(p), dim, True).clamp(min=eps)
    return write(out, y)
