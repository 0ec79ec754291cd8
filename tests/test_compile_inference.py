"""lamina.compile: convolutions that take a batch norm by given statistics and what follows it, and
that read weights a plan has rearranged: the bits are eager ones, and every write is seen."""

from __future__ import annotations

import numpy as np
import pytest

import lamina
from joined import replayed
from lamina import nn
from test_compile_conv import CONVS, POOLS
from test_compile_weights import SETTLED, WRITES, check_write_is_seen, same

f32, f64 = lamina.float32, lamina.float64


def calls(plan):
    """The names of a plan's launches."""
    return [line.split()[0] for line in plan.summary().splitlines()[1:]]


def norm_of(layer, **options):
    norm = {nn.Conv1d: nn.BatchNorm1d, nn.Conv2d: nn.BatchNorm2d}[type(layer)]
    made = norm(layer.out_channels, **options)
    lamina.nn.init.uniform_(made.running_mean, -1, 1)
    lamina.nn.init.uniform_(made.running_var, 0.5, 2)
    if made.weight is not None:
        lamina.nn.init.uniform_(made.weight, -2, 2)
        lamina.nn.init.uniform_(made.bias, -1, 1)
    return made


def forward(model, tail):
    """model(x), what `tail` makes of it, without gradients."""

    def step(x):
        with lamina.no_grad():
            return tail(model, x)

    return step


TAILS = {
    "norm": lambda m, x: m(x),
    "norm, relu": lambda m, x: m(x).relu(),
    "norm, relu in place": lambda m, x: m(x).relu_(),
    "sum": lambda m, x: m(x) + m[0](x) * 0.5,
    "sum first, relu": lambda m, x: (m[0](x) * 0.5 + m(x)).relu(),
    "sum in place, relu": lambda m, x: m(x).add_(m[0](x).abs()).relu_(),
}


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("name", CONVS)
@pytest.mark.parametrize("dtype", [f32, f64])
def test_conv_takes_norm(name, tail, dtype, threads):
    layer, sizes, options, shape = CONVS[name]
    lamina.manual_seed(0)
    conv = layer(*sizes, **options)
    model = nn.Sequential(conv, norm_of(conv, affine=tail != "norm")).to(dtype).eval()
    x = lamina.randn(*shape, dtype=dtype)
    plan, _ = replayed(forward(model, TAILS[tail]), x, calls=SETTLED)
    one = name == "whole image"  # whose channels are one element each
    assert calls(plan).count("batch_norm_eval") == int(one)
    if not one:
        assert not any("relu" in call or "add" in call for call in calls(plan))


@pytest.mark.parametrize("dtype", [f32, f64])
def test_against_float64(dtype):
    conv = nn.Conv2d(5, 7, 3, padding=1)
    model = nn.Sequential(conv, norm_of(conv), nn.ReLU()).to(dtype).eval()
    x = lamina.randn(3, 5, 6, 11, dtype=dtype)
    _, y = replayed(forward(model, TAILS["norm"]), x)
    with lamina.no_grad():
        z = conv.double()(x.double()).numpy()
    norm = model[1].double()
    v = [t.detach().numpy()[:, None, None] for t in (norm.weight, norm.bias)]
    m, s = (t.numpy()[:, None, None] for t in (norm.running_mean, norm.running_var))
    expected = np.maximum((z - m) / np.sqrt(s + norm.eps) * v[0] + v[1], 0)
    np.testing.assert_allclose(y.double().numpy(), expected, atol=1e-5 if dtype is f32 else 1e-12)


def test_nan_zeros_and_infinities(threads):
    conv = nn.Conv2d(2, 3, 1)
    model = nn.Sequential(conv, norm_of(conv), nn.ReLU()).eval()
    x = lamina.tensor([float("nan"), -0.0, 0.0, float("inf"), -1.0, 2.0] * 4).view(1, 2, 3, 4)
    plan, _ = replayed(forward(model, TAILS["norm"]), x)
    assert calls(plan) == ["conv"]


