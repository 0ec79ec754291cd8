"""lamina.compile: plans whose calls were joined leave the bits of the eager step."""

from __future__ import annotations

import random

import numpy as np
import pytest

import lamina
import lamina.nn.functional as F
from joined import bits, replayed, trained
from lamina import _core, nn

f32, f64 = lamina.float32, lamina.float64


# ---- elementwise functions ----------------------------------------------------------------------
ONE = ["neg", "abs", "exp", "tanh", "relu", "sigmoid", "square", "sin", "floor", "sign", "erf"]
TWO = ["add", "sub", "mul", "maximum", "minimum", "atan2"]


def random_step(seed, shape, dtype):
    """A random graph over two arguments; sizes that broadcast, views, casts, writes in place."""
    rng = random.Random(seed)
    plan = [rng.randrange(9) for _ in range(rng.randrange(3, 14))]
    choices = [(rng.random(), rng.random(), rng.choice(ONE), rng.choice(TWO)) for _ in plan]
    kept = rng.randrange(1, 4)

    def step(x, y):
        have = [x, y, x * 0.5]
        for kind, (a, b, one, two) in zip(plan, choices):
            u, v = have[int(a * len(have))], have[int(b * len(have))]
            if kind < 3:
                have.append(getattr(lamina, one)(u))
            elif kind < 5:
                have.append(getattr(lamina, two)(u, v))
            elif kind == 5:
                have.append(u * 1.5 + v.sum())
            elif kind == 6:
                have.append(lamina.where(u > v, u, v * 2))
            elif kind == 7:
                have.append((u.double() + 1).to(dtype))
            else:
                w = u + 1
                w.mul_(v).add_(0.25)
                w.reshape(-1)[1:].mul_(2)
                have.append(w)
        return have[-kept:]

    return step


@pytest.mark.parametrize("dtype", [f32, f64, lamina.float16])
@pytest.mark.parametrize(
    "shape", [(), (1,), (0, 3), (3,), (5, 7), (1, 1023), (64, 33), (9, 4, 5, 6), (70001,)]
)
def test_random_graphs(shape, dtype, threads):
    lamina.manual_seed(3)
    x, y = (lamina.randn(*shape).to(dtype) for _ in range(2))
    for seed in range(12):
        replayed(random_step(seed, shape, dtype), x, y)


@pytest.mark.parametrize("shape", [(64, 700), (9, 31, 257), (16, 5, 3)])
def test_rows_and_columns_that_broadcast(shape, threads):
    x, row, column = lamina.randn(*shape), lamina.randn(shape[-1]), lamina.randn(shape[0])
    column = column.reshape(-1, *[1] * (len(shape) - 1))

    def step(x, row, column):
        return lamina.tanh((x + row) * column - row).relu() + x.transpose(-1, -2).transpose(-1, -2)

    replayed(step, x, row, column)
    square = lamina.randn(300, 300)

    def mixed(x):  # a column's memory, read as a row
        c = (x[:, :1].contiguous() * 2).abs()
        return x + c.reshape(300), c

    replayed(mixed, square)


def test_a_chain_is_one_launch_without_memory():
    x, y = lamina.randn(50, 1001), lamina.randn(50, 1001)
    plan, _ = replayed(lambda x, y: ((x * 2 + 1).tanh() * y).relu(), x, y)
    stats = plan.stats()
    assert stats["calls"] == 1 and stats["grouped"] == 5 and stats["arena_bytes"] == 0
    assert stats["saved_bytes"] >= 8 * x.numel() * 4
    text = plan.summary()
    assert "fused[mul add tanh mul relu]" in text and "5 in groups" in text.splitlines()[0]


def test_values_in_the_middle_stay_where_somebody_sees_them():
    x, seen = lamina.randn(20000), lamina.zeros(20000)

    def step(x):
        a = x * 2
        b = a.exp()
        seen.copy_(b)
        c = b + a
        d = c.sum()
        return a, c * d, b + 1

    plan, got = replayed(step, x)
    assert lamina.equal(seen, (x * 2).exp()) and lamina.equal(got[0], x * 2)
    assert plan.stats()["grouped"] >= 2


def test_writes_in_place_keep_their_order():
    x = lamina.randn(5000)

    def step(x):
        a = x + 1
        b = a * 2
        a.mul_(3)
        c = a + b
        a[1:].add_(a[:-1].clone())
        a.sub_(c)
        return a, b, c

    replayed(step, x)

    def shifted(x):  # an input is read at other places than it is written at
        a = x.exp()
        b = a[:-1] * 2
        a[1:].copy_(b)
        return a + 1

    replayed(shifted, x)


