"""The rarer distributions beside PyTorch's and SciPy's, and their samples."""

import math

import numpy as np
import pytest

import lamina
from lamina import distributions as D

stats = pytest.importorskip("scipy.stats")
special = pytest.importorskip("scipy.special")
RNG = np.random.default_rng(9)
A, B = RNG.uniform(0.6, 3.0, (2, 2, 3))
P = RNG.uniform(0.05, 0.95, (2, 3))
P[0, 0] = 0.4999
LOC = RNG.normal(size=(2, 3))


def t(x, dtype=lamina.float64):
    return lamina.tensor(np.asarray(x), dtype=dtype)


def close(got, want, tol=1e-9):
    np.testing.assert_allclose(got.detach().numpy(), want, rtol=tol, atol=tol)


def spd(d=3):
    m = RNG.normal(size=(2, d, d))
    return m @ m.swapaxes(-1, -2) + np.eye(d)


# name: the distribution for a dtype, SciPy's
SCIPY = {
    "Pareto": (lambda d: D.Pareto(t(A, d), t(B + 5, d)), stats.pareto(B + 5, scale=A)),
    "Weibull": (lambda d: D.Weibull(t(A, d), t(B, d)), stats.weibull_min(B, scale=A)),
    "InverseGamma": (lambda d: D.InverseGamma(t(A + 5, d), t(B, d)),
                     stats.invgamma(A + 5, scale=B)),
    "FisherSnedecor": (lambda d: D.FisherSnedecor(t(A, d), t(B + 9, d)), stats.f(A, B + 9)),
    "GeneralizedPareto": (lambda d: D.GeneralizedPareto(t(LOC, d), t(A, d), t(LOC / 10, d)),
                          stats.genpareto(LOC / 10, LOC, A)),
    "VonMises": (lambda d: D.VonMises(t(LOC, d), t(A * 3, d)), stats.vonmises(A * 3, LOC)),
}  # fmt: skip


@pytest.mark.parametrize("name", SCIPY)
def test_density_and_moments_against_scipy(name):
    make, ref = SCIPY[name]
    d = make(lamina.float64)
    x = ref.rvs(size=(5, 2, 3), random_state=3)
    close(d.log_prob(t(x)), ref.logpdf(x))
    if name == "VonMises":
        close(d.variance, 1 - special.i1(A * 3) / special.i0(A * 3), 1e-12)
        return
    close(d.mean, ref.mean())
    close(d.variance, ref.var())
    if name != "FisherSnedecor":
        close(d.entropy(), np.vectorize(float)(ref.entropy()))
    if name not in ("FisherSnedecor", "InverseGamma"):
        close(d.cdf(t(x)), ref.cdf(x))
        close(d.icdf(t(P)), ref.ppf(P))


@pytest.mark.parametrize("name", SCIPY)
def test_samples_follow_the_distribution(name):
    make, ref = SCIPY[name]
    for dtype in (lamina.float32, lamina.float64):
        lamina.manual_seed(5)
        x = make(dtype).sample((4000,))
        assert x.dtype is dtype and x.shape == (4000, 2, 3)
        x = x.numpy().astype(float)
        for i in np.ndindex(2, 3):
            args = [v[i] if np.ndim(v) else v for v in ref.args]
            kwds = {k: v[i] if np.ndim(v) else v for k, v in ref.kwds.items()}
            column, one = x[(slice(None), *i)], ref.dist(*args, **kwds)
            if name == "VonMises":  # on the circle around loc
                assert np.abs(column).max() <= math.pi + 1e-6
                column = (column - LOC[i] + math.pi) % (2 * math.pi) - math.pi
                one = stats.vonmises(A[i] * 3)
            assert stats.kstest(column, one.cdf).pvalue > 1e-4


@pytest.mark.parametrize("k", [1e-6, 0.3, 7.0, 49.9, 50.1, 300.0, 1e5])
def test_bessel_functions(k):
    from lamina.distributions.von_mises import scaled_bessel

    x = t([k]).requires_grad_()
    zero, one = scaled_bessel(0, x), scaled_bessel(1, x)
    close(zero, [special.i0e(k)], 2e-15 * special.i0e(k) + 1e-16)
    close(one, [special.i1e(k)], 1e-14)
    (slope,) = lamina.autograd.grad(zero.log().sum(), x)
    close(slope, [special.i1e(k) / special.i0e(k) - 1], 1e-12)


