"""The textbook forms of momentum, weight averages, parameter groups, penalties, schedules."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import pytest

import lamina
from lamina import nn, optim
from optim_cases import leaf


# ---- the textbook forms of SGD -------------------------------------------------------------------
@pytest.mark.parametrize("form", ["torch", "lr_inside", "ema"])
def test_lookahead_momentum(form):
    """The gradient of 2 p^2 is taken at p - lr mu v (lr_inside: p - mu v)."""
    mu, p, v = 0.9, 3.0, 0.0
    x = leaf(p, lamina.float64)
    optimizer = optim.SGD([x], lr=0.1, momentum=mu, form=form, lookahead=True)
    seen = []
    for lr in (0.1, 0.1, 0.02, 0.02):
        optimizer.param_groups[0]["lr"] = lr

        def loss():
            seen.append(x.item())
            optimizer.zero_grad()
            (2 * x * x).backward()
            return 2 * x.detach() ** 2

        optimizer.step(loss)
        ahead = p - mu * v * (1 if form == "lr_inside" else lr)
        assert seen[-1] == pytest.approx(ahead, rel=1e-14)
        g = 4 * ahead
        if form == "lr_inside":
            v = mu * v + lr * g
            p -= v
        else:
            v = mu * v + (1 - mu if form == "ema" else 1) * g
            p -= lr * v
        assert x.item() == pytest.approx(p, rel=1e-13)


def test_lr_inside_differs_from_torch_only_when_lr_changes():
    def run(form, rates):
        p = leaf([1.0, -2.0], lamina.float64)
        o = optim.SGD([p], lr=0.1, momentum=0.9, form=form)
        for lr in rates:
            o.param_groups[0]["lr"] = lr
            o.zero_grad()
            (p * p).sum().backward()
            o.step()
        return p.detach().numpy()

    np.testing.assert_allclose(run("torch", [0.1] * 5), run("lr_inside", [0.1] * 5), rtol=1e-13)
    assert not np.allclose(run("torch", [0.1, 0.01]), run("lr_inside", [0.1, 0.01]), rtol=1e-3)


def test_sgd_forms_refuse():
    p = leaf([1.0])
    with pytest.raises(ValueError, match="form must be one of"):
        optim.SGD([p], momentum=0.9, form="nag")
    with pytest.raises(ValueError, match="rearranged"):
        optim.SGD([p], momentum=0.9, nesterov=True, lookahead=True)
    with pytest.raises(ValueError, match="dampening"):
        optim.SGD([p], momentum=0.9, dampening=0.1, form="ema")
    with pytest.raises(ValueError, match=r"step\(closure\)"):
        optim.SGD([p], momentum=0.9, lookahead=True).step()
    assert "form" not in optim.SGD([p]).param_groups[0]  # saved files stay PyTorch's


# ---- averages ------------------------------------------------------------------------------------
def batches(m, n=6):
    rng = np.random.default_rng(6)
    return [m.tensor(rng.standard_normal((4, 3)).tolist()) for _ in range(n)]


def averaged(m, options, weights):
    """Weights of an averaged model after some updates, and of update_bn's statistics."""
    model = m.nn.Sequential(m.nn.Linear(3, 2), m.nn.BatchNorm1d(2))
    swa = m.optim.swa_utils
    kwargs = {k: getattr(swa, f)(*a) if isinstance(f, str) else f for k, (f, *a) in options.items()}
    copy = swa.AveragedModel(model, **kwargs)
    with m.no_grad():
        for w, x in zip(weights, batches(m)):
            model[0].weight.copy_(m.tensor(w.tolist()))
            model[0].bias.fill_(float(w[0, 0]))
            model(x)  # moves the running statistics
            copy.update_parameters(model)
    swa.update_bn(batches(m), copy)
    assert copy.training
    return {k: v.detach().numpy() for k, v in copy.state_dict().items()}


@pytest.mark.parametrize("options", [
    {}, {"avg_fn": ("get_ema_avg_fn", 0.7)}, {"multi_avg_fn": ("get_ema_multi_avg_fn", 0.7)},
    {"avg_fn": ("get_swa_avg_fn",)}, {"multi_avg_fn": ("get_swa_multi_avg_fn",)},
    {"use_buffers": (True,)},
], ids=lambda o: "-".join(o) or "mean")  # fmt: skip
def test_averaged_model(options):
    weights = np.random.default_rng(7).standard_normal((5, 2, 3)).astype(np.float32)
    got = averaged(lamina, options, weights)
    mean = weights[0]
    for i, w in enumerate(weights[1:], 1):
        ema = any("ema" in str(v[0]) for v in options.values())
        mean = 0.7 * mean + 0.3 * w if ema else mean + (w - mean) / (i + 1)
    np.testing.assert_allclose(got["module.0.weight"], mean, rtol=1e-5, atol=1e-6)
    assert got["n_averaged"] == 5
    torch = pytest.importorskip("torch")
    want = averaged(torch, options, weights)
    assert list(got) == list(want)
    for k in want:
        np.testing.assert_allclose(got[k], want[k], rtol=1e-5, atol=1e-6, err_msg=k)


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("epochs", [0, 1, 4])
def test_swalr(strategy, epochs):
    def rates(m):
        a, b = (m.tensor([1.0], requires_grad=True) for _ in "ab")
        o = m.optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.5}], lr=0.1)
        s = m.optim.swa_utils.SWALR(o, [0.02, 0.05], epochs, strategy)
        out = []
        for _ in range(8):
            out.append(list(s.get_last_lr()))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                s.step()
        return np.array(out)

    got = rates(lamina)
    x = np.minimum(1, np.arange(8) / max(1, epochs)) if epochs else np.ones(8)
    a = x if strategy == "linear" else (1 - np.cos(np.pi * x)) / 2
    want = np.outer(a, [0.02, 0.05]) + np.outer(1 - a, [0.1, 0.5])
    np.testing.assert_allclose(got, want, rtol=1e-9)
    np.testing.assert_allclose(got, rates(pytest.importorskip("torch")), rtol=1e-9)


