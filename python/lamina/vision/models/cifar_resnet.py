"""Residual networks for small images: K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for
Image Recognition", CVPR 2016, section 4.2. torchvision has no such models."""

from __future__ import annotations

import lamina
from lamina import nn

from ._registry import builder

__all__ = ["CifarResNet", "resnet110", "resnet20", "resnet32", "resnet44", "resnet56"]


class SmallBlock(nn.Module):
    """y = relu(bn(conv(relu(bn(conv(x))))) + s(x)): (N, cin, H, W) to (N, cout, H / stride,
    W / stride).

    s is the identity where the shape stays; else, with `projection`, a 1x1 convolution with batch
    norm (the paper's option B), without, every stride-th pixel with zeros for the new channels,
    half before and half after (option A).
    """

    def __init__(self, cin: int, cout: int, stride: int = 1, projection: bool = True):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.stride, self.more = stride, cout - cin
        self.shortcut = nn.Sequential()
        if projection and (stride != 1 or cin != cout):
            self.shortcut = nn.Sequential(
                nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout)
            )

    def forward(self, x):
        """The block's output."""
        y = nn.functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        x = self.shortcut(x)
        if x.shape != y.shape:
            x = x[:, :, :: self.stride, :: self.stride]
            x = nn.functional.pad(x, (0, 0, 0, 0, self.more // 2, self.more - self.more // 2))
        return nn.functional.relu(y + x)


class CifarResNet(nn.Module):
    """A 3x3 convolution, three stages of `blocks` blocks with 16, 32 and 64 channels, the mean, a
    linear layer: 6 * blocks + 2 layers. Images (N, in_channels, H, W), made for 32 x 32, to scores
    (N, num_classes).

    Args:
        projection: shortcuts where the shape changes are 1x1 convolutions (option B); False: zeros
            for the new channels (option A, the paper's choice for CIFAR).

    Keys: conv1, bn1, layer1 to layer3 (0.conv1, 0.bn1, 0.conv2, 0.bn2, 0.shortcut), linear.
    """

    def __init__(self, blocks: int, num_classes: int = 10, in_channels: int = 3,
                 projection: bool = True):  # fmt: skip
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self._stage(blocks, 16, 16, 1, projection)
        self.layer2 = self._stage(blocks, 16, 32, 2, projection)
        self.layer3 = self._stage(blocks, 32, 64, 2, projection)
        self.linear = nn.Linear(64, num_classes)

    @staticmethod
    def _stage(blocks, cin, cout, stride, projection) -> nn.Sequential:
        first = SmallBlock(cin, cout, stride, projection)
        return nn.Sequential(first, *(SmallBlock(cout, cout) for _ in range(blocks - 1)))

    def forward(self, x):
        """The scores."""
        x = nn.functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(lamina.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1))


@builder
def resnet20(*, weights=None, progress: bool = True, **kwargs) -> CifarResNet:
    """ResNet-20 for CIFAR-10, 272,474 parameters, 269,722 with ``projection=False``; arguments as
    `CifarResNet`."""
    return CifarResNet(3, **kwargs)


@builder
def resnet32(*, weights=None, progress: bool = True, **kwargs) -> CifarResNet:
    """ResNet-32, 466,906 parameters, 464,154 with ``projection=False``."""
    return CifarResNet(5, **kwargs)


@builder
def resnet44(*, weights=None, progress: bool = True, **kwargs) -> CifarResNet:
    """ResNet-44, 661,338 parameters, 658,586 with ``projection=False``."""
    return CifarResNet(7, **kwargs)


@builder
def resnet56(*, weights=None, progress: bool = True, **kwargs) -> CifarResNet:
    """ResNet-56, 855,770 parameters, 853,018 with ``projection=False``."""
    return CifarResNet(9, **kwargs)


@builder
def resnet110(*, weights=None, progress: bool = True, **kwargs) -> CifarResNet:
    """ResNet-110, 1,730,714 parameters, 1,727,962 with ``projection=False``."""
    return CifarResNet(18, **kwargs)
