"""GradScaler: PyTorch's numbers and errors; skipped steps eagerly and in compiled steps."""

import copy
import pickle

import pytest

import lamina
from lamina import nn, optim

FACTORS = [1.0, 1.0, float("inf"), 1.0, 1.0, 1.0, float("nan"), 1.0, 1.0, 1.0]


def run(m, make, device, factors, double=False, step=lambda f: f):
    """The weights and scales of ten iterations whose loss is multiplied by `factors`."""
    w = m.linspace(-1, 1, 6).to(device)
    w.requires_grad_()
    optimizer = make(m.optim, [w])
    scaler = m.amp.GradScaler(device, init_scale=4.0, growth_interval=2)

    def iteration(factor):
        optimizer.zero_grad()
        loss = (w * w * factor).sum()
        scaler.scale(loss).backward()
        if double:
            scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        return loss.detach()

    iteration = step(iteration)
    rows = []
    for f in factors:
        iteration(m.tensor(f).to(device))
        rows.append([scaler.get_scale(), scaler._get_growth_tracker(), *w.tolist()])
    return rows, scaler


OPTIMIZERS = {
    "SGD": lambda o, p: o.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda o, p: o.Adam(p, lr=0.1),
    "AdamW": lambda o, p: o.AdamW(p, lr=0.1),
    "RMSprop": lambda o, p: o.RMSprop(p, lr=0.1),
    "NAdam": lambda o, p: o.NAdam(p, lr=0.1),
    "Adagrad": lambda o, p: o.Adagrad(p, lr=0.1, lr_decay=0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("double", [False, True])
def test_as_pytorch(name, double, device):
    torch = pytest.importorskip("torch")
    ours, _ = run(lamina, OPTIMIZERS[name], device, FACTORS, double)
    theirs, _ = run(torch, OPTIMIZERS[name], "cpu", FACTORS, double)
    for a, b in zip(ours, theirs):
        assert a == pytest.approx(b, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_compiled(name, device):
    """The same weights and scales when the iteration is a replay, infinite gradients included."""
    made = []

    def compiled(f):
        made.append(lamina.compile(f))
        return made[0]

    def run_with(step):
        return run(lamina, OPTIMIZERS[name], device, FACTORS * 2, step=step)[0]

    exact = device == "cpu" or name not in ("Adam", "AdamW")  # corrections are formed elsewhere
    run_with(lambda f: f)  # says it when there is no such kernel
    if device == "cuda" and name in ("NAdam", "Adagrad"):
        with pytest.warns(UserWarning, match="skips no step by itself"):
            replayed = run_with(compiled)
    else:
        replayed = run_with(compiled)
        summary = made[0].plan.summary()
        assert device == "cpu" or "graph of the device" in summary
    for a, b in zip(replayed, run_with(lambda f: f)):
        assert a == b if exact else a == pytest.approx(b, rel=1e-6)


def test_steps_count_what_was_done(device):
    for step in (lambda f: f, lamina.compile):
        w = lamina.ones(2, device=device, requires_grad=True)
        optimizer = optim.Adam([w], lr=0.1)
        scaler = lamina.amp.GradScaler(device, init_scale=2.0)

        def iteration(factor, w=w, optimizer=optimizer, scaler=scaler):
            optimizer.zero_grad()
            scaler.scale((w * factor).sum()).backward()
            scaler.step(optimizer)
            scaler.update()

        iteration = step(iteration)
        for f in [1.0, 1.0, 1.0, 1.0, float("inf"), 1.0]:
            iteration(lamina.tensor(f).to(device))
        if device == "cpu":
            assert optimizer.state[w]["step"].item() == 5


def test_returns_and_errors(device):
    w = lamina.ones(2, device=device, requires_grad=True)
    optimizer = optim.SGD([w], lr=1.0)
    scaler = lamina.amp.GradScaler(device, init_scale=8.0)
    with pytest.raises(AssertionError, match="_scale is None"):
        scaler.step(optimizer)
    assert scaler.get_scale() == 8.0
    many = scaler.scale([w.sum(), (w.sum(),)])
    assert [many[0].item(), many[1][0].item()] == [16.0, 16.0]
    with pytest.raises(ValueError, match="iterable of Tensors"):
        scaler.scale(3)
    with pytest.raises(AssertionError, match="No inf checks"):
        scaler.step(optimizer)
    scaler = lamina.amp.GradScaler(device, init_scale=8.0)
    scaler.scale(w.sum()).backward()
    with pytest.raises(RuntimeError, match="Closure use"):
        scaler.step(optimizer, closure=lambda: None)
    with pytest.raises(RuntimeError, match="beginning of an iteration"):
        scaler.unscale_(optimizer)
        pickle.dumps(scaler)
    assert w.grad.tolist() == [1.0, 1.0]
    scaler.step(optimizer)
    assert w.tolist() == [0.0, 0.0]
    with pytest.raises(RuntimeError, match="step\\(\\) has already been called"):
        scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="after step"):
        scaler.unscale_(optimizer)
    scaler.update(32.0)
    assert scaler.get_scale() == 32.0
    scaler.update(lamina.tensor([2.0], device=device))
    assert scaler.get_scale() == 2.0
    with pytest.raises(AssertionError, match="No inf checks"):
        scaler.update()
    half = lamina.ones(2, dtype=lamina.float16, device=device, requires_grad=True)
    scaler.scale(half.float().sum()).backward()
    with pytest.raises(ValueError, match="FP16 gradients"):
        scaler.unscale_(optim.SGD([half], lr=1.0))
    for options in ({"growth_factor": 1.0}, {"backoff_factor": 1.0}):
        with pytest.raises(ValueError):
            lamina.amp.GradScaler(device, **options)


def test_state(device):
    _, scaler = run(lamina, OPTIMIZERS["SGD"], device, FACTORS)
    other = lamina.amp.GradScaler(device)
    other.load_state_dict(scaler.state_dict())
    assert other.state_dict() == scaler.state_dict()
    assert set(other.state_dict()) == {
        "scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker",
    }  # fmt: skip
    for copied in (pickle.loads(pickle.dumps(scaler)), copy.deepcopy(scaler)):
        assert copied.state_dict() == scaler.state_dict()
    with pytest.raises(RuntimeError, match="empty"):
        other.load_state_dict({})
    off = lamina.amp.GradScaler(device, enabled=False)
    loss = lamina.ones(1)
    assert off.scale(loss) is loss and off.state_dict() == {} and off.get_scale() == 1.0


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("place", [None, 0, 1023, 1024, 4999, slice(None)])
def test_unscale(dtype, place, device):
    """g / scale for every element, and the flag for one that is not finite, wherever it is."""
    values = lamina.linspace(-8, 8, 5000, dtype=lamina.float64).to(getattr(lamina, dtype))
    expected = values * 0.5
    for bad in (float("inf"), float("-inf"), float("nan")):
        g = values.clone()
        if place is not None:
            g[place] = bad
        grads = [lamina.ones(3, dtype=g.dtype, device=device), g.to(device)]
        found = lamina.zeros((), device=device)
        lamina._core.unscale_(grads, found, lamina.tensor(0.5).to(device))
        assert found.item() == (place is not None)
        same = (grads[1].cpu() == expected).tolist()
        wrong = [] if place is None else [place]
        if place == slice(None):
            wrong = list(range(5000))
        assert [i for i, x in enumerate(same) if not x] == wrong
        assert grads[0].tolist() == [0.5] * 3


def test_wide_steps_are_split(device):
    layer = nn.Linear(300, 300).to(device)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    scaler = lamina.amp.GradScaler(device)
    before = layer.weight.detach().clone()
    scaler.scale(layer(lamina.full((2, 300), 1e38, device=device)).sum() * 1e30).backward()
    scaler.step(optimizer)
    scaler.update()
    assert lamina.equal(layer.weight, before) and scaler.get_scale() == 2.0**15
