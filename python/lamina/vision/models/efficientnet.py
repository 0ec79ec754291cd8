"""EfficientNet: M. Tan, Q. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
Networks", ICML 2019, and "EfficientNetV2: Smaller Models and Faster Training", ICML 2021."""

from __future__ import annotations

import copy
import math
from functools import partial

import lamina
from lamina import nn

from ..ops import Conv2dNormActivation, SqueezeExcitation, StochasticDepth
from ._registry import builder
from .mobilenetv2 import _make_divisible

__all__ = [
    "EfficientNet", "efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3",
    "efficientnet_b4", "efficientnet_b5", "efficientnet_b6", "efficientnet_b7",
    "efficientnet_v2_l", "efficientnet_v2_m", "efficientnet_v2_s",
]  # fmt: skip


class MBConvConfig:
    """One stage: expansion, kernel size, stride of its first block, channels in and out (times
    width_mult, to multiples of 8), blocks (times depth_mult, rounded up)."""

    def __init__(self, expand_ratio, kernel, stride, input_channels, out_channels, num_layers,
                 width_mult=1.0, depth_mult=1.0, block=None):  # fmt: skip
        self.expand_ratio, self.kernel, self.stride = expand_ratio, kernel, stride
        self.input_channels = self.adjust_channels(input_channels, width_mult)
        self.out_channels = self.adjust_channels(out_channels, width_mult)
        self.num_layers = int(math.ceil(num_layers * depth_mult))
        self.block = block or MBConv

    @staticmethod
    def adjust_channels(channels: int, width_mult: float, min_value=None) -> int:
        """channels * width_mult as a multiple of 8."""
        return _make_divisible(channels * width_mult, 8, min_value)


class FusedMBConvConfig(MBConvConfig):
    """A stage of `FusedMBConv` blocks."""

    def __init__(self, expand_ratio, kernel, stride, input_channels, out_channels, num_layers):
        super().__init__(expand_ratio, kernel, stride, input_channels, out_channels, num_layers,
                         block=FusedMBConv)  # fmt: skip


class _Block(nn.Module):
    """x + stochastic depth(block(x)) at stride 1 and equal channels, else block(x)."""

    def __init__(self, cnf: MBConvConfig, stochastic_depth_prob: float, layers: list):
        super().__init__()
        if not 1 <= cnf.stride <= 2:
            raise ValueError(f"{type(self).__name__}: stride must be 1 or 2, got {cnf.stride}")
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.out_channels = cnf.out_channels

    def forward(self, input):
        """(N, out_channels, H / stride, W / stride)."""
        y = self.block(input)
        return self.stochastic_depth(y) + input if self.use_res_connect else y


