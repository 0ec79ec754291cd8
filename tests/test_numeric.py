"""Functions built from others, beside NumPy."""

import numpy as np
import pytest

import lamina
import lamina.nn.functional as F

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(4, 3)), RNG.normal(size=(5, 3))


def near(a, b, atol=1e-12):
    np.testing.assert_allclose(a.detach().numpy(), b, rtol=0, atol=atol)


def test_trapezoid():
    points = np.array([0.0, 0.5, 2.0])
    near(lamina.trapezoid(lamina.tensor(X), dx=0.5), np.trapezoid(X, dx=0.5))
    near(lamina.trapz(lamina.tensor(X), lamina.tensor(points)), np.trapezoid(X, points))
    near(lamina.tensor(X).trapezoid(lamina.tensor(X + 1), dim=0), np.trapezoid(X, X + 1, axis=0))
    got = lamina.cumulative_trapezoid(lamina.tensor(X))
    near(got[:, -1], np.trapezoid(X))
    near(got[:, 0], (X[:, 0] + X[:, 1]) / 2)
    with pytest.raises(RuntimeError, match="2 points x for 3 values"):
        lamina.trapezoid(lamina.tensor(X), lamina.tensor([0.0, 1.0]))


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, float("inf")])
def test_distances(p):
    want = np.linalg.norm(X[:, None] - Y[None], p, -1)
    x = lamina.tensor(X, requires_grad=True)
    near(lamina.cdist(x, lamina.tensor(Y), p), want)
    near(F.pdist(x, p), np.linalg.norm(X[:, None] - X[None], p, -1)[np.triu_indices(4, 1)])
    lamina.cdist(x, x.detach(), p).sum().backward()
    assert x.grad.isfinite().all()  # also where the distance is 0
    with pytest.raises(lamina.ShapeError, match="cdist: expected"):
        lamina.cdist(x, lamina.tensor(Y.T))


def test_histogram():
    values = np.array([0.0, 0.5, 1.0, 1.0, 2.5, 3.0, 9.0])
    t = lamina.tensor(values)
    hist, edges = lamina.histogram(t, 3, range=(0.0, 3.0))
    want = np.histogram(values, 3, (0, 3))
    near(hist, want[0])
    near(edges, want[1])
    near(lamina.histogram(t, 4).hist, np.histogram(values, 4)[0])
    bins = np.array([0.0, 1.0, 9.0])
    near(t.histogram(lamina.tensor(bins)).hist, np.histogram(values, bins)[0])
    near(lamina.histogram(t, 3, density=True).hist, np.histogram(values, 3, density=True)[0])
    weight = np.arange(7.0)
    near(lamina.histogram(t, 3, weight=lamina.tensor(weight)).hist,
         np.histogram(values, 3, weights=weight)[0])  # fmt: skip


def test_small_ones():
    near(lamina.trace(lamina.tensor(X)), np.trace(X))
    near(lamina.vander(lamina.tensor(X[0]), 4), np.vander(X[0], 4))
    near(lamina.vander(lamina.tensor(X[0]), increasing=True), np.vander(X[0], increasing=True))
    near(lamina.fill(lamina.tensor(X), 2.0), np.full_like(X, 2))
    near(lamina.frobenius_norm(lamina.tensor(X)), np.linalg.norm(X))
    assert lamina.real(lamina.ones(1)).item() == 1
    for name in ("view_as_real", "view_as_complex", "polar"):
        with pytest.raises(NotImplementedError, match="no complex tensors"):
            getattr(lamina, name)(lamina.ones(2))


def test_special():
    x = lamina.tensor([0.5, 0.0, 2.0], dtype=lamina.float64)
    near(lamina.special.entr(x), [0.5 * np.log(2), 0, -2 * np.log(2)])
    near(lamina.special.xlog1py(x, 1.0), np.array([0.5, 0, 2]) * np.log(2))
    near(lamina.special.xlog1py(x, x), np.array([0.5, 0, 2]) * np.log1p([0.5, 0, 2]))
    assert lamina.special.expit is lamina.sigmoid and lamina.special.expm1 is lamina.expm1
    with pytest.raises(AttributeError):
        _ = lamina.special.no_such_function


def test_gumbel_softmax():
    lamina.manual_seed(0)
    logits = lamina.tensor([1.0, 0.0, -1.0]).log_softmax(0).expand(20000, 3)
    soft = F.gumbel_softmax(logits, tau=0.5)
    near(soft.sum(1), np.ones(20000), 1e-5)
    hard = F.gumbel_softmax(logits.requires_grad_(), hard=True)
    assert set(hard.detach().round().unique().tolist()) == {0.0, 1.0}
    near(hard.mean(0), np.exp(logits[0].detach().numpy()), 0.015)
    hard.square().sum().backward()
    assert logits.grad.abs().sum() > 0
