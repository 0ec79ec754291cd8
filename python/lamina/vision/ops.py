"""Blocks of networks for images, boxes and their losses, with torchvision's names."""

from __future__ import annotations

import lamina
from lamina import nn
from lamina.nn import StochasticDepth
from lamina.nn.functional import sigmoid_focal_loss, stochastic_depth

__all__ = [
    "Conv2dNormActivation", "SqueezeExcitation", "StochasticDepth", "box_area", "box_iou",
    "generalized_box_iou_loss", "sigmoid_focal_loss", "stochastic_depth",
]  # fmt: skip


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


def _boxes(name: str, boxes) -> None:
    if boxes.dim() != 2 or boxes.shape[1] != 4:
        raise lamina.ShapeError(
            f"{name}: expected boxes (N, 4) of x1, y1, x2, y2, got shape {tuple(boxes.shape)}"
        )


def box_area(boxes):
    """(x2 - x1) (y2 - y1) of boxes (N, 4): (N)."""
    _boxes("box_area", boxes)
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _overlaps(a, b):
    """Areas of the intersections of boxes (..., 4), broadcast."""
    width = lamina.minimum(a[..., 2], b[..., 2]) - lamina.maximum(a[..., 0], b[..., 0])
    height = lamina.minimum(a[..., 3], b[..., 3]) - lamina.maximum(a[..., 1], b[..., 1])
    return width.clamp(min=0) * height.clamp(min=0)


def box_iou(boxes1, boxes2):
    """Intersection over union of every pair of boxes (N, 4) and (M, 4), as x1, y1, x2, y2:
    (N, M) (Jaccard, 1901)."""
    _boxes("box_iou", boxes1)
    _boxes("box_iou", boxes2)
    both = _overlaps(boxes1.unsqueeze(1), boxes2.unsqueeze(0))
    return both / (box_area(boxes1).unsqueeze(1) + box_area(boxes2) - both)


def generalized_box_iou_loss(boxes1, boxes2, reduction: str = "none", eps: float = 1e-7):
    """1 - IoU + (area of the smallest box around both - union) / that area, of boxes pair by pair,
    (N, 4) and (N, 4) to (N) (Rezatofighi et al., CVPR 2019). reduction: "none", "mean" or "sum".
    """
    _boxes("generalized_box_iou_loss", boxes1)
    _boxes("generalized_box_iou_loss", boxes2)
    both = _overlaps(boxes1, boxes2)
    union = box_area(boxes1) + box_area(boxes2) - both
    low = lamina.minimum(boxes1[:, :2], boxes2[:, :2])
    size = lamina.maximum(boxes1[:, 2:], boxes2[:, 2:]) - low
    around = size[:, 0] * size[:, 1]
    loss = 1 - both / (union + eps) + (around - union) / (around + eps)
    if reduction == "none":
        return loss
    if reduction not in ("mean", "sum"):
        raise ValueError(
            "generalized_box_iou_loss: reduction must be 'none', 'mean' or 'sum', got "
            f"{reduction!r}"
        )
    if reduction == "sum":
        return loss.sum()
    return loss.mean() if loss.numel() else 0.0 * loss.sum()
