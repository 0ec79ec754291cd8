"""Blocks of networks for images, with torchvision's names."""

from __future__ import annotations

import lamina
from lamina import nn

__all__ = ["Conv2dNormActivation", "SqueezeExcitation", "StochasticDepth", "stochastic_depth"]


class Conv2dNormActivation(nn.Sequential):
    """A convolution, a normalisation and an activation: entries 0, 1 and 2 of the sequence.

    (N, in_channels, H, W) to (N, out_channels, H', W').

    Args:
        padding: None: (kernel_size - 1) / 2 * dilation, which keeps the size at stride 1.
        norm_layer, activation_layer: made with a channel count and nothing; None leaves them out.
        inplace: passed to the activation; None: not passed.
        bias: of the convolution; None: only without a normalisation.
    """

    def __init__(self, in_channels, out_channels, kernel_size=3, stride=1, padding=None, groups=1,
                 norm_layer=nn.BatchNorm2d, activation_layer=nn.ReLU, dilation=1, inplace=True,
                 bias=None):  # fmt: skip
        if padding is None:
            if isinstance(kernel_size, int) and isinstance(dilation, int):
                padding = (kernel_size - 1) // 2 * dilation
            else:
                kernel = (kernel_size,) * 2 if isinstance(kernel_size, int) else kernel_size
                steps = (dilation,) * 2 if isinstance(dilation, int) else dilation
                padding = tuple((k - 1) // 2 * d for k, d in zip(kernel, steps))
        layers: list = [
            nn.Conv2d(
                in_channels, out_channels, kernel_size, stride, padding, dilation, groups,
                norm_layer is None if bias is None else bias,
            )
        ]  # fmt: skip
        if norm_layer is not None:
            layers.append(norm_layer(out_channels))
        if activation_layer is not None:
            layers.append(activation_layer(**({} if inplace is None else {"inplace": inplace})))
        super().__init__(*layers)
        self.out_channels = out_channels


class SqueezeExcitation(nn.Module):
    """y = x * s(fc2(a(fc1(mean of x over H and W)))), a factor for each channel (J. Hu et al.,
    "Squeeze-and-Excitation Networks", CVPR 2018).

    Args:
        input_channels: C of the images (N, C, H, W).
        squeeze_channels: width between the two 1x1 convolutions fc1 and fc2.
        activation, scale_activation: classes of the layers a and s.
    """

    def __init__(self, input_channels, squeeze_channels, activation=nn.ReLU,
                 scale_activation=nn.Sigmoid):  # fmt: skip
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, input_channels, 1)
        self.activation = activation()
        self.scale_activation = scale_activation()

    def forward(self, input):
        """The scaled images, of the same shape."""
        scale = self.fc2(self.activation(self.fc1(self.avgpool(input))))
        return self.scale_activation(scale) * input


def stochastic_depth(input, p: float, mode: str, training: bool = True):
    """`input` times a Bernoulli(1 - p) draw, divided by 1 - p; unchanged when not training
    (Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016).

    Args:
        mode: "batch": one draw for all; "row": one for each image (dimension 0).

    Raises ValueError for p outside [0, 1] or another mode.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"stochastic_depth: p must be in [0, 1], got {p}")
    if mode not in ("batch", "row"):
        raise ValueError(f"stochastic_depth: mode must be 'batch' or 'row', got {mode!r}")
    if not training or p == 0:
        return input
    count = input.shape[0] if mode == "row" else 1
    kept = lamina.empty((count,) + (1,) * (input.ndim - 1), dtype=input.dtype).bernoulli_(1 - p)
    return input * (kept / (1 - p) if p < 1 else kept)


class StochasticDepth(nn.Module):
    """`stochastic_depth` as a layer: drops whole residual branches while training."""

    def __init__(self, p: float, mode: str):
        super().__init__()
        self.p, self.mode = p, mode

    def forward(self, input):
        """The kept and scaled, or dropped, input."""
        return stochastic_depth(input, self.p, self.mode, self.training)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p}, mode={self.mode})"
