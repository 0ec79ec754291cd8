"""MobileNet v3: A. Howard et al., "Searching for MobileNetV3", ICCV 2019."""

from __future__ import annotations

from functools import partial

import lamina
from lamina import nn

from ..ops import Conv2dNormActivation, SqueezeExcitation
from ._registry import builder
from .mobilenetv2 import _make_divisible

__all__ = ["MobileNetV3", "mobilenet_v3_large", "mobilenet_v3_small"]


class InvertedResidualConfig:
    """One block: channels in, kernel size, expanded channels, channels out, squeeze and excitation,
    activation ("HS" hardswish or "RE" ReLU), stride, dilation; channels times `width_mult`."""

    def __init__(self, input_channels, kernel, expanded_channels, out_channels, use_se, activation,
                 stride, dilation, width_mult):  # fmt: skip
        self.input_channels = self.adjust_channels(input_channels, width_mult)
        self.kernel = kernel
        self.expanded_channels = self.adjust_channels(expanded_channels, width_mult)
        self.out_channels = self.adjust_channels(out_channels, width_mult)
        self.use_se, self.use_hs = use_se, activation == "HS"
        self.stride, self.dilation = stride, dilation

    @staticmethod
    def adjust_channels(channels: int, width_mult: float) -> int:
        """channels * width_mult as a multiple of 8."""
        return _make_divisible(channels * width_mult, 8)


