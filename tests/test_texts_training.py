"""Numbers printed in five teaching texts: regularisation, training, evaluation. (The texts' names:
test_texts.py.) Where a text is wrong, or prints no answer, a comment says so."""

from __future__ import annotations

import math

import numpy as np
import pytest

import lamina
from lamina import nn, optim
from lamina.nn import functional as F
from test_texts import T, values


# ---- regularisation ------------------------------------------------------------------------------
@pytest.mark.parametrize("drop", [0.2, 0.5])
def test_dropout_keeps_the_expectation(drop):
    # DL101 section 7.4.2, eq. 7.6 names p the probability to KEEP, Slides section 15 (and PyTorch)
    # to drop; kept units are divided by 1 - drop, so that the mean stays.
    lamina.manual_seed(0)
    y = F.dropout(lamina.ones(100_000), drop)
    assert y.unique().tolist() == pytest.approx([0, 1 / (1 - drop)])
    assert y.mean().item() == pytest.approx(1, abs=0.01)
    assert (y == 0).double().mean().item() == pytest.approx(drop, abs=0.01)
    x = lamina.ones(3)
    assert nn.Dropout(drop).eval()(x) is x


def test_batch_norm_recipe():
    # DL101 example 7.3: rho = 0.9 keeps 0.9 of the running value: PyTorch's momentum is 0.1
    layer = nn.BatchNorm1d(1)
    assert (layer.momentum, layer.eps) == (0.1, 1e-5)
    layer(lamina.tensor([[10.0], [10.0]]))
    assert layer.running_mean.item() == pytest.approx(0.9 * 0 + 0.1 * 10)


def test_stochastic_depth_of_110_layers():
    # DL101 example 7.6: the survival falls linearly from 1.0 to 0.8
    rates = nn.stochastic_depth_rates(110, 0.8)
    assert len(rates) == 110 and rates[0] < 0.002 and rates[-1] == pytest.approx(0.2)
    assert np.ptp(np.diff(rates)) < 1e-12


def test_gradient_clipping():
    # DL101 definition 7.2, eq. 7.14, example 7.5: g / max(1, |g| / theta): exactly theta
    # afterwards; PyTorch's 1e-6 in the divisor leaves a little less.
    for theta in (1.0, 5.0):
        p = lamina.zeros(2, dtype=lamina.float64).requires_grad_()
        p.grad = T([30.0, 40.0])
        nn.utils.clip_grad_norm_([p], theta, eps=0.0)
        assert p.grad.norm().item() == pytest.approx(theta, rel=1e-15)
        p.grad = T([30.0, 40.0])
        assert nn.utils.clip_grad_norm_([p], theta).item() == 50
        assert 0 < theta - p.grad.norm().item() < 2e-7
    # DL101 definition 7.1, eq. 7.13: by value
    p.grad = T([-3.0, 0.5])
    nn.utils.clip_grad_value_([p], 1.0)
    assert values(p.grad) == [-1, 0.5]


def test_pgd_recipe():
    # DL101 example 7.8: eps 8/255, 7 steps of 2/255
    lamina.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    x, y = lamina.rand(4, 3, 2, 2), lamina.tensor([0, 1, 2, 0])
    bad = lamina.utils.attacks.pgd(model, x, y, 8 / 255, 2 / 255, 7)
    assert (bad - x).abs().max().item() <= 8 / 255 + 1e-7
    assert F.cross_entropy(model(bad), y).item() > F.cross_entropy(model(x), y).item()


def test_mixup_recipe():
    # DL101 example 7.7: Beta(0.4, 0.4); one lam for inputs and targets
    x, y = T([[0.0], [1.0]]), T([[1.0, 0.0], [0.0, 1.0]])
    lamina.manual_seed(3)
    mixed, (a, b), lam = lamina.utils.mixing.mixup(x, y, alpha=0.4)
    assert 0 <= lam <= 1
    targets = lam * a + (1 - lam) * b
    np.testing.assert_allclose(mixed[:, 0].numpy(), targets[:, 1].numpy())


def test_mc_dropout_recipe():
    # DL101 example 7.2: 20 passes
    lamina.manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    calls = []
    model[2].register_forward_hook(lambda *_: calls.append(1))
    _, variance = nn.utils.mc_dropout(model, lamina.ones(1, 3))
    assert len(calls) == 20 and variance.item() > 0


# ---- training ------------------------------------------------------------------------------------
def test_early_stopping():
    # DL101 example 7.1: best epoch 142, patience 20: halts at 162, the weights of 142 are used
    from lamina.trainer.callbacks import EarlyStopping

    class Run:
        stop, model = None, nn.Linear(1, 1)

    rule, run = EarlyStopping("val_loss", patience=20), Run()
    epoch = 0
    while not run.stop:
        epoch += 1
        nn.init.constant_(run.model.weight, float(epoch))
        loss = 1 / epoch if epoch <= 142 else 0.5
        rule.on_epoch_end(run, {"epoch": epoch, "val_loss": loss})
    rule.on_fit_end(run)
    assert epoch == 162 and run.model.weight.item() == 142 and "142" in run.stop


