"""Attention: softmax(q k^T / sqrt(D)) v, alone and with several heads and their projections.

Sources: Vaswani et al., "Attention is all you need", NeurIPS 2017; Dao et al., "FlashAttention",
NeurIPS 2022 (tiles, nothing of the size of the scores is stored); Ainslie et al., "GQA", EMNLP
2023.
"""

from __future__ import annotations

import math
import warnings

from .. import _core
from .._core import Tensor
from .dropout import dropout
from .join import cat
from .matmul import linear
from .softmax import softmax
from .view import unsqueeze

__all__: list[str] = []
__functional__ = ["scaled_dot_product_attention", "multi_head_attention_forward"]


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """y = dropout(softmax(scale q k^T + mask)) v, over blocks: memory is linear in L and S.

    Args:
        query: (..., L, D). key: (..., S, D). value: (..., S, E). One floating dtype; the leading
            dimensions broadcast. float16 and bfloat16 compute as float32.
        attn_mask: broadcasts to (..., L, S). bool: True takes part; floating (float32 or query's
            dtype): added to the scores. A mask that requires grad has its scores stored.
        dropout_p: probability with which a softmax weight becomes 0 (the rest is scaled up); there
            is no `training` argument, so pass 0 to evaluate.
        is_causal: query i sees keys 0 ... i, also when L != S; joined with attn_mask.
        scale: 1 / sqrt(D) when None.
        enable_gqa: key and value may have fewer heads (dimension -3), a divisor of query's; each
            serves a run of query heads without being copied.
    Returns (..., L, E). A query that may see no key gives zeros.
    Raises ShapeError, DTypeError, and ValueError for dropout_p outside [0, 1].

    >>> q = lamina.ones(1, 2, 3, 4)
    >>> lamina.nn.functional.scaled_dot_product_attention(q, q, q, is_causal=True).shape
    lamina.Size([1, 2, 3, 4])
    """
    return _core.scaled_dot_product_attention(
        query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa, None
    )


def _check_shapes(query, key, value, key_padding_mask, attn_mask, heads) -> bool:
    """Whether the inputs have a batch dimension."""
    batched = query.dim() == 3
    if query.dim() not in (2, 3):
        raise AssertionError(
            "multi_head_attention_forward: query should be unbatched (2-D) or batched (3-D), got "
            f"{query.dim()} dimensions"
        )
    kind, n = ("batched (3-D)", 3) if batched else ("unbatched (2-D)", 2)
    if key.dim() != n or value.dim() != n:
        raise AssertionError(
            f"multi_head_attention_forward: for {kind} query, expected key and value to be {n}-D "
            f"but found {key.dim()}-D and {value.dim()}-D tensors"
        )
    if key_padding_mask is not None and key_padding_mask.dim() != n - 1:
        raise AssertionError(
            f"multi_head_attention_forward: for {kind} query, expected key_padding_mask to be None "
            f"or {n - 1}-D but found {key_padding_mask.dim()}-D"
        )
    if attn_mask is not None and attn_mask.dim() not in (2, 3):
        raise AssertionError(
            f"multi_head_attention_forward: for {kind} query, expected attn_mask to be None, 2-D "
            f"or 3-D but found {attn_mask.dim()}-D"
        )
    if attn_mask is not None and attn_mask.dim() == 3 and not batched:
        expected = (heads, query.shape[0], key.shape[0])
        if tuple(attn_mask.shape) != expected:
            raise AssertionError(
                f"multi_head_attention_forward: expected attn_mask of shape {expected} but got "
                f"{tuple(attn_mask.shape)}"
            )
    return batched


def _as_float_mask(mask: Tensor | None, name: str, dtype) -> Tensor | None:
    """A mask that is added: -inf where a bool mask is True."""
    if mask is None or mask.dtype.is_floating_point:
        return mask
    if mask.dtype is not _core.bool:
        raise AssertionError(
            f"multi_head_attention_forward: only bool and floating types of {name} are supported, "
            f"got {mask.dtype}"
        )
    zero = mask.new_full((), 0.0, dtype=dtype)
    return _core.where(mask, mask.new_full((), -math.inf, dtype=dtype), zero)


