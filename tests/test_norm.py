"""Normalisations: running statistics, accuracy, special sizes, errors, PyTorch's behaviour."""

import importlib

import numpy as np
import pytest

import lamina

F = importlib.import_module("lamina.ops.norm")


def stats(c, dtype=lamina.float32):
    return lamina.zeros(c, dtype=dtype), lamina.ones(c, dtype=dtype)


@pytest.mark.parametrize("shape", [(6, 5), (3, 5, 4), (2, 5, 3, 3)])
@pytest.mark.parametrize("dtype", [lamina.float32, lamina.float64], ids=["32", "64"])
def test_running_statistics(shape, dtype):
    x = lamina.randn(shape, dtype=dtype) * 2 + 3
    mean, var = stats(5, dtype)
    F.batch_norm(x, mean, var, training=True, momentum=0.25)
    a = np.moveaxis(x.numpy(), 1, 0).reshape(5, -1).astype(np.float64)
    np.testing.assert_allclose(mean.numpy(), 0.25 * a.mean(1), rtol=1e-5)
    np.testing.assert_allclose(var.numpy(), 0.75 + 0.25 * a.var(1, ddof=1), rtol=1e-5)
    before = mean.numpy().copy(), var.numpy().copy()
    y = F.batch_norm(x, mean, var, training=False)
    assert (mean.numpy() == before[0]).all() and (var.numpy() == before[1]).all()
    shape_c = (1, 5, *[1] * (x.dim() - 2))
    want = (x.numpy() - before[0].reshape(shape_c)) / np.sqrt(before[1].reshape(shape_c) + 1e-5)
    np.testing.assert_allclose(y.numpy(), want, rtol=1e-5, atol=1e-6)


def test_running_statistics_of_views_and_other_dtypes():
    x = lamina.randn(4, 3, 5)
    mean, var = stats(3)
    F.batch_norm(x, mean, var, training=True)
    wide = lamina.zeros(3, 2), lamina.ones(3, 2)
    F.batch_norm(x, wide[0][:, 1], wide[1][:, 1], training=True)
    assert (wide[0][:, 1] == mean).all() and (wide[0][:, 0] == 0).all()
    half = x.half()
    m16, v16 = stats(3)
    y = F.batch_norm(half, m16, v16, lamina.ones(3), lamina.zeros(3), training=True)
    assert y.dtype is lamina.float16
    np.testing.assert_allclose(m16.numpy(), mean.numpy(), atol=2e-4)


@pytest.mark.parametrize("shape,axes", [((64, 3, 50), (0, 2)), ((500, 20), (0,))])
def test_large_mean_does_not_cancel(shape, axes):
    """Deviation 1 around 10000: E[x^2] - E[x]^2 in float32 would have no digits left."""
    x = np.float32(np.random.default_rng(0).standard_normal(shape) + 1e4)
    y = F.batch_norm(lamina.tensor(x), None, None, training=True).numpy()
    a = x.astype(np.float64)
    want = (a - a.mean(axes, keepdims=True)) / np.sqrt(a.var(axes, keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, want, atol=2e-3)  # half a unit in the last place of 10000
    assert abs(float(y.std()) - 1) < 1e-3
    y = F.layer_norm(lamina.tensor(x.reshape(-1, 10)), (10,)).numpy()
    assert np.abs(y.std(1) - 1).max() < 1e-3


@pytest.mark.parametrize("shape", [(20, 256, 8, 8), (9, 70, 4, 4), (33, 5, 2), (3, 7, 5, 9)])
@pytest.mark.parametrize("dtype", [lamina.float32, lamina.float64])
def test_small_planes(shape, dtype):
    """Short runs, which are brought together, alone and in a batch of several blocks."""
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal(shape) for _ in range(2))
    x = x * 2 + 3
    w, b = rng.standard_normal(shape[1]), rng.standard_normal(shape[1])
    at = lamina.tensor(x, dtype=dtype, requires_grad=True)
    lw, lb = (lamina.tensor(v, dtype=dtype, requires_grad=True) for v in (w, b))
    y = lamina.nn.functional.batch_norm(at, None, None, lw, lb, training=True)
    y.backward(lamina.tensor(g, dtype=dtype))
    axes = (0, *range(2, len(shape)))
    x, g = at.detach().double().numpy(), lamina.tensor(g, dtype=dtype).double().numpy()
    lift = lambda v: v.reshape(-1, *[1] * (len(shape) - 2))  # noqa: E731
    rstd = 1 / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    h = (x - x.mean(axes, keepdims=True)) * rstd
    mean = lambda v: v.mean(axes, keepdims=True)  # noqa: E731
    gx = lift(w) * rstd * (g - mean(g) - h * mean(g * h))
    tol = 2e-5 if dtype == lamina.float32 else 1e-11
    for got, want in ((y, h * lift(w) + lift(b)), (at.grad, gx), (lb.grad, g.sum(axes)),
                      (lw.grad, (g * h).sum(axes))):  # fmt: skip
        np.testing.assert_allclose(got.detach().numpy(), want, rtol=tol, atol=tol * 10)