@pytest.mark.parametrize("tail", [
    lambda m, y: m(y) + y, lambda m, y: (y + m(y)).relu(), lambda m, y: m(y) + y.view(y.shape),
    lambda m, y: nn.functional.batch_norm(y, y.view(-1)[:4], m.running_var),
])  # fmt: skip
def test_result_that_is_its_own_summand(tail):
    """The norm reads the convolution twice: new inputs show whether it is made each time."""
    conv = nn.Conv2d(3, 4, 3, padding=1)
    norm = norm_of(conv).eval()
    step = forward(conv, lambda m, x: tail(norm, m(x)))
    call = lamina.compile(step, fullgraph=True)
    for _ in range(5):
        x = lamina.randn(2, 3, 6, 6)
        assert same(call(x), step(x))


@pytest.mark.skipif(
    lamina._core.isa() not in ("avx2", "avx512"),
    reason="which of two NaNs a sum keeps is the compiler's",
)
def test_nan_of_two_nans():
    conv = nn.Conv2d(1, 1, 1, bias=False)
    norm = norm_of(conv).eval()
    x = lamina.full((1, 1, 4, 5), float("nan"))
    r = lamina.tensor(-np.full((1, 1, 4, 5), np.nan, np.float32))
    for tail in (lambda m, x, r: m(x) + r, lambda m, x, r: r + m(x)):
        replayed(
            lamina.no_grad()(lambda x, r, tail=tail: tail(lambda v: norm(conv(v)), x, r)), x, r
        )


def test_what_is_not_joined(threads):
    conv = nn.Conv2d(3, 4, 3, padding=1)
    model, x = nn.Sequential(conv, norm_of(conv)).eval(), lamina.randn(2, 3, 8, 8)

    def two_readers(m, x):
        y = m[0](x)
        return m[1](y), y

    def relu_between(m, x):
        return m[1](m[0](x).relu())

    def shifted(m, x):
        return m[1](m[0](x)[1:])

    for tail in (two_readers, relu_between, shifted):
        plan, _ = replayed(forward(model, tail), x)
        assert "batch_norm_eval" in calls(plan)
    plan, _ = replayed(forward(model.train(), TAILS["norm, relu"]), x, calls=4)
    assert "batch_norm" in calls(plan)


def test_a_frozen_norm_in_training_keeps_its_input():
    """Its gradient reads what the convolution left."""
    conv = nn.Conv2d(3, 4, 3, padding=1)
    model, x = nn.Sequential(conv, norm_of(conv)).eval(), lamina.randn(2, 3, 8, 8)

    def step(x):
        loss = model(x).relu().square().mean()
        return loss.detach(), *lamina.autograd.grad(loss, list(model.parameters()))

    plan, _ = replayed(step, x)
    assert "batch_norm_eval" in calls(plan)


def test_residual_blocks(threads):
    """As in ResNet: each block is two launches."""
    lamina.manual_seed(0)
    first, second = (nn.Conv2d(16, 16, 3, padding=1, bias=False) for _ in range(2))
    half = nn.Sequential(first, norm_of(first), nn.ReLU(), second, norm_of(second)).eval()

    def step(x):
        with lamina.no_grad():
            for _ in range(3):
                x = (half(x) + x).relu()
            return x

    plan, _ = replayed(step, lamina.randn(4, 16, 12, 12), calls=SETTLED)
    assert calls(plan) == ["conv"] * 6
    assert plan.stats()["epilogues"] == 12


