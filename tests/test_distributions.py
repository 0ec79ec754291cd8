"""lamina.distributions: densities, entropies and quantiles against SciPy, everything against
PyTorch, and samples against their distribution (fixed seeds, bounds of 4.5 standard errors)."""

import numpy as np
import pytest

import lamina
from lamina import distributions as D

stats = pytest.importorskip("scipy.stats")
RNG = np.random.default_rng(7)
A = RNG.uniform(0.5, 3.0, (2, 3))
B = RNG.uniform(0.5, 3.0, (2, 3))
LOC = RNG.normal(size=(2, 3))
P = RNG.uniform(0.05, 0.95, (2, 3))
ROWS = RNG.dirichlet(np.ones(4), 3)
_M = RNG.normal(size=(3, 3))
COV = _M @ _M.T + np.eye(3)


def t(x, dtype=lamina.float64):
    return lamina.tensor(np.asarray(x), dtype=dtype)


def close(got, want, tol=1e-10):
    np.testing.assert_allclose(got.detach().numpy(), want, rtol=tol, atol=tol)


# name, the distribution for a dtype, SciPy's
CONTINUOUS = {
    "normal": (lambda d: D.Normal(t(LOC, d), t(A, d)), stats.norm(LOC, A)),
    "log_normal": (lambda d: D.LogNormal(t(LOC, d), t(P, d)), stats.lognorm(P, scale=np.exp(LOC))),
    "uniform": (lambda d: D.Uniform(t(LOC, d), t(LOC + A, d)), stats.uniform(LOC, A)),
    "exponential": (lambda d: D.Exponential(t(A, d)), stats.expon(scale=1 / A)),
    "laplace": (lambda d: D.Laplace(t(LOC, d), t(A, d)), stats.laplace(LOC, A)),
    "gamma": (lambda d: D.Gamma(t(A, d), t(B, d)), stats.gamma(A, scale=1 / B)),
    "chi2": (lambda d: D.Chi2(t(A, d)), stats.chi2(A)),
    "beta": (lambda d: D.Beta(t(A, d), t(B, d)), stats.beta(A, B)),
    "half_normal": (lambda d: D.HalfNormal(t(A, d)), stats.halfnorm(scale=A)),
    "gumbel": (lambda d: D.Gumbel(t(LOC, d), t(A, d)), stats.gumbel_r(LOC, A)),
    "student": (lambda d: D.StudentT(t(A + 8, d), t(LOC, d), t(B, d)), stats.t(A + 8, LOC, B)),
    "cauchy": (lambda d: D.Cauchy(t(LOC, d), t(A, d)), stats.cauchy(LOC, A)),
    "half_cauchy": (lambda d: D.HalfCauchy(t(A, d)), stats.halfcauchy(scale=A)),
}
DISCRETE = {
    "bernoulli": (lambda d: D.Bernoulli(t(P, d)), stats.bernoulli(P)),
    "binomial": (lambda d: D.Binomial(9, t(P, d)), stats.binom(9, P)),
    "geometric": (lambda d: D.Geometric(t(P, d)), stats.geom(P, loc=-1)),
    "poisson": (lambda d: D.Poisson(t(A * 4, d)), stats.poisson(A * 4)),
    "negative_binomial": (lambda d: D.NegativeBinomial(t(A, d), t(P, d)), stats.nbinom(A, 1 - P)),
}
BOTH = {**CONTINUOUS, **DISCRETE}
KEYS = [*BOTH]
NO_MOMENTS = ("cauchy", "half_cauchy")
NO_ENTROPY = ("poisson", "negative_binomial")  # as in PyTorch
QUANTILES = ["normal", "log_normal", "uniform", "exponential", "laplace", "half_normal", "gumbel",
             "cauchy", "half_cauchy"]  # fmt: skip


@pytest.mark.parametrize("name", KEYS)
def test_density_and_moments_against_scipy(name):
    make, ref = BOTH[name]
    d = make(lamina.float64)
    x = ref.rvs(size=(5, 2, 3), random_state=3).astype(float)
    close(d.log_prob(t(x)), ref.logpdf(x) if name in CONTINUOUS else ref.logpmf(x), 1e-9)
    if name not in NO_MOMENTS:
        close(d.mean, ref.mean())
        close(d.variance, ref.var())
        close(d.stddev, ref.std())
    if name not in NO_ENTROPY:
        close(d.entropy(), np.vectorize(float)(ref.entropy()), 1e-9)


