"""Rows of softmax, log_softmax, the losses."""

import numpy as np

from row import Row


def F(m):
    """Where the losses are."""
    return m.nn.functional


def np_log_softmax(x, axis=-1):
    z = x - x.max(axis, keepdims=True, initial=-99)
    return z - np.log(np.exp(z).sum(axis, keepdims=True, initial=0 if x.size else 1))


def np_softmax(x, axis=-1):
    return np.exp(np_log_softmax(x, axis))


def np_cross_entropy(x, t, w=None, e=0.0, ignore=-100, reduction="mean"):
    """Straight from the definition, classes along axis 1."""
    classes = x.shape[1]
    w = np.ones(classes) if w is None else w
    logp = np.moveaxis(np_log_softmax(x, 1), 1, -1)
    valid = t != ignore
    at = np.where(valid, t, 0)
    q = (1 - e) * np.eye(classes)[at] * w[at][..., None] + e / classes * w
    loss = np.where(valid, -(q * logp).sum(-1), 0.0)
    if reduction == "none":
        return loss
    return loss.sum() / (np.where(valid, w[at], 0).sum() if reduction == "mean" else 1)


def np_prob_cross_entropy(x, q):
    return -(q * np_log_softmax(x, 1)).sum() / (x.size / x.shape[1])


def probabilities(rng, shape):
    q = rng.random(shape) + 0.1
    return q / q.sum(1, keepdims=True)


def with_ignored(rng, shape):
    t = rng.integers(0, 5, shape)
    return np.where(rng.random(shape) < 0.2, -100, t)


def signs(rng, shape):
    return np.where(rng.random(shape) < 0.5, -1.0, 1.0)


def np_bce(x, y):
    return -(y * np.log(x) + (1 - y) * np.log(1 - x))


def np_bce_logits(x, y):
    return np.maximum(x, 0) - x * y + np.log1p(np.exp(-np.abs(x)))


def np_smooth_l1(x, y, beta):
    d = np.abs(x - y)
    return np.where(d < beta, d * d / (2 * beta), d - beta / 2)


SOME = (1, 5, 16, 17, 33)
UNIT = (0.05, 0.95)
PAIR = {"shapes": lambda n: [(3, n), (3, n)], "sizes": SOME}

