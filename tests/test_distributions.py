"""lamina.distributions against SciPy (values) and PyTorch (semantics); moments of samples."""

import numpy as np
import pytest
from scipy import stats

import lamina
from lamina import distributions as D

RNG = np.random.default_rng(7)


def t(x, dtype=lamina.float64):
    return lamina.tensor(np.asarray(x), dtype=dtype)


A = RNG.uniform(0.5, 3.0, (2, 3))
B = RNG.uniform(0.5, 3.0, (2, 3))
LOC = RNG.normal(size=(2, 3))
P = RNG.uniform(0.05, 0.95, (2, 3))
ROWS = RNG.dirichlet(np.ones(4), 3)

# name, ours, SciPy's, values at which densities are compared
CONTINUOUS = [
    ("normal", lambda: D.Normal(t(LOC), t(A)), stats.norm(LOC, A), RNG.normal(size=(5, 2, 3))),
    ("uniform", lambda: D.Uniform(t(LOC), t(LOC + A)), stats.uniform(LOC, A),
     LOC + A * RNG.uniform(0, 1, (5, 2, 3))),
    ("exponential", lambda: D.Exponential(t(A)), stats.expon(scale=1 / A),
     RNG.exponential(size=(5, 2, 3))),
    ("laplace", lambda: D.Laplace(t(LOC), t(A)), stats.laplace(LOC, A),
     RNG.normal(size=(5, 2, 3))),
]  # fmt: skip


def close(got, want, tol=1e-10):
    got = got.detach().numpy() if isinstance(got, lamina.Tensor) else got
    np.testing.assert_allclose(got, want, rtol=tol, atol=tol)


@pytest.mark.parametrize(
    "make, ref, x", [c[1:] for c in CONTINUOUS], ids=[c[0] for c in CONTINUOUS]
)
def test_continuous_against_scipy(make, ref, x):
    d = make()
    close(d.log_prob(t(x)), ref.logpdf(x))
    close(d.entropy(), ref.entropy())
    close(d.mean, ref.mean())
    close(d.variance, ref.var())
    close(d.stddev, ref.std())
    for name, arg in (("cdf", x), ("icdf", P)):
        try:
            got = getattr(d, name)(t(arg))
        except NotImplementedError:
            continue
        close(got, ref.cdf(x) if name == "cdf" else ref.ppf(P), 1e-9)
