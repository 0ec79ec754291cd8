"""Attention layers. PyTorch's ``torch.nn.attention`` names (SDPBackend, sdpa_kernel) are here too.

Sources: Vaswani et al., "Attention is all you need", NeurIPS 2017; Bahdanau, Cho and Bengio,
"Neural machine translation by jointly learning to align and translate", ICLR 2015; Luong, Pham and
Manning, "Effective approaches to attention-based neural machine translation", EMNLP 2015; Ainslie
et al., "GQA", EMNLP 2023.
"""

from __future__ import annotations

import contextlib
import enum
import math

from .. import _core
from .._core import Tensor
from . import functional as F
from . import init
from .linear import Linear, NonDynamicallyQuantizableLinear, _new
from .module import Module
from .positions import RotaryPositions

__all__ = ["MultiheadAttention", "CausalSelfAttention", "AdditiveAttention",
           "MultiplicativeAttention"]  # fmt: skip


class MultiheadAttention(Module):
    """concat(head_1, ..., head_H) W_o^T + b_o, head_h = softmax(q_h k_h^T / sqrt(E / H)) v_h.

    Args:
        embed_dim: E, a multiple of num_heads = H. dropout: of the softmax weights, when training.
        bias: of the projections. add_bias_kv: one more key and value, parameters (1, 1, E).
        add_zero_attn: one more key and value of zeros.
        kdim, vdim: sizes of key and value when not E. batch_first: (N, length, E) inputs, instead
            of (length, N, E).
    Parameters: in_proj_weight (3 E, E), or q_proj_weight (E, E), k_proj_weight (E, kdim),
    v_proj_weight (E, vdim) when kdim or vdim differ from E: xavier_uniform_; in_proj_bias (3 E),
    zero; out_proj.weight (E, E), as Linear's, out_proj.bias, zero; bias_k, bias_v: xavier_normal_.
    Raises ValueError for sizes below 1, AssertionError when H does not divide E.

    >>> layer = lamina.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = lamina.ones(3, 5, 8)
    >>> y, weights = layer(x, x, x)
    >>> y.shape, weights.shape
    (lamina.Size([3, 5, 8]), lamina.Size([3, 5, 5]))
    """

    def __init__(self, embed_dim, num_heads, dropout=0.0, bias=True, add_bias_kv=False,
                 add_zero_attn=False, kdim=None, vdim=None, batch_first=False, device=None,
                 dtype=None):  # fmt: skip
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and "
                f"num_heads={num_heads} instead"
            )
        if embed_dim % num_heads:
            raise AssertionError(
                f"embed_dim must be divisible by num_heads, got embed_dim={embed_dim} and "
                f"num_heads={num_heads}"
            )
        super().__init__()
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        kind = {"device": device, "dtype": dtype}
        if self._qkv_same_embed_dim:
            self.in_proj_weight = _new(3 * embed_dim, embed_dim, **kind)
            for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
                self.register_parameter(name, None)
        else:
            self.q_proj_weight = _new(embed_dim, embed_dim, **kind)
            self.k_proj_weight = _new(embed_dim, self.kdim, **kind)
            self.v_proj_weight = _new(embed_dim, self.vdim, **kind)
            self.register_parameter("in_proj_weight", None)
        if bias:
            self.in_proj_bias = _new(3 * embed_dim, **kind)
        else:
            self.register_parameter("in_proj_bias", None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, **kind)
        if add_bias_kv:
            self.bias_k = _new(1, 1, embed_dim, **kind)
            self.bias_v = _new(1, 1, embed_dim, **kind)
        else:
            self.bias_k = self.bias_v = None
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for weight in (
            self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight,
        ):  # fmt: skip
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for vector in (self.bias_k, self.bias_v):
            if vector is not None:
                init.xavier_normal_(vector)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask=None,
                need_weights=True, attn_mask=None, average_attn_weights=True,
                is_causal=False):  # fmt: skip
        """The output, of query's shape, and the weights (N, L, S) or None.

        query (L, N, E), key (S, N, kdim), value (S, N, vdim), with batch_first (N, L, E) ..., or
        without N. key_padding_mask (N, S) and attn_mask (L, S) or (N H, L, S): bool, True is left
        out, or added floats. need_weights=False is faster: no scores are stored, and a query that
        may see no key gives zeros instead of NaN. average_attn_weights=False: (N, H, L, S).
        is_causal: attn_mask, which must be given, is the causal mask.
        """
        turned = self.batch_first and query.dim() == 3
        if turned:
            same_kv, same_qk = key is value, query is key
            query = query.transpose(1, 0)
            key = query if same_qk else key.transpose(1, 0)
            value = key if same_kv else value.transpose(1, 0)
        y, weights = F.multi_head_attention_forward(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight,
            self.in_proj_bias, self.bias_k, self.bias_v, self.add_zero_attn, self.dropout,
            self.out_proj.weight, self.out_proj.bias, training=self.training,
            key_padding_mask=key_padding_mask, need_weights=need_weights, attn_mask=attn_mask,
            use_separate_proj_weight=not self._qkv_same_embed_dim,
            q_proj_weight=self.q_proj_weight, k_proj_weight=self.k_proj_weight,
            v_proj_weight=self.v_proj_weight, average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )  # fmt: skip
        return (y.transpose(1, 0) if turned else y), weights

    def merge_masks(self, attn_mask, key_padding_mask, query: Tensor):
        """The masks as one, and its kind: (N, H, L, S) and 2 when attn_mask, (L, S) or (N H, L, S),
        is given; key_padding_mask (N, S) and 1 when it is alone; (None, None) without any. Bools
        are joined by or. query (N, L, E) gives N."""
        if attn_mask is None:
            return key_padding_mask, (None if key_padding_mask is None else 1)
        N, shape = query.shape[0], attn_mask.shape
        if attn_mask.dim() == 3:
            joined = attn_mask.view(N, -1, *shape[1:])
        else:
            joined = attn_mask.view(1, 1, *shape).expand(N, self.num_heads, -1, -1)
        if key_padding_mask is not None:
            padding = key_padding_mask.view(N, 1, 1, shape[-1])
            joined = joined + padding.expand(-1, self.num_heads, -1, -1)
        return joined, 2


