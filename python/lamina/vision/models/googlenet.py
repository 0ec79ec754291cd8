"""GoogLeNet: C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, with batch norm.

As in torchvision the "5x5" branch has 3x3 convolutions: the trained weights in use need it so.
"""

from __future__ import annotations

from collections import namedtuple

import lamina
from lamina import nn
from lamina.nn import functional as F

from ._registry import builder

__all__ = ["GoogLeNet", "GoogLeNetOutputs", "googlenet"]

GoogLeNetOutputs = namedtuple("GoogLeNetOutputs", ["logits", "aux_logits2", "aux_logits1"])


class BasicConv2d(nn.Module):
    """relu(bn(conv(x))), the convolution without bias."""

    def __init__(self, in_channels, out_channels, **kwargs):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **kwargs)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x):
        """The block's output."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Inception(nn.Module):
    """Four branches side by side: 1x1; 1x1 and 3x3; 1x1 and 3x3; 3x3 max pooling and 1x1.

    (N, in_channels, H, W) to (N, ch1x1 + ch3x3 + ch5x5 + pool_proj, H, W).
    """

    def __init__(self, in_channels, ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj,
                 conv_block=None):  # fmt: skip
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch1 = conv(in_channels, ch1x1, kernel_size=1)
        self.branch2 = nn.Sequential(
            conv(in_channels, ch3x3red, kernel_size=1),
            conv(ch3x3red, ch3x3, kernel_size=3, padding=1),
        )
        self.branch3 = nn.Sequential(
            conv(in_channels, ch5x5red, kernel_size=1),
            conv(ch5x5red, ch5x5, kernel_size=3, padding=1),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True),
            conv(in_channels, pool_proj, kernel_size=1),
        )

    def forward(self, x):
        """The four outputs along the channels."""
        branches = (self.branch1, self.branch2, self.branch3, self.branch4)
        return lamina.cat([branch(x) for branch in branches], 1)


class InceptionAux(nn.Module):
    """Scores from inside the network: the mean on a 4 x 4 grid, 128 channels, 1024 units."""

    def __init__(self, in_channels, num_classes, conv_block=None, dropout=0.7):
        super().__init__()
        self.conv = (conv_block or BasicConv2d)(in_channels, 128, kernel_size=1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(p=dropout)

    def forward(self, x):
        """(N, num_classes)."""
        x = lamina.flatten(self.conv(F.adaptive_avg_pool2d(x, (4, 4))), 1)
        return self.fc2(self.dropout(F.relu(self.fc1(x), inplace=True)))


def imagenet_to_halves(x):
    """Images normalised with ImageNet's mean and std, as if with 0.5 and 0.5 instead."""
    means, stds = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    planes = [
        x[:, c : c + 1] * (stds[c] / 0.5) + (means[c] - 0.5) / 0.5 for c in range(3)
    ]  # fmt: skip
    return lamina.cat(planes, 1)


# The widths of the nine modules, as the arguments of `Inception`.
_MODULES = {
    "3a": (192, 64, 96, 128, 16, 32, 32), "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64), "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64), "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128), "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}  # fmt: skip


class GoogLeNet(nn.Module):
    """Nine inception modules. Images (N, 3, H, W), at least 15 x 15 (made for 224 x 224), to scores
    (N, num_classes); while training with `aux_logits` to `GoogLeNetOutputs`: the scores and those
    of the two auxiliary classifiers, from the deeper one on.

    Args:
        aux_logits: have auxiliary classifiers.
        transform_input: images are normalised with ImageNet's mean and std, but the weights expect
            0.5 and 0.5.
        init_weights: draw normally with std 0.01; False: as the layers do.
        blocks: classes for `BasicConv2d`, `Inception` and `InceptionAux`.
        dropout, dropout_aux: before the last layer of the network and of the auxiliary classifiers.
    """

    def __init__(self, num_classes=1000, aux_logits=True, transform_input=False, init_weights=None,
                 blocks=None, dropout=0.2, dropout_aux=0.7):  # fmt: skip
        super().__init__()
        conv, inception, aux = blocks or (BasicConv2d, Inception, InceptionAux)
        self.aux_logits, self.transform_input = aux_logits, transform_input
        self.conv1 = conv(3, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = conv(64, 64, kernel_size=1)
        self.conv3 = conv(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        for name, widths in _MODULES.items():
            setattr(self, f"inception{name}", inception(*widths))
            if name == "3b":
                self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
            if name == "4e":
                self.maxpool4 = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        self.aux1 = aux(512, num_classes, dropout=dropout_aux) if aux_logits else None
        self.aux2 = aux(528, num_classes, dropout=dropout_aux) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(1024, num_classes)
        if init_weights is not False:
            for m in self.modules():
                if isinstance(m, (nn.Conv2d, nn.Linear)):
                    nn.init.trunc_normal_(m.weight, mean=0.0, std=0.01, a=-2, b=2)

    def forward(self, x):
        """The scores, or `GoogLeNetOutputs`."""
        if self.transform_input:
            x = imagenet_to_halves(x)
        x = self.maxpool2(self.conv3(self.conv2(self.maxpool1(self.conv1(x)))))
        x = self.inception4a(self.maxpool3(self.inception3b(self.inception3a(x))))
        aux = self.training and self.aux_logits
        scores1 = self.aux1(x) if aux else None
        x = self.inception4d(self.inception4c(self.inception4b(x)))
        scores2 = self.aux2(x) if aux else None
        x = self.inception5b(self.inception5a(self.maxpool4(self.inception4e(x))))
        x = self.fc(self.dropout(lamina.flatten(self.avgpool(x), 1)))
        return GoogLeNetOutputs(x, scores2, scores1) if aux else x


@builder
def googlenet(*, weights=None, progress: bool = True, **kwargs) -> GoogLeNet:
    """GoogLeNet, 13,004,888 parameters, 6,624,904 with ``aux_logits=False``; arguments as
    `GoogLeNet`."""
    return GoogLeNet(**kwargs)
