"""Reductions: accuracy, special values, shapes, dtypes, errors."""

import math

import numpy as np
import pytest

import lamina


def close(a, b, tol=1e-12):
    np.testing.assert_allclose(np.asarray(a), b, rtol=tol, atol=tol)


# ---- accuracy -----------------------------------------------------------------------------------
def test_long_float32_sums_are_exact_to_the_last_place():
    x = np.random.default_rng(0).random(10_000_000).astype(np.float32)
    exact = math.fsum(x.astype(np.float64))
    assert abs(lamina.tensor(x).sum().item() - exact) <= 1.2e-7 * exact
    assert abs(lamina.tensor(x).mean().item() - exact / x.size) <= 1.2e-7


def test_columns_of_many_rows_are_as_accurate():
    x = (np.random.default_rng(1).random((200_000, 3)) + 1).astype(np.float32)
    exact = x.astype(np.float64).sum(0)
    np.testing.assert_allclose(lamina.tensor(x).sum(0).numpy(), exact, rtol=1.2e-7)


def test_float64_sums_carry_their_rounding_error():
    x = np.random.default_rng(2).standard_normal(1_000_003)
    assert abs(lamina.tensor(x).sum().item() - math.fsum(x)) <= 1e-13 * np.abs(x).sum()
    x[::2] *= 1e8
    assert abs(lamina.tensor(x).sum().item() - math.fsum(x)) <= 1e-14 * np.abs(x).sum()


def test_variance_survives_a_large_mean():
    x = np.random.default_rng(3).standard_normal((4, 5000)) + 1e6
    close(lamina.tensor(x).var(1).numpy(), x.var(1, ddof=1), 1e-10)
    close(lamina.tensor(np.ascontiguousarray(x.T)).var(0).numpy(), x.var(1, ddof=1), 1e-10)


@pytest.mark.parametrize("shape, dim", [
    ((70_001,), None), ((3, 70_001), 1), ((70_001, 3), 0), ((2, 300, 401), (0, 2)),
    ((5, 9000, 33), 1), ((33_000, 40), 0), ((1000, 1000), None),
])  # fmt: skip
def test_bits_do_not_depend_on_threads(shape, dim):
    x = lamina.tensor(np.random.default_rng(4).standard_normal(shape).astype(np.float32))
    before, results = lamina.get_num_threads(), []
    try:
        for n in (1, 2, 3):
            lamina.set_num_threads(n)
            results.append([f(x, dim).numpy().tobytes() for f in (
                lamina.sum, lamina.mean, lamina.var, lambda t, d: lamina.norm(t, 2, d),
                lambda t, d: lamina.amax(t, () if d is None else d))])  # fmt: skip
    finally:
        lamina.set_num_threads(before)
    assert results[0] == results[1] == results[2]