@pytest.mark.parametrize("name", QUANTILES)
def test_distribution_functions_against_scipy(name):
    make, ref = CONTINUOUS[name]
    d = make(lamina.float64)
    x = ref.rvs(size=(5, 2, 3), random_state=4)
    close(d.cdf(t(x)), ref.cdf(x))
    close(d.icdf(t(P)), ref.ppf(P), 1e-9)
    close(d.cdf(d.icdf(t(P))), P, 1e-9)


@pytest.mark.parametrize("name", KEYS)
def test_samples_follow_the_distribution(name):
    make, ref = BOTH[name]
    n = 40_000
    for dtype in (lamina.float32, lamina.float64):
        lamina.manual_seed(11)
        x = make(dtype).sample((n,))
        assert x.dtype is dtype and x.shape == (n, 2, 3) and not x.requires_grad
        x = x.numpy().astype(float)
        if name not in NO_MOMENTS:
            z = (x.mean(0) - ref.mean()) / (ref.std() / np.sqrt(n))
            assert np.abs(z).max() < 4.5
        if name not in (*NO_MOMENTS, "log_normal"):  # whose fourth moment is too large
            excess = ref.stats(moments="k")  # var(s^2) = (kurtosis - 1) sigma^4 / n
            z = (x.var(0) / ref.var() - 1) / np.sqrt((excess + 2) / n)
            assert np.abs(z).max() < 4.5
        for i in np.ndindex(2, 3):
            column, args = x[(slice(None), *i)], [v[i] if np.ndim(v) else v for v in ref.args]
            kwds = {k: v[i] if np.ndim(v) else v for k, v in ref.kwds.items()}
            one = ref.dist(*args, **kwds)
            if name in CONTINUOUS:
                assert stats.kstest(column[:5000], one.cdf).pvalue > 1e-4
            else:
                k = np.arange(-1, 60)
                steps = np.searchsorted(np.sort(column), k, side="right") / n
                error = np.sqrt(np.maximum(one.cdf(k) * one.sf(k), 1 / n) / n)
                assert (np.abs(steps - one.cdf(k)) / error).max() < 4.5


def test_binomial_function():
    lamina.manual_seed(2)
    n, p = lamina.full((30_000,), 50.0), lamina.full((30_000,), 0.3)
    x = lamina.binomial(n, p)
    assert x.dtype is lamina.float32 and abs(float(x.mean()) - 15) < 4.5 * (10.5 / 30_000) ** 0.5
    assert lamina.binomial(lamina.tensor([-1.0]), lamina.tensor([0.5])).isnan().all()
    with pytest.raises(lamina.ShapeError, match="must agree"):
        lamina.binomial(n, p[:2])


def test_same_seed_same_samples():
    for make, _ in BOTH.values():
        lamina.manual_seed(5)
        first = make(lamina.float32).sample((7,))
        lamina.manual_seed(5)
        assert (first == make(lamina.float32).sample((7,))).all()


@pytest.mark.parametrize("a", [1e-3, 0.1, 0.9, 1.0, 3.0, 40.0, 1e4, 3e5])
def test_gamma_draws(a):
    lamina.manual_seed(2)
    y = lamina._core.log_gamma_draw(lamina.full((5000,), a, dtype=lamina.float64), None).numpy()
    # P(log x <= y) = P(a, e^y); for tiny x, x^a / Gamma(a + 1), which does not underflow
    from scipy import special

    small = np.exp(np.minimum(a * y - special.gammaln(a + 1), 0))
    cdf = np.where(y < -30, small, special.gammainc(a, np.exp(y)))
    assert stats.kstest(cdf, "uniform").pvalue > 1e-4


def test_gamma_gradient_is_that_of_the_quantile():
    # x(a) = the u-quantile: central differences of SciPy's inverse at each draw's own u.
    from scipy import special

    lamina.manual_seed(4)
    a = np.repeat([0.05, 0.3, 1.0, 1.7, 6.0, 40.0, 700.0], 40)
    alpha = t(a).requires_grad_()
    x = D.Gamma(alpha, t(np.ones(a.size)), validate_args=False).rsample()
    (x.sum()).backward()
    x = x.detach().numpy()
    keep = x > 1e-20
    u, h = special.gammainc(a, x), 1e-5 * a
    lower = u < 0.5
    up = np.where(lower, special.gammaincinv(a + h, u), special.gammainccinv(a + h, 1 - u))
    down = np.where(lower, special.gammaincinv(a - h, u), special.gammainccinv(a - h, 1 - u))
    want = (up - down) / (2 * h)
    np.testing.assert_allclose(alpha.grad.numpy()[keep], want[keep], rtol=2e-6, atol=1e-12)