class MBConv(_Block):
    """1x1 convolution to expand_ratio times the channels, depthwise one, squeeze and excitation to
    a quarter of the input's channels, 1x1 without activation."""

    def __init__(self, cnf, stochastic_depth_prob, norm_layer, se_layer=SqueezeExcitation):
        unit = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        wide = cnf.adjust_channels(cnf.input_channels, cnf.expand_ratio)
        layers: list = []
        if wide != cnf.input_channels:
            layers.append(unit(cnf.input_channels, wide, kernel_size=1))
        layers += [
            unit(wide, wide, kernel_size=cnf.kernel, stride=cnf.stride, groups=wide),
            se_layer(
                wide, max(1, cnf.input_channels // 4), activation=partial(nn.SiLU, inplace=True)
            ),
            unit(wide, cnf.out_channels, kernel_size=1, activation_layer=None),
        ]
        super().__init__(cnf, stochastic_depth_prob, layers)


class FusedMBConv(_Block):
    """One convolution to expand_ratio times the channels and a 1x1 without activation; with ratio
    1 a single convolution."""

    def __init__(self, cnf, stochastic_depth_prob, norm_layer):
        unit = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        wide = cnf.adjust_channels(cnf.input_channels, cnf.expand_ratio)
        first: dict = {"kernel_size": cnf.kernel, "stride": cnf.stride}
        if wide != cnf.input_channels:
            layers = [
                unit(cnf.input_channels, wide, **first),
                unit(wide, cnf.out_channels, kernel_size=1, activation_layer=None),
            ]
        else:
            layers = [unit(cnf.input_channels, cnf.out_channels, **first)]
        super().__init__(cnf, stochastic_depth_prob, layers)


class EfficientNet(nn.Module):
    """A 3x3 convolution, stages of `MBConv` or `FusedMBConv`, a 1x1 convolution, the mean, a linear
    layer. Images (N, 3, H, W) to scores (N, num_classes).

    Args:
        inverted_residual_setting: a list of `MBConvConfig`. Raises ValueError when empty.
        dropout: before the linear layer.
        stochastic_depth_prob: of the last block; it grows linearly from 0 at the first.
        norm_layer: makes a normalisation from a channel count; None: BatchNorm2d.
        last_channel: of the last convolution; None: four times the last stage's.
    """

    def __init__(self, inverted_residual_setting, dropout: float,
                 stochastic_depth_prob: float = 0.2, num_classes: int = 1000, norm_layer=None,
                 last_channel=None):  # fmt: skip
        super().__init__()
        if not inverted_residual_setting:
            raise ValueError("EfficientNet: inverted_residual_setting must not be empty")
        norm = norm_layer or nn.BatchNorm2d
        unit = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.SiLU)
        parts: list = [unit(3, inverted_residual_setting[0].input_channels, stride=2)]
        total, done = sum(cnf.num_layers for cnf in inverted_residual_setting), 0
        for cnf in inverted_residual_setting:
            stage: list = []
            for _ in range(cnf.num_layers):
                one = copy.copy(cnf)
                if stage:
                    one.input_channels, one.stride = one.out_channels, 1
                stage.append(one.block(one, stochastic_depth_prob * done / total, norm))
                done += 1
            parts.append(nn.Sequential(*stage))
        narrow = inverted_residual_setting[-1].out_channels
        last = last_channel if last_channel is not None else 4 * narrow
        parts.append(unit(narrow, last, kernel_size=1))
        self.features = nn.Sequential(*parts)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout, inplace=True), nn.Linear(last, num_classes)
        )
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out")
                if m.bias is not None:
                    nn.init.zeros_(m.bias)
            elif isinstance(m, nn.Linear):
                bound = 1.0 / math.sqrt(m.out_features)
                nn.init.uniform_(m.weight, -bound, bound)
                nn.init.zeros_(m.bias)

    def forward(self, x):
        """The scores."""
        return self.classifier(lamina.flatten(self.avgpool(self.features(x)), 1))


# Stages of B0: (expansion, kernel, stride, channels in, out, blocks).
_B0 = [
    (1, 3, 1, 32, 16, 1), (6, 3, 2, 16, 24, 2), (6, 5, 2, 24, 40, 2), (6, 3, 2, 40, 80, 3),
    (6, 5, 1, 80, 112, 3), (6, 5, 2, 112, 192, 4), (6, 3, 1, 192, 320, 1),
]  # fmt: skip


def _scaled(width_mult: float, depth_mult: float, dropout: float, **kwargs) -> EfficientNet:
    rows = [MBConvConfig(*row, width_mult, depth_mult) for row in _B0]
    return EfficientNet(rows, **{"dropout": dropout, **kwargs})


def _wide(*args, **kwargs) -> EfficientNet:
    norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
    return _scaled(*args, **{"norm_layer": norm, **kwargs})


@builder
def efficientnet_b0(*, weights=None, progress: bool = True, **kwargs) -> EfficientNet:
    """EfficientNet B0, 5,288,548 parameters; arguments as `EfficientNet`."""
    return _scaled(1.0, 1.0, 0.2, **kwargs)