def test_bounded_distributions_by_integration():
    grid = (np.arange(200_000) + 0.5) / 200_000
    for make in (lambda p, a, b: D.ContinuousBernoulli(t(p)),
                 lambda p, a, b: D.Kumaraswamy(t(a), t(b))):  # fmt: skip
        for p, a, b in ((0.2, 1.5, 2.0), (0.4999, 3.0, 1.2), (0.5, 2.0, 2.5), (0.93, 1.2, 3.0)):
            d = make(p, a, b)
            density = d.log_prob(t(grid)).exp().numpy()
            assert density.mean() == pytest.approx(1, abs=1e-6)
            mean = (density * grid).mean()
            assert d.mean.item() == pytest.approx(mean, abs=1e-6)
            assert d.variance.item() == pytest.approx((density * (grid - mean) ** 2).mean(),
                                                      abs=1e-6)  # fmt: skip
            entropy = -special.xlogy(density, density).mean()
            assert d.entropy().item() == pytest.approx(entropy, abs=1e-5)
            x = t([0.1, 0.5, 0.8])
            want = [density[: int(v * 200_000)].sum() / 200_000 for v in (0.1, 0.5, 0.8)]
            close(d.cdf(x), want, 1e-5)
            close(d.icdf(d.cdf(x)), x.numpy(), 1e-7)
            lamina.manual_seed(1)
            draws = d.sample((4000,)).numpy()
            assert stats.kstest(draws, lambda v: d.cdf(t(v)).numpy()).pvalue > 1e-4  # noqa: B023
            if isinstance(d, D.Kumaraswamy):
                assert d.mode.item() == pytest.approx(grid[density.argmax()], abs=1e-4)


def test_low_rank_normal_is_the_full_one():
    loc, W = t(RNG.normal(size=(2, 5))), t(RNG.normal(size=(5, 2)))
    diagonal = t(RNG.uniform(0.5, 2, 5))
    d = D.LowRankMultivariateNormal(loc, W, diagonal)
    full = D.MultivariateNormal(loc, W @ W.T + diagonal.diag())
    x = t(RNG.normal(size=(4, 2, 5)))
    close(d.log_prob(x), full.log_prob(x).numpy(), 1e-11)
    close(d.entropy(), full.entropy().numpy(), 1e-11)
    for name in ("covariance_matrix", "precision_matrix", "scale_tril", "variance"):
        close(getattr(d, name), getattr(full, name).numpy(), 1e-10)
    other = D.MultivariateNormal(loc + 1, full.covariance_matrix * 2)
    for p, q in ((d, other), (other, d), (d, d)):
        as_full = [full if v is d else v for v in (p, q)]
        close(D.kl_divergence(p, q), D.kl_divergence(*as_full).numpy(), 1e-10)
    lamina.manual_seed(0)
    draws = D.LowRankMultivariateNormal(loc[0], W, diagonal).sample((40_000,)).numpy()
    np.testing.assert_allclose(np.cov(draws.T), full.covariance_matrix[0].numpy(), atol=0.2)


def test_wishart_draws_have_its_moments():
    V = spd()
    d = D.Wishart(t(6.5), t(V))
    lamina.manual_seed(0)
    x = d.sample((30_000,))
    assert x.shape == (30_000, 2, 3, 3) and bool(d.support.check(x[:50]).all())
    spread = d.variance.numpy()
    z = (x.mean(0).numpy() - d.mean.numpy()) / np.sqrt(spread / 30_000)
    assert np.abs(z).max() < 4.5
    np.testing.assert_allclose(x.var(0).numpy(), spread, rtol=0.1)
    want = [stats.wishart(6.5, V[b]).logpdf(np.moveaxis(x[:4, b].numpy(), 0, -1)) for b in (0, 1)]
    close(d.log_prob(x[:4]), np.stack(want, 1))
    close(d.entropy(), [stats.wishart(6.5, v).entropy() for v in V])
    inverse = D.Wishart(t(6.5), precision_matrix=t(np.linalg.inv(V)))
    close(inverse.log_prob(x[:4]), d.log_prob(x[:4]).numpy(), 1e-8)
    with pytest.raises(ValueError, match="df must be above p - 1 = 2"):
        D.Wishart(t(2.0), t(V))


@pytest.mark.parametrize("dim, eta", [(2, 1.0), (3, 0.7), (5, 2.5)])
def test_lkj_correlations(dim, eta):
    """Each correlation is 2 b - 1, b ~ Beta(a, a), a = eta - 1 + d / 2 (Lewandowski et al.)."""
    d = D.LKJCholesky(dim, t(eta))
    lamina.manual_seed(2)
    L = d.sample((4000,))
    assert bool(d.support.check(L).all()) and d.log_prob(L).isfinite().all()
    M = (L @ L.mT).numpy()
    a = eta - 1 + dim / 2
    for i in range(dim):
        np.testing.assert_allclose(M[:, i, i], 1, atol=1e-12)
        for j in range(i):
            assert stats.kstest((M[:, i, j] + 1) / 2, stats.beta(a, a).cdf).pvalue > 1e-4


def test_lkj_density_integrates_to_one():
    n = 2000
    grid = (np.arange(n) + 0.5) / n * 2 - 1  # the one correlation of a 2 x 2 matrix
    L = np.zeros((n, 2, 2))
    L[:, 0, 0], L[:, 1, 0], L[:, 1, 1] = 1, grid, np.sqrt(1 - grid**2)
    for eta in (1.0, 1.8):  # dM = L_22 d(angle) = d(grid): the Jacobian of M from L is 1 here
        density = D.LKJCholesky(2, t(eta)).log_prob(t(L)).exp().numpy()
        assert density.mean() * 2 == pytest.approx(1, abs=1e-3)


