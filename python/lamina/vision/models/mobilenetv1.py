"""MobileNet v1: A. Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile
Vision Applications", 2017. torchvision has no such model; arguments and layout follow its v2."""

from __future__ import annotations

import lamina
from lamina import nn

from ..ops import Conv2dNormActivation
from ._registry import builder

__all__ = ["MobileNetV1", "mobilenet_v1"]

# (channels, stride) of the thirteen pairs of a depthwise and a 1x1 convolution.
_PAIRS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2),
          (1024, 1)]  # fmt: skip


class MobileNetV1(nn.Module):
    """A 3x3 convolution, thirteen pairs of depthwise 3x3 and 1x1 convolutions with batch norm and
    ReLU, the mean, a linear layer. Images (N, 3, H, W) to scores (N, num_classes).

    Args:
        width_mult: multiplies all channel counts (the paper's alpha).
        norm_layer: makes a normalisation from a channel count; None: BatchNorm2d.
        dropout: before the linear layer.

    Keys: features.0 the first convolution, features.1 to 13 the pairs (each an entry 0, depthwise,
    and 1), classifier.1 the linear layer.
    """

    def __init__(self, num_classes: int = 1000, width_mult: float = 1.0, norm_layer=None,
                 dropout: float = 0.001):  # fmt: skip
        super().__init__()
        norm = norm_layer or nn.BatchNorm2d
        channels = max(int(32 * width_mult), 8)
        layers: list = [Conv2dNormActivation(3, channels, stride=2, norm_layer=norm)]
        for width, stride in _PAIRS:
            out = max(int(width * width_mult), 8)
            layers.append(
                nn.Sequential(
                    Conv2dNormActivation(
                        channels, channels, stride=stride, groups=channels, norm_layer=norm
                    ),
                    Conv2dNormActivation(channels, out, 1, norm_layer=norm),
                )
            )
            channels = out
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, num_classes))
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
def mobilenet_v1(*, weights=None, progress: bool = True, **kwargs) -> MobileNetV1:
    """MobileNet v1, 4,231,976 parameters; arguments as `MobileNetV1`."""
    return MobileNetV1(**kwargs)