ROWS = [
    Row("softmax", lambda m, x: m.softmax(x, -1), np_softmax, lambda n: [(3, n)], (-4, 4),
        sizes=(0, 1, 10, 15, 16, 17, 33, 700)),
    Row("softmax_columns", lambda m, x: m.softmax(x, 1), lambda x: np_softmax(x, 1),
        lambda n: [(2, 5, n)], (-4, 4), sizes=(0, 1, 15, 16, 17, 33)),
    Row("softmax_rows_first", lambda m, x: m.softmax(x, 0), lambda x: np_softmax(x, 0),
        lambda n: [(n, 3)], (-4, 4)),
    Row("log_softmax", lambda m, x: m.log_softmax(x, -1), np_log_softmax, lambda n: [(3, n)],
        (-4, 4), sizes=(0, 1, 10, 15, 16, 17, 33, 700)),
    Row("log_softmax_columns", lambda m, x: m.log_softmax(x, 1), lambda x: np_log_softmax(x, 1),
        lambda n: [(2, 5, n)], (-4, 4)),
    Row("cross_entropy", lambda m, x, t: F(m).cross_entropy(x, t), np_cross_entropy,
        lambda n: [(n, 5), (n,)], [(-4, 4), "int:5"], sizes=SOME),
    Row("cross_entropy_classes", lambda m, x, t: F(m).cross_entropy(x, t, reduction="sum"),
        lambda x, t: np_cross_entropy(x, t, reduction="sum"), lambda n: [(7, n), (7,)],
        [(-4, 4), "int:1"], sizes=(1, 10, 16, 17, 33, 700), tol=4e-6),
    Row("cross_entropy_all",
        lambda m, x, t, w: F(m).cross_entropy(x, t, w.detach(), label_smoothing=0.1),
        lambda x, t, w: np_cross_entropy(x, t, w, 0.1), lambda n: [(n, 5), (n,), (5,)],
        [(-4, 4), with_ignored, (0.5, 2)], sizes=(15, 16, 17, 33), grad=False),
    Row("cross_entropy_smooth",
        lambda m, x, t: F(m).cross_entropy(x, t, label_smoothing=0.2, reduction="none"),
        lambda x, t: np_cross_entropy(x, t, None, 0.2, reduction="none"),
        lambda n: [(n, 5), (n,)], [(-4, 4), with_ignored], sizes=SOME),
    Row("cross_entropy_images", lambda m, x, t: F(m).cross_entropy(x, t, label_smoothing=0.1),
        lambda x, t: np_cross_entropy(x, t, None, 0.1), lambda n: [(2, 5, 3, n), (2, 3, n)],
        [(-4, 4), with_ignored], sizes=(5, 16, 17)),
    Row("cross_entropy_probabilities", lambda m, x, q: F(m).cross_entropy(x, q),
        np_prob_cross_entropy, lambda n: [(n, 5), (n, 5)], [(-4, 4), probabilities], sizes=SOME),
    Row("nll_loss", lambda m, x, t: F(m).nll_loss(x, t),
        lambda x, t: -np.take_along_axis(x, t[:, None], 1).mean(), lambda n: [(n, 5), (n,)],
        [(-4, 0), "int:5"], sizes=SOME),
    Row("mse_loss", lambda m, x, y: F(m).mse_loss(x, y), lambda x, y: ((x - y) ** 2).mean(),
        **PAIR, tol=4e-6),
    Row("l1_loss", lambda m, x, y: F(m).l1_loss(x, y, reduction="sum"),
        lambda x, y: np.abs(x - y).sum(), **PAIR, domain=[(0, 1), (1.5, 2)], tol=4e-6),
    Row("huber_loss", lambda m, x, y: F(m).huber_loss(x, y, delta=0.7, reduction="none"),
        lambda x, y: 0.7 * np_smooth_l1(x, y, 0.7), **PAIR, second=False),
    Row("smooth_l1_loss", lambda m, x, y: F(m).smooth_l1_loss(x, y, beta=0.5),
        lambda x, y: np_smooth_l1(x, y, 0.5).mean(), **PAIR, second=False),
    Row("bce", lambda m, x, y: F(m).binary_cross_entropy(x, y), lambda x, y: np_bce(x, y).mean(),
        **PAIR, domain=[UNIT, UNIT], tol=4e-6),
    Row("bce_with_logits", lambda m, x, y: F(m).binary_cross_entropy_with_logits(x, y),
        lambda x, y: np_bce_logits(x, y).mean(), **PAIR, domain=[(-4, 4), (0, 1)]),
    Row("bce_with_pos_weight",
        lambda m, x, y, p: F(m).binary_cross_entropy_with_logits(x, y, pos_weight=p),
        lambda x, y, p: (np.log1p(np.exp(-x)) * (p * y + 1 - y) + (1 - y) * x).mean(),
        lambda n: [(3, n), (3, n), (n,)], [(-4, 4), (0, 1), (0.5, 3)], sizes=SOME, tol=4e-6,
        torch=False),
    Row("kl_div", lambda m, x, y: F(m).kl_div(x, y, reduction="batchmean"),
        lambda x, y: (y * (np.log(y) - x)).sum() / len(x), **PAIR, domain=[(-4, 0), UNIT],
        tol=4e-6),
    Row("kl_div_log", lambda m, x, y: F(m).kl_div(x, y, reduction="sum", log_target=True),
        lambda x, y: (np.exp(y) * (y - x)).sum(), **PAIR, domain=[(-4, 0), (-4, 0)], tol=4e-6),
    Row("poisson_nll_loss", lambda m, x, y: F(m).poisson_nll_loss(x, y),
        lambda x, y: (np.exp(x) - y * x).mean(), **PAIR, domain=[(-2, 2), (0, 5)], tol=4e-6),
    Row("gaussian_nll_loss", lambda m, x, y, v: F(m).gaussian_nll_loss(x, y, v, full=True),
        lambda x, y, v: 0.5 * (np.log(2 * np.pi * v) + (x - y) ** 2 / v).mean(),
        lambda n: [(3, n)] * 3, [(-2, 2), (-2, 2), (0.5, 2)], sizes=SOME, tol=4e-6),
    Row("soft_margin_loss", lambda m, x, y: F(m).soft_margin_loss(x, y),
        lambda x, y: np.log1p(np.exp(-x * y)).mean(), **PAIR, domain=[(-3, 3), signs],
        torch=False),
    Row("cosine_similarity", lambda m, x, y: F(m).cosine_similarity(x, y, dim=-1),
        lambda x, y: (x * y).sum(-1) / np.sqrt((x * x).sum(-1) * (y * y).sum(-1)), **PAIR,
        domain=(0.5, 2)),
    Row("triplet_margin_loss", lambda m, a, p, n: F(m).triplet_margin_loss(a, p, n, margin=20.0),
        lambda a, p, n: (20 + np.sqrt(((a - p + 1e-6) ** 2).sum(-1))
                         - np.sqrt(((a - n + 1e-6) ** 2).sum(-1))).mean(),
        lambda n: [(3, n)] * 3, [(0, 1), (2, 3), (4, 5)], sizes=SOME, tol=4e-6),
]  # fmt: skip
