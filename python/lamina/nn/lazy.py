"""Layers that learn their input's size at the first call."""

from __future__ import annotations

from .._core import Tensor
from ..ops.creation import empty
from .conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .linear import Linear
from .module import Module
from .normalization import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)  # fmt: skip
from .parameter import Parameter

__all__ = [
    "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyConv1d", "LazyConv2d",
    "LazyConv3d", "LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d",
    "LazyInstanceNorm1d", "LazyInstanceNorm2d", "LazyInstanceNorm3d", "LazyLinear",
]  # fmt: skip


class UninitializedParameter(Parameter):
    """A parameter whose shape is not known yet; it becomes a Parameter when it is."""

    def __new__(cls, requires_grad=True, device=None, dtype=None):
        data = empty(0, dtype=dtype, device=device)
        return Tensor._make_subclass(cls, data, requires_grad)

    def materialize(self, shape, device=None, dtype=None) -> None:
        """Gives it memory of this shape (not initialised) and makes it a Parameter."""
        self.data = self.new_empty(tuple(shape), dtype=dtype, device=device)
        self.__class__ = Parameter  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "<UninitializedParameter>"


class LazyModuleMixin(Module):
    """What the lazy layers share: `initialize_parameters(input)` runs before the first forward,
    after which the layer's class is `cls_to_become`."""

    cls_to_become: type

    def _wait(self) -> None:
        self.__dict__["_first_call"] = self.register_forward_pre_hook(self._infer)

    def has_uninitialized_params(self) -> bool:
        """Whether the first call is still to come."""
        return any(isinstance(p, UninitializedParameter) for p in self._parameters.values())

    def initialize_parameters(self, input: Tensor) -> None:
        """Sets the sizes from the input, and draws the parameters."""
        raise NotImplementedError

    def _infer(self, module, args) -> None:
        self.initialize_parameters(args[0])
        self.__dict__.pop("_first_call").remove()
        self.__class__ = self.cls_to_become  # type: ignore[assignment]

    def _load_from_state_dict(self, state_dict, prefix, *args):
        for name, parameter in self._parameters.items():
            value = state_dict.get(prefix + name)
            if isinstance(parameter, UninitializedParameter) and value is not None:
                parameter.materialize(value.shape)
        super()._load_from_state_dict(state_dict, prefix, *args)


class LazyLinear(LazyModuleMixin, Linear):
    """A `Linear` whose in_features is the last size of its first input."""

    cls_to_become = Linear

    def __init__(self, out_features: int, bias: bool = True, device=None, dtype=None):
        super().__init__(1, 1, False, device, dtype)
        self.in_features, self.out_features = 0, out_features
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)
        self._wait()

    def initialize_parameters(self, input: Tensor) -> None:
        """Sets in_features, and draws weight and bias."""
        if not self.has_uninitialized_params():
            return
        self.in_features = input.shape[-1]
        self.weight.materialize((self.out_features, self.in_features))
        if self.bias is not None:
            self.bias.materialize((self.out_features,))
        self.reset_parameters()


class _LazyConv(LazyModuleMixin):
    """What the lazy convolutions share."""

    def _defer(self, bias: bool, device, dtype) -> None:
        self.in_channels = 0
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)
        self._wait()

    def initialize_parameters(self, input: Tensor) -> None:
        """Sets in_channels, and draws weight and bias. Raises ValueError when the channels are not
        divisible by groups."""
        if not self.has_uninitialized_params():
            return
        self.in_channels = input.shape[-1 - self.dims]  # type: ignore[attr-defined]
        if self.in_channels % self.groups:
            raise ValueError("in_channels must be divisible by groups")
        ends = (self.out_channels, self.in_channels)
        ends = ends[::-1] if self._transposed else ends  # type: ignore[attr-defined]
        self.weight.materialize((ends[0], ends[1] // self.groups, *self.kernel_size))
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))
        self.reset_parameters()  # type: ignore[operator]


def _lazy_conv(base: type):
    """The lazy form of a convolution layer."""

    class Lazy(_LazyConv, base):  # type: ignore[valid-type,misc]
        cls_to_become = base

        def __init__(self, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1,
                     bias=True, padding_mode="zeros", device=None, dtype=None):  # fmt: skip
            base.__init__(self, groups, out_channels, kernel_size, stride, padding, dilation,
                          groups, False, padding_mode, device, dtype)  # fmt: skip
            self._defer(bias, device, dtype)

    return _named(Lazy, base)


def _lazy_conv_transpose(base: type):
    """The lazy form of a transposed convolution layer."""

    class Lazy(_LazyConv, base):  # type: ignore[valid-type,misc]
        cls_to_become = base

        def __init__(self, out_channels, kernel_size, stride=1, padding=0, output_padding=0,
                     groups=1, bias=True, dilation=1, padding_mode="zeros", device=None,
                     dtype=None):  # fmt: skip
            base.__init__(self, groups, out_channels, kernel_size, stride, padding, output_padding,
                          groups, False, dilation, padding_mode, device, dtype)  # fmt: skip
            self._defer(bias, device, dtype)

    return _named(Lazy, base)


def _named(lazy: type, base: type, what: str = "in_channels is that"):
    lazy.__name__ = lazy.__qualname__ = f"Lazy{base.__name__}"
    lazy.__doc__ = f"A `{base.__name__}` whose {what} of its first input."
    return lazy


LazyConv1d = _lazy_conv(Conv1d)
LazyConv2d = _lazy_conv(Conv2d)
LazyConv3d = _lazy_conv(Conv3d)
LazyConvTranspose1d = _lazy_conv_transpose(ConvTranspose1d)
LazyConvTranspose2d = _lazy_conv_transpose(ConvTranspose2d)
LazyConvTranspose3d = _lazy_conv_transpose(ConvTranspose3d)


def _lazy_norm(base: type):
    """The lazy form of a layer that normalises channels."""

    class Lazy(LazyModuleMixin, base):  # type: ignore[valid-type,misc]
        cls_to_become = base

        def __init__(self, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True,
                     device=None, dtype=None, *, bias=True):  # fmt: skip
            base.__init__(self, 1, eps, momentum, False, False, device, dtype)
            self.num_features = 0
            self.affine, self.track_running_stats = affine, track_running_stats
            self.__dict__["_dtype"] = dtype
            for name, on in (("weight", affine), ("bias", affine and bias)):
                if on:
                    setattr(self, name, UninitializedParameter(device=device, dtype=dtype))
            self._wait()

        def initialize_parameters(self, input: Tensor) -> None:
            """Sets num_features, the parameters and the running statistics."""
            self.num_features = n = input.shape[1]
            for parameter in self._parameters.values():
                if isinstance(parameter, UninitializedParameter):
                    parameter.materialize((n,))
            dtype = self.__dict__.pop("_dtype")
            made = base(n, self.eps, self.momentum, False, self.track_running_stats,
                        input.device, dtype)  # fmt: skip
            self._buffers.update(made._buffers)
            self.reset_parameters()

    return _named(Lazy, base, "num_features is the number of channels")


LazyBatchNorm1d = _lazy_norm(BatchNorm1d)
LazyBatchNorm2d = _lazy_norm(BatchNorm2d)
LazyBatchNorm3d = _lazy_norm(BatchNorm3d)
LazyInstanceNorm1d = _lazy_norm(InstanceNorm1d)
LazyInstanceNorm2d = _lazy_norm(InstanceNorm2d)
LazyInstanceNorm3d = _lazy_norm(InstanceNorm3d)
