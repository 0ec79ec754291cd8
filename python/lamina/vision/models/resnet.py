"""Residual networks.

Sources: K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016;
S. Xie et al., "Aggregated Residual Transformations for Deep Neural Networks", CVPR 2017 (ResNeXt);
S. Zagoruyko, N. Komodakis, "Wide Residual Networks", BMVC 2016.

The bottleneck's stride is in its 3x3 convolution ("ResNet v1.5"), as in torchvision.
"""

from __future__ import annotations

import lamina
from lamina import nn

from ._registry import builder

__all__ = [
    "ResNet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d",
    "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2",
]  # fmt: skip


def conv3x3(in_planes: int, out_planes: int, stride=1, groups=1, dilation=1) -> nn.Conv2d:
    """A 3x3 convolution without bias that keeps the size at stride 1."""
    return nn.Conv2d(
        in_planes, out_planes, 3, stride, padding=dilation, dilation=dilation, groups=groups,
        bias=False,
    )  # fmt: skip


def conv1x1(in_planes: int, out_planes: int, stride=1) -> nn.Conv2d:
    """A 1x1 convolution without bias."""
    return nn.Conv2d(in_planes, out_planes, 1, stride, bias=False)


class BasicBlock(nn.Module):
    """y = relu(bn(conv3x3(relu(bn(conv3x3(x))))) + d(x)); d is `downsample`, or the identity.

    (N, inplanes, H, W) to (N, planes, H / stride, W / stride). Raises ValueError for groups, widths
    or dilations that only `Bottleneck` has.
    """

    expansion = 1

    def __init__(self, inplanes, planes, stride=1, downsample=None, groups=1, base_width=64,
                 dilation=1, norm_layer=None):  # fmt: skip
        super().__init__()
        norm = norm_layer or nn.BatchNorm2d
        if groups != 1 or base_width != 64 or dilation != 1:
            raise ValueError(
                f"BasicBlock: has groups=1, base_width=64 and dilation=1 only, got {groups}, "
                f"{base_width} and {dilation}; use Bottleneck"
            )
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = norm(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm(planes)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x):
        """The block's output."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions, each with batch norm, plus the identity or `downsample`.

    (N, inplanes, H, W) to (N, 4 planes, H / stride, W / stride); the 3x3 has
    int(planes * base_width / 64) * groups channels.
    """

    expansion = 4

    def __init__(self, inplanes, planes, stride=1, downsample=None, groups=1, base_width=64,
                 dilation=1, norm_layer=None):  # fmt: skip
        super().__init__()
        norm = norm_layer or nn.BatchNorm2d
        width = int(planes * (base_width / 64.0)) * groups
        self.conv1 = conv1x1(inplanes, width)
        self.bn1 = norm(width)
        self.conv2 = conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm(width)
        self.conv3 = conv1x1(width, planes * self.expansion)
        self.bn3 = norm(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x):
        """The block's output."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """A 7x7 convolution and a pooling layer, four stages of blocks, the mean, a linear layer.

    Images (N, 3, H, W) to scores (N, num_classes); H and W shrink by 32.

    Args:
        block: `BasicBlock` or `Bottleneck`.
        layers: how many blocks the four stages have.
        zero_init_residual: the last norm of every block starts at 0, so blocks start as identities
            (Goyal et al., 2017).
        groups, width_per_group: of the 3x3 convolutions of bottlenecks (ResNeXt, wide ResNet).
        replace_stride_with_dilation: for stages 2 to 4: dilate instead of taking strides.
        norm_layer: makes a normalisation from a channel count; None: BatchNorm2d.
    """

    def __init__(self, block, layers, num_classes=1000, zero_init_residual=False, groups=1,
                 width_per_group=64, replace_stride_with_dilation=None,
                 norm_layer=None):  # fmt: skip
        super().__init__()
        self._norm_layer = norm_layer or nn.BatchNorm2d
        self.inplanes, self.dilation = 64, 1
        dilate = (
            [False] * 3 if replace_stride_with_dilation is None else replace_stride_with_dilation
        )
        if len(dilate) != 3:
            raise ValueError(
                "ResNet: replace_stride_with_dilation must be None or three bools, got "
                f"{replace_stride_with_dilation}"
            )
        self.groups, self.base_width = groups, width_per_group
        self.conv1 = nn.Conv2d(3, self.inplanes, 7, stride=2, padding=3, bias=False)
        self.bn1 = self._norm_layer(self.inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, 64, layers[0])
        self.layer2 = self._make_layer(block, 128, layers[1], 2, dilate[0])
        self.layer3 = self._make_layer(block, 256, layers[2], 2, dilate[1])
        self.layer4 = self._make_layer(block, 512, layers[3], 2, dilate[2])
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
        if zero_init_residual:
            for m in self.modules():
                if isinstance(m, (BasicBlock, Bottleneck)):
                    last = m.bn3 if isinstance(m, Bottleneck) else m.bn2
                    nn.init.zeros_(last.weight)

    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        before = self.dilation
        if dilate:
            self.dilation, stride = self.dilation * stride, 1
        out, downsample = planes * block.expansion, None
        if stride != 1 or self.inplanes != out:
            downsample = nn.Sequential(conv1x1(self.inplanes, out, stride), self._norm_layer(out))
        made = []
        for i in range(blocks):
            first = i == 0
            made.append(
                block(
                    self.inplanes, planes, stride if first else 1, downsample if first else None,
                    self.groups, self.base_width, before if first else self.dilation,
                    self._norm_layer,
                )
            )  # fmt: skip
            self.inplanes = out
        return nn.Sequential(*made)

    def forward(self, x):
        """The scores."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(lamina.flatten(self.avgpool(x), 1))


