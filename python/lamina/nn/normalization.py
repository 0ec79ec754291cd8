"""Normalisation layers: y = (x - mean) / sqrt(var + eps) * weight + bias; they differ in what mean
and variance are taken over."""

from __future__ import annotations

import warnings

from .. import _core
from .._core import Tensor
from ..ops.creation import empty
from . import functional as F
from . import init
from .linear import _new
from .module import Module

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d",
    "InstanceNorm3d", "LayerNorm", "LocalResponseNorm", "RMSNorm", "SyncBatchNorm",
]  # fmt: skip


class _Norm(Module):
    """Channels with optional weight and bias and optional running statistics."""

    _version = 2
    ndims: tuple

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True,
                 device=None, dtype=None, *, bias=True):  # fmt: skip
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        for name, on in (("weight", affine), ("bias", affine and bias)):
            if on:
                setattr(self, name, _new(num_features, device=device, dtype=dtype))
            else:
                self.register_parameter(name, None)
        dtype = _core.default_dtype() if dtype is None else dtype
        track = track_running_stats
        kinds = {"running_mean": ((num_features,), dtype), "running_var": ((num_features,), dtype),
                 "num_batches_tracked": ((), _core.int64)}  # fmt: skip
        for name, (shape, kind) in kinds.items():
            new = empty(shape, dtype=kind, device=device) if track else None
            self.register_buffer(name, new)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Mean 0, variance 1, no batches seen."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, and the running statistics reset."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _check_input(self, input: Tensor) -> None:
        if input.dim() not in self.ndims:
            wanted = " or ".join(f"{n}D" for n in self.ndims)
            raise _core.ShapeError(
                f"{self._get_name()}: expected {wanted} input (got {input.dim()}D input "
                f"{tuple(input.shape)})"
            )

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, strict, missing_keys,
                              unexpected_keys, error_msgs) -> None:  # fmt: skip
        """Files older than version 2 have no num_batches_tracked."""
        key = prefix + "num_batches_tracked"
        if (local_metadata.get("version") or 1) < 2 and self.track_running_stats:
            state_dict.setdefault(key, self.num_batches_tracked)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, missing_keys,
                                      unexpected_keys, error_msgs)  # fmt: skip

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_Norm):
    def forward(self, input: Tensor) -> Tensor:
        """The normalised input; in training the running statistics move."""
        self._check_input(input)
        mean, var, momentum = self.running_mean, self.running_var, self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if momentum is None:
                momentum = 1.0 / self.num_batches_tracked.item()
        use_batch = self.training or (mean is None and var is None)
        keep = not self.training or self.track_running_stats
        return F.batch_norm(input, mean if keep else None, var if keep else None, self.weight,
                            self.bias, use_batch, 0.0 if momentum is None else momentum,
                            self.eps)  # fmt: skip


