"""Dropout: rates, scaling, gradients through the mask, whole channels, alpha dropout."""

import importlib

import numpy as np
import pytest

import lamina
from lamina import _core

dropout_module = importlib.import_module("lamina.ops.dropout")
dropout = dropout_module.dropout
N = 1_000_003
DTYPES = pytest.mark.parametrize("dtype", [lamina.float32, lamina.float64], ids=["32", "64"])


@DTYPES
@pytest.mark.parametrize("p", [1e-3, 0.1, 0.5, 0.9])
def test_rate_and_scale(p, dtype):
    lamina.manual_seed(3)
    x = lamina.full((N,), 2.0, dtype=dtype)
    y = dropout(x, p).numpy()
    kept = y != 0
    assert abs(kept.mean() - (1 - p)) < 4.5 * np.sqrt(p * (1 - p) / N)
    np.testing.assert_array_equal(y[kept], 2 * y.dtype.type(1 / (1 - p)))
    flags = kept - kept.mean()  # neighbours and the two users of one random word are independent
    for lag in (1, 8, 16, 32):
        assert abs((flags[lag:] * flags[:-lag]).mean()) < 4.5 * p * (1 - p) / np.sqrt(N)


def test_low_bits_count():
    """p below 2^-16 and just beside a multiple of it: more than 16 bits decide."""
    lamina.manual_seed(4)
    x = lamina.ones(1 << 22)
    dropped = sum(float((dropout(x, 2.0**-20) == 0).sum()) for _ in range(40))
    assert abs(dropped - 160) < 4.5 * np.sqrt(160)


@DTYPES
def test_extremes_are_exact(dtype):
    x = lamina.tensor([1.0, float("nan"), float("inf")], dtype=dtype, requires_grad=True)
    assert dropout(x, 0.0) is x
    assert dropout(x, 0.5, training=False) is x
    y = dropout(x, 1.0)
    assert y.tolist() == [0.0, 0.0, 0.0]
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.0]
    assert dropout(lamina.zeros(0, 3), 0.5).shape == (0, 3)


@DTYPES
def test_gradient_uses_the_same_mask(dtype):
    x = lamina.randn(1001, dtype=dtype).requires_grad_()
    y = dropout(x, 0.3)
    mask = (y / x).detach()
    g = lamina.randn(1001, dtype=dtype).requires_grad_()
    (first,) = lamina.autograd.grad(y, x, g, create_graph=True)
    np.testing.assert_allclose(first.detach().numpy(), (g * mask).detach().numpy(), rtol=1e-6)
    (second,) = lamina.autograd.grad(first, g, lamina.ones(1001, dtype=dtype))
    np.testing.assert_allclose(second.numpy(), mask.numpy(), rtol=1e-6)


def test_in_place_and_views():
    lamina.manual_seed(9)
    want = dropout(lamina.ones(5, 7), 0.4)
    lamina.manual_seed(9)
    x = lamina.ones(5, 7)
    assert dropout(x, 0.4, inplace=True) is x and (x == want).all()
    lamina.manual_seed(9)
    t = lamina.ones(7, 5).t()
    dropout(t, 0.4, inplace=True)
    assert (t == want).all()
    leaf = lamina.ones(100, requires_grad=True)
    y = dropout(leaf * 3, 0.5, inplace=True)
    y.sum().backward()
    np.testing.assert_array_equal(leaf.grad.numpy(), y.detach().numpy())


@DTYPES
def test_bits_are_the_same_everywhere(dtype):
    isa, threads = _core.isa(), lamina.get_num_threads()
    x = lamina.rand(300_001, dtype=dtype)

    def draw(n):
        return _core.dropout(x[:n], 0.25, lamina.Generator().manual_seed(2)).numpy()

    want = draw(300_001)
    try:
        for t in (1, 2, 3):
            lamina.set_num_threads(t)
            for other in _core.available_isas():
                _core.select_isa(other)
                for n in (1, 15, 16, 17, 63, 64, 65, 300_001):
                    np.testing.assert_array_equal(draw(n), want[:n], err_msg=f"{other} {t} {n}")
    finally:
        lamina.set_num_threads(threads)
        _core.select_isa(isa)