@pytest.mark.parametrize("a", [0.9e5, 1.1e5])
def test_gamma_gradient_of_large_shapes(a):
    # On both sides of 1e5, where another formula takes over: x = a + z sqrt(a) + (z^2 - 1) / 3 ...
    lamina.manual_seed(1)
    alpha = t(np.full(200, a)).requires_grad_()
    x = D.Gamma(alpha, t(np.ones(200))).rsample()
    x.sum().backward()
    x = x.detach().numpy()
    z = (x - a) / np.sqrt(a)
    for _ in range(5):
        z = (x - a - (z**2 - 1) / 3 - (z**3 - 7 * z) / (36 * np.sqrt(a))) / np.sqrt(a)
    want = 1 + z / (2 * np.sqrt(a)) - (z**3 - 7 * z) / (72 * a**1.5)
    np.testing.assert_allclose(alpha.grad.numpy(), want, rtol=1e-9)


def test_rsample_gradients_of_means():
    # d E[x] / d parameter by the mean of the samples' gradients.
    n = 40_000
    lamina.manual_seed(8)
    a, b = t(1.7).requires_grad_(), t(0.8).requires_grad_()
    D.Gamma(a, b).rsample((n,)).mean().backward()
    assert abs(float(a.grad) - 1 / 0.8) < 0.03 and abs(float(b.grad) + 1.7 / 0.64) < 0.06
    a, b = t(0.6).requires_grad_(), t(1.9).requires_grad_()
    D.Beta(a, b).rsample((n,)).mean().backward()  # mean a / (a + b)
    assert abs(float(a.grad) - 1.9 / 6.25) < 0.01 and abs(float(b.grad) + 0.6 / 6.25) < 0.01
    c = t([0.3, 1.0, 2.0]).requires_grad_()
    (D.Dirichlet(c).rsample((n,)).mean(0) * t([1.0, 2.0, 4.0])).sum().backward()
    v = np.array([1.0, 2.0, 4.0])
    alpha = np.array([0.3, 1.0, 2.0])
    want = v / alpha.sum() - (v @ alpha) / alpha.sum() ** 2
    assert np.abs(c.grad.numpy() - want).max() < 0.02


def test_reparameterised_gradients_are_exact():
    for make, x in (
        (lambda p: D.Normal(p, p.exp()), LOC), (lambda p: D.Laplace(p, p.exp()), LOC),
        (lambda p: D.Uniform(p, p + 1), LOC), (lambda p: D.Exponential(p), A),
        (lambda p: D.LogNormal(p, p.exp()), LOC),
    ):  # fmt: skip

        def draw(p, make=make):
            lamina.manual_seed(3)
            return make(p).rsample((2,))

        assert lamina.autograd.gradcheck(draw, (t(x).requires_grad_(),))


def test_log_prob_and_entropy_gradients():
    x = t(RNG.uniform(0.1, 0.9, (2, 3)))
    for make in (
        lambda a, b: D.Normal(a, b), lambda a, b: D.Laplace(a, b), lambda a, b: D.Gamma(a, b),
        lambda a, b: D.Beta(a, b), lambda a, b: D.LogNormal(a, b),
    ):  # fmt: skip
        inputs = (t(A).requires_grad_(), t(B).requires_grad_())
        assert lamina.autograd.gradcheck(lambda a, b, m=make: m(a, b).log_prob(x), inputs)
        assert lamina.autograd.gradcheck(lambda a, b, m=make: m(a, b).entropy(), inputs)
    c = t(A).requires_grad_()
    s = t(ROWS[:2, :3] / ROWS[:2, :3].sum(-1, keepdims=True))
    assert lamina.autograd.gradcheck(lambda a: D.Dirichlet(a).log_prob(s), (c,))
    assert lamina.autograd.gradcheck(lambda a: D.Dirichlet(a).entropy(), (c,))


