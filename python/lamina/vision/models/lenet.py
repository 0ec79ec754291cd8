"""LeNet-5: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document
Recognition", Proceedings of the IEEE 86, 1998."""

from __future__ import annotations

import lamina
from lamina import nn

from ._registry import builder

__all__ = ["LeNet5", "lenet5"]


class LeNet5(nn.Module):
    """5x5 convolutions of 6 and 16 channels, each with 2x2 pooling, then 120, 84 and num_classes
    units. Images (N, in_channels, H, W) to scores (N, num_classes).

    The second convolution sees all six channels (the paper connects only some), and the last layer
    is linear (the paper: radial basis functions).

    Args:
        image_size: H = W, or (H, W), at least 12 with padding 2.
        padding: of the first convolution; 2 makes 28 x 28 digits the paper's 32 x 32.
        activation, pool: classes of layers; the paper's are nn.Tanh and nn.AvgPool2d.

    Keys: features.0, features.3 the convolutions, classifier.0, 2, 4 the linear layers. Raises
    ValueError for images that are too small.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1, image_size=28, padding: int = 2,
                 activation=nn.ReLU, pool=nn.MaxPool2d):  # fmt: skip
        super().__init__()
        sizes = (image_size,) * 2 if isinstance(image_size, int) else tuple(image_size)
        h, w = (((n + 2 * padding - 4) // 2 - 4) // 2 for n in sizes)
        if min(h, w) < 1:
            raise ValueError(
                f"LeNet5: needs images of at least {16 - 2 * padding} x {16 - 2 * padding}, got "
                f"{sizes[0]} x {sizes[1]}"
            )
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, 5, padding=padding), activation(), pool(2),
            nn.Conv2d(6, 16, 5), activation(), pool(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Linear(16 * h * w, 120), activation(), nn.Linear(120, 84), activation(),
            nn.Linear(84, num_classes),
        )  # fmt: skip

    def forward(self, x):
        """The scores."""
        return self.classifier(lamina.flatten(self.features(x), 1))


@builder
def lenet5(*, weights=None, progress: bool = True, **kwargs) -> LeNet5:
    """LeNet-5 for 28 x 28 digits, 61,706 parameters; arguments as `LeNet5`."""
    return LeNet5(**kwargs)
