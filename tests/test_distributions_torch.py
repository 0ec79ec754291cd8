"""lamina.distributions beside torch.distributions: the same shapes, dtypes, densities, moments,
entropies, divergences and transforms."""

import math

import numpy as np
import pytest

import lamina
from lamina import distributions as D

torch = pytest.importorskip("torch")
T = torch.distributions
RNG = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def _double_precision():  # PyTorch's Multinomial rounds log n! to its default dtype
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def draw(*shape):
    return RNG.uniform(0.3, 1.3, shape)


def both(name, *args, **kwargs):
    """The distribution of the same parameters in both libraries; arrays become float64 tensors."""

    def make(module, tensor):
        def convert(v):
            return tensor(v) if isinstance(v, np.ndarray) else v

        named = {k: convert(v) for k, v in kwargs.items()}
        return getattr(module, name)(*map(convert, args), **named)

    return make(D, lambda v: lamina.tensor(v, dtype=lamina.float64)), make(T, torch.tensor)


def spd():
    m = RNG.normal(size=(2, 3, 3))
    return m @ m.swapaxes(-1, -2) + np.eye(3)


CASES = [
    ("Normal", draw(2, 3), draw(2, 3)), ("LogNormal", draw(3), draw(3)),
    ("Uniform", draw(3), draw(3) + 2), ("Exponential", draw(3)), ("Laplace", draw(3), draw(3)),
    ("Beta", draw(3) * 3, draw(3)), ("Gamma", draw(3), draw(3)), ("Chi2", draw(3)),
    ("Dirichlet", draw(2, 3)), ("Bernoulli", draw(3) * 0.7), ("Bernoulli", None, draw(3)),
    ("Categorical", draw(2, 4)), ("Categorical", None, draw(2, 4)),
    ("OneHotCategorical", draw(2, 4)), ("Multinomial", 5, draw(2, 4)),
    ("Binomial", 7, draw(3) * 0.7), ("Binomial", 7, None, draw(3)), ("Poisson", draw(3) * 4),
    ("Geometric", draw(3) * 0.7), ("MultivariateNormal", draw(2, 3), spd()),
    ("MultivariateNormal", draw(3), None, spd()),
    ("MultivariateNormal", draw(3), None, None, np.linalg.cholesky(spd())),
    ("Cauchy", draw(3), draw(3)), ("HalfCauchy", draw(3)), ("HalfNormal", draw(2, 3)),
    ("Gumbel", draw(3), draw(3)), ("StudentT", np.array([0.7, 1.5, 5.0]), draw(3), draw(3)),
    ("NegativeBinomial", draw(3) * 4, draw(3) * 0.7), ("NegativeBinomial", 3.0, None, draw(3)),
    ("RelaxedBernoulli", np.array(0.7), draw(3) * 0.7),
    ("RelaxedOneHotCategorical", np.array(0.7), draw(2, 4)),
]  # fmt: skip
IDS = [f"{c[0]}_{i}" for i, c in enumerate(CASES)]


def same(got, want, tol=1e-12):
    assert tuple(got.shape) == tuple(want.shape)
    np.testing.assert_allclose(got.detach().numpy(), want.numpy(), rtol=tol, atol=tol)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_everything_agrees(case):
    ours, theirs = both(*case)
    assert tuple(ours.batch_shape) == tuple(theirs.batch_shape)
    assert tuple(ours.event_shape) == tuple(theirs.event_shape)
    assert ours.has_rsample == theirs.has_rsample
    assert ours.has_enumerate_support == theirs.has_enumerate_support
    torch.manual_seed(0)
    x = theirs.sample((5,))
    value = lamina.tensor(x.numpy())
    mine = ours.sample((5,))
    assert tuple(mine.shape) == tuple(x.shape)
    assert str(mine.dtype).split(".")[1] == str(x.dtype).split(".")[1]
    assert ours.log_prob(mine).isfinite().all()
    same(ours.log_prob(value), theirs.log_prob(x))
    for name in ("entropy", "mean", "variance", "stddev", "mode", "perplexity"):
        try:
            want = getattr(theirs, name)
            want = want() if callable(want) else want
        except NotImplementedError:
            with pytest.raises(NotImplementedError):
                got = getattr(ours, name)
                _ = got() if callable(got) else got
            continue
        got = getattr(ours, name)
        same(got() if callable(got) else got, want)
    shape = (4, *theirs.batch_shape)
    wide, wide_theirs = ours.expand(shape), theirs.expand(shape)
    same(wide.log_prob(value[:4]), wide_theirs.log_prob(x[:4]))
    assert tuple(wide.sample((2,)).shape) == tuple(wide_theirs.sample((2,)).shape)
    if theirs.has_enumerate_support:
        for expand in (True, False):
            same(ours.enumerate_support(expand), theirs.enumerate_support(expand))


