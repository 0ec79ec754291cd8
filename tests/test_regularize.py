"""Layers beyond PyTorch's: ghost and renorm batch norm, DropConnect, variational and concrete
dropout, stochastic depth, maxout, blur pooling, MC dropout; mixup, CutMix, adversarial inputs."""

from __future__ import annotations

import math

import numpy as np
import pytest

import lamina
from lamina import nn
from lamina.nn import functional as F
from lamina.utils import attacks, mixing

rng = np.random.default_rng(0)


def leaf(a, dtype=lamina.float64):
    return lamina.tensor(a, dtype=dtype).requires_grad_()


# ---- batch statistics ----------------------------------------------------------------------------
def normalised(x, eps=1e-5):
    axes = (0, *range(2, x.ndim))
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(var + eps), mean.ravel(), var.ravel()


@pytest.mark.parametrize("shape", [(10, 3), (10, 3, 4), (8, 3, 2, 5)])
def test_ghost_batch_norm(shape):
    x = rng.standard_normal(shape) * 2 + 1
    layer = nn.GhostBatchNorm(3, ghost_size=4, momentum=0.2).double()
    y = layer(leaf(x))
    mean, var = np.zeros(3), np.ones(3)
    for i in range(0, shape[0], 4):
        part = x[i : i + 4]
        want, m, v = normalised(part)
        np.testing.assert_allclose(y.detach().numpy()[i : i + 4], want, rtol=1e-10, atol=1e-12)
        n = part.size / 3
        mean, var = 0.8 * mean + 0.2 * m, 0.8 * var + 0.2 * v * n / (n - 1)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-10)
    np.testing.assert_allclose(layer.running_var.numpy(), var, rtol=1e-10)
    layer.eval()
    plain = nn.BatchNorm2d(3).double()  # the state is batch normalisation's
    plain.load_state_dict(layer.state_dict())
    e = layer(leaf(x)).detach().numpy()
    at = (slice(None),) * 1
    wide = (1, 3) + (1,) * (len(shape) - 2)
    want = (x - mean.reshape(wide)) / np.sqrt(var.reshape(wide) + 1e-5)
    np.testing.assert_allclose(e[at], want, rtol=1e-10)


def test_ghost_batch_norm_of_one_part_is_batch_norm():
    x = rng.standard_normal((6, 3, 4))
    a, b = nn.GhostBatchNorm(3, 6).double(), nn.BatchNorm1d(3).double()
    xa, xb = leaf(x), leaf(x)
    ya, yb = a(xa), b(xb)
    (ya * ya * lamina.tensor(x)).sum().backward()
    (yb * yb * lamina.tensor(x)).sum().backward()
    np.testing.assert_array_equal(ya.detach().numpy(), yb.detach().numpy())
    np.testing.assert_array_equal(xa.grad.numpy(), xb.grad.numpy())
    with pytest.raises(ValueError, match="ghost_size"):
        nn.GhostBatchNorm(3, 0)
    with pytest.raises(lamina.ShapeError, match="N, 3"):
        a(leaf(rng.standard_normal((2, 4))))