# ---- several dimensions at once ----------------------------------------------------------------
def test_categorical():
    logits = RNG.normal(size=(2, 3, 4))
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    d = D.Categorical(logits=t(logits))
    assert d.batch_shape == (2, 3) and d.event_shape == ()
    close(d.probs, p)
    close(d.entropy(), -(p * np.log(p)).sum(-1))
    close(D.Categorical(t(p * 7)).logits, np.log(p))
    close(d.log_prob(lamina.tensor(2)), np.log(p[..., 2]))
    k = RNG.integers(0, 4, (5, 2, 3))
    close(
        d.log_prob(lamina.tensor(k)), np.log(np.take_along_axis(p[None], k[..., None], -1)[..., 0])
    )
    lamina.manual_seed(1)
    n = 20_000
    x = d.sample((n,))
    assert x.dtype is lamina.int64 and x.shape == (n, 2, 3)
    counts = np.stack([(x.numpy() == j).mean(0) for j in range(4)], -1)
    assert np.abs((counts - p) / np.sqrt(p * (1 - p) / n)).max() < 4.5
    assert d.enumerate_support().shape == (4, 2, 3)
    assert d.sample((0,)).shape == (0, 2, 3)
    w = t(logits).requires_grad_()
    assert lamina.autograd.gradcheck(
        lambda w: D.Categorical(logits=w).log_prob(lamina.tensor(1)), w
    )
    assert lamina.autograd.gradcheck(lambda w: D.Categorical(logits=w).entropy(), w)


def test_categorical_with_impossible_category():
    d = D.Categorical(logits=lamina.tensor([0.0, float("-inf"), 0.0]))
    assert abs(float(d.entropy()) - np.log(2)) < 1e-6
    lamina.manual_seed(0)
    assert not (d.sample((1000,)) == 1).any()


def test_one_hot_and_multinomial():
    d = D.OneHotCategorical(t(ROWS))
    lamina.manual_seed(3)
    x = d.sample((20_000,))
    assert x.shape == (20_000, 3, 4) and (x.sum(-1) == 1).all()
    assert np.abs((x.numpy().mean(0) - ROWS) / np.sqrt(ROWS * (1 - ROWS) / 20_000)).max() < 4.5
    close(d.log_prob(x[:5]), np.log((x[:5].numpy() * ROWS).sum(-1)))
    m = D.Multinomial(10, t(ROWS))
    x = m.sample((20_000,))
    assert x.shape == (20_000, 3, 4) and (x.sum(-1) == 10).all()
    spread = np.sqrt(10 * ROWS * (1 - ROWS) / 20_000)
    assert np.abs((x.numpy().mean(0) - 10 * ROWS) / spread).max() < 4.5
    for i in range(3):
        ref = stats.multinomial(10, ROWS[i])
        close(m.log_prob(x[:6])[:, i], ref.logpmf(x[:6, i].numpy()), 1e-9)
        close(m.entropy()[i], ref.entropy(), 1e-9)
    q = t(ROWS).requires_grad_()
    D.OneHotCategoricalStraightThrough(q).rsample().sum().backward()
    assert q.grad is not None


def test_dirichlet():
    alpha = np.array([0.4, 1.5, 3.0])
    d = D.Dirichlet(t(alpha))
    ref = stats.dirichlet(alpha)
    lamina.manual_seed(9)
    x = d.sample((20_000,))
    close(x.sum(-1), np.ones(20_000))
    z = (x.numpy().mean(0) - ref.mean()) / np.sqrt(ref.var() / 20_000)
    assert np.abs(z).max() < 4.5
    close(d.mean, ref.mean())
    close(d.variance, ref.var())
    close(d.entropy(), ref.entropy())
    close(d.log_prob(x[:5]), [ref.logpdf(v / v.sum()) for v in x[:5].numpy()], 1e-7)
    tiny = D.Dirichlet(t([1e-3, 1e-3])).sample((1000,))
    assert not tiny.isnan().any() and ((tiny.amax(-1) > 0.99).float().mean() > 0.97)


