"""MobileNet v2: M. Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR
2018."""

from __future__ import annotations

import lamina
from lamina import nn

from ..ops import Conv2dNormActivation
from ._registry import builder

__all__ = ["MobileNetV2", "mobilenet_v2"]


def _make_divisible(v: float, divisor: int, min_value=None) -> int:
    """The multiple of `divisor` nearest to v, not under `min_value` (None: divisor) nor 0.9 v."""
    rounded = max(min_value or divisor, int(v + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * v else rounded


class InvertedResidual(nn.Module):
    """1x1 convolution to expand_ratio times the channels, depthwise 3x3, 1x1 without activation;
    plus x at stride 1 and equal channels. Raises ValueError for a stride other than 1 and 2."""

    def __init__(self, inp, oup, stride, expand_ratio, norm_layer=None):
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"InvertedResidual: stride must be 1 or 2, got {stride}")
        norm = norm_layer or nn.BatchNorm2d
        hidden = int(round(inp * expand_ratio))
        self.stride, self.out_channels = stride, oup
        self.use_res_connect = stride == 1 and inp == oup
        layers: list = []
        if expand_ratio != 1:
            layers.append(_unit(inp, hidden, kernel_size=1, norm_layer=norm))
        layers += [
            _unit(hidden, hidden, stride=stride, groups=hidden, norm_layer=norm),
            nn.Conv2d(hidden, oup, 1, bias=False),
            norm(oup),
        ]
        self.conv = nn.Sequential(*layers)

    def forward(self, x):
        """(N, oup, H / stride, W / stride)."""
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


def _unit(inp, oup, **kwargs) -> Conv2dNormActivation:
    return Conv2dNormActivation(inp, oup, activation_layer=nn.ReLU6, **kwargs)


class MobileNetV2(nn.Module):
    """A 3x3 convolution, inverted residuals, a 1x1 convolution, the mean, a linear layer. Images
    (N, 3, H, W) to scores (N, num_classes).

    Args:
        width_mult: multiplies channel counts, which are then rounded to multiples of
            `round_nearest`.
        inverted_residual_setting: rows (expand ratio, channels, blocks, stride of the first); None:
            the paper's. Raises ValueError for rows of another length.
        block, norm_layer: classes in place of `InvertedResidual` and BatchNorm2d.
        dropout: before the linear layer.
    """

    def __init__(self, num_classes: int = 1000, width_mult: float = 1.0,
                 inverted_residual_setting=None, round_nearest: int = 8, block=None,
                 norm_layer=None, dropout: float = 0.2):  # fmt: skip
        super().__init__()
        block, norm = block or InvertedResidual, norm_layer or nn.BatchNorm2d
        rows = inverted_residual_setting or [
            [1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1],
            [6, 160, 3, 2], [6, 320, 1, 1],
        ]  # fmt: skip
        if any(len(row) != 4 for row in rows):
            raise ValueError(
                "MobileNetV2: inverted_residual_setting must have rows of 4 numbers, got "
                f"{inverted_residual_setting}"
            )
        channels = _make_divisible(32 * width_mult, round_nearest)
        self.last_channel = _make_divisible(1280 * max(1.0, width_mult), round_nearest)
        features: list = [_unit(3, channels, stride=2, norm_layer=norm)]
        for ratio, width, count, stride in rows:
            out = _make_divisible(width * width_mult, round_nearest)
            for i in range(count):
                step = stride if i == 0 else 1
                features.append(block(channels, out, step, expand_ratio=ratio, norm_layer=norm))
                channels = out
        features.append(_unit(channels, self.last_channel, kernel_size=1, norm_layer=norm))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout), nn.Linear(self.last_channel, num_classes)
        )
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out")
            elif isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, 0, 0.01)
                nn.init.zeros_(m.bias)

    def forward(self, x):
        """The scores."""
        y = nn.functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(lamina.flatten(y, 1))


@builder
def mobilenet_v2(*, weights=None, progress: bool = True, **kwargs) -> MobileNetV2:
    """MobileNet v2, 3,504,872 parameters; arguments as `MobileNetV2`."""
    return MobileNetV2(**kwargs)