@pytest.mark.parametrize("limits", [(3.0, 5.0), (1.0, 0.0), (1.1, 0.2)])
def test_batch_renorm(limits):
    """Forward and gradient: r and d count as constants."""
    x, w = rng.standard_normal((7, 3, 4)) * 2 + 1, rng.standard_normal((7, 3, 4))
    layer = nn.BatchRenorm(3, momentum=0.1, r_max=limits[0], d_max=limits[1]).double()
    with lamina.no_grad():
        layer.running_mean.copy_(leaf([0.9, 0.0, -1.0]))
        layer.running_var.copy_(leaf([3.0, 1.0, 0.5]))
        layer.weight.copy_(lamina.tensor([1.0, 2.0, -1.0]))
        layer.bias.copy_(lamina.tensor([0.0, 0.5, 1.0]))
    h, m, v = normalised(x)
    M, S = np.array([0.9, 0, -1]), np.sqrt(np.array([3, 1, 0.5]) + 1e-5)
    s = np.sqrt(v + 1e-5)
    r = np.clip(s / S, 1 / limits[0], limits[0])[:, None]
    d = np.clip((m - M) / S, -limits[1], limits[1])[:, None]
    g, b = np.array([1, 2, -1])[:, None], np.array([0, 0.5, 1])[:, None]
    X = leaf(x)
    y = layer(X)
    np.testing.assert_allclose(y.detach().numpy(), (h * r + d) * g + b, rtol=1e-10, atol=1e-12)
    (y * lamina.tensor(w)).sum().backward()
    np.testing.assert_allclose(layer.weight.grad.numpy(), ((h * r + d) * w).sum((0, 2)), rtol=1e-10)
    np.testing.assert_allclose(layer.bias.grad.numpy(), w.sum((0, 2)), rtol=1e-10)
    gh = w * g * r
    n = 7 * 4
    want = gh - gh.sum((0, 2), keepdims=True) / n - h * (gh * h).sum((0, 2), keepdims=True) / n
    np.testing.assert_allclose(X.grad.numpy(), want / s[:, None], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.9 * M + 0.1 * m, rtol=1e-12)
    layer.eval()
    assert tuple(layer(X).shape) == (7, 3, 4)


# ---- noise ---------------------------------------------------------------------------------------
def test_variational_dropout_shares_its_mask_over_time():
    lamina.manual_seed(1)
    x = leaf(np.ones((4, 9, 5)))
    layer = nn.VariationalDropout(0.4)
    y = layer(x)
    v = y.detach().numpy()
    assert set(np.unique(v)) == {0.0, 1 / 0.6}
    assert (v == v[:, :1]).all() and not (v == v[:1]).all()
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), v)
    first = F.variational_dropout(x, 0.4, dim=0).detach().numpy()
    assert (first == first[:1]).all() and not (first == first[:, :1]).all()
    assert layer.eval()(x) is x
    assert F.variational_dropout(x, 1.0).detach().numpy().sum() == 0
    with pytest.raises(ValueError):
        nn.VariationalDropout(1.5)


def test_dropconnect_drops_weights():
    lamina.manual_seed(2)
    inner = nn.Linear(40, 30, bias=False)
    w = inner.weight.detach().numpy().copy()
    layer = nn.DropConnect(inner, 0.3)
    eye = lamina.eye(40)
    masks = []
    for _ in range(2):
        got = layer(eye).detach().numpy().T
        mask = got / w
        assert np.allclose(mask[mask != 0], 1 / 0.7, rtol=1e-5)
        masks.append(mask)
    assert (masks[0] != masks[1]).any()
    assert np.mean(masks[0] == 0) == pytest.approx(0.3, abs=0.05)
    layer.eval()
    np.testing.assert_array_equal(layer(eye).detach().numpy().T, w)
    layer.train()
    layer(eye).sum().backward()
    (p,) = layer.parameters()
    assert p.grad is not None and 0.2 < float((p.grad == 0).double().mean()) < 0.4


def test_dropconnect_mean_is_the_layer():
    lamina.manual_seed(3)
    inner = nn.Linear(6, 2).double()
    x = lamina.tensor(rng.standard_normal((5, 6)))
    want = inner(x).detach().numpy()
    layer = nn.DropConnect(inner, 0.5)
    with lamina.no_grad():
        mean = sum(layer(x).numpy() for _ in range(4000)) / 4000
    assert np.abs(mean - want).max() < 0.1


