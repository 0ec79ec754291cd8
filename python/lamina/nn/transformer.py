"""The Transformer: layers and stacks (Vaswani et al., "Attention is all you need", 2017)."""

from __future__ import annotations

import copy
import math

from .. import _core
from .._core import Tensor
from ..ops.creation import full, full_like
from . import functional as F
from . import init
from .attention import MultiheadAttention
from .container import ModuleList
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .normalization import LayerNorm

__all__ = ["Transformer", "TransformerEncoder", "TransformerDecoder", "TransformerEncoderLayer",
           "TransformerDecoderLayer"]  # fmt: skip


def _square_mask(sz: int, device=None, dtype=None) -> Tensor:
    dtype = _core.default_dtype() if dtype is None else dtype
    return _core.triu(full((sz, sz), -math.inf, dtype=dtype, device=device), 1)


def _is_causal(mask: Tensor | None, hint: bool | None) -> bool:
    """`hint` when given, else whether the mask is the square causal one (bool or floating)."""
    if hint is not None or mask is None:
        return bool(hint)
    if mask.dim() != 2 or mask.shape[0] != mask.shape[1]:
        return False
    if mask.dtype is _core.bool:
        causal = _core.triu(full_like(mask, True), 1)
    else:
        causal = _square_mask(mask.shape[0], mask.device, mask.dtype)
    return bool((mask == causal).all())


def _activation(activation):
    """The function for a name; functions stay."""
    if not isinstance(activation, str):
        return activation
    if activation not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {activation}")
    return F.relu if activation == "relu" else F.gelu


