"""Inception v3: C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision",
CVPR 2016."""

from __future__ import annotations

from collections import namedtuple

import lamina
from lamina import nn
from lamina.nn import functional as F

from ._registry import builder
from .googlenet import BasicConv2d, imagenet_to_halves

__all__ = ["Inception3", "InceptionOutputs", "inception_v3"]

InceptionOutputs = namedtuple("InceptionOutputs", ["logits", "aux_logits"])


def _chain(x, *layers):
    for layer in layers:
        x = layer(x)
    return x


class InceptionA(nn.Module):
    """1x1; 1x1 and 5x5; 1x1 and two 3x3; mean pooling and 1x1: 224 + pool_features channels."""

    def __init__(self, in_channels, pool_features, conv_block=None):
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch1x1 = conv(in_channels, 64, kernel_size=1)
        self.branch5x5_1 = conv(in_channels, 48, kernel_size=1)
        self.branch5x5_2 = conv(48, 64, kernel_size=5, padding=2)
        self.branch3x3dbl_1 = conv(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = conv(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = conv(96, 96, kernel_size=3, padding=1)
        self.branch_pool = conv(in_channels, pool_features, kernel_size=1)

    def forward(self, x):
        """(N, 224 + pool_features, H, W)."""
        double = _chain(x, self.branch3x3dbl_1, self.branch3x3dbl_2, self.branch3x3dbl_3)
        pooled = self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1))
        return lamina.cat(
            [self.branch1x1(x), _chain(x, self.branch5x5_1, self.branch5x5_2), double, pooled], 1
        )


class InceptionB(nn.Module):
    """Stride 2: 3x3; 1x1 and two 3x3; max pooling: in_channels + 480 channels."""

    def __init__(self, in_channels, conv_block=None):
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch3x3 = conv(in_channels, 384, kernel_size=3, stride=2)
        self.branch3x3dbl_1 = conv(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = conv(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = conv(96, 96, kernel_size=3, stride=2)

    def forward(self, x):
        """(N, in_channels + 480, (H - 1) // 2, (W - 1) // 2)."""
        double = _chain(x, self.branch3x3dbl_1, self.branch3x3dbl_2, self.branch3x3dbl_3)
        return lamina.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], 1)


class InceptionC(nn.Module):
    """7x7 windows as 1x7 and 7x1: 1x1; one pair; two pairs; mean pooling and 1x1: 768 channels."""

    def __init__(self, in_channels, channels_7x7, conv_block=None):
        super().__init__()
        conv, c7 = conv_block or BasicConv2d, channels_7x7
        wide: dict = {"kernel_size": (1, 7), "padding": (0, 3)}
        high: dict = {"kernel_size": (7, 1), "padding": (3, 0)}
        self.branch1x1 = conv(in_channels, 192, kernel_size=1)
        self.branch7x7_1 = conv(in_channels, c7, kernel_size=1)
        self.branch7x7_2 = conv(c7, c7, **wide)
        self.branch7x7_3 = conv(c7, 192, **high)
        self.branch7x7dbl_1 = conv(in_channels, c7, kernel_size=1)
        self.branch7x7dbl_2 = conv(c7, c7, **high)
        self.branch7x7dbl_3 = conv(c7, c7, **wide)
        self.branch7x7dbl_4 = conv(c7, c7, **high)
        self.branch7x7dbl_5 = conv(c7, 192, **wide)
        self.branch_pool = conv(in_channels, 192, kernel_size=1)

    def forward(self, x):
        """(N, 768, H, W)."""
        double = _chain(x, self.branch7x7dbl_1, self.branch7x7dbl_2, self.branch7x7dbl_3,
                        self.branch7x7dbl_4, self.branch7x7dbl_5)  # fmt: skip
        single = _chain(x, self.branch7x7_1, self.branch7x7_2, self.branch7x7_3)
        pooled = self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1))
        return lamina.cat([self.branch1x1(x), single, double, pooled], 1)


class InceptionD(nn.Module):
    """Stride 2: 1x1 and 3x3; 1x1, 1x7, 7x1 and 3x3; max pooling: in_channels + 512 channels."""

    def __init__(self, in_channels, conv_block=None):
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch3x3_1 = conv(in_channels, 192, kernel_size=1)
        self.branch3x3_2 = conv(192, 320, kernel_size=3, stride=2)
        self.branch7x7x3_1 = conv(in_channels, 192, kernel_size=1)
        self.branch7x7x3_2 = conv(192, 192, kernel_size=(1, 7), padding=(0, 3))
        self.branch7x7x3_3 = conv(192, 192, kernel_size=(7, 1), padding=(3, 0))
        self.branch7x7x3_4 = conv(192, 192, kernel_size=3, stride=2)

    def forward(self, x):
        """(N, in_channels + 512, (H - 1) // 2, (W - 1) // 2)."""
        long = _chain(x, self.branch7x7x3_1, self.branch7x7x3_2, self.branch7x7x3_3,
                      self.branch7x7x3_4)  # fmt: skip
        short = _chain(x, self.branch3x3_1, self.branch3x3_2)
        return lamina.cat([short, long, F.max_pool2d(x, 3, stride=2)], 1)