@pytest.mark.parametrize("given", ["covariance_matrix", "precision_matrix", "scale_tril"])
def test_multivariate_normal(given):
    loc = np.array([1.0, -2.0, 0.5])
    matrix = {
        "covariance_matrix": COV, "precision_matrix": np.linalg.inv(COV),
        "scale_tril": np.linalg.cholesky(COV),
    }[given]  # fmt: skip
    d = D.MultivariateNormal(t(loc), **{given: t(matrix)})
    ref = stats.multivariate_normal(loc, COV)
    x = RNG.normal(size=(4, 2, 3))
    close(d.log_prob(t(x)), ref.logpdf(x), 1e-9)
    close(d.entropy(), ref.entropy(), 1e-9)
    close(d.covariance_matrix, COV, 1e-9)
    close(d.precision_matrix, np.linalg.inv(COV), 1e-9)
    close(d.variance, np.diag(COV), 1e-9)
    lamina.manual_seed(6)
    y = d.sample((40_000,)).numpy()
    assert np.abs((y.mean(0) - loc) / np.sqrt(np.diag(COV) / 40_000)).max() < 4.5
    error = np.sqrt((np.outer(np.diag(COV), np.diag(COV)) + COV**2) / 40_000)
    assert np.abs((np.cov(y.T) - COV) / error).max() < 4.5
    wide = d.expand((5, 2))
    assert wide.sample((3,)).shape == (3, 5, 2, 3) and wide.log_prob(t(x)[0]).shape == (5, 2)
    w = t(matrix).requires_grad_()
    value = t(x[0])

    def f(w):
        w = w.tril() if given == "scale_tril" else (w + w.mT) / 2
        return D.MultivariateNormal(t(loc), **{given: w}).log_prob(value)

    assert lamina.autograd.gradcheck(f, w)


def test_batches_expand_and_independent():
    d = D.Normal(lamina.zeros(3, 1), lamina.ones(2))
    assert d.batch_shape == (3, 2) and d.sample((4,)).shape == (4, 3, 2)
    assert d.expand((5, 3, 2)).sample().shape == (5, 3, 2)
    i = D.Independent(d, 1)
    assert i.batch_shape == (3,) and i.event_shape == (2,)
    x = i.sample((4,))
    close(i.log_prob(x), d.log_prob(x).sum(-1).numpy(), 1e-6)
    close(i.entropy(), d.entropy().sum(-1).numpy(), 1e-6)
    assert i.expand((7, 3)).log_prob(x[0]).shape == (7, 3)
    assert isinstance(d.sample(), lamina.Tensor) and D.Normal(0, 1).sample().shape == ()
    assert str(D.Normal(0.0, 1.0)) == "Normal(loc: 0.0, scale: 1.0)"


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: D.Normal(0.0, -1.0), "parameter scale"),
        (lambda: D.Normal(float("nan"), 1.0), "parameter loc"),
        (lambda: D.Chi2(-1.0), "parameter df"),
        (lambda: D.Bernoulli(lamina.tensor(1.5)), "parameter probs"),
        (lambda: D.Bernoulli(), "either probs or logits"),
        (lambda: D.Categorical(lamina.tensor(0.5)), "at least one dimension"),
        (lambda: D.Categorical(lamina.tensor([0.5, -0.1])), "parameter probs"),
        (lambda: D.Uniform(1.0, 0.0), "low < high"),
        (lambda: D.Normal(0.0, 1.0).log_prob(1.0), "must be a Tensor"),
        (lambda: D.Normal(lamina.zeros(3), 1.0).log_prob(lamina.ones(2)), "does not broadcast"),
        (lambda: D.Exponential(1.0).log_prob(lamina.tensor(-1.0)), "support"),
        (lambda: D.Poisson(1.0).log_prob(lamina.tensor(0.5)), "support"),
        (lambda: D.Dirichlet(lamina.ones(3)).log_prob(lamina.ones(3)), "support"),
        (lambda: D.Independent(D.Normal(0.0, 1.0), 1), "reinterpreted_batch_ndims"),
        (lambda: D.MultivariateNormal(lamina.zeros(2)), "exactly one"),
        (lambda: D.MultivariateNormal(lamina.zeros(2), -lamina.eye(2)), "covariance_matrix"),
    ],
)
def test_validation(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_validation_can_be_off():
    assert D.Normal(0.0, -1.0, validate_args=False).variance == 1
    D.Distribution.set_default_validate_args(False)
    try:
        D.Bernoulli(lamina.tensor(1.5))
    finally:
        D.Distribution.set_default_validate_args(True)
    with pytest.raises(NotImplementedError, match="rsample"):
        D.Poisson(1.0).rsample()


def test_printed():
    assert repr(D.Normal(0.0, 1.0)) == "Normal(loc: 0.0, scale: 1.0)"
    text = repr(D.Normal(lamina.zeros(2), lamina.ones(2)))
    assert text == "Normal(loc: lamina.Size([2]), scale: lamina.Size([2]))"
