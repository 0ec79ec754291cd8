"""Rows of the normalisations."""

import importlib

import numpy as np

from row import Row


def functional(m):
    if m.__name__ == "torch":
        return m.nn.functional
    return importlib.import_module("lamina.ops.norm")


def np_norm(x, axes, eps=1e-5):
    mean = x.mean(axes, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(axes, keepdims=True) + eps)


def channels(v, x):
    return v.reshape(1, -1, *[1] * (x.ndim - 2))


def np_batch(x, w, b):
    axes = (0, *range(2, x.ndim))
    return np_norm(x, axes) * channels(w, x) + channels(b, x)


def np_group(x, w, b, groups):
    y = np_norm(x.reshape(x.shape[0], groups, -1), 2).reshape(x.shape)
    return y * channels(w, x) + channels(b, x)


def np_rms(x, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps)


def np_lrn(x, size, alpha, beta, k):
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        lo, hi = max(0, c - size // 2), min(x.shape[1], c + (size - 1) // 2 + 1)
        total = (x[:, lo:hi] ** 2).sum(1) / size
        y[:, c] = x[:, c] / (k + alpha * total) ** beta
    return y


def batch(m, x, w, b):
    return functional(m).batch_norm(x, None, None, w, b, True)


def batch_eval(m, x, w, b, mean, var):
    return functional(m).batch_norm(x, mean.detach(), var.detach(), w, b, False)


def np_batch_eval(x, w, b, mean, var):
    h = (x - channels(mean, x)) / np.sqrt(channels(var, x) + 1e-5)
    return h * channels(w, x) + channels(b, x)


# Sizes leave at least 3 values to a statistic: with 2, y = +-1 whatever x is, and derivatives that
# are 0 by cancellation are compared with rounding errors.
NORM = {"tol": 5e-6, "sizes": (3, 15, 16, 17, 33), "tol64": 1e-11}
ROWS = [
    Row("batch_norm", batch, np_batch, lambda n: [(3, 5, n), (5,), (5,)], **NORM),
    Row("batch_norm_2d", batch, np_batch, lambda n: [(2, n, 3, 5), (n,), (n,)], **NORM),
    Row("batch_norm_columns", batch, np_batch, lambda n: [(7, n), (n,), (n,)], **NORM),
    Row("batch_norm_many_rows", batch, np_batch, lambda n: [(n, 70), (70,), (70,)], **NORM),
    Row("batch_norm_long", batch, np_batch, lambda n: [(2, 3, 300 + n), (3,), (3,)], **NORM),
    Row("batch_norm_plain", lambda m, x: functional(m).batch_norm(x, None, None, training=True),
        lambda x: np_norm(x, (0, 2)), lambda n: [(3, 2, n)], **NORM),
    Row("batch_norm_eval", batch_eval, np_batch_eval,
        lambda n: [(2, 3, n), (3,), (3,), (3,), (3,)],
        domain=[(-2, 2), (-2, 2), (-2, 2), (-1, 1), (0.5, 2)], grad=False, tol=5e-6),
    Row("batch_norm_eval_columns", batch_eval, np_batch_eval,
        lambda n: [(4, n), (n,), (n,), (n,), (n,)], sizes=(1, 15, 16, 17, 33, 70),
        domain=[(-2, 2), (-2, 2), (-2, 2), (-1, 1), (0.5, 2)], grad=False, tol=5e-6),
    Row("instance_norm",
        lambda m, x, w, b: functional(m).instance_norm(x, weight=w, bias=b),
        lambda x, w, b: np_norm(x, (2, 3)) * channels(w, x) + channels(b, x),
        lambda n: [(2, 3, 2, n), (3,), (3,)], **NORM),
    Row("layer_norm", lambda m, x, w, b: functional(m).layer_norm(x, w.shape, w, b),
        lambda x, w, b: np_norm(x, -1) * w + b, lambda n: [(2, 3, n), (n,), (n,)], **NORM),
    Row("layer_norm_many", lambda m, x, w, b: functional(m).layer_norm(x, w.shape, w, b),
        lambda x, w, b: np_norm(x, -1) * w + b, lambda n: [(4 * n, 7), (7,), (7,)], **NORM),
    Row("layer_norm_2d", lambda m, x, w: functional(m).layer_norm(x, w.shape, w),
        lambda x, w: np_norm(x, (1, 2)) * w, lambda n: [(3, 4, n), (4, n)], **NORM),
    Row("layer_norm_plain", lambda m, x: functional(m).layer_norm(x, x.shape[1:]),
        lambda x: np_norm(x, 1), lambda n: [(5, n)], **NORM),
    Row("rms_norm", lambda m, x, w: functional(m).rms_norm(x, w.shape, w, 1e-5),
        lambda x, w: np_rms(x, 1e-5) * w, lambda n: [(2, 3, n), (n,)], **NORM),
    Row("rms_norm_plain", lambda m, x: functional(m).rms_norm(x, x.shape[-1:], eps=1e-3),
        lambda x: np_rms(x, 1e-3), lambda n: [(5, n)], **NORM),
    Row("group_norm", lambda m, x, w, b: functional(m).group_norm(x, 2, w, b),
        lambda x, w, b: np_group(x, w, b, 2), lambda n: [(3, 4, n), (4,), (4,)], **NORM),
    Row("group_norm_plain", lambda m, x: functional(m).group_norm(x, 1),
        lambda x: np_norm(x, (1, 2, 3)), lambda n: [(2, 3, 2, n)], **NORM),
    Row("local_response_norm", lambda m, x: functional(m).local_response_norm(x, 3, 0.5),
        lambda x: np_lrn(x, 3, 0.5, 0.75, 1.0), lambda n: [(2, 5, n)]),
    Row("local_response_norm_even", lambda m, x: functional(m).local_response_norm(x, 4, 0.5, 0.5),
        lambda x: np_lrn(x, 4, 0.5, 0.5, 1.0), lambda n: [(2, 6, n)], large=None),
    Row("normalize", lambda m, x: functional(m).normalize(x),
        lambda x: x / np.sqrt((x * x).sum(1, keepdims=True)), lambda n: [(4, n)],
        domain=(0.5, 2), sizes=(1, 15, 16, 17)),
]  # fmt: skip