class InceptionE(nn.Module):
    """1x1; 1x1, then 1x3 and 3x1 side by side; 1x1 and 3x3, then both again; mean pooling and 1x1:
    2048 channels."""

    def __init__(self, in_channels, conv_block=None):
        super().__init__()
        conv = conv_block or BasicConv2d
        wide: dict = {"kernel_size": (1, 3), "padding": (0, 1)}
        high: dict = {"kernel_size": (3, 1), "padding": (1, 0)}
        self.branch1x1 = conv(in_channels, 320, kernel_size=1)
        self.branch3x3_1 = conv(in_channels, 384, kernel_size=1)
        self.branch3x3_2a = conv(384, 384, **wide)
        self.branch3x3_2b = conv(384, 384, **high)
        self.branch3x3dbl_1 = conv(in_channels, 448, kernel_size=1)
        self.branch3x3dbl_2 = conv(448, 384, kernel_size=3, padding=1)
        self.branch3x3dbl_3a = conv(384, 384, **wide)
        self.branch3x3dbl_3b = conv(384, 384, **high)
        self.branch_pool = conv(in_channels, 192, kernel_size=1)

    def forward(self, x):
        """(N, 2048, H, W)."""
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1))
        return lamina.cat(
            [
                self.branch1x1(x), self.branch3x3_2a(single), self.branch3x3_2b(single),
                self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double), pooled,
            ],
            1,
        )  # fmt: skip


class InceptionAux(nn.Module):
    """Scores from inside the network: mean pooling, 128 and 768 channels, the mean."""

    def __init__(self, in_channels, num_classes, conv_block=None):
        super().__init__()
        conv = conv_block or BasicConv2d
        self.conv0 = conv(in_channels, 128, kernel_size=1)
        self.conv1 = conv(128, 768, kernel_size=5)
        self.conv1.stddev = 0.01
        self.fc = nn.Linear(768, num_classes)
        self.fc.stddev = 0.001

    def forward(self, x):
        """(N, num_classes)."""
        x = self.conv1(self.conv0(F.avg_pool2d(x, 5, stride=3)))
        return self.fc(lamina.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class Inception3(nn.Module):
    """Inception v3. Images (N, 3, H, W), at least 75 x 75 (made for 299 x 299), to scores
    (N, num_classes); while training with `aux_logits`, which needs 299 x 299, to
    `InceptionOutputs`: the scores and those of the auxiliary classifier.

    Args:
        aux_logits: have the auxiliary classifier.
        transform_input: images are normalised with ImageNet's mean and std, but the weights expect
            0.5 and 0.5.
        inception_blocks: seven classes: of the convolution, `InceptionA` to `InceptionE`, and
            `InceptionAux`. Raises ValueError for another number.
        init_weights: draw normally with std 0.1 (of the auxiliary classifier 0.01 and 0.001);
            False: as the layers do.
        dropout: before the last layer.
    """

    def __init__(self, num_classes=1000, aux_logits=True, transform_input=False,
                 inception_blocks=None, init_weights=None, dropout=0.5):  # fmt: skip
        super().__init__()
        blocks = inception_blocks or [
            BasicConv2d, InceptionA, InceptionB, InceptionC, InceptionD, InceptionE, InceptionAux,
        ]  # fmt: skip
        if len(blocks) != 7:
            raise ValueError(
                f"Inception3: expected 7 inception_blocks, got {len(blocks)}; see the docstring"
            )
        conv, a, b, c, d, e, aux = blocks
        self.aux_logits, self.transform_input = aux_logits, transform_input
        self.Conv2d_1a_3x3 = conv(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = conv(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = conv(32, 64, kernel_size=3, padding=1)
        self.maxpool1 = nn.MaxPool2d(3, stride=2)
        self.Conv2d_3b_1x1 = conv(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = conv(80, 192, kernel_size=3)
        self.maxpool2 = nn.MaxPool2d(3, stride=2)
        self.Mixed_5b = a(192, pool_features=32)
        self.Mixed_5c = a(256, pool_features=64)
        self.Mixed_5d = a(288, pool_features=64)
        self.Mixed_6a = b(288)
        self.Mixed_6b = c(768, channels_7x7=128)
        self.Mixed_6c = c(768, channels_7x7=160)
        self.Mixed_6d = c(768, channels_7x7=160)
        self.Mixed_6e = c(768, channels_7x7=192)
        self.AuxLogits = aux(768, num_classes) if aux_logits else None
        self.Mixed_7a = d(768)
        self.Mixed_7b = e(1280)
        self.Mixed_7c = e(2048)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(2048, num_classes)
        if init_weights is not False:
            for m in self.modules():
                if isinstance(m, (nn.Conv2d, nn.Linear)):
                    std = float(getattr(m, "stddev", 0.1))
                    nn.init.trunc_normal_(m.weight, mean=0.0, std=std, a=-2, b=2)

    def forward(self, x):
        """The scores, or `InceptionOutputs`."""
        if self.transform_input:
            x = imagenet_to_halves(x)
        x = _chain(x, self.Conv2d_1a_3x3, self.Conv2d_2a_3x3, self.Conv2d_2b_3x3, self.maxpool1,
                   self.Conv2d_3b_1x1, self.Conv2d_4a_3x3, self.maxpool2)  # fmt: skip
        x = _chain(x, self.Mixed_5b, self.Mixed_5c, self.Mixed_5d, self.Mixed_6a, self.Mixed_6b,
                   self.Mixed_6c, self.Mixed_6d, self.Mixed_6e)  # fmt: skip
        aux = self.training and self.aux_logits
        side = self.AuxLogits(x) if aux else None
        x = _chain(x, self.Mixed_7a, self.Mixed_7b, self.Mixed_7c, self.avgpool, self.dropout)
        x = self.fc(lamina.flatten(x, 1))
        return InceptionOutputs(x, side) if aux else x


@builder
def inception_v3(*, weights=None, progress: bool = True, **kwargs) -> Inception3:
    """Inception v3, 27,161,264 parameters, 23,834,568 with ``aux_logits=False``; arguments as
    `Inception3`."""
    return Inception3(**kwargs)
