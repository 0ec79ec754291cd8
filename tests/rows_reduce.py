"""Rows of the reductions."""

import numpy as np

from row import Row


def distinct(rng, shape):
    """Values no two of which are closer than 0.01 along any line: extremes have one place."""
    n = int(np.prod(shape))
    return (rng.permutation(n).reshape(shape) - n / 2) * 0.03125


def np_lse(x, axis):
    m = x.max(axis, keepdims=True)
    return np.log(np.exp(x - m).sum(axis)) + m.squeeze(axis)


def np_var(x, axis, c):
    n = x.shape[axis]
    return (
        ((x - x.mean(axis, keepdims=True)) ** 2).sum(axis) / max(n - c, 0)
        if n > c
        else (np.full(x.sum(axis).shape, np.nan))
    )


SUM = 4e-6  # up to 33 terms of size 2: a few units in the last place of the largest partial sum
ROWS = [
    Row("sum", lambda m, x: x.sum(), lambda x: x.sum(), lambda n: [(3, n)], tol=SUM),
    Row("sum_rows", lambda m, x: m.sum(x, 1), lambda x: x.sum(1), lambda n: [(3, n)], tol=SUM),
    Row("sum_columns", lambda m, x: m.sum(x, 0, keepdim=True),
        lambda x: x.sum(0, keepdims=True), lambda n: [(21, n)], tol=SUM),
    Row("sum_outer_dims", lambda m, x: m.sum(x, (0, 2)), lambda x: x.sum((0, 2)),
        lambda n: [(3, n, 4)], tol=SUM),
    Row("sum_middle", lambda m, x: m.sum(x, 1), lambda x: x.sum(1), lambda n: [(3, n, 5)],
        tol=SUM),
    Row("sum_integers", lambda m, x: m.sum(x, 0), lambda x: x.sum(0), lambda n: [(5, n)],
        domain="int:100", grad=False),
    Row("sum_bool", lambda m, x: m.sum(x, -1), lambda x: x.sum(-1), lambda n: [(5, n)],
        domain="bool", grad=False),
    Row("mean", lambda m, x: m.mean(x, -1), lambda x: x.mean(-1), lambda n: [(3, n)],
        sizes=(1, 15, 16, 17, 33)),
    Row("mean_columns", lambda m, x: m.mean(x, (0, 1)), lambda x: x.mean((0, 1)),
        lambda n: [(3, 7, n)]),
    Row("prod", lambda m, x: m.prod(x, 1), lambda x: x.prod(1), lambda n: [(3, n)],
        domain=(0.7, 1.3)),
    Row("prod_all", lambda m, x: m.prod(x), lambda x: x.prod(), lambda n: [(n,)],
        domain=(0.8, 1.2)),
    Row("amax", lambda m, x: m.amax(x, 1), lambda x: x.max(1), lambda n: [(3, n)],
        domain=distinct, sizes=(1, 15, 16, 17, 33)),
    Row("amin", lambda m, x: m.amin(x, (0, 2), keepdim=True),
        lambda x: x.min((0, 2), keepdims=True), lambda n: [(3, n, 5)], domain=distinct),
    Row("max_all", lambda m, x: m.max(x), lambda x: x.max(), lambda n: [(3, n)],
        domain=distinct, sizes=(1, 15, 16, 17, 33)),
    Row("max", lambda m, x: m.max(x, 1), lambda x: (x.max(1), x.argmax(1)), lambda n: [(3, n)],
        domain=distinct, sizes=(1, 15, 16, 17, 33)),
    Row("min", lambda m, x: m.min(x, 0), lambda x: (x.min(0), x.argmin(0)), lambda n: [(19, n)],
        domain=distinct),
    Row("argmax", lambda m, x: m.argmax(x, -1), lambda x: x.argmax(-1), lambda n: [(3, n)],
        domain=distinct, sizes=(1, 15, 16, 17, 33), grad=False),
    Row("argmin", lambda m, x: m.argmin(x), lambda x: np.asarray(x.argmin()),
        lambda n: [(3, n)], domain=distinct, sizes=(1, 15, 16, 17, 33), grad=False),
    Row("argmax_columns", lambda m, x: m.argmax(x, 0), lambda x: x.argmax(0),
        lambda n: [(19, n)], domain=distinct, grad=False),
    Row("any", lambda m, x: m.any(x, 1), lambda x: x.any(1), lambda n: [(3, n)], domain="bool",
        grad=False),
    Row("all", lambda m, x: m.all(x, 0), lambda x: x.all(0), lambda n: [(3, n)], domain="bool",
        grad=False),
    Row("count_nonzero", lambda m, x: m.count_nonzero(x, 1), lambda x: np.count_nonzero(x, 1),
        lambda n: [(3, n)], domain="int:3", grad=False),
    Row("var", lambda m, x: m.var(x, 1), lambda x: np_var(x, 1, 1), lambda n: [(3, n)],
        sizes=(2, 15, 16, 17, 33)),
    Row("var_columns", lambda m, x: m.var(x, 0, unbiased=False), lambda x: np_var(x, 0, 0),
        lambda n: [(21, n)], sizes=(1, 15, 16, 17, 33)),
    Row("std", lambda m, x: m.std(x, 1, correction=0), lambda x: np.sqrt(np_var(x, 1, 0)),
        lambda n: [(3, n)], sizes=(2, 15, 16, 17, 33)),
    Row("var_mean", lambda m, x: m.var_mean(x, 1), lambda x: (np_var(x, 1, 1), x.mean(1)),
        lambda n: [(3, n)], sizes=(2, 15, 16, 17, 33)),
    Row("norm", lambda m, x: m.norm(x), lambda x: np.sqrt((x * x).sum()), lambda n: [(3, n)],
        domain=(0.5, 2), tol=4e-6),
    Row("norm_1", lambda m, x: m.norm(x, 1, 1), lambda x: np.abs(x).sum(1), lambda n: [(3, n)],
        domain=(0.5, 2), tol=4e-6),
    Row("norm_3", lambda m, x: m.norm(x, 3, 0), lambda x: (np.abs(x) ** 3).sum(0) ** (1 / 3),
        lambda n: [(3, n)], domain=(0.5, 2), tol=4e-6),
    Row("norm_inf", lambda m, x: m.norm(x, float("inf"), 1), lambda x: np.abs(x).max(1),
        lambda n: [(3, n)], domain=distinct, sizes=(1, 15, 17)),
    Row("logsumexp", lambda m, x: m.logsumexp(x, 1), lambda x: np_lse(x, 1), lambda n: [(3, n)],
        domain=(-4, 4), sizes=(1, 15, 16, 17, 33)),
    Row("logsumexp_columns", lambda m, x: m.logsumexp(x, (0,), keepdim=True),
        lambda x: np_lse(x, 0)[None], lambda n: [(5, n)], domain=(-4, 4)),
    Row("nansum", lambda m, x: m.nansum(x, 1), lambda x: np.nansum(x, 1), lambda n: [(3, n)],
        tol=SUM),
]  # fmt: skip