class CausalSelfAttention(Module):
    """Attention of each position to itself and those before it, with a cache for generation.

    Args:
        embed_dim: E, a multiple of num_heads. dropout: of the softmax weights, when training.
        bias: of the projections. num_kv_heads: heads of key and value, a divisor of num_heads
            (grouped-query attention; None: num_heads, 1: multi-query). rotary: turn queries and
            keys by their position (`RotaryPositions`), True or a base frequency.
    Parameters: qkv (E to E + 2 num_kv_heads E / num_heads), out_proj (E to E), as Linear's.
    """

    def __init__(self, embed_dim, num_heads, dropout=0.0, bias=True, num_kv_heads=None,
                 rotary=False, device=None, dtype=None):  # fmt: skip
        super().__init__()
        heads = num_heads if num_kv_heads is None else num_kv_heads
        if embed_dim % num_heads or num_heads % heads:
            raise ValueError(
                "CausalSelfAttention: num_heads must divide embed_dim and num_kv_heads num_heads, "
                f"got embed_dim={embed_dim}, num_heads={num_heads}, num_kv_heads={heads}"
            )
        self.embed_dim, self.num_heads, self.num_kv_heads = embed_dim, num_heads, heads
        self.head_dim, self.dropout = embed_dim // num_heads, dropout
        kind = {"device": device, "dtype": dtype}
        self.qkv = Linear(embed_dim, embed_dim + 2 * heads * self.head_dim, bias, **kind)
        self.out_proj = Linear(embed_dim, embed_dim, bias, **kind)
        base = 10000.0 if rotary is True else rotary
        self.rotary = RotaryPositions(self.head_dim, base) if rotary else None

    def forward(self, x: Tensor, cache=None) -> Tensor:
        """x (N, T, E) -> (N, T, E). With a `KVCache` the keys and values of earlier calls come
        first, and those of x are added to it."""
        N, T, E = x.shape
        widths = [E, self.num_kv_heads * self.head_dim, self.num_kv_heads * self.head_dim]
        q, k, v = (
            t.view(N, T, -1, self.head_dim).transpose(1, 2) for t in self.qkv(x).split(widths, -1)
        )
        past = 0 if cache is None else cache.length_of(self)
        if self.rotary is not None:
            q, k = self.rotary(q, past), self.rotary(k, past)
        if cache is not None:
            k, v = cache.update(self, k, v)
        mask = None
        if past and T > 1:  # query i of these stands at position past + i
            mask = _core.tril(q.new_full((T, past + T), 1, dtype=_core.bool), past)
        y = F.scaled_dot_product_attention(
            q, k, v, mask, self.dropout if self.training else 0.0, is_causal=past == 0 and T > 1,
            enable_gqa=self.num_kv_heads != self.num_heads,
        )  # fmt: skip
        return self.out_proj(y.transpose(1, 2).reshape(N, T, E))

    def extra_repr(self) -> str:
        return (
            f"embed_dim={self.embed_dim}, num_heads={self.num_heads}, "
            f"num_kv_heads={self.num_kv_heads}, dropout={self.dropout}"
        )


