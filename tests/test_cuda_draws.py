"""Sorting, random draws, scatters of views and optimizer steps on a CUDA device, real or emulated:
what the rows of tests/rows_*.py cannot say. Skipped without a device; tests/test_cuda.py runs this
file on the emulated one.
"""

import functools

import numpy as np
import pytest

import lamina
from lamina import nn, optim
from optim_cases import assert_halves_are_rounded

cuda = lamina.cuda
pytestmark = pytest.mark.skipif(not cuda.is_available(), reason="no CUDA device")
F = nn.functional
FLOATS = [lamina.float32, lamina.float64]


def equal(a, b):
    a, b = a.detach().cpu(), b.detach().cpu()
    assert a.dtype is b.dtype
    np.testing.assert_array_equal(a.numpy(), b.numpy())


def mixed(shape, dtype, seed=0):
    """Few different values, with NaN, infinities and both zeros among the floating ones."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-9, 9, shape).astype("float64")
    if dtype.is_floating_point:
        for value in (np.nan, np.inf, -np.inf, -0.0, 0.5):
            x[rng.random(shape) < 0.05] = value
    return lamina.tensor(x).to(dtype)


# ---- sorting -----------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [*FLOATS, lamina.int64, lamina.int32, lamina.float16,
                                   lamina.uint8, lamina.bool])  # fmt: skip
def test_sort_is_the_cpus(dtype):
    for n in (0, 1, 2, 33, 700, 2049, 4500):
        x = mixed((2, n), dtype).abs() if dtype is lamina.uint8 else mixed((2, n), dtype)
        for descending in (False, True):
            for got, want in zip(x.cuda().sort(-1, descending), x.sort(-1, descending)):
                equal(got, want)
    x = mixed((5, 40, 3), dtype)
    for dim in (0, 1):
        equal(x.cuda().argsort(dim), x.argsort(dim))
    equal(x.cuda()[:, ::3].transpose(0, 2).sort(1)[1], x[:, ::3].transpose(0, 2).sort(1)[1])
    assert lamina.tensor(3, dtype=dtype, device="cuda").sort()[1].item() == 0


@pytest.mark.parametrize("dtype", [*FLOATS, lamina.int64])
def test_first_of_many(dtype):
    for n, k in ((1000, 7), (2500, 1), (2500, 64), (2500, 2500), (5000, 1024), (5000, 1025)):
        x = mixed((2, n), dtype, n + k)
        for largest in (False, True):
            for got, want in zip(x.cuda().topk(k, -1, largest), x.topk(k, -1, largest)):
                equal(got, want)
    x = lamina.zeros(3000, dtype=dtype)  # all equal: the first of them
    equal(x.cuda().topk(5)[1], lamina.arange(5))


def test_many_lines_and_one_long_line():
    x = mixed((3000, 5), lamina.float32)
    equal(x.cuda().sort(-1)[1], x.sort(-1)[1])
    x = mixed((40000,), lamina.float32)
    equal(x.cuda().sort(-1, True)[1], x.sort(-1, True)[1])


def test_what_sorting_makes():
    x, ints = mixed((6, 50), lamina.float32), mixed((300,), lamina.int64)
    calls = [
        lambda t, i: t.kthvalue(3, 1), lambda t, i: t.median(1), lambda t, i: t.nanmedian(0),
        lambda t, i: t.mode(1), lambda t, i: lamina.unique(i, True, True, True),
        lambda t, i: lamina.unique_consecutive(i.sort()[0], True, True),
        lambda t, i: lamina.quantile(t[0].nan_to_num(), 0.3),
        lambda t, i: lamina.searchsorted(i.sort()[0], i), lambda t, i: i.abs().bincount(),
        lambda t, i: lamina.searchsorted(i.reshape(3, -1).sort()[0], i.reshape(3, -1), right=True),
        lambda t, i: lamina.bucketize(t, lamina.tensor([-3.0, 0.0, 4.0], device=t.device)),
        lambda t, i: lamina.histc(i.float(), 7, -5, 5), lambda t, i: lamina.isin(i, i[:3]),
        lambda t, i: i.abs().bincount(i.double()), lambda t, i: F.one_hot(i.abs()),
    ]  # fmt: skip
    for call in calls:
        got, want = call(x.cuda(), ints.cuda()), call(x, ints)
        pairs = zip(got, want) if isinstance(want, tuple) else [(got, want)]
        for a, b in pairs:
            equal(a, b)


@pytest.mark.parametrize("dtype", [*FLOATS, lamina.int64])
def test_long_lines_are_scattered(dtype):
    rng = np.random.default_rng(3)
    for lines, length, places in ((1, 1500, 3), (3, 200, 150), (2, 700, 1)):
        at = lamina.tensor(rng.integers(0, places, (lines, length)))
        values = lamina.tensor(rng.uniform(0.9, 1.1, (lines, length)) * (1 if length > 999 else 3))
        values, start = values.to(dtype), lamina.ones(lines, places, dtype=dtype)
        for reduce in ("sum", "amax", "amin", *(["prod"] if length < 300 else [])):
            want = start.scatter_reduce(1, at, values, reduce)
            got = start.cuda().scatter_reduce(1, at.cuda(), values.cuda(), reduce).cpu()
            tol = 1e-5 if dtype is lamina.float32 else 1e-12
            np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=tol, err_msg=reduce)
        equal(start.cuda().scatter(1, at.cuda(), values.cuda()), start.scatter(1, at, values))
        columns = values.t()[::2].cuda()  # along the first dimension, strided
        got = start.t().cuda().scatter_add(0, at.t()[::2].cuda(), columns).cpu()
        want = start.t().scatter_add(0, at.t()[::2], values.t()[::2])
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-5)
    bad = lamina.full((100,), 7, device="cuda")
    lamina.zeros(5, device="cuda").scatter(0, bad, lamina.ones(100, device="cuda"))
    with pytest.raises(IndexError, match="scatter: index 7 is out of bounds .* size 5"):
        cuda.synchronize()


# ---- random draws ------------------------------------------------------------------------------
def drawn(draw, device):
    lamina.manual_seed(11)
    lamina.rand(3)  # not at the start of the stream
    return draw(device)


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_same_seed_gives_the_same_numbers(dtype):
    for n in (0, 1, 31, 33, 1000):
        for make in (lamina.rand, lamina.randn):
            draw = functools.partial(make, n, dtype=dtype)
            equal(drawn(lambda d, f=draw: f(device=d), "cuda"),
                  drawn(lambda d, f=draw: f(device=d), "cpu"))  # fmt: skip
    fills = {"uniform_": (-2, 3), "normal_": (1, 2), "exponential_": (1.5,), "bernoulli_": (0.3,),
             "cauchy_": (0, 1)}  # fmt: skip

    def fill(device, view, name, args):
        return getattr(view(lamina.zeros(7, 11, dtype=dtype, device=device)), name)(*args)

    for name, args in fills.items():
        for view in (lambda t: t, lambda t: t.t(), lambda t: t[:, 1::2], lambda t: t[1:].t()):
            draw = functools.partial(fill, view=view, name=name, args=args)
            equal(drawn(draw, "cuda"), drawn(draw, "cpu"))


def test_integers_permutations_and_choices():
    w = lamina.arange(1800).reshape(3, 600).remainder(17).float()
    draws = [
        lambda d: lamina.randint(-5, 100, (1000,), device=d),
        lambda d: lamina.zeros(100, dtype=lamina.int64, device=d).random_(),
        lambda d: lamina.randint(0, 9, (33,), dtype=lamina.int32, device=d),
        lambda d: lamina.multinomial(w.to(d), 40, True),
        lambda d: lamina.multinomial(w.to(d) + 1, 600, False),
        lambda d: lamina.multinomial(w[2].to(d), 5),
        lambda d: F.dropout(lamina.ones(999, device=d), 0.3),
        lambda d: lamina.rand(50, dtype=lamina.float16, device=d),
        *[lambda d, n=n: lamina.randperm(n, device=d) for n in (0, 1, 2, 7, 4000)],
    ]
    for draw in draws:
        equal(drawn(draw, "cuda"), drawn(draw, "cpu"))


def test_draws_by_rejection():
    x = lamina.arange(1, 300).double() / 7
    draws = [
        lambda d: lamina.poisson(x.to(d)),
        lambda d: lamina.binomial(lamina.full((299,), 40.0, device=d).double(), x.to(d) / 43),
        lambda d: lamina.distributions.Gamma(x.to(d), lamina.ones(299, device=d).double()).sample(),
    ]
    for draw in draws:  # a GPU's logarithm may round otherwise, and then a trial may differ
        a, b = drawn(draw, "cuda").cpu().numpy(), drawn(draw, "cpu").numpy()
        assert np.isclose(a, b, rtol=1e-12).mean() > 0.97
    alpha = x.cuda().requires_grad_()
    lamina.manual_seed(2)
    lamina.distributions.Gamma(alpha, 1.0).rsample().sum().backward()
    on_cpu = x.clone().requires_grad_()
    lamina.manual_seed(2)
    lamina.distributions.Gamma(on_cpu, 1.0).rsample().sum().backward()
    np.testing.assert_allclose(alpha.grad.cpu().numpy(), on_cpu.grad.numpy(), rtol=1e-9)


def test_bad_weights_are_reported():
    for w, text in (([1.0, -1.0], r"not negative \(found at row 0, column 1\)"),
                    ([0.0, 0.0], "the weights of row 0 sum to 0"),
                    ([1.0, 0.0], "cannot draw 2 of 1 nonzero")):  # fmt: skip
        lamina.multinomial(lamina.tensor(w, device="cuda"), 2)
        with pytest.raises(RuntimeError, match=f"multinomial: .*{text}"):
            cuda.synchronize()


# ---- views, pads, windows ----------------------------------------------------------------------
def gradients(f, x):
    """Of f on the CPU and on the device, with weights that tell places apart."""
    found = []
    for device in ("cpu", "cuda"):
        leaf = x.to(device).clone().requires_grad_()
        y = f(leaf)
        weights = lamina.tensor(np.cos(np.arange(y.numel()) * 0.37)).reshape(y.shape)
        (y * weights.to(device, y.dtype)).sum().backward()
        found += [y.detach().cpu().numpy(), leaf.grad.cpu().numpy()]
    return found


@pytest.mark.parametrize("dtype", FLOATS)
def test_gradients_of_windows(dtype):
    tol = (
        {"rtol": 1e-5, "atol": 1e-5} if dtype is lamina.float32 else {"rtol": 1e-12, "atol": 1e-12}
    )
    x = lamina.tensor(np.random.default_rng(1).standard_normal((2, 3, 5, 4))).to(dtype)
    x[0, 1, 2, 3] = 0
    calls = [
        *[lambda t, m=m: F.pad(t, (2, 1, 3, 0), m) for m in ("reflect", "replicate", "circular")],
        lambda t: F.pad(t, (-1, 3, 2, 2), "reflect"),
        lambda t: F.pad(t, (-2, 1, 9, -3), "replicate"),
        lambda t: F.pad(t, (1, -2, 4, 5), "circular"), lambda t: F.pad(t[0], (1, 2), "reflect"),
        lambda t: F.pad(t[..., :1], (6, 7, 0, 0), "replicate"),
        lambda t: F.pad(t, (1, 1, 2, 2, 1, 0), "replicate"),
        lambda t: t.unfold(2, 3, 1).sin(), lambda t: t.unfold(3, 2, 2).sin(),
        lambda t: t.reshape(-1).as_strided((10, 5), (3, 2), 4).sin(),
        lambda t: t.reshape(-1).as_strided((4, 5), (0, 1), 2).sin(), lambda t: t.diagonal(1, 2, 3),
        lambda t: F.unfold(t, (2, 3), 1, 1, (2, 1)), lambda t: F.unfold(t, 2, (2, 1), (0, 2)),
        lambda t: F.fold(t.reshape(2, 12, 5)[:, :, :4], (3, 3), 2),
        lambda t: F.fold(t.reshape(2, 6, 10)[:, :, :9], (3, 7), (1, 3), (1, 2), (0, 1), (1, 2)),
        lambda t: t.cumprod(2), lambda t: t.logcumsumexp(1), lambda t: t.flip(0).cumprod(0),
    ]  # fmt: skip
    for i, f in enumerate(calls):
        y, gx, there, g_there = gradients(f, x)
        np.testing.assert_allclose(there, y, err_msg=str(i), **tol)
        np.testing.assert_allclose(g_there, gx, err_msg=str(i), **tol)


def test_volumes():
    rng = np.random.default_rng(2)
    x = lamina.tensor(rng.standard_normal((2, 4, 5, 6, 4)))
    w = lamina.tensor(rng.standard_normal((4, 2, 3, 2, 2)))
    calls = [
        lambda t: F.conv3d(t, w.to(t.device), None, (2, 1, 1), (1, 0, 1), (2, 1, 1), 2),
        lambda t: F.conv_transpose3d(t, w.to(t.device), None, (2, 1, 1), (1, 0, 1), (1, 0, 0), 2),
        lambda t: F.max_pool3d(t, 2, (1, 2, 1), 1), lambda t: F.avg_pool3d(t, (2, 3, 2), 2, 1),
        lambda t: F.adaptive_avg_pool3d(t, (2, 3, 3)), lambda t: F.adaptive_max_pool3d(t, 2),
        lambda t: F.lp_pool2d(t[:, :, 0], 2, 2), lambda t: F.pad(t, (1, 1, 2, 0, 1, 1), "reflect"),
        lambda t: F.max_unpool2d(*F.max_pool2d(t[:, :, 0], 2, return_indices=True), 2),
    ]  # fmt: skip
    for i, f in enumerate(calls):
        y, gx, there, g_there = gradients(f, x)
        np.testing.assert_allclose(there, y, rtol=1e-12, atol=1e-12, err_msg=str(i))
        np.testing.assert_allclose(g_there, gx, rtol=1e-12, atol=1e-12, err_msg=str(i))


# ---- optimizer steps ---------------------------------------------------------------------------
STEPS = {
    "SGD": [{}, {"momentum": 0.9, "weight_decay": 0.1}, {"momentum": 0.9, "nesterov": True},
            {"momentum": 0.5, "dampening": 0.3, "maximize": True}],
    "Adam": [{}, {"amsgrad": True, "weight_decay": 0.1}, {"betas": (0.4, 0.3), "maximize": True}],
    "AdamW": [{"weight_decay": 0.1}],
    "RMSprop": [{}, {"momentum": 0.9, "centered": True, "weight_decay": 0.1}],
    "Adagrad": [{"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.1}],
    "Adadelta": [{}, {"weight_decay": 0.1, "maximize": True}],
    "Adamax": [{}, {"weight_decay": 0.1}],
    "NAdam": [{}, {"weight_decay": 0.1}, {"weight_decay": 0.1, "decoupled_weight_decay": True}],
    "RAdam": [{}, {"weight_decay": 0.1}, {"betas": (0.9, 0.6), "decoupled_weight_decay": True}],
    "Rprop": [{}, {"maximize": True}],
    "ASGD": [{}, {"t0": 2, "weight_decay": 0.1, "lambd": 0.1}],
    "Lion": [{}, {"weight_decay": 0.1}],
}  # fmt: skip


def there(name):
    """The option that puts counters and numbers on the device; none for Lion."""
    if name == "Lion":
        return {}
    return {"fused": True} if name in ("SGD", "Adagrad") else {"capturable": True}


def trained(name, options, dtype, device, steps=8, resume=False):
    """Parameters after some steps: 30, large, empty, odd, misaligned, and without gradient."""
    rng = np.random.default_rng(5)
    flat = lamina.tensor(rng.standard_normal(5200)).to(dtype).to(device)
    shapes = [(), (0,), (3,), (1, 1), (65,), (2500,), *[(i,) for i in range(1, 25)]]
    params, at = [], 1  # views of one memory, so that few begin at 16 bytes
    for shape in shapes:
        n = int(np.prod(shape))
        params.append(nn.Parameter(flat[at : at + n].reshape(shape)))
        at += n
    optimizer = getattr(optim, name)(params, lr=0.05, **options)
    for step in range(steps):
        for i, p in enumerate(params):
            g = lamina.tensor(rng.standard_normal(tuple(p.shape))).to(dtype)
            p.grad = None if i == 4 and step < 3 else g.to(device)
        optimizer.param_groups[0]["lr"] = 0.05 / (1 + step)
        optimizer.step()
        if resume and step == 4:
            state = optimizer.state_dict()
            optimizer = getattr(optim, name)(params, lr=0.05, **options)
            optimizer.load_state_dict(state)
    return [p.detach().cpu().numpy() for p in params], optimizer


@pytest.mark.parametrize("name", STEPS)
def test_steps_are_the_cpus(name):
    for options in STEPS[name]:
        for dtype in FLOATS:
            tol = 1e-6 if dtype is lamina.float32 else 1e-14
            want, _ = trained(name, options, dtype, "cpu")
            for where in ({}, there(name)):
                got, optimizer = trained(name, {**options, **where}, dtype, "cuda", resume=True)
                for a, b in zip(got, want):
                    np.testing.assert_allclose(a, b, rtol=tol, atol=tol, err_msg=str(options))
                for state in optimizer.state.values():
                    for key, t in state.items():
                        assert t.is_cuda == (key not in optimizer._counters or bool(where))


@pytest.mark.parametrize("dtype", [lamina.float16, lamina.bfloat16], ids=str)
@pytest.mark.parametrize("name", STEPS)
def test_halves_are_float32_rounded_at_every_step(name, dtype):
    for options in STEPS[name]:
        options = {"lr": 0.05, **options}
        for where in ({}, there(name)):
            assert_halves_are_rounded(name, {**options, **where}, dtype, "cuda")


def test_a_launch_reads_what_lies_on_the_device():
    """The learning rate and the count of steps, as they are when it runs."""
    p = nn.Parameter(lamina.zeros(10, device="cuda"))
    optimizer = optim.Adam([p], lr=0.5, capturable=True)
    p.grad = lamina.ones(10, device="cuda")
    optimizer.step()
    plan = optimizer._plans[0]
    assert plan.numbers.is_cuda and plan.numbers[0].item() == 0.5
    plan.numbers[0] = 0.25
    optimizer._launch(optimizer.param_groups[0], plan)
    same_everywhere = p.detach().cpu().numpy()
    np.testing.assert_allclose(same_everywhere, -0.75, rtol=1e-6)
    assert optimizer.state[p]["step"].item() == 2
    found = lamina.ones((), device="cuda")
    lamina._core.step_unless(found, lamina.zeros((), device="cuda"))
    try:
        optimizer.step()
        assert optimizer.state[p]["step"].item() == 2  # nor did the counter move
        found.zero_()
        optimizer.step()
    finally:
        lamina._core.step_unless(None, None)
    assert optimizer.state[p]["step"].item() == 3
    np.testing.assert_allclose(p.detach().cpu().numpy(), -1.25, rtol=1e-6)


def test_a_checkpoint_moves_between_devices():
    model = nn.Linear(3, 2)
    optimizer = optim.Adam(model.parameters())
    model(lamina.ones(1, 3)).sum().backward()
    optimizer.step()
    there = nn.Linear(3, 2, device="cuda")
    there.load_state_dict(model.state_dict())
    other = optim.Adam(there.parameters())
    other.load_state_dict(optimizer.state_dict())
    there(lamina.ones(1, 3, device="cuda")).sum().backward()
    model(lamina.ones(1, 3)).sum().backward()
    model.weight.grad = there.weight.grad.cpu()
    model.bias.grad = there.bias.grad.cpu()
    optimizer.step()
    other.step()
    np.testing.assert_allclose(there.weight.detach().cpu().numpy(), model.weight.detach().numpy(),
                               atol=1e-7)  # fmt: skip
    optimizer.load_state_dict(other.state_dict())  # and back
    optimizer.step()
    assert optimizer.state[model.weight]["step"].device.type == "cpu"


@pytest.mark.parametrize("name", ["SGD", "Adam", "NAdam", "ASGD", "Lion"])
def test_replays_draw_and_count(name):
    """A compiled step with dropout, a permutation and a schedule goes as the eager one."""

    def run(compiled):
        lamina.manual_seed(4)
        layer = nn.Linear(6, 5, device="cuda")
        optimizer = getattr(optim, name)(layer.parameters(), lr=0.05, **there(name))
        x = lamina.randn(8, 6, device="cuda")

        def step(x):
            optimizer.zero_grad()
            rows = lamina.randperm(8, device="cuda")
            noise = lamina.randn(8, 5, device="cuda")
            loss = (F.dropout(layer(x[rows]), 0.4) + 0.1 * noise).square().mean()
            loss.backward()
            optimizer.step()
            return loss.detach()

        step = lamina.compile(step, fullgraph=True) if compiled else step
        losses = []
        for i in range(7):
            optimizer.param_groups[0]["lr"] = 0.05 / (i + 1)
            losses.append(step(x).item())
        return losses, layer.weight.detach().cpu().numpy()

    (eager, weight), (replayed, other) = run(False), run(True)
    assert eager == replayed
    np.testing.assert_array_equal(weight, other)
