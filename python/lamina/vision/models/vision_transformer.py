"""Vision Transformer: A. Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image
Recognition at Scale", ICLR 2021; the convolutional stem: T. Xiao et al., "Early Convolutions Help
Transformers See Better", NeurIPS 2021."""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import partial
from typing import Any, NamedTuple

import lamina
from lamina import nn

from ..ops import Conv2dNormActivation
from ._registry import builder

__all__ = ["VisionTransformer", "vit_b_16", "vit_b_32", "vit_h_14", "vit_l_16", "vit_l_32"]


class ConvStemConfig(NamedTuple):
    """One convolution of a stem in place of the patches."""

    out_channels: int
    kernel_size: int
    stride: int
    norm_layer: Any = nn.BatchNorm2d
    activation_layer: Any = nn.ReLU


class MLPBlock(nn.Sequential):
    """Linear, GELU, dropout, linear, dropout: entries 0 to 4."""

    def __init__(self, in_dim: int, mlp_dim: int, dropout: float):
        super().__init__(
            nn.Linear(in_dim, mlp_dim), nn.GELU(), nn.Dropout(dropout),
            nn.Linear(mlp_dim, in_dim), nn.Dropout(dropout),
        )  # fmt: skip
        for m in (self[0], self[3]):
            nn.init.xavier_uniform_(m.weight)
            nn.init.normal_(m.bias, std=1e-6)


class EncoderBlock(nn.Module):
    """y = x + dropout(attention(ln_1(x))), z = y + mlp(ln_2(y)): (N, S, hidden_dim) to the same."""

    def __init__(self, num_heads, hidden_dim, mlp_dim, dropout, attention_dropout,
                 norm_layer=partial(nn.LayerNorm, eps=1e-6)):  # fmt: skip
        super().__init__()
        self.num_heads = num_heads
        self.ln_1 = norm_layer(hidden_dim)
        self.self_attention = nn.MultiheadAttention(
            hidden_dim, num_heads, dropout=attention_dropout, batch_first=True
        )
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = norm_layer(hidden_dim)
        self.mlp = MLPBlock(hidden_dim, mlp_dim, dropout)

    def forward(self, input):
        """The block's output. Raises ValueError unless the input has three dimensions."""
        if input.dim() != 3:
            raise ValueError(
                f"EncoderBlock: expected (batch, sequence, hidden), got shape {tuple(input.shape)}"
            )
        x = self.ln_1(input)
        x = input + self.dropout(self.self_attention(x, x, x, need_weights=False)[0])
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    """Learned positions added, dropout, `num_layers` blocks, a norm: (N, S, hidden_dim) to the
    same, S = seq_length."""

    def __init__(self, seq_length, num_layers, num_heads, hidden_dim, mlp_dim, dropout,
                 attention_dropout, norm_layer=partial(nn.LayerNorm, eps=1e-6)):  # fmt: skip
        super().__init__()
        self.pos_embedding = nn.Parameter(lamina.empty(1, seq_length, hidden_dim))
        nn.init.normal_(self.pos_embedding, std=0.02)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential(
            OrderedDict(
                (
                    f"encoder_layer_{i}",
                    EncoderBlock(
                        num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer
                    ),
                )
                for i in range(num_layers)
            )
        )
        self.ln = norm_layer(hidden_dim)

    def forward(self, input):
        """The encoded sequence."""
        return self.ln(self.layers(self.dropout(input + self.pos_embedding)))