CASES = [
    ("Pareto", A, B + 2), ("Weibull", A, B + 1), ("InverseGamma", A + 2, B),
    ("FisherSnedecor", A + 3, B + 5), ("Kumaraswamy", A, B), ("ContinuousBernoulli", P),
    ("ContinuousBernoulli", None, LOC), ("GeneralizedPareto", LOC, A, B / 9),
    ("LogisticNormal", LOC, A), ("LowRankMultivariateNormal", LOC, RNG.normal(size=(3, 2)), A),
    ("Wishart", np.array([4.5, 6.0]), spd()), ("Wishart", np.array([5.0, 5.5]), None, spd()),
    ("LKJCholesky", 3, np.array([0.7, 1.5])), ("VonMises", LOC, A),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[f"{c[0]}_{i}" for i, c in enumerate(CASES)])
@pytest.mark.filterwarnings("ignore:Singular sample")
def test_everything_agrees_with_pytorch(case):
    torch = pytest.importorskip("torch")
    torch.set_default_dtype(torch.float64)
    try:
        compare(torch, case)
    finally:
        torch.set_default_dtype(torch.float32)


def compare(torch, case):
    name, *args = case

    def make(module, tensor):
        return getattr(module, name)(*[tensor(v) if isinstance(v, np.ndarray) else v for v in args])

    ours, theirs = make(D, t), make(torch.distributions, torch.tensor)
    assert tuple(ours.batch_shape) == tuple(theirs.batch_shape)
    assert tuple(ours.event_shape) == tuple(theirs.event_shape)
    assert bool(ours.has_rsample) == bool(theirs.has_rsample)
    torch.manual_seed(0)
    x = theirs.sample((5,))
    value, tol = t(x.numpy()), 1e-6 if name == "VonMises" else 1e-10  # theirs: a polynomial
    assert tuple(ours.sample((5,)).shape) == tuple(x.shape)
    close(ours.log_prob(value), theirs.log_prob(x).numpy(), tol)
    for what in ("entropy", "mean", "variance", "mode"):
        if (name, what) == ("Kumaraswamy", "mode"):  # theirs is NaN
            continue
        try:
            want = getattr(theirs, what)
            want = want() if callable(want) else want
        except NotImplementedError:
            continue
        got = getattr(ours, what)
        close(got() if callable(got) else got, want.numpy(), tol)
    wide = ours.expand((4, *theirs.batch_shape))
    close(wide.log_prob(value[:4]), theirs.log_prob(x)[:4].numpy(), tol)
    assert tuple(wide.sample((2,)).shape) == (2, 4, *x.shape[1:])


@pytest.mark.parametrize("name", ["Pareto", "Weibull", "InverseGamma", "FisherSnedecor",
                                  "Kumaraswamy", "GeneralizedPareto"])  # fmt: skip
def test_draws_and_densities_have_gradients(name):
    a, b = t(A + 2).requires_grad_(), t(B + 2).requires_grad_()
    args = (a * 0, a, b / 20) if name == "GeneralizedPareto" else (a, b)
    d = getattr(D, name)(*args)
    x = d.rsample((3,))
    for g in lamina.autograd.grad(x.sum(), (a, b), retain_graph=True):
        assert g.isfinite().all() and (g != 0).any()
    for g in lamina.autograd.grad(d.log_prob(x.detach()).sum(), (a, b)):
        assert g.isfinite().all() and (g != 0).any()


@pytest.mark.parametrize("p, q", [
    (D.Cauchy(0.3, 1.2), D.Cauchy(-0.5, 0.7)), (D.Gumbel(0.3, 1.2), D.Gumbel(-0.5, 1.7)),
    (D.HalfNormal(1.2), D.HalfNormal(0.7)), (D.Pareto(1.5, 3.0), D.Pareto(1.1, 2.0)),
], ids=["Cauchy", "Gumbel", "HalfNormal", "Pareto"])  # fmt: skip
def test_kl_is_the_integral(p, q):
    """The mean of log p - log q over 100,000 equal parts of p's probability."""
    u = lamina.tensor((np.arange(100_000) + 0.5) / 100_000)
    double = [type(d)(*(getattr(d, n).double() for n in d.arg_constraints)) for d in (p, q)]
    x = double[0].icdf(u)
    want = (double[0].log_prob(x) - double[1].log_prob(x)).mean().item()
    assert D.kl_divergence(*double).item() == pytest.approx(want, rel=2e-3)


def test_kl_of_supports_that_do_not_fit():
    assert D.kl_divergence(D.Pareto(1.0, 2.0), D.Pareto(1.5, 2.0)).item() == float("inf")