@builder
def efficientnet_b1(*, weights=None, progress: bool = True, **kwargs) -> EfficientNet:
    """EfficientNet B1, 7,794,184 parameters."""
    return _scaled(1.0, 1.1, 0.2, **kwargs)


@builder
def efficientnet_b2(*, weights=None, progress: bool = True, **kwargs) -> EfficientNet:
    """EfficientNet B2, 9,109,994 parameters."""
    return _scaled(1.1, 1.2, 0.3, **kwargs)


@builder
def efficientnet_b3(*, weights=None, progress: bool = True, **kwargs) -> EfficientNet:
    """EfficientNet B3, 12,233,232 parameters."""
    return _scaled(1.2, 1.4, 0.3, **kwargs)


@builder
def efficientnet_b4(*, weights=None, progress: bool = True, **kwargs) -> EfficientNet:
    """EfficientNet B4, 19,341,616 parameters."""
    return _scaled(1.4, 1.8, 0.4, **kwargs)


@builder
def efficientnet_b5(*, weights=None, progress: bool = True, **kwargs) -> EfficientNet:
    """EfficientNet B5, 30,389,784 parameters."""
    return _wide(1.6, 2.2, 0.4, **kwargs)


@builder
def efficientnet_b6(*, weights=None, progress: bool = True, **kwargs) -> EfficientNet:
    """EfficientNet B6, 43,040,704 parameters."""
    return _wide(1.8, 2.6, 0.5, **kwargs)


@builder
def efficientnet_b7(*, weights=None, progress: bool = True, **kwargs) -> EfficientNet:
    """EfficientNet B7, 66,347,960 parameters."""
    return _wide(2.0, 3.1, 0.5, **kwargs)


# Stages of version 2: the fused ones, then the others.
_V2 = {
    "s": ([(1, 3, 1, 24, 24, 2), (4, 3, 2, 24, 48, 4), (4, 3, 2, 48, 64, 4)],
          [(4, 3, 2, 64, 128, 6), (6, 3, 1, 128, 160, 9), (6, 3, 2, 160, 256, 15)]),
    "m": ([(1, 3, 1, 24, 24, 3), (4, 3, 2, 24, 48, 5), (4, 3, 2, 48, 80, 5)],
          [(4, 3, 2, 80, 160, 7), (6, 3, 1, 160, 176, 14), (6, 3, 2, 176, 304, 18),
           (6, 3, 1, 304, 512, 5)]),
    "l": ([(1, 3, 1, 32, 32, 4), (4, 3, 2, 32, 64, 7), (4, 3, 2, 64, 96, 7)],
          [(4, 3, 2, 96, 192, 10), (6, 3, 1, 192, 224, 19), (6, 3, 2, 224, 384, 25),
           (6, 3, 1, 384, 640, 7)]),
}  # fmt: skip


def _version2(size: str, dropout: float, **kwargs) -> EfficientNet:
    fused, rest = _V2[size]
    rows = [*(FusedMBConvConfig(*row) for row in fused), *(MBConvConfig(*row) for row in rest)]
    norm = partial(nn.BatchNorm2d, eps=1e-3)
    given = {"dropout": dropout, "norm_layer": norm, "last_channel": 1280, **kwargs}
    return EfficientNet(rows, **given)


@builder
def efficientnet_v2_s(*, weights=None, progress: bool = True, **kwargs) -> EfficientNet:
    """EfficientNet v2 S, 21,458,488 parameters."""
    return _version2("s", 0.2, **kwargs)


@builder
def efficientnet_v2_m(*, weights=None, progress: bool = True, **kwargs) -> EfficientNet:
    """EfficientNet v2 M, 54,139,356 parameters."""
    return _version2("m", 0.3, **kwargs)


@builder
def efficientnet_v2_l(*, weights=None, progress: bool = True, **kwargs) -> EfficientNet:
    """EfficientNet v2 L, 118,515,272 parameters."""
    return _version2("l", 0.4, **kwargs)