def test_arguments_written_in_the_step():
    def step(x, y):
        x.mul_(0.5).add_(y)
        y.copy_(x.tanh())
        return x + y

    call = lamina.compile(step, fullgraph=True)
    lamina.manual_seed(0)
    a, b = lamina.randn(3000), lamina.randn(3000)
    c, d = a.clone(), b.clone()
    for _ in range(6):
        assert bits(call(a, b)) == bits(step(c, d))
        assert bits([a, b]) == bits([c, d])


def test_constants_are_worked_out_once():
    def step(x):
        mask = lamina.ones(6, 6).tril().log()
        return x + mask + lamina.arange(6.0).square()

    plan, _ = replayed(step, lamina.randn(6, 6))
    assert plan.stats()["folded"] == 5 and plan.stats()["calls"] == 2


def test_a_written_constant_is_made_each_time():
    def step(x):
        total = lamina.zeros(4)
        for row in x:
            total += row
        return total

    replayed(step, lamina.randn(3, 4))


# ---- products, norms and what follows them ------------------------------------------------------
@pytest.mark.parametrize("dtype", [f32, f64])
def test_linear_takes_relu(dtype, threads):
    x = lamina.randn(33, 17, dtype=dtype)

    def build():
        model = nn.Sequential(nn.Linear(17, 65), nn.ReLU(), nn.Linear(65, 9, bias=False),
                              nn.ReLU(inplace=True), nn.Linear(9, 3)).to(dtype)  # fmt: skip
        return model, lambda m, x: m(x).square().mean()

    plan = trained(build, x)
    assert plan.stats()["epilogues"] == 2
    assert "relu" not in [line.split()[0] for line in plan.summary().splitlines()]


def test_linear_whose_result_others_read_keeps_it():
    model = nn.Linear(8, 8)

    def step(x):
        y = model(x)
        return y.relu().detach(), y.detach()

    plan, (a, b) = replayed(step, lamina.randn(4, 8))
    assert plan.stats()["epilogues"] == 0 and (b < 0).any() and (a >= 0).all()


class Block(nn.Module):
    def __init__(self, form):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.b1, self.b2, self.b3 = nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        self.form = form

    def forward(self, x):
        y = F.relu(self.b1(self.c1(x)))
        z = self.b2(self.c2(y))
        if self.form == "sum":
            return F.relu(z + x)
        if self.form == "sum first":
            return F.relu(x + z)
        if self.form == "in place":
            z += x
            return F.relu(z, inplace=True)
        if self.form == "two norms":
            return F.relu(z + self.b3(self.c1(x)))
        if self.form == "sum alone":
            return z + x
        if self.form == "twice":
            return F.relu(z) + z
        if self.form == "itself":
            return F.relu(z + z)
        return F.relu6(z) + F.relu(self.b3(x))


FORMS = ["sum", "sum first", "in place", "two norms", "sum alone", "twice", "itself", "other"]


@pytest.mark.parametrize("dtype", [f32, f64])
@pytest.mark.parametrize("plane", [(7, 9), (3, 4)])  # the second: channels brought together
@pytest.mark.parametrize("form", FORMS)
def test_batch_norm_takes_sums_and_relu(form, plane, dtype, threads):
    x = lamina.randn(3, 4, *plane, dtype=dtype)

    def build():
        model = nn.Sequential(Block(form), Block(form), Block(form), nn.Flatten(1),
                              nn.Linear(x[0].numel(), 3)).to(dtype)  # fmt: skip
        return model, lambda m, x: m(x).square().mean()

    plan = trained(build, x)
    assert plan.stats()["epilogues"] >= 5
    if form == "sum":
        names = [line.split()[0] for line in plan.summary().splitlines()]
        assert "relu" not in names and names.count("elementwise_grad") <= 1


@pytest.mark.skipif(
    _core.isa() not in ("avx2", "avx512"), reason="which of two NaNs a sum keeps is the compiler's"
)
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("dtype", [f32, f64])
def test_batch_norm_and_a_summand_of_other_nans(dtype, swap):
    """Signs and payloads of NaNs too are those of the eager step."""
    rng = np.random.default_rng(0)
    norm = nn.BatchNorm2d(4).eval().to(dtype)
    strange = np.array([0x7FC00000, 0xFFC00000, 0x7FC12345, 0xFFC54321, 0xFF800000], np.uint32)

    def some(shape=(2, 4, 7, 9)):
        values = rng.standard_normal(shape).astype(np.float32)
        at = rng.random(shape) < 0.5
        values.view(np.uint32)[at] = rng.choice(strange, at.sum())
        return lamina.from_numpy(values).to(dtype)

    def step(x, y):
        with lamina.no_grad():
            return F.relu(y + norm(x) if swap else norm(x) + y)

    plan, _ = replayed(step, some(), some())
    assert plan.stats()["epilogues"] >= 1