KL = [
    (CASES[i], (CASES[i][0], *[v * 0.9 + 0.05 if isinstance(v, np.ndarray) else v
                               for v in CASES[i][1:]]))
    for i in (0, 1, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 15, 17, 18, 19)
] + [
    (CASES[0], ("Laplace", draw(2, 3), draw(2, 3))),
    (CASES[4], ("Normal", draw(3), draw(3))),
    (CASES[2], ("Normal", draw(3), draw(3))),
    (CASES[2], ("Uniform", draw(3) * 0.2, draw(3) + 3)),
    (CASES[2], ("Uniform", draw(3) + 0.5, draw(3) + 3)),
    (CASES[6], CASES[3]),
    (CASES[3], CASES[6]),
    (CASES[19], ("MultivariateNormal", draw(3), None, spd())),
    (("Bernoulli", np.array([0.0, 1.0, 0.5, 0.0])), ("Bernoulli", np.array([0.0, 1.0, 1.0, 0.3]))),
    (("Categorical", np.array([0.0, 1.0])), ("Categorical", np.array([0.5, 0.5]))),
    (("Categorical", np.array([0.5, 0.5])), ("Categorical", np.array([0.0, 1.0]))),
]  # fmt: skip


@pytest.mark.parametrize("p, q", KL, ids=[f"{p[0]}_{q[0]}_{i}" for i, (p, q) in enumerate(KL)])
def test_kl_divergence_agrees(p, q):
    (p, p_theirs), (q, q_theirs) = both(*p), both(*q)
    same(D.kl_divergence(p, q), T.kl_divergence(p_theirs, q_theirs))


def test_kl_of_independent_and_registration():
    p, q = D.Normal(lamina.zeros(2, 3), 1.0), D.Normal(lamina.ones(3), 2.0).expand((2, 3))
    kl = D.kl_divergence(D.Independent(p, 1), D.Independent(q, 1))
    assert kl.shape == (2,)
    assert np.allclose(kl.numpy(), D.kl_divergence(p, q).sum(-1).numpy())
    with pytest.raises(NotImplementedError, match="no formula for Poisson and Normal"):
        D.kl_divergence(D.Poisson(1.0), p)

    class Mine(D.Normal):
        pass

    D.register_kl(Mine, D.Normal)(lambda p, q: "special")
    assert D.kl_divergence(Mine(0.0, 1.0), p) == "special"
    assert isinstance(D.kl_divergence(p, Mine(0.0, 1.0)), lamina.Tensor)
    with pytest.raises(TypeError, match="subclasses of Distribution"):
        D.register_kl(int, D.Normal)


def transforms(module):
    return [
        module.ExpTransform(), module.TanhTransform(), module.SigmoidTransform(),
        module.AffineTransform(1.0, -2.0),
        module.ComposeTransform([module.ExpTransform(), module.PowerTransform(0.5)]),
    ]  # fmt: skip


