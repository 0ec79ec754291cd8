"""Rows of convolution and pooling over volumes, by their definitions."""

import importlib
from itertools import product

import numpy as np

from row import Row
from rows_pool import adaptive_spans, distinct, spans


def functional(m):
    return (
        m.nn.functional
        if m.__name__ == "torch"
        else importlib.import_module("lamina.nn").functional
    )


def triple(v):
    return (v,) * 3 if isinstance(v, int) else v


def np_conv3d(x, w, b=None, stride=1, padding=0, dilation=1, groups=1, ends=None):
    """One product per position of the kernel, summed over channels. ends: padding after."""
    s, p, d = triple(stride), triple(padding), triple(dilation)
    e = ends or p
    x = np.pad(x, ((0, 0), (0, 0), *zip(p, e)))
    M, C, *K = w.shape
    out = [(n - q * (k - 1) - 1) // t + 1 for n, k, q, t in zip(x.shape[2:], K, d, s)]
    y = np.zeros((len(x), M, *out))
    for g, taps in product(range(groups), product(*map(range, K))):
        at = [slice(t * q, t * q + (o - 1) * u + 1, u) for t, q, u, o in zip(taps, d, s, out)]
        ms = slice(g * M // groups, (g + 1) * M // groups)
        part = x[(slice(None), slice(g * C, (g + 1) * C), *at)]
        y[:, ms] += np.einsum("ncdhw,mc->nmdhw", part, w[(ms, slice(None), *taps)])
    return y if b is None else y + b.reshape(-1, 1, 1, 1)


def np_transpose3d(x, w, b=None, stride=1, padding=0, extra=0, groups=1, dilation=1):
    """Every input spread over the outputs its kernel reaches."""
    s, p, e, d = triple(stride), triple(padding), triple(extra), triple(dilation)
    N, M, *sizes = x.shape
    _, C, *K = w.shape
    full = [(n - 1) * t + q * (k - 1) + 1 + f for n, t, q, k, f in zip(sizes, s, d, K, e)]
    y = np.zeros((N, C * groups, *full))
    for g, taps in product(range(groups), product(*map(range, K))):
        at = [slice(t * q, t * q + (n - 1) * u + 1, u) for t, q, u, n in zip(taps, d, s, sizes)]
        ms = slice(g * M // groups, (g + 1) * M // groups)
        y[(slice(None), slice(g * C, (g + 1) * C), *at)] += np.einsum(
            "nmdhw,mc->ncdhw", x[:, ms], w[(ms, slice(None), *taps)]
        )
    y = y[(..., *[slice(q, n - q) for q, n in zip(p, full)])]
    return y if b is None else y + b.reshape(-1, 1, 1, 1)


def np_pool3d(x, windows, f):
    """f(window's elements (..., k), window's size with padding) for every window."""
    y = np.empty((*x.shape[:-3], *map(len, windows)))
    for at in product(*[list(enumerate(w)) for w in windows]):
        (i, j, k), (d, h, w) = zip(*[(n, s[0]) for n, s in at])
        part = x[..., d, :, :][..., h, :][..., w]
        count = np.prod([s[1] for _, s in at])
        y[..., i, j, k] = f(part.reshape(*part.shape[:-3], len(d) * len(h) * len(w)), count)
    return y


def conv(name, shapes, ends=None, before=None, **settings):
    given = {**settings, **({"padding": before} if before else {}), "ends": ends}
    return Row(
        name, lambda m, *t: functional(m).conv3d(*t, **settings),
        lambda *a: np_conv3d(*a, **given), shapes, sizes=(0, 1, 3), tol=4e-6,
    )  # fmt: skip


def pool(name, function, f, shapes, windows_of, args, **settings):
    return Row(
        name, lambda m, x: getattr(functional(m), function)(x, *args, **settings),
        lambda x: np_pool3d(x, [w(n) for w, n in zip(windows_of, x.shape[-3:])], f),
        shapes, domain=distinct, sizes=(0, 1, 3),
        tol=4e-6,
    )  # fmt: skip


def window(*args, **kwargs):
    return lambda n: spans(n, *args, **kwargs)


def adaptive(size):
    return lambda n: adaptive_spans(n, size)


def largest(v, n):
    return v.max(-1)


def mean(v, n):
    return v.sum(-1) / n


ROWS = [
    conv("conv3d", lambda n: [(n, 3, 5, 6, 7), (4, 3, 3, 3, 3), (4,)], padding=1),
    conv("conv3d_settings", lambda n: [(n, 4, 7, 6, 8), (6, 2, 2, 3, 2), (6,)],
         stride=(2, 1, 3), padding=(1, 0, 2), dilation=(2, 1, 3), groups=2),
    conv("conv3d_depthwise", lambda n: [(n, 3, 4, 5, 5), (6, 1, 2, 3, 1)], groups=3),
    conv("conv3d_pointwise", lambda n: [(n, 5, 3, 4, 3), (2, 5, 1, 1, 1), (2,)]),
    conv("conv3d_planes", lambda n: [(n, 2, 3, 5, 4), (3, 2, 1, 3, 3), (3,)], padding=(0, 1, 1)),
    conv("conv3d_same", lambda n: [(n, 2, 5, 6, 4), (3, 2, 2, 3, 4)], padding="same",
         before=(0, 1, 1), ends=(1, 1, 2)),
    Row(
        "conv_transpose3d",
        lambda m, x, w, b: functional(m).conv_transpose3d(
            x, w, b, (2, 1, 3), 1, (1, 0, 2), 2, (1, 2, 1)),
        lambda x, w, b: np_transpose3d(x, w, b, (2, 1, 3), 1, (1, 0, 2), 2, (1, 2, 1)),
        lambda n: [(n, 4, 3, 4, 2), (4, 3, 3, 2, 3), (6,)],
        sizes=(0, 1, 3), tol=4e-6,
    ),
    pool("max_pool3d", "max_pool3d", largest, lambda n: [(n, 2, 5, 6, 7)], [window(2, 2)] * 3,
         (2,)),
    pool("max_pool3d_settings", "max_pool3d", largest, lambda n: [(n, 2, 7, 6, 8)],
         [window(3, 2, 1, 2), window(2, 1, 0, 1), window(3, 2, 1, 1)],
         ((3, 2, 3), (2, 1, 2), (1, 0, 1), (2, 1, 1))),
    pool("max_pool3d_ceil", "max_pool3d", largest, lambda n: [(n, 2, 6, 5, 8)],
         [window(3, 2, 1, ceil_mode=True)] * 3, (3, 2, 1), ceil_mode=True),
    pool("avg_pool3d", "avg_pool3d", mean, lambda n: [(n, 2, 6, 5, 8)],
         [window(3, 2, 1, ceil_mode=True)] * 3, (3, 2, 1), ceil_mode=True),
    pool("avg_pool3d_inner", "avg_pool3d", lambda v, n: v.mean(-1), lambda n: [(n, 2, 5, 6, 4)],
         [window(3, 1, 1)] * 3, (3, 1, 1), count_include_pad=False),
    pool("avg_pool3d_divisor", "avg_pool3d", lambda v, n: v.sum(-1) / 7,
         lambda n: [(n, 2, 4, 5, 4)], [window(2, 1)] * 3, (2, 1), divisor_override=7),
    pool("adaptive_avg_pool3d", "adaptive_avg_pool3d", mean, lambda n: [(n, 2, 5, 7, 4)],
         [adaptive(3), adaptive(2), adaptive(4)], ((3, 2, None),)),
    pool("adaptive_max_pool3d", "adaptive_max_pool3d", largest, lambda n: [(n, 2, 5, 7, 4)],
         [adaptive(2), adaptive(7), adaptive(3)], ((2, None, 3),)),
    Row("lp_pool3d", lambda m, x: functional(m).lp_pool3d(x, 3.0, 2),
        lambda x: np_pool3d(x, [spans(n, 2, 2) for n in x.shape[-3:]],
                            lambda v, n: (v**3).sum(-1) ** (1 / 3)),
        lambda n: [(n, 2, 4, 5, 6)], domain=(0.2, 2), sizes=(0, 1, 3), tol=4e-6),
]  # fmt: skip
