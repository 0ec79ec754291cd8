"""AlexNet in its one-tower form: A. Krizhevsky, "One weird trick for parallelizing convolutional
neural networks", 2014 (the network of Krizhevsky, Sutskever and Hinton, NIPS 2012, without local
response normalisation)."""

from __future__ import annotations

import lamina
from lamina import nn

from ._registry import builder

__all__ = ["AlexNet", "alexnet"]


class AlexNet(nn.Module):
    """Five convolutions with three poolings, the mean on a 6 x 6 grid, three linear layers.

    Images (N, 3, H, W), at least 63 x 63 (made for 224 x 224), to scores (N, num_classes).

    Args:
        dropout: probability before the first two linear layers.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        )  # fmt: skip
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(256 * 6 * 6, 4096), nn.ReLU(inplace=True),
            nn.Dropout(dropout), nn.Linear(4096, 4096), nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )  # fmt: skip

    def forward(self, x):
        """The scores."""
        return self.classifier(lamina.flatten(self.avgpool(self.features(x)), 1))


@builder
def alexnet(*, weights=None, progress: bool = True, **kwargs) -> AlexNet:
    """AlexNet, 61,100,840 parameters; arguments as `AlexNet`."""
    return AlexNet(**kwargs)
