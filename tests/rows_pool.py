"""Rows of pooling."""

import importlib
from itertools import product

import numpy as np

from row import Row


def functional(m):
    if m.__name__ == "torch":
        return m.nn.functional
    return importlib.import_module("lamina.ops.pool")


def spans(n, kernel, stride, padding=0, dilation=1, ceil_mode=False):
    """Per output: the positions of its window inside [0, n), and how many it has with padding."""
    room = n + 2 * padding - dilation * (kernel - 1) - 1
    count = (-(-room // stride) if ceil_mode else room // stride) + 1
    if ceil_mode and (count - 1) * stride >= n + padding:
        count -= 1
    out = []
    for i in range(count):
        at = [i * stride - padding + k * dilation for k in range(kernel)]
        out.append(([p for p in at if 0 <= p < n], sum(p < n + padding for p in at)))
    return out


def adaptive_spans(n, size):
    out = []
    for i in range(size):
        at = list(range(i * n // size, -(-(i + 1) * n // size)))
        out.append((at, len(at)))
    return out


def np_pool(x, spans_of, f):
    """f(window's elements (..., k), window's size with padding) for every window."""
    nd = len(spans_of)
    if nd == 1:
        return np_pool(x[..., None, :], [[([0], 1)], *spans_of], f)[..., 0, :]
    rows, columns = spans_of
    y = np.empty((*x.shape[:-2], len(rows), len(columns)))
    for (i, (r, nr)), (j, (c, nc)) in product(enumerate(rows), enumerate(columns)):
        y[..., i, j] = f(x[..., r, :][..., c].reshape(*x.shape[:-2], len(r) * len(c)), nr * nc)
    return y


def largest(v, n):
    return v.max(-1)


def mean(v, n):
    return v.sum(-1) / n


def inner_mean(v, n):
    return v.mean(-1)


def distinct(rng, shape):
    """Values without ties, so that the maximum has a gradient."""
    n = int(np.prod(shape))
    return (rng.permutation(n) / max(n, 1) * 4 - 2).reshape(shape)


def pool(name, kind, nd, f, shapes, windows, arguments, domain=None, large=None, **keywords):
    def reference(x):
        sizes = x.shape[-nd:]
        return np_pool(x, [w(n) for w, n in zip(windows, sizes, strict=True)], f)

    def run(m, x):
        return getattr(functional(m), f"{kind}{nd}d")(x, *arguments, **keywords)

    return Row(
        name, run, reference, shapes, domain=domain or distinct, sizes=(0, 1, 3), large=large
    )


def window(*a, **k):
    return lambda n: spans(n, *a, **k)


def adaptive(size):
    return lambda n: adaptive_spans(n, size)


ROWS = [
    pool("max_pool2d", "max_pool", 2, largest, lambda n: [(n, 3, 8, 6)], [window(2, 2)] * 2, (2,),
         large=60),
    pool("max_pool2d_odd", "max_pool", 2, largest, lambda n: [(n, 2, 9, 35)], [window(2, 2)] * 2,
         (2,)),
    pool("max_pool2d_wide", "max_pool", 2, largest, lambda n: [(n, 1, 4, 67)], [window(2, 2)] * 2,
         (2, 2)),
    pool("max_pool2d_overlap", "max_pool", 2, largest, lambda n: [(n, 3, 9, 8)],
         [window(3, 2, 1)] * 2, (3, 2, 1), large=60),
    pool("max_pool2d_dilation", "max_pool", 2, largest, lambda n: [(n, 2, 9, 11)],
         [window(2, 1, 1, 3), window(3, 2, 1, 2)], ((2, 3), (1, 2), 1, (3, 2))),
    pool("max_pool2d_ceil", "max_pool", 2, largest, lambda n: [(n, 2, 8, 10)],
         [window(3, 2, 1, ceil_mode=True)] * 2, (3, 2, 1), ceil_mode=True),
    pool("max_pool1d", "max_pool", 1, largest, lambda n: [(n, 3, 17)], [window(3, 2, 1)],
         (3, 2, 1)),
    pool("avg_pool2d", "avg_pool", 2, mean, lambda n: [(n, 3, 8, 6)], [window(2, 2)] * 2, (2,),
         large=60),
    pool("avg_pool2d_odd", "avg_pool", 2, mean, lambda n: [(n, 2, 9, 37)], [window(2, 2)] * 2,
         (2,)),
    pool("avg_pool2d_padding", "avg_pool", 2, mean, lambda n: [(n, 3, 9, 8)],
         [window(3, 2, 1)] * 2, (3, 2, 1), large=60),
    pool("avg_pool2d_inner", "avg_pool", 2, inner_mean, lambda n: [(n, 3, 9, 8)],
         [window(3, 2, 1)] * 2, (3, 2, 1), count_include_pad=False),
    pool("avg_pool2d_ceil", "avg_pool", 2, mean, lambda n: [(n, 2, 8, 10)],
         [window(3, 2, 1, ceil_mode=True)] * 2, (3, 2, 1), ceil_mode=True),
    pool("avg_pool2d_divisor", "avg_pool", 2, lambda v, n: v.sum(-1) / 5, lambda n: [(n, 2, 6, 7)],
         [window(3, 1)] * 2, (3, 1), divisor_override=5),
    pool("avg_pool1d", "avg_pool", 1, mean, lambda n: [(n, 3, 17)], [window(4, 3, 2)], (4, 3, 2)),
    pool("adaptive_avg_pool2d", "adaptive_avg_pool", 2, mean, lambda n: [(n, 3, 7, 10)],
         [adaptive(3), adaptive(4)], ((3, 4),), large=60),
    pool("adaptive_avg_pool2d_one", "adaptive_avg_pool", 2, mean, lambda n: [(n, 5, 7, 9)],
         [adaptive(1)] * 2, (1,), large=60),
    pool("adaptive_avg_pool2d_more", "adaptive_avg_pool", 2, mean, lambda n: [(n, 2, 3, 4)],
         [adaptive(5)] * 2, (5,)),
    pool("adaptive_avg_pool1d", "adaptive_avg_pool", 1, mean, lambda n: [(n, 3, 11)],
         [adaptive(4)], (4,)),
    pool("adaptive_max_pool2d", "adaptive_max_pool", 2, largest, lambda n: [(n, 3, 7, 10)],
         [adaptive(3), adaptive(4)], ((3, 4),)),
    pool("adaptive_max_pool1d", "adaptive_max_pool", 1, largest, lambda n: [(n, 3, 11)],
         [adaptive(4)], (4,)),
]  # fmt: skip
