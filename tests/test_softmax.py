"""softmax: extreme inputs, shapes, dtypes, errors."""

import math

import numpy as np
import pytest

import lamina

INF = math.inf


@pytest.mark.parametrize("dtype", [lamina.float32, lamina.float64])
@pytest.mark.parametrize("shape, dim", [((4, 7), 1), ((7, 40), 0), ((2, 7, 40), 1)])
def test_large_scores_neither_overflow_nor_vanish(dtype, shape, dim):
    a = np.random.default_rng(0).uniform(-1000, 1000, shape)
    z = a - a.max(dim, keepdims=True)
    logp = z - np.log(np.exp(z).sum(dim, keepdims=True))
    x = lamina.tensor(a, dtype=dtype)
    tol = 1e-4 if dtype is lamina.float32 else 1e-11  # the scores themselves are rounded
    np.testing.assert_allclose(x.log_softmax(dim).numpy(), logp, atol=tol)
    np.testing.assert_allclose(x.softmax(dim).numpy(), np.exp(logp), atol=tol)
    np.testing.assert_allclose(x.softmax(dim).sum(dim).numpy(), 1, rtol=2e-6)


@pytest.mark.parametrize("n", [3, 20])
def test_infinite_scores(n):
    x = lamina.full((2, n), -INF)
    x[0, 1] = 2.0
    y = x.softmax(1)
    assert y[0, 1].item() == 1 and y[0].sum().item() == 1 and y[1].isnan().all()
    assert x.log_softmax(1)[0, 0].item() == -INF
    x[0, 0] = math.nan
    assert x.softmax(1)[0].isnan().all()


@pytest.mark.parametrize("n", [10, 700])
def test_small_probabilities_are_relative(n):
    x = lamina.zeros(n)
    x[0] = 60.0
    assert x.softmax(0)[1].item() == pytest.approx(math.exp(-60), rel=1e-5)
    assert x.log_softmax(0)[0].item() == pytest.approx(-math.log1p((n - 1) * math.exp(-60)))


def test_shapes_and_dtypes():
    assert lamina.tensor(3.0).softmax(0).item() == 1
    assert lamina.tensor(3.0).log_softmax(-1).item() == 0
    assert lamina.zeros(2, 0).softmax(1).shape == (2, 0)
    half = lamina.zeros(2, 4, dtype=lamina.bfloat16).softmax(1)
    assert half.dtype is lamina.bfloat16 and half[0, 0].item() == 0.25
    assert lamina.softmax(lamina.tensor([1, 1]), 0, dtype=lamina.float64).tolist() == [0.5, 0.5]
    x = lamina.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_allclose(
        x.permute(2, 0, 1).softmax(0).numpy(), x.softmax(2).permute(2, 0, 1).numpy(), rtol=1e-6
    )


def test_errors():
    with pytest.raises(IndexError, match="softmax: dim"):
        lamina.zeros(2).softmax(1)
    with pytest.raises(lamina.DTypeError, match="softmax: expected a floating tensor"):
        lamina.tensor([1, 2]).softmax(0)
    with pytest.warns(UserWarning, match="log_softmax: dim was not given; 1 is used"):
        lamina.log_softmax(lamina.zeros(2, 3))


@pytest.mark.parametrize("shape, dim", [((3000, 11), 1), ((40, 11, 130), 1), ((3, 20_000), 1)])
def test_bits_do_not_depend_on_threads(shape, dim):
    a = np.random.default_rng(4).standard_normal(shape).astype(np.float32)
    before, results = lamina.get_num_threads(), []
    try:
        for n in (1, 2, 3):
            lamina.set_num_threads(n)
            x = lamina.tensor(a, requires_grad=True)
            y, z = x.softmax(dim), x.log_softmax(dim)
            (y * y + z).sum().backward()
            results.append([t.detach().numpy().tobytes() for t in (y, z, x.grad)])
    finally:
        lamina.set_num_threads(before)
    assert results[0] == results[1] == results[2]