class BatchNorm1d(_BatchNorm):
    """Statistics of each channel over the batch (and length): (N, C) or (N, C, L) to the same shape
    (Ioffe and Szegedy, ICML 2015).

    Args:
        num_features: C.
        momentum: running = (1 - momentum) running + momentum * batch's; None: the mean of all.
        affine: weight (C) and bias (C), at first 1 and 0; ``bias=False`` leaves the bias out.
        track_running_stats: keep running_mean, running_var (sample variance) and
            num_batches_tracked, and normalise by them in evaluation.

    Raises ShapeError for other inputs, ValueError for one value per channel in training.
    """

    ndims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for (N, C, H, W)."""

    ndims = (4,)


class BatchNorm3d(_BatchNorm):
    """`BatchNorm1d` for (N, C, D, H, W)."""

    ndims = (5,)


class SyncBatchNorm(_BatchNorm):
    """`BatchNorm1d` for (N, C, ...) of two or more dimensions, with statistics over all processes
    of `process_group`: a job is one process here, so they are the batch's own.

    Raises ValueError for fewer than two dimensions.
    """

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True,
                 process_group=None, device=None, dtype=None, *, bias=True):  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype,
                         bias=bias)  # fmt: skip
        self.process_group = process_group

    def _check_input(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected at least 2D input (got {input.dim()}D input)")

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group=None) -> Module:
        """The module with every batch normalisation inside it replaced by a SyncBatchNorm that
        holds the same parameters and buffers; a batch normalisation itself becomes one."""
        new = module
        if isinstance(module, _BatchNorm):
            new = cls(module.num_features, module.eps, module.momentum, module.affine,
                      module.track_running_stats, process_group)  # fmt: skip
            new._parameters.update(module._parameters)
            new._buffers.update(module._buffers)
            new.training = module.training
        for name, child in module.named_children():
            new.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return new


class _InstanceNorm(_Norm):
    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=False,
                 track_running_stats=False, device=None, dtype=None, *, bias=True):  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype,
                         bias=bias)  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        """The normalised input."""
        self._check_input(input)
        single = input.dim() == self.ndims[0]
        channels = input.shape[0 if single else 1]
        if channels != self.num_features:
            text = (
                f"expected input's size at dim={0 if single else 1} to match num_features "
                f"({self.num_features}), but got: {channels}."
            )
            if self.affine:
                raise _core.ShapeError(f"{self._get_name()}: {text}")
            warnings.warn(f"{self._get_name()}: {text}", stacklevel=3)
        y = F.instance_norm(
            input.unsqueeze(0) if single else input, self.running_mean, self.running_var,
            self.weight, self.bias, self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum, self.eps,
        )  # fmt: skip
        return y.squeeze(0) if single else y


class InstanceNorm1d(_InstanceNorm):
    """Statistics of each channel of each sample over the length: (N, C, L) or (C, L) to the same
    shape (Ulyanov et al., 2016). Arguments as `BatchNorm1d`, with affine and track_running_stats
    off by default. Raises ShapeError for other inputs."""

    ndims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """`InstanceNorm1d` for (N, C, H, W) or (C, H, W)."""

    ndims = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """`InstanceNorm1d` for (N, C, D, H, W) or (C, D, H, W)."""

    ndims = (4, 5)


class LayerNorm(Module):
    """Statistics of each sample over its last dimensions, whose sizes are `normalized_shape` (Ba et
    al., 2016).

    Parameters: weight and bias of that shape, at first 1 and 0 (elementwise_affine, bias). Raises
    ShapeError when the input does not end in normalized_shape.
    """

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, device=None,
                 dtype=None):  # fmt: skip
        super().__init__()
        one = isinstance(normalized_shape, int)
        self.normalized_shape = (normalized_shape,) if one else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        for name, on in (("weight", True), ("bias", bias)):
            if elementwise_affine and on:
                setattr(self, name, _new(*self.normalized_shape, device=device, dtype=dtype))
            else:
                self.register_parameter(name, None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """The normalised input."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """x / sqrt(mean(x^2) + eps) * weight over the last dimensions (Zhang and Sennrich, 2019).

    eps None: the machine epsilon of the type it is computed in, as `F.rms_norm`. Raises
    ShapeError as `LayerNorm`.
    """

    def __init__(self, normalized_shape, eps=None, elementwise_affine=True, device=None,
                 dtype=None):  # fmt: skip
        super().__init__()
        one = isinstance(normalized_shape, int)
        self.normalized_shape = (normalized_shape,) if one else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        if elementwise_affine:
            self.weight = _new(*self.normalized_shape, device=device, dtype=dtype)
        else:
            self.register_parameter("weight", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """The normalised input."""
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class GroupNorm(Module):
    """Statistics of each of num_groups groups of channels of each sample of (N, C, ...) (Wu and He,
    ECCV 2018).

    Parameters: weight (C) and bias (C), at first 1 and 0. Raises ValueError unless num_groups
    divides num_channels, ShapeError for another number of channels.
    """

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True, device=None, dtype=None, *,
                 bias=True):  # fmt: skip
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(
                f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})"
            )
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps, self.affine = eps, affine
        for name, on in (("weight", affine), ("bias", affine and bias)):
            if on:
                setattr(self, name, _new(num_channels, device=device, dtype=dtype))
            else:
                self.register_parameter(name, None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """The normalised input."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(Module):
    """x_c / (k + alpha * mean of x^2 over `size` channels around c)^beta (Krizhevsky et al., 2012).
    (N, C, ...) to the same shape."""

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1.0):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        """The normalised input."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
