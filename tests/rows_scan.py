"""Rows of the scans."""

import numpy as np

from row import Row
from rows_reduce import distinct


def last_place(x, axis, largest):
    """(values, positions) of the running extreme, from the definition."""
    x = np.moveaxis(x, axis, -1)
    v = (np.maximum if largest else np.minimum).accumulate(x, -1)
    place = np.where(x == v, np.arange(x.shape[-1]), 0)
    place = np.maximum.accumulate(place, -1)
    return np.moveaxis(v, -1, axis), np.moveaxis(place, -1, axis)


ROWS = [
    Row("cumsum", lambda m, x: m.cumsum(x, -1), lambda x: x.cumsum(-1), lambda n: [(3, n)],
        tol=4e-6),
    Row("cumsum_columns", lambda m, x: m.cumsum(x, 1), lambda x: x.cumsum(1),
        lambda n: [(2, 5, n)], sizes=(0, 1, 15, 17, 65)),
    Row("cumsum_integers", lambda m, x: m.cumsum(x, 0), lambda x: x.cumsum(0),
        lambda n: [(n, 3)], domain="int:50", grad=False),
    Row("cumprod", lambda m, x: m.cumprod(x, -1), lambda x: x.cumprod(-1), lambda n: [(3, n)],
        domain=(0.8, 1.25)),
    Row("cumprod_rows", lambda m, x: m.cumprod(x, -1), lambda x: x.cumprod(-1),
        lambda n: [(n, 5)], sizes=(7, 8, 17), domain=(0.5, 1.5)),
    Row("cumprod_columns", lambda m, x: m.cumprod(x, 0), lambda x: x.cumprod(0),
        lambda n: [(5, n)], domain=(0.5, 1.5)),
    Row("cummax", lambda m, x: m.cummax(x, -1), lambda x: last_place(x, -1, True),
        lambda n: [(3, n)], domain=distinct, sizes=(1, 15, 16, 17, 33)),
    Row("cummin", lambda m, x: m.cummin(x, 0), lambda x: last_place(x, 0, False),
        lambda n: [(7, n)], domain=distinct, sizes=(1, 15, 16, 17, 65)),
    Row("logcumsumexp", lambda m, x: m.logcumsumexp(x, -1),
        lambda x: np.logaddexp.accumulate(x, -1) if x.size else x, lambda n: [(3, n)],
        domain=(-4, 4), second=False),
    Row("diff", lambda m, x: m.diff(x, n=2), lambda x: np.diff(x, 2), lambda n: [(3, n)],
        sizes=(3, 15, 17)),
]  # fmt: skip