# ---- groups, penalties, schedules of textbooks ---------------------------------------------------
def test_decay_groups_leave_biases_out():
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Embedding(5, 4))
    model[0].weight.requires_grad_(True)
    groups = optim.decay_groups(model.named_parameters(), 0.1, skip=("2.",))
    assert [g["weight_decay"] for g in groups] == [0.1, 0.0]
    assert [p is model[0].weight for p in groups[0]["params"]] == [True]
    assert len(groups[1]["params"]) == 4
    bias = model[0].bias.detach().numpy().copy()
    optimizer = optim.SGD(groups, lr=0.5)
    model[0](lamina.zeros(1, 3)).sum().backward()
    model[0].bias.grad.zero_()
    weight = model[0].weight.detach().numpy().copy()
    optimizer.step()
    np.testing.assert_array_equal(model[0].bias.detach().numpy(), bias)
    np.testing.assert_allclose(model[0].weight.detach().numpy(), weight * 0.95, rtol=1e-6)
    assert len(optim.decay_groups([("b", leaf([1.0]))], 0.1)) == 1


def test_weight_penalty():
    p, q = leaf([1.0, -2.0], lamina.float64), leaf([[3.0]], lamina.float64)
    penalty = nn.utils.weight_penalty
    assert penalty([p, q], l1=0.5).item() == 3
    assert penalty([p, q], l2=0.5).item() == 3.5
    assert penalty([p, q], l1=0.5, l2=0.5, halved=False).item() == 10
    penalty([p, q], l1=0.1, l2=0.3).backward()  # l1 sign(w) + l2 w
    np.testing.assert_allclose(p.grad.numpy(), [0.4, -0.7])
    # The same step as SGD's weight_decay.
    a, b = leaf([1.0, -2.0]), leaf([1.0, -2.0])
    penalty([a], l2=0.2).backward()
    b.grad = lamina.zeros(2)
    optim.SGD([a], lr=0.1).step()
    optim.SGD([b], lr=0.1, weight_decay=0.2).step()
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-6)
    assert penalty([p]).item() == 0
    with pytest.raises(ValueError, match="no parameters"):
        penalty([], l1=1.0)


def test_soft_threshold_makes_exact_zeros():
    """Proximal steps for an l1 penalty (lasso) of an orthogonal design: the solution is the
    least-squares one moved towards 0 by the penalty, or exactly 0."""
    b = np.array([2.0, 0.05, -0.5, -0.01])
    p = leaf(np.ones(4), lamina.float64)
    shrink = partial(nn.functional.softshrink, lambd=0.1 * 0.2)
    optimizer = optim.ProjectedGradient([p], shrink, lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        (0.5 * (p - lamina.tensor(b)) ** 2).sum().backward()
        optimizer.step()
    want = np.sign(b) * np.maximum(np.abs(b) - 0.2, 0)
    np.testing.assert_allclose(p.detach().numpy(), want, atol=1e-9)
    assert (p.detach().numpy() == 0).tolist() == [False, True, False, True]


@pytest.mark.parametrize("make", [
    lambda o: optim.lr_scheduler.InverseTimeLR(o, 0.3),
    lambda o: optim.lr_scheduler.WarmupLR(o, 4),
    lambda o: optim.lr_scheduler.WarmupLR(o, 4, 0.01, "exponential"),
])  # fmt: skip
def test_textbook_schedules_resume(make):
    def run(split):
        o = optim.SGD([leaf([1.0])], lr=0.5)
        s = make(o)
        out = []
        for t in range(8):
            if t == split:
                saved = s.state_dict()
                s = make(o)
                s.load_state_dict(saved)
            out.append(o.param_groups[0]["lr"] if t != split else None)
            o.step()
            s.step()
        return out

    whole, parts = run(None), run(5)
    assert whole[:5] + whole[6:] == parts[:5] + parts[6:]


def test_textbook_schedules_refuse():
    o = optim.SGD([leaf([1.0])], lr=0.5)
    for make in (
        lambda s: s.InverseTimeLR(o, -1), lambda s: s.WarmupLR(o, 0),
        lambda s: s.WarmupLR(o, 3, 0.0), lambda s: s.WarmupLR(o, 3, 0.1, "cosine"),
    ):  # fmt: skip
        with pytest.raises(ValueError):
            make(optim.lr_scheduler)