def _project(query, key, value, packed, separate, bias):
    """q, k, v = x W^T + b: in one product when the three are one tensor and the weights packed."""
    width = query.shape[-1]
    if packed is None:
        parts = separate
    elif query is key and key is value:
        return linear(query, packed, bias).chunk(3, -1)
    else:
        parts = packed.chunk(3)
    biases = (None, None, None) if bias is None else bias.chunk(3)
    if packed is not None and key is value:
        both = linear(key, packed[width:], None if bias is None else bias[width:])
        return linear(query, parts[0], biases[0]), *both.chunk(2, -1)
    return tuple(linear(x, w, b) for x, w, b in zip((query, key, value), parts, biases))


def _check_embedding(query, key, value, embed_dim, heads, separate, weights) -> None:
    if query.shape[-1] != embed_dim:
        raise AssertionError(
            f"multi_head_attention_forward: was expecting embedding dimension of {embed_dim}, but "
            f"got {query.shape[-1]}"
        )
    if embed_dim % heads:
        raise AssertionError(
            f"multi_head_attention_forward: embed_dim {embed_dim} not divisible by num_heads "
            f"{heads}"
        )
    if separate and key.shape[:2] != value.shape[:2]:
        raise AssertionError(
            "multi_head_attention_forward: key's sequence and batch dims "
            f"{tuple(key.shape[:2])} do not match value's {tuple(value.shape[:2])}"
        )
    if not separate and key.shape != value.shape:
        raise AssertionError(
            f"multi_head_attention_forward: key shape {tuple(key.shape)} does not match value "
            f"shape {tuple(value.shape)}"
        )
    if separate and any(w is None for w in weights):
        raise AssertionError(
            "multi_head_attention_forward: use_separate_proj_weight needs q_proj_weight, "
            "k_proj_weight and v_proj_weight"
        )
    if not separate and weights is None:
        raise AssertionError("multi_head_attention_forward: in_proj_weight is None")


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """concat(head_1, ..., head_H) W_o^T + b_o, head_h = attention(q_h, k_h, v_h) of projections.

    Args:
        query: (L, N, E) or (L, E). key: (S, N, K), value: (S, N, V) likewise; E = embed_dim, and
            K = V = E unless use_separate_proj_weight.
        in_proj_weight (3 E, E) and in_proj_bias (3 E): packed projections of q, k, v; with
            use_separate_proj_weight q_proj_weight (E, E), k_proj_weight (E, K), v_proj_weight
            (E, V) instead.
        bias_k, bias_v: (1, 1, E), one more key and value. add_zero_attn: one more of zeros.
        key_padding_mask: (N, S) or (S); bool: True is left out; floating: added.
        attn_mask: (L, S), or (N H, L, S); bool: True is left out; floating: added. A bool and a
            floating mask together are deprecated, with a warning.
        static_k, static_v: (N H, S, E / H), in place of the projected key and value.
        is_causal: says that attn_mask, which must be given, is the causal mask.
    Returns the output, of query's shape, and the weights (N, L, S), averaged over heads unless
    average_attn_weights is False: (N, H, L, S); None without need_weights, which is faster: the
    scores are then not stored. Raises AssertionError and RuntimeError as PyTorch does.
    """
    batched = _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads)
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "multi_head_attention_forward: need attn_mask if specifying the is_causal hint"
        )
    if not batched:
        alone = query is key, key is value
        query = unsqueeze(query, 1)
        key = query if alone[0] else unsqueeze(key, 1)
        value = key if alone[1] else unsqueeze(value, 1)
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    separate = (q_proj_weight, k_proj_weight, v_proj_weight)
    _check_embedding(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight,
                     separate if use_separate_proj_weight else in_proj_weight)  # fmt: skip
    L, N, E = query.shape
    D = E // num_heads
    if (
        attn_mask is not None
        and key_padding_mask is not None
        and attn_mask.dtype is not key_padding_mask.dtype
    ):
        warnings.warn(
            "multi_head_attention_forward: key_padding_mask and attn_mask of different dtypes are "
            "deprecated; use one type for both",
            stacklevel=3,
        )
    causal = is_causal and key_padding_mask is None and not need_weights
    if causal:
        attn_mask = None
    attn_mask = _as_float_mask(attn_mask, "attn_mask", query.dtype)
    key_padding_mask = _as_float_mask(key_padding_mask, "key_padding_mask", query.dtype)
    if attn_mask is not None:
        S = key.shape[0]
        expected = (L, S) if attn_mask.dim() == 2 else (N * num_heads, L, S)
        if tuple(attn_mask.shape) != expected:
            raise RuntimeError(
                f"multi_head_attention_forward: the shape of the {attn_mask.dim()}-D attn_mask is "
                f"{tuple(attn_mask.shape)}, but should be {expected}"
            )
    q, k, v = _project(query, key, value, None if use_separate_proj_weight else in_proj_weight,
                       separate, in_proj_bias)  # fmt: skip
    extra = 0  # keys appended to the sequence
    if bias_k is not None or bias_v is not None:
        if bias_k is None or bias_v is None:
            raise AssertionError("multi_head_attention_forward: give bias_k and bias_v or neither")
        if static_k is not None or static_v is not None:
            raise AssertionError("multi_head_attention_forward: bias cannot be added to static key")
        k, v = cat([k, bias_k.expand(1, N, E)]), cat([v, bias_v.expand(1, N, E)])
        extra += 1

    def heads(x):  # (length, N, E) -> (N, H, length, D)
        return x.reshape(x.shape[0], N, num_heads, D).permute(1, 2, 0, 3)

    q = heads(q)
    k = heads(k) if static_k is None else _static("static_k", static_k, N, num_heads, D)
    v = heads(v) if static_v is None else _static("static_v", static_v, N, num_heads, D)
    if add_zero_attn:
        zeros = k.new_full((N, num_heads, 1, D), 0.0)
        k, v = cat([k, zeros], 2), cat([v, zeros], 2)
        extra += 1
    mask = _join_masks(attn_mask, key_padding_mask, N, num_heads, k.shape[2], extra)
    p = dropout_p if training else 0.0
    weights = None
    if need_weights:
        scores = (q * (1 / math.sqrt(D))) @ k.transpose(2, 3)
        weights = dropout(softmax(scores if mask is None else scores + mask, -1), p)
        y = weights @ v
        weights = weights.mean(1) if average_attn_weights else weights
        weights = weights if batched else weights.squeeze(0)
    else:
        y = scaled_dot_product_attention(q, k, v, mask, p, causal)
    y = linear(y.permute(2, 0, 1, 3).reshape(L, N, E), out_proj_weight, out_proj_bias)
    return (y if batched else y.squeeze(1)), weights