# ---- weights ------------------------------------------------------------------------------------
KEPT = {  # a layer and input of each way that prepares weights; channels that leave rests
    "winograd": (dict(in_channels=37, out_channels=50, padding=1), (3, 37, 9, 10)),
    "winograd, groups": (dict(in_channels=64, out_channels=80, groups=2), (4, 64, 13, 10)),
    "lanes": (dict(in_channels=20, out_channels=33, stride=2, padding=1), (5, 20, 9, 7)),
    "lanes, groups": (dict(in_channels=66, out_channels=40, groups=2, stride=2), (6, 66, 9, 17)),
    "lanes, panels": (dict(in_channels=200, out_channels=170, padding=1), (5, 200, 2, 2)),
    "lanes, two blocks": (dict(in_channels=190, out_channels=180, padding=1), (45, 190, 2, 3)),
    "one image": (dict(in_channels=32, out_channels=70, padding=1), (1, 32, 2, 3)),
    "one image, few": (dict(in_channels=33, out_channels=130, padding=1), (1, 33, 2, 2)),
    "one image, a row": (dict(in_channels=40, out_channels=45, padding=1), (1, 40, 1, 3)),
    "one image, 1x1": (dict(in_channels=80, out_channels=75, kernel_size=1), (1, 80, 2, 3)),
}


def kept(name, dtype=f32, bias=True):
    options, shape = KEPT[name]
    lamina.manual_seed(0)
    layer = nn.Conv2d(**{"kernel_size": 3, "bias": bias, **options})
    model = nn.Sequential(layer, norm_of(layer), nn.ReLU()).to(dtype).eval()
    return model, lamina.randn(*shape, dtype=dtype)


@pytest.mark.parametrize("dtype", [f32, f64])
@pytest.mark.parametrize("name", KEPT)
def test_prepared_weights(name, dtype, threads):
    for bias in (True, False):
        model, x = kept(name, dtype, bias)
        plan, _ = replayed(forward(model, TAILS["norm"]), x, calls=SETTLED)
        assert plan.stats()["packed_bytes"] >= model[0].weight.nbytes
        assert calls(plan) == ["conv"]


def test_high_precision_has_weights_of_its_own(threads):
    before = lamina.get_float32_matmul_precision()
    lamina.set_float32_matmul_precision("high")
    try:
        model, x = kept("winograd")
        plan, _ = replayed(forward(model, TAILS["norm"]), x, calls=SETTLED)
        assert plan.stats()["packed_bytes"] >= 4 * model[0].weight.nbytes
    finally:
        lamina.set_float32_matmul_precision(before)


@pytest.mark.parametrize("way", set(WRITES) - {"compiled step"})  # that one is of linear layers
@pytest.mark.parametrize("name", ["winograd", "lanes, panels", "one image"])
def test_writes_are_seen(name, way):
    model, x = kept(name)
    compiled = lamina.compile(model, fullgraph=True)
    with lamina.no_grad():
        for _ in range(SETTLED):
            compiled(x)
    check_write_is_seen(model, compiled, x, way)


def test_statistics_are_read_anew():
    model, x = kept("winograd")
    compiled = lamina.compile(model, fullgraph=True)
    with lamina.no_grad():
        for _ in range(SETTLED):
            compiled(x)
        for tensor in (*model[1].parameters(), model[1].running_mean, model[1].running_var):
            before = compiled(x).clone()
            tensor.data.mul_(1.5)
            assert not same(compiled(x), before)
            assert same(compiled(x), model(x))


def test_the_number_of_threads_may_change():
    before = lamina.get_num_threads()
    try:
        for name in KEPT:
            lamina.set_num_threads(2)
            model, x = kept(name)
            compiled = lamina.compile(model, fullgraph=True)
            with lamina.no_grad():
                for _ in range(SETTLED):
                    y = compiled(x)
                for n in (1, 3):
                    lamina.set_num_threads(n)
                    assert same(compiled(x), y) and same(model(x), y)
    finally:
        lamina.set_num_threads(before)


def test_pools_after_joined_convolutions(threads):
    conv = nn.Conv2d(2, 5, 3)
    for pool in POOLS.values():
        model = nn.Sequential(conv, norm_of(conv), nn.ReLU(), pool).eval()
        plan, _ = replayed(forward(model, TAILS["norm"]), lamina.randn(3, 2, 13, 18))
        assert calls(plan)[0] == "conv" and len(calls(plan)) == 2