def _attend(scores, values, mask):
    """Weights over the last dimension of the scores (N, ..., S), and their mean of the values."""
    if mask is not None:
        mask = mask if mask.dim() == scores.dim() else mask.unsqueeze(1)
        scores = scores.masked_fill(mask, -math.inf)
    weights = F.softmax(scores, -1)
    if scores.dim() == 2:
        return (weights.unsqueeze(1) @ values).squeeze(1), weights
    return weights @ values, weights


class AdditiveAttention(Module):
    """e_j = v^T tanh(W s + U h_j + b),  a = softmax(e),  context = sum_j a_j h_j.

    Bahdanau, Cho and Bengio (ICLR 2015): s is the decoder's state, h_j the encoder's annotations.

    Args:
        query_dim, key_dim: sizes of s and h_j. hidden_dim: of the small network. bias: b, which the
            paper leaves out. coverage: adds w c_j inside the tanh, c the sum of the weights of
            earlier steps, given to each call (See, Liu and Manning, ACL 2017).
    Parameters: query.weight (hidden, query_dim), key.weight (hidden, key_dim), key.bias (hidden)
    with bias=True, score.weight (1, hidden), coverage.weight (hidden, 1) with coverage=True, as
    Linear's.
    """

    def __init__(self, query_dim, key_dim, hidden_dim, bias=False, device=None, dtype=None,
                 coverage=False):  # fmt: skip
        super().__init__()
        kind = {"device": device, "dtype": dtype}
        self.query_dim, self.key_dim, self.hidden_dim = query_dim, key_dim, hidden_dim
        self.query = Linear(query_dim, hidden_dim, bias=False, **kind)
        self.key = Linear(key_dim, hidden_dim, bias=bias, **kind)
        self.score = Linear(hidden_dim, 1, bias=False, **kind)
        self.coverage = Linear(1, hidden_dim, bias=False, **kind) if coverage else None

    def forward(self, query: Tensor, keys: Tensor, values=None, mask=None, projected=None,
                covered=None):  # fmt: skip
        """The context (N, V) and the weights (N, S); (N, L, V) and (N, L, S) for L queries.

        query (N, query_dim) or (N, L, query_dim); keys (N, S, key_dim); values (N, S, V), the keys
        when None; mask (N, S), bool: True is left out. projected: ``layer.key(keys)``, when it was
        worked out before (the same for every step of a decoder). covered (N, S): the sum of the
        weights so far, for a layer made with ``coverage=True``.
        """
        u = self.key(keys) if projected is None else projected
        if self.coverage is not None and covered is not None:
            u = u + self.coverage(covered.unsqueeze(-1))
        w = self.query(query).unsqueeze(-2)  # (N, 1, hidden) or (N, L, 1, hidden)
        e = self.score((w + (u if query.dim() == 2 else u.unsqueeze(1))).tanh()).squeeze(-1)
        return _attend(e, keys if values is None else values, mask)


class MultiplicativeAttention(Module):
    """e_j = s^T W h_j,  a = softmax(e),  context = sum_j a_j h_j (Luong et al., EMNLP 2015).

    Args: query_dim, key_dim: sizes of s and h_j. general: False leaves W out (the sizes are equal).
    Parameters: weight (query_dim, key_dim), uniform on (-k, k), k = 1 / sqrt(key_dim).
    """

    def __init__(self, query_dim, key_dim, general=True, device=None, dtype=None):
        super().__init__()
        if not general and query_dim != key_dim:
            raise ValueError(
                "MultiplicativeAttention: without a weight query_dim and key_dim must be equal, "
                f"got {query_dim} and {key_dim}"
            )
        self.query_dim, self.key_dim = query_dim, key_dim
        if general:
            self.weight = _new(query_dim, key_dim, device=device, dtype=dtype)
            init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        else:
            self.register_parameter("weight", None)

    def forward(self, query: Tensor, keys: Tensor, values=None, mask=None):
        """The context (N, V) and the weights (N, S); (N, L, V) and (N, L, S) for L queries. Shapes
        as for `AdditiveAttention`."""
        q = query if self.weight is None else query @ self.weight
        single = query.dim() == 2
        e = (q.unsqueeze(1) if single else q) @ keys.transpose(1, 2)
        return _attend(e.squeeze(1) if single else e, keys if values is None else values, mask)

    def extra_repr(self) -> str:
        return f"query_dim={self.query_dim}, key_dim={self.key_dim}"


class SDPBackend(enum.Enum):
    """PyTorch's names of implementations of attention; lamina has one, which these all mean."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextlib.contextmanager
def sdpa_kernel(backends, set_priority=False):
    """Does nothing: there is one implementation of attention. Raises AssertionError unless
    `backends` is an SDPBackend or a list of them."""
    chosen = [backends] if isinstance(backends, SDPBackend) else list(backends)
    if not all(isinstance(b, SDPBackend) for b in chosen):
        raise AssertionError(f"sdpa_kernel: expected SDPBackend values, got {backends!r}")
    yield
