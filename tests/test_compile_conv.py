"""lamina.compile: convolutions and pools that take relu leave the bits of the eager step."""

from __future__ import annotations

import pytest

import lamina
from joined import replayed, trained
from lamina import nn

f32, f64 = lamina.float32, lamina.float64


# Each way a convolution is computed (conv_launch.cpp), and shapes that leave rests.
CONVS = {
    "direct": (nn.Conv2d, (3, 5, 3), {}, (3, 3, 9, 11)),
    "one channel, wide rows": (nn.Conv2d, (1, 6, 5), {"padding": 2}, (2, 1, 28, 28)),
    "lanes": (nn.Conv2d, (20, 33, 3), {"stride": 2, "padding": 1}, (5, 20, 9, 7)),
    "lanes of several images": (
        nn.Conv2d,
        (16, 17, 3),
        {"dilation": 2, "padding": 2},
        (9, 16, 3, 3),
    ),
    "winograd": (nn.Conv2d, (18, 35, 3), {"padding": 1}, (4, 18, 13, 10)),
    "patches": (nn.Conv2d, (40, 19, 1), {}, (6, 40, 7, 5)),
    "small planes": (nn.Conv2d, (32, 48, 3), {"padding": 1}, (1, 32, 4, 4)),
    "whole image": (nn.Conv2d, (7, 9, (5, 4)), {"bias": False}, (6, 7, 5, 4)),
    "depthwise": (nn.Conv2d, (21, 42, 3), {"groups": 21, "padding": 1}, (3, 21, 8, 9)),
    "groups": (nn.Conv2d, (8, 12, 3), {"groups": 2, "bias": False}, (3, 8, 6, 17)),
    "1d": (nn.Conv1d, (5, 18, 4), {"stride": 3}, (4, 5, 50)),
}


@pytest.mark.parametrize("name", CONVS)
@pytest.mark.parametrize("dtype", [f32, f64])
def test_conv_takes_relu(name, dtype, threads):
    layer, sizes, options, shape = CONVS[name]
    x = lamina.randn(*shape, dtype=dtype)

    def build(inplace=False):
        model = nn.Sequential(layer(*sizes, **options), nn.ReLU(inplace)).to(dtype)
        return model, lambda m, x: m(x).square().mean()

    for inplace in (False, True):
        plan = trained(lambda inplace=inplace: build(inplace), x, steps=4)
        assert plan.stats()["epilogues"] == 1
        assert not any("relu" in line.split()[0] for line in plan.summary().splitlines()[1:])


def test_conv_takes_relu_keeps_nan_and_zeros(threads):
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.ReLU())
    x = lamina.tensor([float("nan"), -0.0, 0.0, float("inf"), -1.0, 2.0] * 4).view(1, 2, 3, 4)

    def step(x):
        with lamina.no_grad():
            return model(x)

    plan, _ = replayed(step, x)
    assert plan.stats()["epilogues"] == 1


def test_conv_whose_result_others_read_keeps_it():
    model = nn.Conv2d(3, 4, 3)

    def two(x):
        y = model(x)
        return y.relu().detach(), y.detach()

    plan, (a, b) = replayed(two, lamina.randn(2, 3, 8, 8))
    assert plan.stats()["epilogues"] == 0 and (b < 0).any() and (a >= 0).all()

    def view(x):
        y = model(x)
        return y[:, 1:].relu().detach()

    plan, _ = replayed(view, lamina.randn(2, 3, 8, 8))
    assert plan.stats()["epilogues"] == 0

    def several(x):
        y = model(x).relu()
        return (y * 2).detach(), y.detach(), y.mean((2, 3)).detach()

    plan, _ = replayed(several, lamina.randn(2, 3, 8, 8))
    assert plan.stats()["epilogues"] == 1


POOLS = {
    "2x2": nn.MaxPool2d(2),
    "overlapping": nn.MaxPool2d(3, 2, 1),
    "ceil": nn.MaxPool2d(3, 2, ceil_mode=True),
    "dilated": nn.MaxPool2d(2, 2, dilation=2),
    "adaptive": nn.AdaptiveMaxPool2d((3, 4)),
}


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("dtype", [f32, f64])
def test_pool_gradients_take_relu(name, dtype, threads):
    """The maxima say what relu lets through: its result is not read again."""
    x = lamina.randn(3, 2, 13, 18, dtype=dtype)

    def build(norm):
        layers = [nn.Conv2d(2, 5, 3), *([nn.BatchNorm2d(5)] if norm else []), nn.ReLU()]
        model = nn.Sequential(*layers, POOLS[name], nn.Conv2d(5, 3, 2), nn.ReLU(), POOLS["2x2"])
        return model.to(dtype), lambda m, x: (m(x) * x.mean()).sum()

    for norm in (False, True):
        plan = trained(lambda norm=norm: build(norm), x, steps=4)
        assert plan.stats()["epilogues"] == 4  # two relus, two gradients
        names = [line.split()[0] for line in plan.summary().splitlines()[1:]]
        assert sum("elementwise_grad" in n for n in names) == 1  # of the loss


def test_pool_gradients_leave_relu_where_it_is_seen(threads):
    """A second reader of relu's result or of its gradient, and maxima written in place."""
    pool, x = nn.MaxPool2d(2), lamina.randn(2, 3, 9, 8)

    def build(kind):
        model = nn.Conv2d(3, 4, 3, padding=1)

        def loss(m, x):
            y = m(x).relu()
            z = pool(y)
            if kind == "in place":
                z.mul_(-1.0)
            more = y.square().mean() if kind == "two readers" else 0
            return (z * z * z).sum() + more

        return model, loss

    for kind in ("in place", "two readers", "plain"):
        plan = trained(lambda kind=kind: build(kind), x, steps=4)
        assert plan.stats()["epilogues"] == (2 if kind == "plain" else 1)
