"""ShuffleNet v2: N. Ma, X. Zhang, H. Zheng, J. Sun, "ShuffleNet V2: Practical Guidelines for
Efficient CNN Architecture Design", ECCV 2018."""

from __future__ import annotations

import lamina
from lamina import nn

from ._registry import builder

__all__ = [
    "ShuffleNetV2", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
]  # fmt: skip


def _pointwise(channels: int, out: int) -> list:
    return [
        nn.Conv2d(channels, out, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True),
    ]  # fmt: skip


def _depthwise(channels: int, stride: int) -> list:
    return [
        nn.Conv2d(channels, channels, 3, stride, 1, bias=False, groups=channels),
        nn.BatchNorm2d(channels),
    ]


class InvertedResidual(nn.Module):
    """Half the channels as they are (at stride 2: through a branch of their own), half through 1x1,
    depthwise 3x3 and 1x1 convolutions; then the channels of both halves alternate."""

    def __init__(self, inp: int, oup: int, stride: int):
        super().__init__()
        if not 1 <= stride <= 3:
            raise ValueError(f"InvertedResidual: stride must be 1, 2 or 3, got {stride}")
        half = oup // 2
        if stride == 1 and inp != 2 * half:
            raise ValueError(
                f"InvertedResidual: stride 1 needs as many inputs as outputs, got {inp} and {oup}"
            )
        self.stride = stride
        self.branch1 = nn.Sequential()
        if stride > 1:
            self.branch1 = nn.Sequential(*_depthwise(inp, stride), *_pointwise(inp, half))
        self.branch2 = nn.Sequential(
            *_pointwise(inp if stride > 1 else half, half), *_depthwise(half, stride),
            *_pointwise(half, half),
        )  # fmt: skip

    def forward(self, x):
        """(N, oup, H / stride, W / stride)."""
        if self.stride == 1:
            kept, changed = x.chunk(2, dim=1)
            out = lamina.cat((kept, self.branch2(changed)), dim=1)
        else:
            out = lamina.cat((self.branch1(x), self.branch2(x)), dim=1)
        return nn.functional.channel_shuffle(out, 2)


class ShuffleNetV2(nn.Module):
    """A 3x3 convolution and pooling, three stages of `inverted_residual`, a 1x1 convolution, the
    mean, a linear layer. Images (N, 3, H, W) to scores (N, num_classes).

    Args:
        stages_repeats: blocks of the three stages.
        stages_out_channels: channels of the first convolution, the stages, and the last one.

    Raises ValueError unless there are three repeats and five channel counts.
    """

    def __init__(self, stages_repeats, stages_out_channels, num_classes: int = 1000,
                 inverted_residual=InvertedResidual):  # fmt: skip
        super().__init__()
        if len(stages_repeats) != 3 or len(stages_out_channels) != 5:
            raise ValueError(
                "ShuffleNetV2: expected 3 stages_repeats and 5 stages_out_channels, got "
                f"{len(stages_repeats)} and {len(stages_out_channels)}"
            )
        channels, *widths, last = stages_out_channels
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, channels, 3, 2, 1, bias=False), nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )  # fmt: skip
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        for stage, repeats, out in zip((2, 3, 4), stages_repeats, widths):
            blocks = [inverted_residual(channels, out, 2)]
            blocks += [inverted_residual(out, out, 1) for _ in range(repeats - 1)]
            setattr(self, f"stage{stage}", nn.Sequential(*blocks))
            channels = out
        self.conv5 = nn.Sequential(*_pointwise(channels, last))
        self.fc = nn.Linear(last, num_classes)

    def forward(self, x):
        """The scores."""
        x = self.maxpool(self.conv1(x))
        x = self.conv5(self.stage4(self.stage3(self.stage2(x))))
        return self.fc(x.mean([2, 3]))


@builder
def shufflenet_v2_x0_5(*, weights=None, progress: bool = True, **kwargs) -> ShuffleNetV2:
    """ShuffleNet v2 0.5x, 1,366,792 parameters; arguments as `ShuffleNetV2`."""
    return ShuffleNetV2([4, 8, 4], [24, 48, 96, 192, 1024], **kwargs)


@builder
def shufflenet_v2_x1_0(*, weights=None, progress: bool = True, **kwargs) -> ShuffleNetV2:
    """ShuffleNet v2 1x, 2,278,604 parameters."""
    return ShuffleNetV2([4, 8, 4], [24, 116, 232, 464, 1024], **kwargs)


@builder
def shufflenet_v2_x1_5(*, weights=None, progress: bool = True, **kwargs) -> ShuffleNetV2:
    """ShuffleNet v2 1.5x, 3,503,624 parameters."""
    return ShuffleNetV2([4, 8, 4], [24, 176, 352, 704, 1024], **kwargs)


@builder
def shufflenet_v2_x2_0(*, weights=None, progress: bool = True, **kwargs) -> ShuffleNetV2:
    """ShuffleNet v2 2x, 7,393,996 parameters."""
    return ShuffleNetV2([4, 8, 4], [24, 244, 488, 976, 2048], **kwargs)