def test_batch_norm_of_planes_a_power_of_two_apart(threads):
    """Runs that share sets of the caches are brought together; so are they in plans."""
    x, more = lamina.randn(17, 256, 8, 8), lamina.randn(17, 256, 8, 8, requires_grad=True)

    def build():
        a, b = nn.BatchNorm2d(256), nn.BatchNorm2d(256)
        loss = lambda m, x: F.relu(m[1](F.relu(m[0](x * m.w))) + more).square().mean()  # noqa: E731
        model = nn.Sequential(a, b)
        model.w = nn.Parameter(lamina.ones(1))
        return model, loss

    assert trained(build, x, steps=4).stats()["epilogues"] >= 3


@pytest.mark.parametrize("training", [False, True])
def test_batch_norm_in_inference(training, threads):
    model = nn.Sequential(nn.BatchNorm2d(5), nn.ReLU(), nn.BatchNorm2d(5)).train(training)
    x = lamina.randn(4, 5, 6, 7)

    def step(x):
        with lamina.no_grad():
            return model(x)

    call = lamina.compile(step, fullgraph=True)
    for _ in range(4):
        before = [b.clone() for b in model.buffers()]
        got = bits(call(x))
        after = bits(list(model.buffers()))
        for b, old in zip(model.buffers(), before):
            b.copy_(old)
        assert got == bits(step(x)) and after == bits(list(model.buffers()))
    assert call.plan.stats()["epilogues"] == 1


def test_batch_norm_of_single_elements_and_frozen_parts_stay_apart():
    def build():
        model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 2))
        for p in model[1].parameters():
            p.requires_grad_(False)
        return model, lambda m, x: m(x).square().sum()

    plan = trained(build, lamina.randn(8, 6))
    assert plan.stats()["epilogues"] == 0

    def frozen():
        model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.ReLU())
        model[1].requires_grad_(False)
        return model, lambda m, x: m(x).square().sum()

    trained(frozen, lamina.randn(4, 2, 5, 5))


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.AvgPool2d(2), nn.MaxPool2d(3, 2, 1),
                                  nn.AdaptiveAvgPool2d(5)])  # fmt: skip
def test_pooling_goes_with_its_neighbours(pool, threads):
    x = lamina.randn(32, 1, 40, 40)

    def build():
        model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Tanh(), pool, nn.ReLU(), nn.Flatten(),
                              nn.LazyLinear(3))  # fmt: skip
        model(x)
        return model, lambda m, x: m(x).square().mean()

    plan = trained(build, x, steps=5)
    assert plan.stats()["grouped"] >= 4


def test_fusion_can_be_left_out():
    step = lambda x: (x * 2).relu()  # noqa: E731
    lamina._core.set_fusion(False)
    try:
        plan, _ = replayed(step, lamina.randn(100))
    finally:
        lamina._core.set_fusion(True)
    stats = plan.stats()
    assert stats["calls"] == 2 and stats["grouped"] == 0


def test_profile_times_each_launch():
    x = lamina.randn(64, 64)
    plan, _ = replayed(lambda x: (x @ x).relu().sum(), x)
    call = lamina.compile(lambda x: (x @ x).relu().sum(), fullgraph=True)
    for _ in range(4):
        call(x)
    assert call.plan.profile() == ""
    for _ in range(3):
        call(x)
    lines = call.plan.profile().splitlines()
    assert len(lines) == call.plan.stats()["calls"] == plan.stats()["calls"]
    assert all("us" in line and "%" in line for line in lines) and "matmul" in lines[0]


def test_a_norm_takes_one_sum_only():
    """Two normalisations, summed, and a sum after that."""
    first, second = nn.BatchNorm2d(8).eval(), nn.BatchNorm2d(8).eval()

    def branches(x, y):
        with lamina.no_grad():
            g = first(x)
            g = g + second(y)
            return F.relu(g + x)

    step = lamina.compile(branches)
    for i in range(5):
        x, y = lamina.randn(4, 8, 5, 7), lamina.randn(4, 8, 5, 7)
        assert step(x, y).equal(branches(x, y)), i
