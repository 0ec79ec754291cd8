"""DenseNet: G. Huang, Z. Liu, L. van der Maaten, K. Weinberger, "Densely Connected Convolutional
Networks", CVPR 2017 (with bottlenecks and compression: DenseNet-BC)."""

from __future__ import annotations

from collections import OrderedDict

import lamina
from lamina import nn

from ._registry import builder

__all__ = ["DenseNet", "densenet121", "densenet161", "densenet169", "densenet201"]


class _DenseLayer(nn.Module):
    """`growth_rate` new channels of all before: norm, relu, 1x1 convolution to bn_size *
    growth_rate, norm, relu, 3x3 convolution."""

    def __init__(self, channels, growth_rate, bn_size, drop_rate):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(channels, bn_size * growth_rate, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(bn_size * growth_rate)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(bn_size * growth_rate, growth_rate, 3, padding=1, bias=False)
        self.drop_rate = float(drop_rate)

    def forward(self, features):
        """(N, growth_rate, H, W) of a list of tensors (N, c, H, W)."""
        y = self.conv1(self.relu1(self.norm1(lamina.cat(features, 1))))
        y = self.conv2(self.relu2(self.norm2(y)))
        if self.drop_rate > 0:
            y = nn.functional.dropout(y, self.drop_rate, self.training)
        return y


class _DenseBlock(nn.ModuleDict):
    """Layers that each see the outputs of all before."""

    def __init__(self, count, channels, bn_size, growth_rate, drop_rate):
        super().__init__()
        for i in range(count):
            layer = _DenseLayer(channels + i * growth_rate, growth_rate, bn_size, drop_rate)
            self[f"denselayer{i + 1}"] = layer

    def forward(self, x):
        """(N, channels + count * growth_rate, H, W): the input and all layers' outputs."""
        features = [x]
        for layer in self.values():
            features.append(layer(features))
        return lamina.cat(features, 1)


class _Transition(nn.Sequential):
    """Norm, relu, 1x1 convolution, 2x2 mean pooling."""

    def __init__(self, channels, out):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(channels, out, 1, bias=False)
        self.pool = nn.AvgPool2d(2, 2)


class DenseNet(nn.Module):
    """Blocks whose layers see the outputs of all layers before, halved in channels and size between
    the blocks.

    Images (N, 3, H, W), at least 29 x 29 (made for 224 x 224), to scores (N, num_classes).

    Args:
        growth_rate: channels that each layer adds.
        block_config: layers of each block.
        num_init_features: channels of the first convolution.
        bn_size: a layer's bottleneck has bn_size * growth_rate channels.
        drop_rate: dropout after each layer.
        memory_efficient: accepted; lamina computes nothing twice.
    """

    def __init__(self, growth_rate=32, block_config=(6, 12, 24, 16), num_init_features=64,
                 bn_size=4, drop_rate: float = 0, num_classes=1000,
                 memory_efficient=False):  # fmt: skip
        super().__init__()
        channels = num_init_features
        parts: OrderedDict = OrderedDict(
            conv0=nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False),
            norm0=nn.BatchNorm2d(channels),
            relu0=nn.ReLU(inplace=True),
            pool0=nn.MaxPool2d(3, stride=2, padding=1),
        )
        for i, count in enumerate(block_config, 1):
            block = _DenseBlock(count, channels, bn_size, growth_rate, drop_rate)
            parts[f"denseblock{i}"] = block
            channels += count * growth_rate
            if i < len(block_config):
                parts[f"transition{i}"] = _Transition(channels, channels // 2)
                channels //= 2
        parts["norm5"] = nn.BatchNorm2d(channels)
        self.features = nn.Sequential(parts)
        self.classifier = nn.Linear(channels, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight)
            elif isinstance(m, nn.Linear):
                nn.init.zeros_(m.bias)

    def forward(self, x):
        """The scores."""
        y = nn.functional.relu(self.features(x), inplace=True)
        return self.classifier(lamina.flatten(nn.functional.adaptive_avg_pool2d(y, (1, 1)), 1))


@builder
def densenet121(*, weights=None, progress: bool = True, **kwargs) -> DenseNet:
    """DenseNet-121, 7,978,856 parameters; arguments as `DenseNet`."""
    return DenseNet(32, (6, 12, 24, 16), 64, **kwargs)


@builder
def densenet161(*, weights=None, progress: bool = True, **kwargs) -> DenseNet:
    """DenseNet-161 (growth rate 48), 28,681,000 parameters."""
    return DenseNet(48, (6, 12, 36, 24), 96, **kwargs)


@builder
def densenet169(*, weights=None, progress: bool = True, **kwargs) -> DenseNet:
    """DenseNet-169, 14,149,480 parameters."""
    return DenseNet(32, (6, 12, 32, 32), 64, **kwargs)


@builder
def densenet201(*, weights=None, progress: bool = True, **kwargs) -> DenseNet:
    """DenseNet-201, 20,013,928 parameters."""
    return DenseNet(32, (6, 12, 48, 32), 64, **kwargs)