def _static(name, x, N, num_heads, D) -> Tensor:
    if x.shape[0] != N * num_heads or x.shape[2] != D:
        raise AssertionError(
            f"multi_head_attention_forward: expecting {name} of shape ({N * num_heads}, S, {D}), "
            f"but got {tuple(x.shape)}"
        )
    return x.view(N, num_heads, x.shape[1], D)


def _join_masks(attn_mask, key_padding_mask, N, heads, S, extra) -> Tensor | None:
    """Both masks added up, broadcastable to (N, H, L, S), with `extra` keys everyone sees."""
    if attn_mask is not None:
        shape = attn_mask.shape
        attn_mask = attn_mask.view(shape) if attn_mask.dim() == 2 else attn_mask.reshape(
            N, heads, shape[1], shape[2]
        )  # fmt: skip
    if key_padding_mask is not None:
        if tuple(key_padding_mask.shape) != (N, S - extra):
            raise AssertionError(
                f"multi_head_attention_forward: expecting key_padding_mask shape of "
                f"{(N, S - extra)}, but got {tuple(key_padding_mask.shape)}"
            )
        key_padding_mask = key_padding_mask.view(N, 1, 1, S - extra)
    if attn_mask is None or key_padding_mask is None:
        mask = key_padding_mask if attn_mask is None else attn_mask
    else:
        mask = attn_mask + key_padding_mask
    if mask is None or not extra:
        return mask
    return cat([mask, mask.new_full((*mask.shape[:-1], extra), 0.0)], -1)