def test_transforms_agree():
    x = RNG.normal(size=(4, 3))
    for ours, theirs in zip(transforms(D.transforms), transforms(T.transforms)):
        a, b = lamina.tensor(x), torch.tensor(x)
        y, z = ours(a), theirs(b)
        same(y, z)
        same(ours.inv(y), theirs.inv(z), 1e-9)
        same(ours.log_abs_det_jacobian(a, y), theirs.log_abs_det_jacobian(b, z))
        base, base_theirs = both("Normal", draw(3), draw(3))
        d = D.TransformedDistribution(base, [ours])
        d_theirs = T.TransformedDistribution(base_theirs, [theirs])
        same(d.log_prob(y), d_theirs.log_prob(z), 1e-9)
        same(d.cdf(y), d_theirs.cdf(z), 1e-9)
        assert d.rsample((2,)).shape == (2, 3)
        assert ours == type(ours)(ours.parts) if hasattr(ours, "parts") else ours.inv.inv is ours


def test_squashed_normal_policy():
    # The policy of soft actor-critic: tanh of a normal sample, with its log density and gradient.
    mu = lamina.zeros(5, 2, requires_grad=True)
    d = D.TransformedDistribution(D.Normal(mu, 1.0), [D.TanhTransform(cache_size=1)])
    d = D.Independent(d, 1)
    a = d.rsample()
    logp = d.log_prob(a)
    logp.sum().backward()
    assert logp.shape == (5,) and mu.grad.isfinite().all() and (a.abs() <= 1).all()
    u = a.detach().atanh()
    want = -0.5 * u * u - 0.5 * math.log(2 * math.pi) - (1 - a.detach() ** 2).log()
    assert np.allclose(logp.detach().numpy(), want.sum(-1).numpy(), atol=1e-3)


def test_mixtures_agree():
    weights, loc, scale = draw(2, 4), draw(2, 4), draw(2, 4)
    ours = [both("Categorical", weights), both("Normal", loc, scale)]
    d, theirs = (m.MixtureSameFamily(*parts) for m, parts in zip((D, T), zip(*ours)))
    x = RNG.normal(size=(5, 2))
    same(d.log_prob(lamina.tensor(x)), theirs.log_prob(torch.tensor(x)))
    same(d.cdf(lamina.tensor(x)), theirs.cdf(torch.tensor(x)))
    same(d.mean, theirs.mean)
    same(d.variance, theirs.variance)
    lamina.manual_seed(3)
    y = d.sample((20_000,))
    assert y.shape == (20_000, 2) and d.expand((3, 2)).sample().shape == (3, 2)
    error = (y.mean(0) - d.mean) / (d.variance / 20_000).sqrt()
    assert (error.abs() < 4.5).all()
    base, base_theirs = both(
        "MultivariateNormal", RNG.normal(size=(4, 3)), np.eye(3) * draw(4, 1, 1)
    )
    mix, mix_theirs = both("Categorical", draw(4))
    d = D.MixtureSameFamily(mix, base)
    theirs = T.MixtureSameFamily(mix_theirs, base_theirs)
    assert d.event_shape == (3,) and d.sample((6,)).shape == (6, 3)
    x = RNG.normal(size=(5, 3))
    same(d.log_prob(lamina.tensor(x)), theirs.log_prob(torch.tensor(x)))
    same(d.variance, theirs.variance)
    with pytest.raises(ValueError, match="its last size must be 4"):
        D.MixtureSameFamily(mix, D.Normal(lamina.zeros(3), 1.0))


def test_relaxed_samples():
    lamina.manual_seed(4)
    p = lamina.tensor([0.2, 0.5, 0.3], dtype=lamina.float64, requires_grad=True)
    x = D.RelaxedOneHotCategorical(0.05, p).rsample((20_000,))
    x.sum(0)[0].backward()
    assert p.grad.isfinite().all() and np.allclose(x.detach().sum(-1).numpy(), 1)
    largest = [(x.argmax(-1) == k).double().mean().item() for k in range(3)]
    assert np.abs(np.array(largest) - [0.2, 0.5, 0.3]).max() < 4.5 * 0.5 / 20_000**0.5
    y = D.RelaxedBernoulli(0.05, lamina.tensor(0.3)).rsample((20_000,))
    assert abs((y > 0.5).double().mean().item() - 0.3) < 4.5 * 0.46 / 20_000**0.5