def test_concrete_dropout():
    lamina.manual_seed(4)
    layer = nn.ConcreteDropout(0.2).double()
    assert layer.p.item() == pytest.approx(0.2)
    x = lamina.ones(200_000, dtype=lamina.float64)
    y = layer(x)
    v = y.detach().numpy()
    assert v.mean() == pytest.approx(1, abs=0.01)  # the mean is kept
    near = (np.abs(v) < 0.1) | (np.abs(v - 1.25) < 0.1)
    assert near.mean() > 0.8
    assert (v < 0.6).mean() == pytest.approx(0.2, abs=0.02)
    y.sum().backward()
    assert np.isfinite(layer.logit.grad.item()) and layer.logit.grad.item() != 0
    assert layer.eval()(x) is x
    w = leaf([[1.0, 2.0], [0.0, -1.0]])
    got = layer.penalty(w, 0.5, 0.25).item()
    entropy = -0.2 * math.log(0.2) - 0.8 * math.log(0.8)
    assert got == pytest.approx(0.5 * 6 / 0.8 - 0.25 * 2 * entropy)
    with pytest.raises(ValueError):
        nn.ConcreteDropout(0.0)


def test_stochastic_depth():
    lamina.manual_seed(5)
    x = leaf(np.ones((6000, 2, 3)))
    y = F.stochastic_depth(x, 0.3, "row").detach().numpy()
    assert set(np.unique(y)) == {0.0, 1 / 0.7} and (y == y[:, :1, :1]).all()
    assert np.mean(y == 0) == pytest.approx(0.3, abs=0.03)
    for _ in range(5):
        b = F.stochastic_depth(x, 0.5, "batch").detach().numpy()
        assert len(np.unique(b)) == 1 and b.ravel()[0] in (0.0, 2.0)
    layer = nn.StochasticDepth(0.3, "row")
    assert repr(layer) == "StochasticDepth(p=0.3, mode=row)"
    assert layer.eval()(x) is x
    with pytest.raises(ValueError, match="mode"):
        F.stochastic_depth(x, 0.3, "sample")
    with pytest.raises(ValueError, match="probability"):
        F.stochastic_depth(x, 1.3, "row")
    assert nn.stochastic_depth_rates(4, 0.2) == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_mc_dropout():
    lamina.manual_seed(6)
    model = nn.Sequential(nn.Linear(4, 50), nn.BatchNorm1d(50), nn.Dropout(0.5), nn.Linear(50, 2))
    x = lamina.randn(3, 4)
    model.train()
    model[1].eval()
    mean, variance = nn.utils.mc_dropout(model, x, passes=200)
    assert [m.training for m in model] == [True, False, True, True] and model.training
    assert float(variance.min()) > 0 and tuple(mean.shape) == (3, 2)
    model.eval()
    assert float((mean - model(x)).detach().abs().max()) < 6 * float(variance.max()) ** 0.5 / 14
    _, none = nn.utils.mc_dropout(nn.Linear(4, 2), x)
    assert float(none.abs().max()) < 1e-12


# ---- maxout, blur --------------------------------------------------------------------------------
def test_maxout():
    layer = nn.Maxout(3, 4, pieces=3).double()
    x = rng.standard_normal((5, 3))
    w, b = (p.detach().numpy() for p in layer.parameters())
    want = (x @ w.T + b).reshape(5, 4, 3).max(-1)
    np.testing.assert_allclose(layer(lamina.tensor(x)).detach().numpy(), want, rtol=1e-12)
    c = rng.standard_normal((2, 6, 3, 3))
    got = F.maxout(lamina.tensor(c), 2).numpy()
    np.testing.assert_array_equal(got, np.maximum(c[:, ::2], c[:, 1::2]))
    with pytest.raises(lamina.ShapeError, match="no multiple of 4"):
        F.maxout(lamina.tensor(c), 4)


def test_blur_pool():
    x = rng.standard_normal((2, 3, 7, 6))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    k = np.outer([1, 2, 1], [1, 2, 1]) / 16
    want = sum(
        k[i, j] * padded[:, :, i : i + 7, j : j + 6] for i in range(3) for j in range(3)
    )[:, :, ::2, ::2]  # fmt: skip
    got = nn.BlurPool2d()(lamina.tensor(x))
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-12)
    assert tuple(F.blur_pool2d(lamina.zeros(1, 1, 7, 6), 4, 3).shape) == (1, 1, 3, 2)
    np.testing.assert_array_equal(F.blur_pool2d(lamina.tensor(x), 1, 2).numpy(), x[..., ::2, ::2])