def test_constant_input():
    x = lamina.full((4, 3, 5), 7.25, requires_grad=True)
    y = F.batch_norm(x, None, None, training=True)
    assert (y == 0).all()
    y.sum().backward()
    assert (x.grad == 0).all()
    assert (F.layer_norm(x, (5,)) == 0).all() and (F.group_norm(x, 3) == 0).all()


def test_nan_stays_in_its_channel():
    x = lamina.randn(4, 3, 5)
    x[1, 1, 2] = float("nan")
    y = F.batch_norm(x, None, None, training=True).numpy()
    assert np.isnan(y[:, 1]).all() and not np.isnan(y[:, [0, 2]]).any()
    y = F.layer_norm(x, (5,)).numpy()
    assert np.isnan(y[1, 1]).all() and np.isnan(y).sum() == 5


def test_eval_gradients():
    mean, var = lamina.rand(3, dtype=lamina.float64), lamina.rand(3, dtype=lamina.float64) + 0.5
    x, w, b = (lamina.randn(s, dtype=lamina.float64).requires_grad_() for s in ((4, 3, 5), 3, 3))
    for inputs in ((x, w, b), (x.detach(), w, b), (x, w.detach(), b.detach())):
        assert lamina.autograd.gradcheck(
            lambda x, w, b: F.batch_norm(x, mean, var, w, b, False), inputs
        )
    y = F.batch_norm(x, mean, var, w, b, False)
    (gw,) = lamina.autograd.grad(y, w, lamina.ones_like(y), create_graph=True)
    gw.sum().backward()
    want = 5 * 4 / np.sqrt(var.numpy() + 1e-5) / 20
    np.testing.assert_allclose(x.grad.numpy(), np.broadcast_to(want.reshape(3, 1), (4, 3, 5)))


def test_only_wanted_gradients():
    x, w, b = lamina.randn(4, 6), lamina.rand(6).requires_grad_(), lamina.rand(6).requires_grad_()
    F.batch_norm(x, None, None, w, b, True).sum().backward()
    np.testing.assert_allclose(b.grad.numpy(), 4.0)
    b.grad = w.grad = None
    F.layer_norm(x, (6,), w.detach(), b).sum().backward()
    assert w.grad is None and b.grad.tolist() == [4.0] * 6
    F.group_norm(x, 2, w, b.detach()).sum().backward()
    assert w.grad is not None


def test_bias_without_weight():
    x, b = lamina.randn(3, 4), lamina.randn(4)
    want = F.layer_norm(x, (4,)) + b
    np.testing.assert_allclose(F.layer_norm(x, 4, None, b).numpy(), want.numpy(), atol=1e-6)


def test_empty():
    mean, var = stats(3)
    assert F.batch_norm(lamina.zeros(0, 3, 4), mean, var, training=False).shape == (0, 3, 4)
    assert F.layer_norm(lamina.zeros(0, 4), (4,)).shape == (0, 4)
    assert F.group_norm(lamina.zeros(0, 4, 5), 2).shape == (0, 4, 5)
    w = lamina.ones(4, requires_grad=True)
    F.layer_norm(lamina.zeros(0, 4), (4,), w).sum().backward()
    assert w.grad.tolist() == [0.0] * 4


