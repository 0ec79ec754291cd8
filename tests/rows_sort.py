"""Rows of sorting and what is built on it."""

import numpy as np

from row import Row
from rows_reduce import distinct


def np_sort(x, axis=-1):
    order = np.argsort(x, axis, kind="stable")
    return np.take_along_axis(x, order, axis), order


def np_topk(x, k):
    order = np.argsort(-x, -1, kind="stable")[..., :k]
    return np.take_along_axis(x, order, -1), order


def few(rng, shape):
    """Values with many equals."""
    return rng.integers(-3, 3, shape).astype(np.float64)


ROWS = [
    Row("sort", lambda m, x: m.sort(x), np_sort, lambda n: [(3, n)], domain=distinct,
        sizes=(0, 1, 15, 16, 17, 48, 49, 300)),
    Row("sort_first", lambda m, x: m.sort(x, 0), lambda x: np_sort(x, 0), lambda n: [(n, 3)],
        domain=distinct),
    Row("sort_stable", lambda m, x: m.sort(x, dim=-1, stable=True), np_sort, lambda n: [(3, n)],
        domain=few, sizes=(1, 48, 49, 300), grad=False),
    Row("sort_descending", lambda m, x: m.sort(x, dim=-1, descending=True, stable=True),
        lambda x: (-np.sort(-x, -1), np.argsort(-x, -1, kind="stable")), lambda n: [(3, n)],
        domain=few, sizes=(1, 15, 49, 300), grad=False),
    Row("sort_integers", lambda m, x: m.sort(x, dim=-1, stable=True), np_sort, lambda n: [(3, n)],
        domain="int:1000", sizes=(1, 48, 49, 300), grad=False),
    Row("topk", lambda m, x: m.topk(x, 3), lambda x: np_topk(x, 3), lambda n: [(3, n)],
        domain=distinct, sizes=(3, 15, 17, 300)),
    Row("topk_many", lambda m, x: m.topk(x, 100), lambda x: np_topk(x, 100), lambda n: [(2, n)],
        domain=distinct, sizes=(100, 301)),
    Row("median", lambda m, x: m.median(x, -1), lambda x: tuple(
            a[..., (x.shape[-1] - 1) // 2] for a in np_sort(x)), lambda n: [(3, n)],
        domain=distinct, sizes=(1, 4, 15, 33)),
    Row("quantile", lambda m, x: m.quantile(x, 0.3, dim=1), lambda x: np.quantile(x, 0.3, 1),
        lambda n: [(3, n)], domain=distinct, sizes=(1, 4, 15, 33), tol=4e-6),
    Row("searchsorted", lambda m, s, v: m.searchsorted(m.sort(s.detach())[0], v.detach()),
        lambda s, v: np.searchsorted(np.sort(s), v), lambda n: [(n,), (5, 4)], grad=False),
    Row("unique", lambda m, x: m.unique(x, return_inverse=True, return_counts=True),
        lambda x: tuple(a.reshape(x.shape) if i == 1 else a for i, a in enumerate(
            np.unique(x, return_inverse=True, return_counts=True))), lambda n: [(3, n)],
        domain=few, grad=False),
    Row("bincount", lambda m, x: m.bincount(x, minlength=7),
        lambda x: np.bincount(x, minlength=7), lambda n: [(n,)], domain="int:7", grad=False),
]  # fmt: skip
