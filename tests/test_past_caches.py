"""Results too large for the caches take another way to memory: the same bits."""

from __future__ import annotations

import pytest

import lamina
from lamina.nn import functional as F

ROWS, WIDTH = 5200, 1003  # 21 MB in float32, rows at every alignment
PARTS = ((0, 700), (700, 1900), (1900, 3300), (3300, 4500), (4500, 5200))


@pytest.fixture(scope="module")
def x():
    lamina.manual_seed(0)
    return lamina.randn(ROWS, WIDTH)


def in_parts(f, *tensors):
    return lamina.cat([f(*(t[a:b] for t in tensors)) for a, b in PARTS])


def gradient(f, *others):
    def run(x, *rest):
        x = x.detach().requires_grad_()
        f(x, *rest).backward(x.detach() * 0.5 if not others else None)
        return x.grad

    return run


@pytest.mark.parametrize("f", [
    lambda x: x.softmax(1), lambda x: x.log_softmax(1), lambda x: F.layer_norm(x, (WIDTH,)),
    gradient(lambda x: x.softmax(1)), gradient(lambda x: x.log_softmax(1)),
    gradient(lambda x: F.layer_norm(x, (WIDTH,))),
], ids=["softmax", "log_softmax", "layer_norm", "softmax grad", "log_softmax grad",
        "layer_norm grad"])  # fmt: skip
def test_rows(x, f):
    assert f(x).equal(in_parts(f, x))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(x, smoothing):
    target = lamina.arange(ROWS) % WIDTH
    target[::7] = -100

    def slope(x, target):
        return gradient(
            lambda x, t: F.cross_entropy(x, t, reduction="sum", label_smoothing=smoothing), 1
        )(x, target)

    assert slope(x, target).equal(in_parts(slope, x, target))
