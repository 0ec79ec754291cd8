"""Rows of scaled_dot_product_attention."""

import numpy as np

from row import Row


def np_attention(q, k, v, mask=None, causal=False, scale=None, gqa=False):
    """Straight from the definition; a query that sees no key gives zeros."""
    if gqa:
        group = q.shape[-3] // k.shape[-3]
        k, v = np.repeat(k, group, -3), np.repeat(v, group, -3)
    s = (q @ np.swapaxes(k, -1, -2)) * (1 / np.sqrt(q.shape[-1]) if scale is None else scale)
    if causal:
        s = np.where(np.tril(np.ones(s.shape[-2:], bool)), s, -np.inf)
    if mask is not None:
        s = np.where(mask, s, -np.inf) if mask.dtype == bool else s + mask
    top = s.max(-1, keepdims=True, initial=-np.inf)
    e = np.exp(s - np.where(np.isinf(top), 0, top))
    total = e.sum(-1, keepdims=True)
    return e / np.where(total == 0, 1, total) @ v


def attend(m, *args, **kwargs):
    return m.nn.functional.scaled_dot_product_attention(*args, **kwargs)


def some(rng, shape):
    """Masks that leave something in every row."""
    mask = rng.random(shape) < 0.6
    mask[..., 0] = True
    return mask


def holes(rng, shape):
    """Masks with empty rows."""
    mask = rng.random(shape) < 0.6
    mask[..., ::3, :] = False
    return mask


def band(rng, shape):
    """A window of 40 keys around each query; the last queries see nothing."""
    i, j = np.arange(shape[-2])[:, None], np.arange(shape[-1])
    return np.broadcast_to((np.abs(i - j) < 20) & (i < 350), shape)


SIZES = (0, 1, 15, 16, 17, 33, 130)
HALF = [(-2, 2)] * 3
ROWS = [
    Row("attention", lambda m, q, k, v: attend(m, q, k, v), np_attention,
        lambda n: [(2, 3, n, 8)] * 3, sizes=SIZES, large=300),
    Row("attention_causal", lambda m, q, k, v: attend(m, q, k, v, is_causal=True),
        lambda q, k, v: np_attention(q, k, v, causal=True), lambda n: [(2, 1, n, 32)] * 3,
        sizes=SIZES, large=300),
    Row("attention_lengths", lambda m, q, k, v: attend(m, q, k, v),
        np_attention, lambda n: [(1, 2, 5, 3), (1, 2, n, 3), (1, 2, n, 7)], sizes=(1, 16, 33, 200),
        large=1000),
    Row("attention_few_queries", lambda m, q, k, v: attend(m, q, k, v, scale=0.3),
        lambda q, k, v: np_attention(q, k, v, scale=0.3),
        lambda n: [(2, 2, 1, 6), (2, 2, n, 6), (2, 2, n, 6)], sizes=(1, 16, 33, 200), large=3000),
    Row("attention_causal_lengths", lambda m, q, k, v: attend(m, q, k, v, is_causal=True),
        lambda q, k, v: np_attention(q, k, v, causal=True),
        lambda n: [(2, 2, n, 4), (2, 2, 70, 4), (2, 2, 70, 4)], sizes=(1, 17, 69, 150), large=300),
    Row("attention_features", lambda m, q, k, v: attend(m, q, k, v), np_attention,
        lambda n: [(1, 2, 9, n), (1, 2, 12, n), (1, 2, 12, n)], sizes=(1, 15, 16, 17, 80),
        large=100),
    Row("attention_bool_mask", lambda m, q, k, v, b: attend(m, q, k, v, b), np_attention,
        lambda n: [(2, 2, n, 8)] * 3 + [(n, n)], [*HALF, some], sizes=SIZES[1:], large=200),
    Row("attention_blind_rows", lambda m, q, k, v, b: attend(m, q, k, v, b), np_attention,
        lambda n: [(2, 2, n, 8)] * 3 + [(2, 1, n, n)], [*HALF, holes], sizes=SIZES[1:], large=200),
    Row("attention_window", lambda m, q, k, v, b: attend(m, q, k, v, b), np_attention,
        lambda n: [(1, 2, n, 4)] * 3 + [(n, n)], [*HALF, band], sizes=(1, 130, 400), large=500),
    Row("attention_padding", lambda m, q, k, v, b: attend(m, q, k, v, b), np_attention,
        lambda n: [(3, 2, n, 8)] * 3 + [(3, 1, 1, n)], [*HALF, some], sizes=SIZES[1:], large=200),
    Row("attention_float_mask", lambda m, q, k, v, b: attend(m, q, k, v, b.detach()),
        np_attention, lambda n: [(2, 2, n, 8)] * 3 + [(2, 1, n)],
        sizes=SIZES[1:], grad=False, large=200),
    Row("attention_bias", lambda m, q, k, v, b: attend(m, q, k, v, b), np_attention,
        lambda n: [(2, 2, n, 8)] * 3 + [(2, n, n)], sizes=(1, 15, 16, 17, 33), large=None),
    Row("attention_groups", lambda m, q, k, v: attend(m, q, k, v, enable_gqa=True),
        lambda q, k, v: np_attention(q, k, v, gqa=True),
        lambda n: [(2, 6, n, 8), (2, 2, n, 8), (2, 2, n, 8)], sizes=SIZES, large=200),
    Row("attention_groups_causal",
        lambda m, q, k, v: attend(m, q, k, v, is_causal=True, enable_gqa=True),
        lambda q, k, v: np_attention(q, k, v, causal=True, gqa=True),
        lambda n: [(1, 4, n, 8), (1, 1, n, 8), (1, 1, n, 8)], sizes=(1, 17, 70), large=200),
    Row("attention_heads_inside",
        lambda m, q, k, v: attend(m, *(t.transpose(1, 2) for t in (q, k, v))).transpose(1, 2),
        lambda q, k, v: np.swapaxes(np_attention(*(np.swapaxes(t, 1, 2) for t in (q, k, v))), 1, 2),
        lambda n: [(2, n, 3, 8)] * 3, sizes=SIZES, large=200),
    Row("attention_3d", lambda m, q, k, v: attend(m, q, k, v), np_attention,
        lambda n: [(3, n, 8)] * 3, sizes=(1, 17), large=None),
    Row("attention_5d", lambda m, q, k, v: attend(m, q, k, v), np_attention,
        lambda n: [(2, 1, 2, n, 8), (2, 3, 2, n, 8), (2, 3, 2, n, 8)], sizes=(1, 17), large=None,
        torch=False),  # PyTorch's fast path does not broadcast
]  # fmt: skip