# ---- mixed and adversarial samples ---------------------------------------------------------------
def test_beta_moments():
    lamina.manual_seed(7)
    draws = np.array([mixing.beta(0.4, 0.4) for _ in range(3000)])
    assert draws.mean() == pytest.approx(0.5, abs=0.03)
    assert draws.var() == pytest.approx(0.25 / 1.8, rel=0.1)
    lamina.manual_seed(7)
    assert mixing.beta(0.4, 0.4) == draws[0]
    with pytest.raises(ValueError):
        mixing.beta(0, 1)


def test_mixup_and_cutmix():
    lamina.manual_seed(8)
    x = lamina.tensor(rng.standard_normal((6, 2, 8, 10)), dtype=lamina.float32)
    y = lamina.arange(6)
    for _ in range(4):
        mixed, (a, b), lam = mixing.mixup(x, y)
        assert a.tolist() == list(range(6)) and sorted(b.tolist()) == list(range(6))
        want = lam * x.numpy() + (1 - lam) * x.numpy()[b.numpy()]
        np.testing.assert_allclose(mixed.numpy(), want, rtol=1e-5, atol=1e-6)
        mixed, (a, b), lam = mixing.cutmix(x, y)
        other = mixed.numpy() != x.numpy()
        fixed = b.numpy() == np.arange(6)
        assert not other[fixed].any()
        for i in np.flatnonzero(~fixed):
            assert other[i].mean() == pytest.approx(1 - lam)
            np.testing.assert_array_equal(
                mixed.numpy()[i][other[i]], x.numpy()[b.numpy()[i]][other[i]]
            )
    scores = lamina.tensor(rng.standard_normal((6, 6)), dtype=lamina.float64)
    loss = mixing.mixed_loss(F.cross_entropy, scores, (a, b), 0.3).item()
    want = 0.3 * F.cross_entropy(scores, a).item() + 0.7 * F.cross_entropy(scores, b).item()
    assert loss == pytest.approx(want)


def test_fgsm_and_pgd():
    lamina.manual_seed(9)
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
    x, y = lamina.rand(20, 6), lamina.randint(0, 3, (20,))
    before = F.cross_entropy(model(x), y).item()
    z = x.clone().requires_grad_()
    F.cross_entropy(model(z), y).backward()
    bad = attacks.fgsm(model, x, y, eps=0.1)
    want = np.clip(x.numpy() + 0.1 * np.sign(z.grad.numpy()), 0, 1).astype(np.float32)
    np.testing.assert_allclose(bad.numpy(), want, atol=1e-7)
    assert not bad.requires_grad
    model.zero_grad()
    worse = attacks.pgd(model, x, y, eps=0.1, step=0.025, steps=20, random_start=False)
    assert all(p.grad is None for p in model.parameters())
    assert float((worse - x).abs().max()) <= 0.1 + 1e-6
    assert float(worse.min()) >= 0 and float(worse.max()) <= 1
    losses = [F.cross_entropy(model(v), y).item() for v in (bad, worse)]
    assert before < losses[0] <= losses[1] + 1e-4
    one = attacks.pgd(model, x, y, 0.1, 0.1, steps=1, random_start=False)
    np.testing.assert_allclose(one.numpy(), bad.numpy(), atol=1e-7)
    start = attacks.pgd(model, x, y, 0.1, 0.0, steps=0, low=None, high=None)
    gap = (start - x).abs().numpy()
    assert 0.09 < gap.max() <= 0.1 + 1e-6
    with pytest.raises(ValueError):
        attacks.fgsm(model, x, y, -1)