class InvertedResidual(nn.Module):
    """1x1 convolution to the expanded channels, depthwise one, squeeze and excitation, 1x1 without
    activation; plus x at stride 1 and equal channels."""

    def __init__(self, cnf: InvertedResidualConfig, norm_layer, se_layer=None):
        super().__init__()
        if cnf.stride not in (1, 2):
            raise ValueError(f"InvertedResidual: stride must be 1 or 2, got {cnf.stride}")
        se_layer = se_layer or partial(SqueezeExcitation, scale_activation=nn.Hardsigmoid)
        wide, act = cnf.expanded_channels, nn.Hardswish if cnf.use_hs else nn.ReLU
        unit = partial(Conv2dNormActivation, norm_layer=norm_layer)
        layers: list = []
        if wide != cnf.input_channels:
            layers.append(unit(cnf.input_channels, wide, kernel_size=1, activation_layer=act))
        layers.append(
            unit(
                wide, wide, kernel_size=cnf.kernel, stride=1 if cnf.dilation > 1 else cnf.stride,
                dilation=cnf.dilation, groups=wide, activation_layer=act,
            )
        )  # fmt: skip
        if cnf.use_se:
            layers.append(se_layer(wide, _make_divisible(wide // 4, 8)))
        layers.append(unit(wide, cnf.out_channels, kernel_size=1, activation_layer=None))
        self.block = nn.Sequential(*layers)
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        self.out_channels = cnf.out_channels

    def forward(self, input):
        """(N, out_channels, H / stride, W / stride)."""
        y = self.block(input)
        return y + input if self.use_res_connect else y


class MobileNetV3(nn.Module):
    """A 3x3 convolution, inverted residuals, a 1x1 convolution, the mean, two linear layers. Images
    (N, 3, H, W) to scores (N, num_classes).

    Args:
        inverted_residual_setting: a list of `InvertedResidualConfig`. Raises ValueError when empty.
        last_channel: units between the two linear layers.
        block, norm_layer: classes in place of `InvertedResidual` and of BatchNorm2d with eps 0.001
            and momentum 0.01.
        dropout: before the last layer.
    """

    def __init__(self, inverted_residual_setting, last_channel: int, num_classes: int = 1000,
                 block=None, norm_layer=None, dropout: float = 0.2):  # fmt: skip
        super().__init__()
        if not inverted_residual_setting:
            raise ValueError("MobileNetV3: inverted_residual_setting must not be empty")
        block = block or InvertedResidual
        norm = norm_layer or partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        unit = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.Hardswish)
        first = inverted_residual_setting[0].input_channels
        narrow = inverted_residual_setting[-1].out_channels
        self.features = nn.Sequential(
            unit(3, first, kernel_size=3, stride=2),
            *(block(cnf, norm) for cnf in inverted_residual_setting),
            unit(narrow, 6 * narrow, kernel_size=1),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(6 * narrow, last_channel), nn.Hardswish(inplace=True),
            nn.Dropout(p=dropout, inplace=True), nn.Linear(last_channel, num_classes),
        )  # fmt: skip
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out")
                if m.bias is not None:
                    nn.init.zeros_(m.bias)
            elif isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, 0, 0.01)
                nn.init.zeros_(m.bias)

    def forward(self, x):
        """The scores."""
        return self.classifier(lamina.flatten(self.avgpool(self.features(x)), 1))


# Blocks: (in, kernel, expanded, out, squeeze and excitation, activation, stride).
_LARGE = [
    (16, 3, 16, 16, False, "RE", 1), (16, 3, 64, 24, False, "RE", 2),
    (24, 3, 72, 24, False, "RE", 1), (24, 5, 72, 40, True, "RE", 2),
    (40, 5, 120, 40, True, "RE", 1), (40, 5, 120, 40, True, "RE", 1),
    (40, 3, 240, 80, False, "HS", 2), (80, 3, 200, 80, False, "HS", 1),
    (80, 3, 184, 80, False, "HS", 1), (80, 3, 184, 80, False, "HS", 1),
    (80, 3, 480, 112, True, "HS", 1), (112, 3, 672, 112, True, "HS", 1),
    (112, 5, 672, 160, True, "HS", 2), (160, 5, 960, 160, True, "HS", 1),
    (160, 5, 960, 160, True, "HS", 1),
]  # fmt: skip
_SMALL = [
    (16, 3, 16, 16, True, "RE", 2), (16, 3, 72, 24, False, "RE", 2),
    (24, 3, 88, 24, False, "RE", 1), (24, 5, 96, 40, True, "HS", 2),
    (40, 5, 240, 40, True, "HS", 1), (40, 5, 240, 40, True, "HS", 1),
    (40, 5, 120, 48, True, "HS", 1), (48, 5, 144, 48, True, "HS", 1),
    (48, 5, 288, 96, True, "HS", 2), (96, 5, 576, 96, True, "HS", 1),
    (96, 5, 576, 96, True, "HS", 1),
]  # fmt: skip


def _build(rows, last_channel, width_mult=1.0, reduced_tail=False, dilated=False, **kwargs):
    """The network of `rows`, whose last three blocks are the tail."""
    divider, dilation = 2 if reduced_tail else 1, 2 if dilated else 1
    setting = []
    for i, (inp, kernel, wide, out, se, act, stride) in enumerate(rows):
        place = i - (len(rows) - 3)  # 0 to 2 in the tail
        if place >= 0:
            out //= divider
            if place > 0:
                inp, wide = inp // divider, wide // divider
        setting.append(
            InvertedResidualConfig(
                inp, kernel, wide, out, se, act, stride, dilation if place >= 0 else 1, width_mult
            )
        )
    last = InvertedResidualConfig.adjust_channels(last_channel // divider, width_mult)
    return MobileNetV3(setting, last, **kwargs)


@builder
def mobilenet_v3_large(*, weights=None, progress: bool = True, **kwargs) -> MobileNetV3:
    """MobileNet v3 large, 5,483,032 parameters; arguments as `MobileNetV3`, and width_mult,
    reduced_tail (the last blocks at half width), dilated (the last blocks dilated, their stride
    1)."""
    return _build(_LARGE, 1280, **kwargs)


@builder
def mobilenet_v3_small(*, weights=None, progress: bool = True, **kwargs) -> MobileNetV3:
    """MobileNet v3 small, 2,542,856 parameters; arguments as `mobilenet_v3_large`."""
    return _build(_SMALL, 1024, **kwargs)