# ---- special values -----------------------------------------------------------------------------
@pytest.mark.parametrize("n", [3, 40, 600])
@pytest.mark.parametrize("dtype", [lamina.float32, lamina.float64])
def test_nan_wins_and_the_first_of_equals_is_found(n, dtype):
    x = lamina.zeros(2, n, dtype=dtype)
    x[0, n // 2] = math.nan
    assert lamina.amax(x, 1)[0].isnan() and lamina.amin(x, 1)[0].isnan()
    assert lamina.max(x, 1).indices.tolist() == [n // 2, 0]
    assert lamina.min(x, 1).indices.tolist() == [n // 2, 0]
    assert lamina.argmax(x, 1).tolist() == [n // 2, 0]
    assert lamina.argmax(x.t(), 0).tolist() == [n // 2, 0]
    assert lamina.argmax(lamina.full((n,), -math.inf, dtype=dtype)).item() == 0


def test_infinities_and_nans_in_sums():
    for dtype in (lamina.float32, lamina.float64):
        x = lamina.ones(1000, dtype=dtype)
        x[3] = math.inf
        assert x.sum().item() == math.inf and x.mean().item() == math.inf
        x[500] = -math.inf
        assert math.isnan(x.sum().item())
        assert lamina.tensor([1.0, math.nan, 3.0], dtype=dtype).nansum().item() == 4
        assert lamina.tensor([1.0, math.nan, 3.0], dtype=dtype).nanmean().item() == 2


def test_logsumexp_of_extremes():
    inf = math.inf
    assert lamina.logsumexp(lamina.tensor([1000.0, 1000.0]), 0).item() == pytest.approx(
        1000 + math.log(2)
    )
    assert lamina.logsumexp(lamina.tensor([-inf, -inf]), 0).item() == -inf
    assert lamina.logsumexp(lamina.tensor([inf, 0.0]), 0).item() == inf
    assert lamina.logsumexp(lamina.tensor([1, 2]), 0).dtype is lamina.float32


def test_empty():
    x = lamina.zeros(0, 3)
    assert x.sum().item() == 0 and x.prod().item() == 1 and math.isnan(x.mean().item())
    assert x.sum(0).tolist() == [0, 0, 0] and x.sum(1).shape == (0,)
    assert lamina.any(x).item() is False and lamina.all(x).item() is True
    assert lamina.amax(x, 1).shape == (0,)
    assert math.isnan(x.var().item())
    with pytest.raises(IndexError, match=r"amax: dimension 0 of shape \(0, 3\) is empty"):
        lamina.amax(x, 0)
    with pytest.raises(IndexError, match=r"max: an empty tensor \(shape \(0, 3\)\) has none"):
        lamina.max(x)
    with pytest.raises(IndexError, match="argmax: an empty tensor"):
        lamina.argmax(x)


def test_one_element_has_no_spread():
    x = lamina.tensor([[2.0]])
    assert math.isnan(x.var(1).item()) and x.var(1, unbiased=False).item() == 0
    assert x.std(correction=0).item() == 0
    assert math.isnan(x.var(1, correction=3).item())  # 0 / 0


# ---- dtypes and shapes --------------------------------------------------------------------------
def test_dtypes():
    ints = lamina.tensor([[1, 2], [3, 4]], dtype=lamina.int32)
    assert ints.sum().dtype is lamina.int64 and ints.prod(0).tolist() == [3, 8]
    assert ints.amax().dtype is lamina.int32 and ints.max(1).values.dtype is lamina.int32
    assert lamina.tensor([True, True, False]).sum().item() == 2
    assert ints.sum(dtype=lamina.float64).dtype is lamina.float64
    assert ints.mean(dtype=lamina.float32).item() == 2.5
    big = lamina.tensor([2**53, 1, -(2**53)])
    assert big.sum().item() == 1 and big.max().item() == 2**53
    half = lamina.ones(5000, dtype=lamina.bfloat16)
    assert half.sum().item() == 4992 and half.mean().item() == 1  # 5000 rounded to bfloat16
    assert half.sum().dtype is lamina.bfloat16 and half.amax().dtype is lamina.bfloat16


def test_keepdim_and_scalars():
    x = lamina.arange(24.0).reshape(2, 3, 4)
    assert x.sum(keepdim=True).shape == (1, 1, 1) and x.sum((), True).shape == (1, 1, 1)
    assert x.argmax(keepdim=True).shape == (1, 1, 1) and x.argmax().item() == 23
    assert x.mean((-1, 0), keepdim=True).shape == (1, 3, 1)
    assert lamina.tensor(3.0).sum(0).item() == 3 and lamina.tensor(3.0).max(0).indices.item() == 0
    assert lamina.tensor(3.0).argmax(-1).item() == 0
    low, high = lamina.aminmax(x)
    assert (low.item(), high.item()) == (0, 23)
    assert lamina.max(x, lamina.tensor(20.0)).amin().item() == 20
    assert x.count_nonzero().item() == 23
    assert x.norm("fro").item() == pytest.approx(np.linalg.norm(np.arange(24.0)))
    out = lamina.empty(3)
    assert lamina.sum(x, (0, 2), out=out) is out and out.sum().item() == 276


def test_named_tuples():
    y = lamina.tensor([[1.0, 5.0, 2.0]]).max(1)
    assert y.values.tolist() == [5] and y.indices.tolist() == [1] and type(y).__name__ == "max"


def test_strided_and_expanded_inputs():
    a = np.arange(60.0).reshape(3, 4, 5)
    x = lamina.tensor(a)
    for dim in (0, 1, 2, (0, 1), (1, 2), (0, 2), None):
        close(x.permute(2, 0, 1).sum(dim).numpy(), a.transpose(2, 0, 1).sum(dim))
        close(x[:, ::2, 1:].sum(dim).numpy(), a[:, ::2, 1:].sum(dim))
        close(x.flip(1).sum(dim).numpy(), a.sum(dim) if dim is not None and dim != 0 and dim != 2
              and dim != (0, 2) else a[:, ::-1].sum(dim))  # fmt: skip
    wide = lamina.tensor([[1.0], [2.0]]).expand(2, 1000)
    assert wide.sum(1).tolist() == [1000, 2000] and wide.sum(0)[0].item() == 3


# ---- gradients ----------------------------------------------------------------------------------
def test_ties_share_the_gradient_of_whole_extremes():
    x = lamina.tensor([1.0, 3.0, 3.0], requires_grad=True)
    x.max().backward()
    assert x.grad.tolist() == [0, 0.5, 0.5]
    x.grad = None
    x.max(0).values.backward()
    assert x.grad.tolist() == [0, 1, 0]
    x.grad = None
    lamina.amin(-x).backward()
    assert x.grad.tolist() == [0, -0.5, -0.5]


@pytest.mark.parametrize("values", [[0.0, 2.0, 3.0], [0.0, 0.0, 3.0], [4.0, 2.0, 3.0]])
def test_gradients_of_products_with_zeros(values):
    x = lamina.tensor(values, dtype=lamina.float64, requires_grad=True)
    others = [math.prod(values[:i] + values[i + 1 :]) for i in range(3)]
    (g,) = lamina.autograd.grad(x.prod(), x, create_graph=True)
    assert g.tolist() == others
    (h,) = lamina.autograd.grad(g.sum(), x)
    pairs = [sum(values[j] for j in range(3) if j != i) for i in range(3)]
    assert h.tolist() == pairs
    x.prod().backward()
    assert x.grad.tolist() == others


def test_gradients_at_zero_spread_and_norm():
    x = lamina.ones(4, requires_grad=True)
    x.std().backward()
    assert x.grad.tolist() == [0] * 4
    z = lamina.zeros(4, requires_grad=True)
    z.norm().backward()
    assert z.grad.tolist() == [0] * 4


@pytest.mark.parametrize("p", [0, 0.5, 1, 1.5, 2, 3, -1, -2, math.inf, -math.inf])
def test_norms_and_their_gradients_at_zeros(p):
    a = np.array([[0.0, 0, 0], [0, 1, -2], [3, 4, 5]])
    with np.errstate(divide="ignore"):
        norms = np.array([np.linalg.norm(row, p) for row in a])
        whole = np.linalg.norm(a.reshape(-1), p)
    for dim, ref in ((1, norms), (None, whole)):
        x = lamina.tensor(a, requires_grad=True)
        y = x.norm(p, dim=dim)
        close(y.detach(), ref)
        if p == 0:  # a count: no gradient
            continue
        y.sum().backward()
        g = x.grad.numpy()
        assert np.isfinite(g).all() and (g[0] == 0).all() and (p <= 0 or g[1, 0] == 0)
        if dim == 1 and abs(p) < 5:  # x |x|^(p - 2) / y^(p - 1)
            close(g[2], a[2] ** (p - 1) / norms[2] ** (p - 1))


@pytest.mark.parametrize("correction", [0, 1, 2, 0.5])
def test_variance_corrections(correction):
    a = np.random.default_rng(5).standard_normal((4, 6))
    for dim in (0, 1, (0, 1)):
        x = lamina.tensor(a, requires_grad=True)
        var, mean = lamina.var_mean(x, dim, correction=correction)
        n = a.size if dim == (0, 1) else a.shape[dim]
        m = a.mean(dim, keepdims=True)
        close(var.detach(), ((a - m) ** 2).sum(dim) / (n - correction))
        close(mean.detach(), a.mean(dim))
        std = x.std(dim, correction=correction)
        close(std.detach(), np.sqrt(var.detach().numpy()))
        std.sum().backward()
        close(x.grad, (a - m) / (n - correction) / np.expand_dims(std.detach().numpy(), dim))
    assert lamina.var(lamina.tensor(a), unbiased=False).item() == pytest.approx(a.var())


def test_variance_of_nothing_has_a_gradient_of_nothing():
    x = lamina.zeros(3, 0, requires_grad=True)
    var, mean = lamina.var_mean(x, 0)
    (var + mean).sum().backward()
    assert var.shape == (0,) and x.grad.shape == (3, 0)


@pytest.mark.parametrize("n", [3, 40, 5000])
def test_the_first_of_equals_and_the_first_nan(n):
    a = np.zeros((2, n), np.float32)
    a[:, n // 2 :] = 1
    x = lamina.tensor(a)
    assert x.argmax(1).tolist() == [n // 2] * 2 and x.argmin(1).tolist() == [0, 0]
    assert x.max(1).indices.tolist() == [n // 2] * 2 and x.t().argmax(0).tolist() == [n // 2] * 2
    assert x.argmax().item() == n // 2 and x.t().contiguous().argmax(0).tolist() == [n // 2] * 2
    x[1, n - 2 :] = math.nan
    assert x.argmax(1).tolist() == [n // 2, n - 2] and x.argmin(1).tolist() == [0, n - 2]
    assert x.amax(1)[1].isnan().item() and x.amin(1)[1].isnan().item() and x.max().isnan().item()
    assert x[0].amax().item() == 1 and x.nansum().item() == a.sum() - 2


# ---- errors -------------------------------------------------------------------------------------
def test_errors():
    x = lamina.zeros(2, 3)
    with pytest.raises(IndexError, match="sum: dim"):
        x.sum(2)
    with pytest.raises(ValueError, match=r"sum: dim -1 appears twice in dims \(1, -1\)"):
        x.sum((1, -1))
    with pytest.raises(lamina.DTypeError, match="mean: the result needs a floating dtype"):
        lamina.tensor([1, 2]).mean()
    with pytest.raises(lamina.DTypeError, match="var: expected a floating tensor"):
        lamina.tensor([1, 2]).var()
    with pytest.raises(IndexError, match=r"inf-norm: dimension 1 of shape \(2, 0\) is empty"):
        lamina.zeros(2, 0).norm(math.inf, dim=1)
    with pytest.raises(ValueError, match="norm: p must be a number or 'fro', got 'nuc'"):
        x.norm("nuc")
