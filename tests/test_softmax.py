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


@pytest.mark.parametrize("n", [3, 40])
@pytest.mark.parametrize("dim", [0, 1])
def test_masked_scores_pass_no_gradient(n, dim):
    a = np.random.default_rng(5).standard_normal((n, n))
    a[np.triu_indices(n, 1)] = -INF
    x = lamina.tensor(a if dim else a.T, requires_grad=True)
    y = x.softmax(dim)
    assert y.isfinite().all() and ((y == 0) == (x == -INF)).all()
    (y * y).sum().backward()
    assert x.grad.isfinite().all() and (x.grad[x == -INF] == 0).all()


@pytest.mark.parametrize("dtype", [lamina.float32, lamina.float64])
@pytest.mark.parametrize("shape, dim", [((50, 10), 1), ((9, 1000), 1), ((10, 60), 0)])
def test_values_are_right_to_a_few_units(dtype, shape, dim):
    """Against float64 sums of the very inputs; 1 unit of error per step of the exponential's, the
    sum's and the logarithm's."""
    a = np.random.default_rng(6).uniform(-20, 20, shape).astype(str(dtype).split(".")[1])
    x, z = lamina.tensor(a), a.astype(np.longdouble)
    total = np.log(np.exp(z).sum(dim, keepdims=True))
    unit = np.finfo(a.dtype).eps
    log_p = (z - total).astype(np.float64)
    error = np.abs(x.log_softmax(dim).double().numpy() - log_p)
    assert (error <= 2 * unit * (1 + np.abs(log_p))).all()
    p = np.exp(z - total).astype(np.float64)
    assert (np.abs(x.softmax(dim).double().numpy() - p) <= 40 * unit * p).all()
    lse = np.squeeze(total, dim).astype(np.float64)
    assert (np.abs(x.logsumexp(dim).double().numpy() - lse) <= 2 * unit * (1 + np.abs(lse))).all()


# ---- logsumexp ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "shape, dim", [((3, 7), 1), ((7, 40), 0), ((2, 7, 40), 1), ((2, 3, 4), -3)]
)
def test_logsumexp_and_its_gradient(shape, dim):
    a = np.random.default_rng(7).uniform(-800, 800, shape)
    top = a.max(dim, keepdims=True)
    value = top + np.log(np.exp(a - top).sum(dim, keepdims=True))
    for keep in (False, True):
        x = lamina.tensor(a, requires_grad=True)
        y = x.logsumexp(dim, keepdim=keep)
        want = value if keep else np.squeeze(value, dim)
        assert y.shape == want.shape
        np.testing.assert_allclose(y.detach().numpy(), want, rtol=1e-14)
        (g,) = lamina.autograd.grad(y.sum(), x, create_graph=True)
        np.testing.assert_allclose(g.detach().numpy(), np.exp(a - value), rtol=1e-11, atol=1e-300)
        (h,) = lamina.autograd.grad((g * g).sum(), x)  # of p^2 summed: 2 p (p - sum p^2)
        p = np.exp(a - value)
        np.testing.assert_allclose(
            h.numpy(), 2 * p * (p - (p * p).sum(dim, keepdims=True)), rtol=1e-9, atol=1e-15
        )


def test_logsumexp_of_special_inputs():
    x = lamina.tensor([[-INF, -INF], [0.0, -INF], [INF, 0.0], [math.nan, 0.0], [1e4, 1e4]])
    y = x.logsumexp(1)
    assert y[:3].tolist() == [-INF, 0, INF] and y[3].isnan().item()
    assert y[4].item() == pytest.approx(1e4 + math.log(2))
    assert lamina.logsumexp(lamina.zeros(2, 0), 1).tolist() == [-INF, -INF]
    assert lamina.logsumexp(lamina.zeros(0, 2), 1).shape == (0,)
    assert lamina.tensor(3.0).logsumexp(0).item() == 3
    assert lamina.tensor([0, 0]).logsumexp(0).item() == pytest.approx(math.log(2))
    assert lamina.zeros(2, 4, dtype=lamina.bfloat16).logsumexp(1).dtype is lamina.bfloat16
    assert lamina.zeros(2, 4).logsumexp((0, 1)).item() == pytest.approx(math.log(8))
    view = lamina.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1)[1:, :, ::2]
    np.testing.assert_allclose(
        view.logsumexp(1).numpy(), view.contiguous().logsumexp(1).numpy(), rtol=0
    )
    with pytest.raises(IndexError, match="logsumexp: dim"):
        x.logsumexp(2)


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


@pytest.mark.parametrize("shape", [(300, 256), (257, 512), (2, 400, 256), (1030, 256), (300, 255)])
def test_many_rows_far_apart(shape, threads):
    """Along a dimension whose elements lie a power of two apart: worked on in dense copies."""
    rng = np.random.default_rng(0)
    a, g = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    dim = len(shape) - 2
    z = a.astype(np.float64) - a.max(dim, keepdims=True)
    logp = z - np.log(np.exp(z).sum(dim, keepdims=True))
    p = np.exp(logp)
    for dtype, tol in ((lamina.float32, 2e-6), (lamina.float64, 1e-12)):
        x = lamina.tensor(a, dtype=dtype, requires_grad=True)
        y = x.softmax(dim)
        np.testing.assert_allclose(y.detach().numpy(), p, atol=tol)
        y.backward(lamina.tensor(g, dtype=dtype))
        want = p * (g - (g * p).sum(dim, keepdims=True))
        np.testing.assert_allclose(x.grad.numpy(), want, atol=10 * tol)
        x.grad = None
        y = x.log_softmax(dim)
        np.testing.assert_allclose(y.detach().numpy(), logp, atol=10 * tol)
        y.backward(lamina.tensor(g, dtype=dtype))
        want = g - p * g.sum(dim, keepdims=True, dtype=np.float64)
        np.testing.assert_allclose(x.grad.numpy(), want, atol=20 * tol)