class VisionTransformer(nn.Module):
    """Patches as a sequence behind a class token, a Transformer encoder, a linear layer on the
    token. Images (N, 3, image_size, image_size) to scores (N, num_classes).

    Args:
        image_size, patch_size: in pixels; the sequence has (image_size / patch_size)^2 + 1 entries.
        num_layers, num_heads, hidden_dim, mlp_dim: of the encoder.
        dropout, attention_dropout: after the layers, and of the attention's weights.
        representation_size: units of a tanh layer before the last; None: no such layer.
        norm_layer: makes a normalisation from a width.
        conv_stem_configs: a list of `ConvStemConfig`: convolutions in place of the patches.

    Raises ValueError when the patches do not tile the image, or for images of another size.
    """

    def __init__(self, image_size: int, patch_size: int, num_layers: int, num_heads: int,
                 hidden_dim: int, mlp_dim: int, dropout: float = 0.0,
                 attention_dropout: float = 0.0, num_classes: int = 1000, representation_size=None,
                 norm_layer=partial(nn.LayerNorm, eps=1e-6), conv_stem_configs=None):  # fmt: skip
        super().__init__()
        if image_size % patch_size:
            raise ValueError(
                f"VisionTransformer: patches of {patch_size} pixels do not tile images of "
                f"{image_size}"
            )
        self.image_size, self.patch_size, self.hidden_dim = image_size, patch_size, hidden_dim
        self.mlp_dim, self.attention_dropout, self.dropout = mlp_dim, attention_dropout, dropout
        self.num_classes, self.representation_size = num_classes, representation_size
        self.norm_layer = norm_layer
        self.conv_proj: nn.Module
        if conv_stem_configs is not None:
            stem, channels = nn.Sequential(), 3
            for i, row in enumerate(conv_stem_configs):
                unit = Conv2dNormActivation(
                    channels, row.out_channels, row.kernel_size, row.stride,
                    norm_layer=row.norm_layer, activation_layer=row.activation_layer,
                )  # fmt: skip
                stem.add_module(f"conv_bn_relu_{i}", unit)
                channels = row.out_channels
            stem.add_module("conv_last", nn.Conv2d(channels, hidden_dim, 1))
            self.conv_proj = stem
        else:
            self.conv_proj = nn.Conv2d(3, hidden_dim, patch_size, stride=patch_size)
        self.class_token = nn.Parameter(lamina.zeros(1, 1, hidden_dim))
        self.seq_length = (image_size // patch_size) ** 2 + 1
        self.encoder = Encoder(self.seq_length, num_layers, num_heads, hidden_dim, mlp_dim, dropout,
                               attention_dropout, norm_layer)  # fmt: skip
        heads: OrderedDict = OrderedDict()
        if representation_size is not None:
            heads["pre_logits"] = nn.Linear(hidden_dim, representation_size)
            heads["act"] = nn.Tanh()
        heads["head"] = nn.Linear(representation_size or hidden_dim, num_classes)
        self.heads = nn.Sequential(heads)
        self._draw()

    def _draw(self) -> None:
        last = self.conv_proj
        if isinstance(last, nn.Conv2d):
            fan_in = last.in_channels * last.kernel_size[0] * last.kernel_size[1]
            nn.init.trunc_normal_(last.weight, std=math.sqrt(1 / fan_in))
        else:
            last = last.conv_last
            nn.init.normal_(last.weight, mean=0.0, std=math.sqrt(2.0 / last.out_channels))
        nn.init.zeros_(last.bias)
        if hasattr(self.heads, "pre_logits"):
            layer = self.heads.pre_logits
            nn.init.trunc_normal_(layer.weight, std=math.sqrt(1 / layer.in_features))
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.heads.head.weight)
        nn.init.zeros_(self.heads.head.bias)

    def forward(self, x):
        """The scores."""
        n, _, h, w = x.shape
        if (h, w) != (self.image_size, self.image_size):
            raise ValueError(
                f"VisionTransformer: made for images of {self.image_size} x {self.image_size}, got "
                f"{h} x {w}"
            )
        x = self.conv_proj(x).flatten(2).transpose(1, 2)
        x = lamina.cat([self.class_token.expand(n, -1, -1), x], dim=1)
        return self.heads(self.encoder(x)[:, 0])


def _vit(patch: int, layers: int, heads: int, hidden: int, **kwargs) -> VisionTransformer:
    given = {"image_size": 224, **kwargs}
    return VisionTransformer(
        patch_size=patch, num_layers=layers, num_heads=heads, hidden_dim=hidden,
        mlp_dim=4 * hidden, **given,
    )  # fmt: skip


@builder
def vit_b_16(*, weights=None, progress: bool = True, **kwargs) -> VisionTransformer:
    """ViT-B/16, 86,567,656 parameters; image_size=224 and the other arguments as
    `VisionTransformer`."""
    return _vit(16, 12, 12, 768, **kwargs)


@builder
def vit_b_32(*, weights=None, progress: bool = True, **kwargs) -> VisionTransformer:
    """ViT-B/32, 88,224,232 parameters."""
    return _vit(32, 12, 12, 768, **kwargs)


@builder
def vit_l_16(*, weights=None, progress: bool = True, **kwargs) -> VisionTransformer:
    """ViT-L/16, 304,326,632 parameters."""
    return _vit(16, 24, 16, 1024, **kwargs)


@builder
def vit_l_32(*, weights=None, progress: bool = True, **kwargs) -> VisionTransformer:
    """ViT-L/32, 306,535,400 parameters."""
    return _vit(32, 24, 16, 1024, **kwargs)


@builder
def vit_h_14(*, weights=None, progress: bool = True, **kwargs) -> VisionTransformer:
    """ViT-H/14, 632,045,800 parameters."""
    return _vit(14, 32, 16, 1280, **kwargs)
