"""SqueezeNet: F. Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and
<0.5MB model size", 2016; version 1.1 is the authors' later one, with 2.4 times less work."""

from __future__ import annotations

import lamina
from lamina import nn

from ._registry import builder

__all__ = ["SqueezeNet", "squeezenet1_0", "squeezenet1_1"]


class Fire(nn.Module):
    """A 1x1 convolution to few channels, then 1x1 and 3x3 convolutions side by side."""

    def __init__(self, inplanes, squeeze_planes, expand1x1_planes, expand3x3_planes):
        super().__init__()
        self.inplanes = inplanes
        self.squeeze = nn.Conv2d(inplanes, squeeze_planes, 1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeeze_planes, expand1x1_planes, 1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeeze_planes, expand3x3_planes, 3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x):
        """(N, expand1x1_planes + expand3x3_planes, H, W)."""
        x = self.squeeze_activation(self.squeeze(x))
        return lamina.cat(
            [
                self.expand1x1_activation(self.expand1x1(x)),
                self.expand3x3_activation(self.expand3x3(x)),
            ],
            1,
        )


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


class SqueezeNet(nn.Module):
    """Fire modules with three poolings, then a 1x1 convolution to the classes and the mean.

    Images (N, 3, H, W), at least 21 x 21, to scores (N, num_classes).

    Args:
        version: "1_0" or "1_1". Raises ValueError for another.
        dropout: probability before the last convolution.
    """

    def __init__(self, version: str = "1_0", num_classes: int = 1000, dropout: float = 0.5):
        super().__init__()
        if version not in ("1_0", "1_1"):
            raise ValueError(f"SqueezeNet: version must be '1_0' or '1_1', got {version!r}")
        self.num_classes = num_classes
        fires = [
            Fire(64 if version == "1_1" else 96, 16, 64, 64), Fire(128, 16, 64, 64),
            Fire(128, 32, 128, 128), Fire(256, 32, 128, 128),
            Fire(256, 48, 192, 192), Fire(384, 48, 192, 192),
            Fire(384, 64, 256, 256), Fire(512, 64, 256, 256),
        ]  # fmt: skip
        if version == "1_0":
            self.features = nn.Sequential(
                nn.Conv2d(3, 96, 7, stride=2), nn.ReLU(inplace=True),
                _pool(), *fires[:3], _pool(), *fires[3:7], _pool(), fires[7],
            )  # fmt: skip
        else:
            self.features = nn.Sequential(
                nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(inplace=True),
                _pool(), *fires[:2], _pool(), *fires[2:4], _pool(), *fires[4:],
            )  # fmt: skip
        last = nn.Conv2d(512, num_classes, 1)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), last, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1))
        )
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                if m is last:
                    nn.init.normal_(m.weight, mean=0.0, std=0.01)
                else:
                    nn.init.kaiming_uniform_(m.weight)
                nn.init.zeros_(m.bias)

    def forward(self, x):
        """The scores."""
        return lamina.flatten(self.classifier(self.features(x)), 1)


@builder
def squeezenet1_0(*, weights=None, progress: bool = True, **kwargs) -> SqueezeNet:
    """SqueezeNet 1.0, 1,248,424 parameters; arguments as `SqueezeNet`."""
    return SqueezeNet("1_0", **kwargs)


@builder
def squeezenet1_1(*, weights=None, progress: bool = True, **kwargs) -> SqueezeNet:
    """SqueezeNet 1.1, 1,235,496 parameters."""
    return SqueezeNet("1_1", **kwargs)