def test_half_precision():
    for d in (lamina.float16, lamina.bfloat16):
        y = dropout(lamina.ones(1000, dtype=d), 0.5)
        assert y.dtype is d and set(y.float().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("name,shape", [("dropout1d", (5, 40, 6)), ("dropout2d", (5, 40, 3, 4)),
                                        ("dropout3d", (5, 40, 2, 3, 2)),
                                        ("dropout3d", (200, 3, 2, 4)),
                                        ("dropout1d", (200, 6))])  # fmt: skip
def test_channels(name, shape):
    lamina.manual_seed(1)
    f = getattr(dropout_module, name)
    y = f(lamina.ones(shape), 0.5).numpy().reshape(200, -1)
    assert ((y == 0) | (y == 2)).all() and (y == y[:, :1]).all()
    assert 60 < (y[:, 0] == 0).sum() < 140
    x = lamina.ones(shape)
    assert f(x, 0.5, training=False).shape == shape
    lamina.manual_seed(1)
    f(x, 0.5, inplace=True)
    np.testing.assert_array_equal(x.numpy().reshape(200, -1), y)


def test_alpha_dropout_keeps_mean_and_variance():
    lamina.manual_seed(1)
    x = lamina.randn(1 << 20)
    y = dropout_module.alpha_dropout(x, 0.3, training=True).numpy().astype(np.float64)
    assert abs(y.mean()) < 0.01 and abs(y.var() - 1) < 0.01
    z = dropout_module.alpha_dropout(x, 0.3, training=True, inplace=True)
    assert z is x
    assert dropout_module.alpha_dropout(x, 1.0, training=True).abs().max() == 0
    y = dropout_module.feature_alpha_dropout(lamina.ones(4, 50, 6), 0.5, training=True).numpy()
    assert (y == y[:, :, :1]).all() and len(np.unique(y)) == 2


def test_errors():
    with pytest.raises(
        ValueError, match=r"dropout: probability has to be between 0 and 1, but got"
    ):
        dropout(lamina.ones(3), 1.5)
    with pytest.raises(RuntimeError, match="dropout: expected a floating tensor, got .*int64"):
        dropout(lamina.ones(3, dtype=lamina.int64), 0.5)
    with pytest.raises(ValueError, match=r"dropout1d: Expected 2D or 3D input.*received a 1D"):
        dropout_module.dropout1d(lamina.ones(3), 0.5)
    with (
        pytest.warns(UserWarning, match="dropout2d: Received a 1-D input"),
        pytest.raises(ValueError, match="at least 2 dimensions in the input.*got shape .3,."),
    ):
        dropout_module.dropout2d(lamina.ones(3), 0.5)


@pytest.mark.parametrize("name,shape,rows", [("dropout2d", (20, 10), 200),
                                             ("dropout2d", (20, 10, 4), 200),
                                             ("dropout2d", (20, 10, 2, 2, 2), 200),
                                             ("dropout3d", (200, 6), 200)])  # fmt: skip
def test_other_dimensions_warn(name, shape, rows):
    """What follows the channels is dropped as one, whatever its number of dimensions."""
    lamina.manual_seed(1)
    f, number = getattr(dropout_module, name), f"Received a {len(shape)}-?D input"
    with pytest.warns(UserWarning, match=number):
        y = f(lamina.ones(shape), 0.5).numpy().reshape(rows, -1)
    assert ((y == 0) | (y == 2)).all() and (y == y[:, :1]).all()
    assert 60 < (y[:, 0] == 0).sum() < 140
    x = lamina.ones(shape)
    with pytest.warns(UserWarning, match=number):
        assert f(x, 0.5, training=False).data_ptr() == x.data_ptr()
