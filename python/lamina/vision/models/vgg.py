"""VGG: K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", ICLR 2015 (configurations A, B, D, E), also with batch normalisation."""

from __future__ import annotations

import lamina
from lamina import nn

from ._registry import builder

__all__ = [
    "VGG", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn",
]  # fmt: skip


class VGG(nn.Module):
    """Convolutions `features`, the mean on a 7 x 7 grid, three linear layers.

    Images (N, 3, H, W), at least 32 x 32 (made for 224 x 224), to scores (N, num_classes).

    Args:
        features: a module from (N, 3, H, W) to (N, 512, H / 32, W / 32); see `make_layers`.
        init_weights: draw convolutions by He et al. (2015) and linear layers with std 0.01.
        dropout: probability after the first two linear layers.
    """

    def __init__(self, features, num_classes: int = 1000, init_weights: bool = True,
                 dropout: float = 0.5):  # fmt: skip
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096), nn.ReLU(True), nn.Dropout(dropout),
            nn.Linear(4096, 4096), nn.ReLU(True), nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )  # fmt: skip
        if init_weights:
            for m in self.modules():
                if isinstance(m, nn.Conv2d):
                    nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
                    nn.init.zeros_(m.bias)
                elif isinstance(m, nn.Linear):
                    nn.init.normal_(m.weight, 0, 0.01)
                    nn.init.zeros_(m.bias)

    def forward(self, x):
        """The scores."""
        return self.classifier(lamina.flatten(self.avgpool(self.features(x)), 1))


def make_layers(cfg, batch_norm: bool = False) -> nn.Sequential:
    """3x3 convolutions of the widths in `cfg`, each with (batch norm and) ReLU; "M" stands for 2x2
    max pooling."""
    layers: list = []
    channels = 3
    for v in cfg:
        if v == "M":
            layers.append(nn.MaxPool2d(2, 2))
            continue
        layers.append(nn.Conv2d(channels, v, 3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(v))
        layers.append(nn.ReLU(inplace=True))
        channels = v
    return nn.Sequential(*layers)


# How many convolutions the five stages of 64, 128, 256, 512 and 512 channels have.
_STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def _vgg(depth: int, batch_norm: bool, **kwargs) -> VGG:
    cfg: list = []
    for width, count in zip((64, 128, 256, 512, 512), _STAGES[depth]):
        cfg += [width] * count + ["M"]
    return VGG(make_layers(cfg, batch_norm), **kwargs)


@builder
def vgg11(*, weights=None, progress: bool = True, **kwargs) -> VGG:
    """VGG-11 (A), 132,863,336 parameters; arguments as `VGG`."""
    return _vgg(11, False, **kwargs)


@builder
def vgg11_bn(*, weights=None, progress: bool = True, **kwargs) -> VGG:
    """VGG-11 with batch norm, 132,868,840 parameters."""
    return _vgg(11, True, **kwargs)


@builder
def vgg13(*, weights=None, progress: bool = True, **kwargs) -> VGG:
    """VGG-13 (B), 133,047,848 parameters."""
    return _vgg(13, False, **kwargs)


@builder
def vgg13_bn(*, weights=None, progress: bool = True, **kwargs) -> VGG:
    """VGG-13 with batch norm, 133,053,736 parameters."""
    return _vgg(13, True, **kwargs)


@builder
def vgg16(*, weights=None, progress: bool = True, **kwargs) -> VGG:
    """VGG-16 (D), 138,357,544 parameters."""
    return _vgg(16, False, **kwargs)


@builder
def vgg16_bn(*, weights=None, progress: bool = True, **kwargs) -> VGG:
    """VGG-16 with batch norm, 138,365,992 parameters."""
    return _vgg(16, True, **kwargs)


@builder
def vgg19(*, weights=None, progress: bool = True, **kwargs) -> VGG:
    """VGG-19 (E), 143,667,240 parameters."""
    return _vgg(19, False, **kwargs)


@builder
def vgg19_bn(*, weights=None, progress: bool = True, **kwargs) -> VGG:
    """VGG-19 with batch norm, 143,678,248 parameters."""
    return _vgg(19, True, **kwargs)