def test_optimizer_defaults():
    # DL101 section 8.3.4; CheatSheet 3.15.6; Slides section 14
    group = optim.Adam([T(0.0, grad=True)]).param_groups[0]
    assert (group["lr"], group["betas"], group["eps"]) == (0.001, (0.9, 0.999), 1e-8)
    # CheatSheet 3.15.6 and Slides have RMSProp with 0.9 and eps 1e-8; PyTorch's decay is 0.99
    group = optim.RMSprop([T(0.0, grad=True)]).param_groups[0]
    assert (group["alpha"], group["eps"]) == (0.99, 1e-8)


def test_two_forms_of_momentum():
    # CheatSheet 3.15.2 averages: v = mu v + (1 - mu) g. It is Slides' (and PyTorch's) v = mu v + g
    # with 1 - mu times the learning rate.
    def run(lr, form):
        p = T([3.0, -2.0], grad=True)
        o = optim.SGD([p], lr=lr, momentum=0.9, form=form)
        for _ in range(10):
            o.zero_grad()
            (p * p).sum().backward()
            o.step()
        return p.detach().numpy()

    np.testing.assert_allclose(run(0.1, "ema"), run(0.1 * (1 - 0.9), "torch"), rtol=1e-12)


def test_schedules():
    # CheatSheet 3.16, DL101 section 8.3.5, Slides section 14
    schedules = lamina.optim.lr_scheduler

    def rates(make, n=21):
        o = optim.SGD([T(0.0, grad=True)], lr=0.5)
        s = make(o)
        out = []
        for _ in range(n):
            out.append(s.get_last_lr()[0])
            o.step()
            s.step()
        return np.array(out)

    t = np.arange(21)
    np.testing.assert_allclose(rates(lambda o: schedules.StepLR(o, 5, 0.5)), 0.5 * 0.5 ** (t // 5))
    got = rates(lambda o: schedules.ExponentialLR(o, math.exp(-0.1)))  # the texts: exp(-k t)
    np.testing.assert_allclose(got, 0.5 * np.exp(-0.1 * t))
    got = rates(lambda o: schedules.CosineAnnealingLR(o, 20, eta_min=0.1))
    np.testing.assert_allclose(got, 0.1 + 0.5 * 0.4 * (1 + np.cos(np.pi * t / 20)))
    got = rates(lambda o: schedules.InverseTimeLR(o, 0.2))  # DL101 section 8.1.3
    np.testing.assert_allclose(got, 0.5 / (1 + 0.2 * t))
    got = rates(lambda o: schedules.WarmupLR(o, 10, 0.1))
    np.testing.assert_allclose(got, 0.5 * (0.1 + 0.9 * np.minimum(t / 10, 1)))
    got = rates(lambda o: schedules.WarmupLR(o, 10, 0.1, "exponential"))
    np.testing.assert_allclose(got, 0.5 * 0.1 ** (1 - np.minimum(t / 10, 1)))


FASHION = """862 1 14 35 2 1 79 0 6 0
1 973 4 16 4 0 2 0 0 0
20 0 865 10 65 0 40 0 0 0
12 6 9 928 21 0 24 0 0 0
0 0 26 24 914 0 36 0 0 0
0 0 0 0 0 978 0 18 0 4
114 3 46 33 87 0 711 0 6 0
0 0 0 0 0 9 0 972 1 18
0 1 2 3 1 2 3 0 988 0
0 0 0 1 0 5 1 32 1 960"""


def test_fashion_mnist_confusion():
    # CheatSheet figure 4.3, rows are the true classes; the ratios are not printed
    from lamina import metrics

    counts = np.array([[int(v) for v in row.split()] for row in FASHION.split("\n")])
    assert counts.sum(1).tolist() == [1000] * 10 and np.trace(counts) == 9151
    true, guess = (np.repeat(i.ravel(), counts.ravel()) for i in np.indices((10, 10)))
    guess, true = lamina.tensor(guess), lamina.tensor(true)

    def compute(metric):
        metric.update(guess, true)
        return metric.compute()

    assert compute(metrics.ConfusionMatrix(10)).tolist() == counts.tolist()
    assert compute(metrics.Accuracy()) == pytest.approx(0.9151)
    assert compute(metrics.F1(10, "micro")) == pytest.approx(0.9151)
    got = [compute(m(10)) for m in (metrics.Precision, metrics.Recall, metrics.F1)]
    assert got == pytest.approx([0.914900, 0.915100, 0.914489], abs=5e-7)
    precision = [0.854311, 0.988821, 0.895445, 0.883810, 0.835466, 0.982915, 0.793527, 0.951076,
                 0.986028, 0.977597]  # fmt: skip
    f1 = [0.858138, 0.980847, 0.879959, 0.905366, 0.872970, 0.980451, 0.750000, 0.961424,
          0.987013, 0.968718]  # fmt: skip
    np.testing.assert_allclose(compute(metrics.Precision(10, None)).numpy(), precision, atol=5e-7)
    np.testing.assert_allclose(compute(metrics.F1(10, None)).numpy(), f1, atol=5e-7)