def test_instance_norm_running_statistics():
    x = lamina.randn(4, 3, 10)
    mean, var = stats(3)
    y = F.instance_norm(x, mean, var, momentum=1.0)
    np.testing.assert_allclose(mean.numpy(), x.numpy().mean(2).mean(0), atol=1e-6)
    np.testing.assert_allclose(var.numpy(), x.numpy().var(2, ddof=1).mean(0), rtol=1e-5)
    np.testing.assert_allclose(y.numpy(), F.instance_norm(x).numpy(), atol=1e-5)
    z = F.instance_norm(x, mean, var, use_input_stats=False)
    np.testing.assert_array_equal(z.numpy(), F.batch_norm(x, mean, var).numpy())


@pytest.mark.parametrize("p,dim", [(1, 0), (2, 1), (3, -1), (float("inf"), 1)])
def test_normalize(p, dim):
    x = lamina.randn(3, 4)
    norm = np.linalg.norm(x.numpy(), p, dim, keepdims=True)
    np.testing.assert_allclose(F.normalize(x, p, dim).numpy(), x.numpy() / norm, rtol=1e-5)
    assert (F.normalize(lamina.zeros(2, 3)) == 0).all()


def test_errors():
    x = lamina.randn(1, 3)
    with pytest.raises(
        ValueError,
        match=r"batch_norm: expected more than 1 value per channel when training, got input size "
        r"\(1, 3\)",
    ):
        F.batch_norm(x, None, None, training=True)
    with pytest.raises(ValueError, match="running_mean and running_var are needed"):
        F.batch_norm(x, None, None)
    with pytest.raises(
        lamina.ShapeError,
        match=r"batch_norm: weight has shape \(4,\), expected \(3,\) for an input",
    ):
        F.batch_norm(lamina.randn(2, 3), None, None, lamina.ones(4), training=True)
    with pytest.raises(lamina.ShapeError, match=r"batch_norm: expected an input \(N, C, ...\)"):
        F.batch_norm(lamina.randn(3), None, None, training=True)
    with pytest.raises(lamina.DTypeError, match="batch_norm: expected a floating input"):
        F.batch_norm(lamina.ones(2, 3, dtype=lamina.int64), None, None, training=True)
    with pytest.raises(
        lamina.ShapeError,
        match=r"layer_norm: normalized_shape \(4,\) is not the end of the input's shape \(2, 3\)",
    ):
        F.layer_norm(lamina.randn(2, 3), (4,))
    with pytest.raises(lamina.ShapeError, match="group_norm: 4 channels cannot be split into 3"):
        F.group_norm(lamina.randn(2, 4), 3)
    with pytest.raises(ValueError, match="expected more than 1 value per group"):
        F.group_norm(lamina.randn(1, 4), 4)
    with pytest.raises(ValueError, match="expected more than 1 spatial element"):
        F.instance_norm(lamina.randn(2, 3, 1))


def test_the_gradients_of_an_empty_batch_are_zero():
    junk = lamina.full((3,), 7.0)  # what the gradients' memory may hold
    del junk
    w, b = (lamina.ones(3, requires_grad=True) for _ in range(2))
    mean, var = stats(3)
    F.batch_norm(lamina.zeros(0, 3), mean, var, w, b, training=False).sum().backward()
    assert w.grad.tolist() == b.grad.tolist() == [0, 0, 0]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_rms_norm_without_eps_is_that_of_torch(dtype):
    """Half types are computed in float32 with its eps; small values show it."""
    torch = pytest.importorskip("torch")
    x = lamina.linspace(-1e-3, 2e-3, 12).reshape(3, 4).to(getattr(lamina, dtype))
    t = torch.tensor(x.tolist(), dtype=getattr(torch, dtype))
    expected = torch.nn.functional.rms_norm(t, (4,)).double().numpy()
    bound = 2 * lamina.finfo(x.dtype).eps
    for y in (lamina.nn.functional.rms_norm(x, (4,)), lamina.nn.RMSNorm(4, dtype=x.dtype)(x)):
        np.testing.assert_allclose(y.detach().double().numpy(), expected, rtol=bound)
