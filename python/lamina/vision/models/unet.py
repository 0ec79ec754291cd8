"""U-Net: O. Ronneberger, P. Fischer, T. Brox, "U-Net: Convolutional Networks for Biomedical Image
Segmentation", MICCAI 2015, with padded convolutions and batch norm. torchvision has no such model.
"""

from __future__ import annotations

import lamina
from lamina import nn

from ._registry import builder

__all__ = ["UNet", "unet"]


class DoubleConv(nn.Module):
    """Two 3x3 convolutions with batch norm and ReLU: (N, cin, H, W) to (N, cout, H, W)."""

    def __init__(self, cin: int, cout: int, middle: int | None = None):
        super().__init__()
        middle = middle or cout
        self.double_conv = nn.Sequential(
            nn.Conv2d(cin, middle, 3, padding=1, bias=False), nn.BatchNorm2d(middle),
            nn.ReLU(inplace=True),
            nn.Conv2d(middle, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout),
            nn.ReLU(inplace=True),
        )  # fmt: skip

    def forward(self, x):
        """The block's output."""
        return self.double_conv(x)


class Down(nn.Module):
    """2x2 max pooling, then `DoubleConv`."""

    def __init__(self, cin: int, cout: int):
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(cin, cout))

    def forward(self, x):
        """(N, cout, H // 2, W // 2)."""
        return self.maxpool_conv(x)


class Up(nn.Module):
    """Twice the size, by a transposed 2x2 convolution or bilinear interpolation; beside it, along
    the channels, the features of the way down; then `DoubleConv`."""

    def __init__(self, cin: int, cout: int, bilinear: bool):
        super().__init__()
        self.up: nn.Module
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.conv = DoubleConv(cin, cout, cin // 2)
        else:
            self.up = nn.ConvTranspose2d(cin, cin // 2, 2, stride=2)
            self.conv = DoubleConv(cin, cout)

    def forward(self, x, skip):
        """(N, cout, H, W) of x (N, c, about H / 2, about W / 2) and skip (N, c', H, W)."""
        x = self.up(x)
        high, wide = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]
        if high or wide:
            x = nn.functional.pad(x, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
        return self.conv(lamina.cat([skip, x], dim=1))


class OutConv(nn.Module):
    """A 1x1 convolution to the classes."""

    def __init__(self, cin: int, cout: int):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 1)

    def forward(self, x):
        """(N, cout, H, W)."""
        return self.conv(x)


class UNet(nn.Module):
    """Four levels down and four up, with the features of the way down beside those of the way up.
    Images (N, n_channels, H, W), at least 16 x 16, to a score for each pixel and class,
    (N, n_classes, H, W).

    Args:
        bilinear: interpolate on the way up, with half the channels at the bottom; False: transposed
            convolutions, as in the paper.
        width: channels of the first level, doubled at every level.

    Keys: inc, down1 to down4, up1 to up4, outc, with double_conv.0, 1, 3, 4 inside.
    """

    def __init__(self, n_channels: int = 3, n_classes: int = 1, bilinear: bool = False,
                 width: int = 64):  # fmt: skip
        super().__init__()
        self.n_channels, self.n_classes, self.bilinear = n_channels, n_classes, bilinear
        less = 2 if bilinear else 1
        a, b, c, d, e = (width * 2**i for i in range(5))
        self.inc = DoubleConv(n_channels, a)
        self.down1 = Down(a, b)
        self.down2 = Down(b, c)
        self.down3 = Down(c, d)
        self.down4 = Down(d, e // less)
        self.up1 = Up(e, d // less, bilinear)
        self.up2 = Up(d, c // less, bilinear)
        self.up3 = Up(c, b // less, bilinear)
        self.up4 = Up(b, a, bilinear)
        self.outc = OutConv(a, n_classes)

    def forward(self, x):
        """The scores."""
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        x4 = self.down3(x3)
        x = self.up1(self.down4(x4), x4)
        return self.outc(self.up4(self.up3(self.up2(x, x3), x2), x1))


@builder
def unet(*, weights=None, progress: bool = True, **kwargs) -> UNet:
    """U-Net for images of 3 channels and one class, 31,037,633 parameters; arguments as `UNet`."""
    return UNet(**kwargs)
