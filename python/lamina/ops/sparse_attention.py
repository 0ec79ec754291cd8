"""Attention to a part of the positions, and terms that steer attention along a sequence.

PyTorch has none of these functions. With windows of about sqrt(L) the cost of L positions is
O(L sqrt(L) D) where full attention takes O(L^2 D).
"""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from .attention import scaled_dot_product_attention
from .join import cat, pad

__all__: list[str] = []
__functional__ = ["local_attention", "strided_attention", "monotonic_alignment", "coverage_loss"]


def _check(name: str, query: Tensor, key: Tensor, value: Tensor, what: str, size: int) -> None:
    if query.dim() < 2 or query.shape != key.shape or key.shape[:-1] != value.shape[:-1]:
        raise _core.ShapeError(
            f"{name}: expected query and key (..., L, D) and value (..., L, E), got "
            f"{tuple(query.shape)}, {tuple(key.shape)} and {tuple(value.shape)}"
        )
    if size < 1:
        raise ValueError(f"{name}: {what} must be at least 1, got {size}")


def _blocks(x: Tensor, size: int) -> Tensor:
    """(..., L, D) as (..., L / size, size, D), filled up with zeros."""
    x = pad(x, (0, 0, 0, -x.shape[-2] % size))
    return x.reshape(*x.shape[:-2], -1, size, x.shape[-1])


def local_attention(query: Tensor, key: Tensor, value: Tensor, window: int, is_causal=False,
                    scale=None) -> Tensor:  # fmt: skip
    """Attention of position i to the positions j with |i - j| < window (is_causal: 0 <= i - j <
    window): softmax(scale q k^T) v over these.

    query, key: (..., L, D); value: (..., L, E); the result (..., L, E). scale: 1 / sqrt(D) when
    None. Blocks of `window` queries see three (causal: two) blocks of keys, so the cost is
    O(L window D) and no L x L matrix is made. Raises ShapeError for other shapes, ValueError for a
    window below 1. (Beltagy, Peters and Cohan, "Longformer", 2020.)
    """
    _check("local_attention", query, key, value, "window", window)
    length = query.shape[-2]
    if length == 0:
        return value
    window = min(window, length)
    q, k, v = (_blocks(x, window) for x in (query, key, value))
    reach = (1,) if is_causal else (1, -1)

    def around(x: Tensor) -> Tensor:
        """Each block after the one before it (and before the one after it)."""
        n = x.shape[-3]
        before = pad(x, (0, 0, 0, 0, 1, 0)).narrow(-3, 0, n)
        after = [pad(x, (0, 0, 0, 0, 0, 1)).narrow(-3, 1, n)] if -1 in reach else []
        return cat([before, x, *after], -2)

    from .creation import arange

    blocks = q.shape[-3]
    at = arange(blocks).view(-1, 1, 1) * window + arange(window).view(1, -1, 1)
    of = (arange(blocks).view(-1, 1, 1) - 1) * window + arange(window * (1 + len(reach)))
    seen = (of >= 0) & (of < length) & (at - of < window)
    seen = seen & ((of <= at) if is_causal else (of - at < window))
    seen = seen | (at >= length)  # queries that only fill up the last block
    y = scaled_dot_product_attention(q, around(k), around(v), attn_mask=seen, scale=scale)
    return y.flatten(-3, -2).narrow(-2, 0, length)


def strided_attention(query: Tensor, key: Tensor, value: Tensor, stride: int, is_causal=False,
                      scale=None) -> Tensor:  # fmt: skip
    """Attention of position i to the positions j = i + n stride (is_causal: to those up to i).

    Shapes as for `local_attention`; cost O(L^2 / stride D). With `local_attention` of the same
    window in other heads every position reaches every other in two steps (Child et al.,
    "Generating long sequences with sparse transformers", 2019).
    """
    _check("strided_attention", query, key, value, "stride", stride)
    length = query.shape[-2]
    if length == 0:
        return value
    stride = min(stride, length)
    q, k, v = (_blocks(x, stride).transpose(-3, -2) for x in (query, key, value))
    mask = None
    if length % stride:  # the last row of positions is not full
        from .creation import arange

        rows = q.shape[-2]
        mask = (arange(rows) * stride + arange(stride).view(-1, 1, 1)) < length
        mask = mask.expand(stride, rows, rows)
    y = scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=is_causal, scale=scale)
    return y.transpose(-3, -2).flatten(-3, -2).narrow(-2, 0, length)


def monotonic_alignment(probability: Tensor) -> Tensor:
    """The chance that each step ends at each position when attention only moves forward: from where
    the last step ended it goes on, and stops at position j with probability p_ij.

        a_ij = p_ij q_ij,  q_ij = (1 - p_i,j-1) q_i,j-1 + a_i-1,j,  a_0 = (1, 0, 0, ...)

    probability: (..., U, S), U steps over S positions, in [0, 1]; the result has its shape, its
    rows sum to at most 1 (what is missing ran past the end). Gradients flow to it. (Raffel et al.,
    "Online and linear-time attention by enforcing monotonic alignments", ICML 2017.)
    """
    if probability.dim() < 2:
        raise _core.ShapeError(
            f"monotonic_alignment: expected (..., U, S), got shape {tuple(probability.shape)}"
        )
    from .join import stack

    steps, positions = probability.shape[-2:]
    zero = probability.new_zeros(probability.shape[:-2])
    before = [zero + 1, *[zero] * (positions - 1)] if positions else []
    rows = []
    for i in range(steps):
        row, q, p = [], zero, None
        for j in range(positions):
            q = before[j] if p is None else (1 - p) * q + before[j]
            p = probability[..., i, j]
            row.append(p * q)
        rows.append(stack(row, -1) if row else probability[..., i, :])
        before = row
    return stack(rows, -2) if rows else probability


def coverage_loss(weights: Tensor) -> Tensor:
    """sum over steps t and positions j of min(a_tj, c_tj), c_t = a_0 + ... + a_t-1: attending again
    to what was covered costs (See, Liu and Manning, "Get to the point", ACL 2017).

    weights: (..., T, S); the result (...).
    """
    covered = weights.cumsum(-2) - weights
    return _core.minimum(weights, covered).sum((-2, -1))