class _Layer(Module):
    """What encoder and decoder layers share: `norms` pairs of LayerNorm and Dropout."""

    def __init__(self, d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps,
                 batch_first, norm_first, bias, device, dtype, norms):  # fmt: skip
        super().__init__()
        kind = {"device": device, "dtype": dtype}
        heads = {"dropout": dropout, "batch_first": batch_first, "bias": bias, **kind}
        self.self_attn = MultiheadAttention(d_model, nhead, **heads)
        if norms == 3:
            self.multihead_attn = MultiheadAttention(d_model, nhead, **heads)
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **kind)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **kind)
        self.norm_first = norm_first
        for i in range(1, norms + 1):
            self.add_module(f"norm{i}", LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **kind))
        for i in range(1, norms + 1):
            self.add_module(f"dropout{i}", Dropout(dropout))
        self.activation = _activation(activation)

    def _self_attention(self, x, mask, padding, causal):
        y, _ = self.self_attn(x, x, x, attn_mask=mask, key_padding_mask=padding,
                              need_weights=False, is_causal=causal)  # fmt: skip
        return self.dropout1(y)

    def _feed_forward(self, x, dropout):
        return dropout(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class TransformerEncoderLayer(_Layer):
    """x1 = norm1(x + attention(x)), y = norm2(x1 + W_2 act(W_1 x1 + b_1) + b_2).

    Args:
        d_model: features. nhead: heads. dim_feedforward: of the hidden layer. dropout: of softmax
            weights, the hidden layer and both summands. activation: "relu", "gelu" or a function.
        layer_norm_eps. batch_first: (N, S, d), else (S, N, d). norm_first: x1 = x + attention(
            norm1(x)), y = x1 + feed-forward(norm2(x1)) instead. bias: of linear and norm layers.
    Children: self_attn, linear1, dropout, linear2, norm1, norm2, dropout1, dropout2.
    Raises RuntimeError for another activation's name.
    """

    def __init__(self, d_model, nhead, dim_feedforward=2048, dropout=0.1, activation=F.relu,
                 layer_norm_eps=1e-5, batch_first=False, norm_first=False, bias=True, device=None,
                 dtype=None):  # fmt: skip
        super().__init__(d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps,
                         batch_first, norm_first, bias, device, dtype, norms=2)  # fmt: skip

    def forward(self, src: Tensor, src_mask=None, src_key_padding_mask=None,
                is_causal=False) -> Tensor:  # fmt: skip
        """src (S, N, d), (N, S, d) with batch_first, or (S, d) -> the same shape. src_mask (S, S)
        or (N H, S, S), src_key_padding_mask (N, S): bool, True is left out, or added floats.
        is_causal: src_mask is the causal mask."""
        x = src
        attention = (src_mask, src_key_padding_mask, is_causal)
        if self.norm_first:
            x = x + self._self_attention(self.norm1(x), *attention)
            return x + self._feed_forward(self.norm2(x), self.dropout2)
        x = self.norm1(x + self._self_attention(x, *attention))
        return self.norm2(x + self._feed_forward(x, self.dropout2))


class TransformerDecoderLayer(_Layer):
    """x1 = norm1(x + self-attention(x)), x2 = norm2(x1 + attention(x1, memory)),
    y = norm3(x2 + W_3 act(W_2 x2 + b_2) + b_3).

    Arguments as for `TransformerEncoderLayer`. Children: self_attn, multihead_attn, linear1,
    dropout, linear2, norm1, norm2, norm3, dropout1, dropout2, dropout3.
    """

    def __init__(self, d_model, nhead, dim_feedforward=2048, dropout=0.1, activation=F.relu,
                 layer_norm_eps=1e-5, batch_first=False, norm_first=False, bias=True, device=None,
                 dtype=None):  # fmt: skip
        super().__init__(d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps,
                         batch_first, norm_first, bias, device, dtype, norms=3)  # fmt: skip

    def _cross_attention(self, x, memory, mask, padding, causal):
        y, _ = self.multihead_attn(x, memory, memory, attn_mask=mask, key_padding_mask=padding,
                                   need_weights=False, is_causal=causal)  # fmt: skip
        return self.dropout2(y)

    def forward(self, tgt: Tensor, memory: Tensor, tgt_mask=None, memory_mask=None,
                tgt_key_padding_mask=None, memory_key_padding_mask=None, tgt_is_causal=False,
                memory_is_causal=False) -> Tensor:  # fmt: skip
        """tgt (T, N, d) and memory (S, N, d), the encoder's output, or as batch_first says ->
        tgt's shape. tgt_mask (T, T), memory_mask (T, S), the padding masks (N, T) and (N, S): bool,
        True is left out, or added floats."""
        x = tgt
        own = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        other = (memory, memory_mask, memory_key_padding_mask, memory_is_causal)
        if self.norm_first:
            x = x + self._self_attention(self.norm1(x), *own)
            x = x + self._cross_attention(self.norm2(x), *other)
            return x + self._feed_forward(self.norm3(x), self.dropout3)
        x = self.norm1(x + self._self_attention(x, *own))
        x = self.norm2(x + self._cross_attention(x, *other))
        return self.norm3(x + self._feed_forward(x, self.dropout3))


class TransformerEncoder(Module):
    """`num_layers` copies of an encoder layer, one after another, and a final norm if given.

    enable_nested_tensor and mask_check are accepted and have no effect: padding is masked.
    """

    def __init__(self, encoder_layer, num_layers, norm=None, enable_nested_tensor=True,
                 mask_check=True):  # fmt: skip
        super().__init__()
        self.layers = ModuleList([copy.deepcopy(encoder_layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor, self.mask_check = enable_nested_tensor, mask_check

    def forward(self, src: Tensor, mask=None, src_key_padding_mask=None, is_causal=None) -> Tensor:
        """src through the layers; masks as for `TransformerEncoderLayer`. is_causal: whether mask
        is the causal one; None looks at it."""
        causal = _is_causal(mask, is_causal)
        x = src
        for layer in self.layers:
            x = layer(x, src_mask=mask, is_causal=causal, src_key_padding_mask=src_key_padding_mask)
        return x if self.norm is None else self.norm(x)


class TransformerDecoder(Module):
    """`num_layers` copies of a decoder layer, one after another, and a final norm if given."""

    def __init__(self, decoder_layer, num_layers, norm=None):
        super().__init__()
        self.layers = ModuleList([copy.deepcopy(decoder_layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm

    def forward(self, tgt: Tensor, memory: Tensor, tgt_mask=None, memory_mask=None,
                tgt_key_padding_mask=None, memory_key_padding_mask=None, tgt_is_causal=None,
                memory_is_causal=False) -> Tensor:  # fmt: skip
        """tgt through the layers, each looking at memory; masks as for `TransformerDecoderLayer`.
        tgt_is_causal: whether tgt_mask is the causal one; None looks at it."""
        causal = _is_causal(tgt_mask, tgt_is_causal)
        x = tgt
        for layer in self.layers:
            x = layer(x, memory, tgt_mask=tgt_mask, memory_mask=memory_mask,
                      tgt_key_padding_mask=tgt_key_padding_mask,
                      memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=causal,
                      memory_is_causal=memory_is_causal)  # fmt: skip
        return x if self.norm is None else self.norm(x)


class Transformer(Module):
    """An encoder and a decoder that looks at its output, each with a final LayerNorm.

    Args: d_model ... bias as for the layers; num_encoder_layers, num_decoder_layers;
    custom_encoder, custom_decoder: modules in place of the stacks. All matrices start as
    xavier_uniform_.

    >>> model = lamina.nn.Transformer(d_model=8, nhead=2, num_encoder_layers=1,
    ...                               num_decoder_layers=1, dim_feedforward=16)
    >>> model(lamina.ones(5, 3, 8), lamina.ones(4, 3, 8)).shape
    lamina.Size([4, 3, 8])
    """

    def __init__(self, d_model=512, nhead=8, num_encoder_layers=6, num_decoder_layers=6,
                 dim_feedforward=2048, dropout=0.1, activation=F.relu, custom_encoder=None,
                 custom_decoder=None, layer_norm_eps=1e-5, batch_first=False, norm_first=False,
                 bias=True, device=None, dtype=None):  # fmt: skip
        super().__init__()
        kind = {"device": device, "dtype": dtype}
        layer = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first,
                 norm_first, bias)  # fmt: skip

        def norm():
            return LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **kind)

        self.encoder = custom_encoder
        if custom_encoder is None:
            one = TransformerEncoderLayer(*layer, **kind)
            self.encoder = TransformerEncoder(one, num_encoder_layers, norm())
        self.decoder = custom_decoder
        if custom_decoder is None:
            one = TransformerDecoderLayer(*layer, **kind)
            self.decoder = TransformerDecoder(one, num_decoder_layers, norm())
        self._reset_parameters()
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first

    def forward(self, src: Tensor, tgt: Tensor, src_mask=None, tgt_mask=None, memory_mask=None,
                src_key_padding_mask=None, tgt_key_padding_mask=None,
                memory_key_padding_mask=None, src_is_causal=None, tgt_is_causal=None,
                memory_is_causal=False) -> Tensor:  # fmt: skip
        """decoder(tgt, encoder(src)): src (S, N, d), tgt (T, N, d) -> (T, N, d); with batch_first
        the batch comes first; both may lack it. Masks as for the stacks.

        Raises RuntimeError when the batches of src and tgt differ, or their features from d_model.
        """
        batch = 0 if self.batch_first else 1
        if src.dim() == 3 and tgt.dim() == 3 and src.shape[batch] != tgt.shape[batch]:
            raise RuntimeError(
                "the batch number of src and tgt must be equal, got "
                f"{src.shape[batch]} and {tgt.shape[batch]}"
            )
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise RuntimeError(
                f"the feature number of src and tgt must be equal to d_model {self.d_model}, got "
                f"{src.shape[-1]} and {tgt.shape[-1]}"
            )
        memory = self.encoder(
            src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal
        )
        return self.decoder(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )  # fmt: skip

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device=None, dtype=None) -> Tensor:
        """(sz, sz): 0 on and below the diagonal, -inf above it."""
        return _square_mask(sz, device, dtype)

    def _reset_parameters(self) -> None:
        for p in self.parameters():
            if p.dim() > 1:
                init.xavier_uniform_(p)