@builder
def resnet18(*, weights=None, progress: bool = True, **kwargs) -> ResNet:
    """ResNet-18, 11,689,512 parameters; arguments as `ResNet`."""
    return ResNet(BasicBlock, [2, 2, 2, 2], **kwargs)


@builder
def resnet34(*, weights=None, progress: bool = True, **kwargs) -> ResNet:
    """ResNet-34, 21,797,672 parameters."""
    return ResNet(BasicBlock, [3, 4, 6, 3], **kwargs)


@builder
def resnet50(*, weights=None, progress: bool = True, **kwargs) -> ResNet:
    """ResNet-50, 25,557,032 parameters."""
    return ResNet(Bottleneck, [3, 4, 6, 3], **kwargs)


@builder
def resnet101(*, weights=None, progress: bool = True, **kwargs) -> ResNet:
    """ResNet-101, 44,549,160 parameters."""
    return ResNet(Bottleneck, [3, 4, 23, 3], **kwargs)


@builder
def resnet152(*, weights=None, progress: bool = True, **kwargs) -> ResNet:
    """ResNet-152, 60,192,808 parameters."""
    return ResNet(Bottleneck, [3, 8, 36, 3], **kwargs)


@builder
def resnext50_32x4d(*, weights=None, progress: bool = True, **kwargs) -> ResNet:
    """ResNeXt-50 with 32 groups of 4 channels, 25,028,904 parameters."""
    return ResNet(Bottleneck, [3, 4, 6, 3], **{"groups": 32, "width_per_group": 4, **kwargs})


@builder
def resnext101_32x8d(*, weights=None, progress: bool = True, **kwargs) -> ResNet:
    """ResNeXt-101 with 32 groups of 8 channels, 88,791,336 parameters."""
    return ResNet(Bottleneck, [3, 4, 23, 3], **{"groups": 32, "width_per_group": 8, **kwargs})


@builder
def resnext101_64x4d(*, weights=None, progress: bool = True, **kwargs) -> ResNet:
    """ResNeXt-101 with 64 groups of 4 channels, 83,455,272 parameters."""
    return ResNet(Bottleneck, [3, 4, 23, 3], **{"groups": 64, "width_per_group": 4, **kwargs})


@builder
def wide_resnet50_2(*, weights=None, progress: bool = True, **kwargs) -> ResNet:
    """ResNet-50 with 3x3 convolutions twice as wide, 68,883,240 parameters."""
    return ResNet(Bottleneck, [3, 4, 6, 3], **{"width_per_group": 128, **kwargs})


@builder
def wide_resnet101_2(*, weights=None, progress: bool = True, **kwargs) -> ResNet:
    """ResNet-101 with 3x3 convolutions twice as wide, 126,886,696 parameters."""
    return ResNet(Bottleneck, [3, 4, 23, 3], **{"width_per_group": 128, **kwargs})
