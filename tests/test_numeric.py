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


def test_gradients_of_distances_by_a_product():
    """(x - y) / |x - y|, 0 for equal rows; and its own gradient."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((30, 5)), rng.standard_normal((27, 5))
    b[3] = a[4]
    a[4] = b[3] = [1, 2, 3, 4, 5]  # |a|^2 + |b|^2 - 2 a.b is 0 exactly
    x, y = lamina.tensor(a, requires_grad=True), lamina.tensor(b, requires_grad=True)
    d = lamina.cdist(x, y)
    assert d[4, 3].item() == 0
    apart = a[:, None] - b[None]
    norm = np.sqrt((apart**2).sum(-1))
    np.testing.assert_allclose(d.detach().numpy(), norm, rtol=1e-11)
    d.sum().backward()
    unit = np.divide(apart, norm[..., None], out=np.zeros_like(apart), where=norm[..., None] > 0)
    np.testing.assert_allclose(x.grad.numpy(), unit.sum(1), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(y.grad.numpy(), -unit.sum(0), rtol=1e-9, atol=1e-11)
    assert lamina.autograd.gradcheck(lambda x: lamina.cdist(x, y.detach()[5:]), (x,))


def test_distances_by_a_product():
    a, b = (np.random.default_rng(i).standard_normal((2, 40 + i, 9)) for i in range(2))
    want = np.linalg.norm(a[:, :, None] - b[:, None], 2, -1)
    x, y = lamina.tensor(a), lamina.tensor(b)
    for mode in ("if_necessary", None):
        name = "use_mm_for_euclid_dist" + (f"_{mode}" if mode else "")
        np.testing.assert_allclose(lamina.cdist(x, y, compute_mode=name).numpy(), want, rtol=1e-12)
    with pytest.raises(ValueError, match="cdist: compute_mode must be one of"):
        lamina.cdist(x, y, compute_mode="fast")


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


# ---- arithmetic ----------------------------------------------------------------------------------
def test_whole_numbers():
    a, b = np.array([12, 0, -9, 7, 0]), np.array([18, 5, 6, 0, 0])
    near(lamina.gcd(lamina.tensor(a), lamina.tensor(b)), np.gcd(a, b))
    near(lamina.lcm(lamina.tensor(a), lamina.tensor(b)), np.lcm(a, b))
    near(lamina.gcd(lamina.tensor(a), lamina.tensor(4)), np.gcd(a, 4))
    with pytest.raises(lamina.DTypeError, match="gcd: expected integers"):
        lamina.gcd(lamina.ones(1), lamina.ones(1))


def test_elementwise():
    x = lamina.tensor(X, requires_grad=True)
    y = lamina.sinc(x)
    near(y, np.sinc(X))
    y.sum().backward()
    want = (np.cos(np.pi * X) - np.sinc(X)) / X
    near(x.grad, want, 1e-12)
    zero = lamina.zeros(1, requires_grad=True)
    lamina.sinc(zero).backward()
    assert lamina.sinc(zero).item() == 1 and zero.grad.item() == 0
    t = lamina.tensor([-1.0, 0.0, 2.0])
    assert lamina.heaviside(t, lamina.tensor(0.5)).tolist() == [0, 0.5, 1]
    near(lamina.logaddexp2(lamina.tensor(X), lamina.tensor(X[:1])), np.logaddexp2(X, X[:1]))
    assert lamina.ldexp(t, lamina.tensor([1, 2, 3])).tolist() == [-2, 0, 16]
    assert lamina.float_power(lamina.tensor([2, 3]), 2).dtype is lamina.float64
    near(lamina.nextafter(lamina.tensor(X), lamina.tensor(X + 1)), np.nextafter(X, X + 1), 0)
    assert lamina.exp_(lamina.zeros(2)).tolist() == [1, 1]


def test_statistics():
    near(lamina.cov(lamina.tensor(X)), np.cov(X))
    near(lamina.cov(lamina.tensor(X[0]), correction=0), np.cov(X[0], ddof=0))
    counts, weights = np.array([1, 3, 2]), np.array([0.5, 1.0, 2.0])
    got = lamina.cov(lamina.tensor(X), fweights=lamina.tensor(counts),
                     aweights=lamina.tensor(weights))  # fmt: skip
    near(got, np.cov(X, fweights=counts, aweights=weights))
    near(lamina.corrcoef(lamina.tensor(X)), np.corrcoef(X))
    for edge in (1, 2):
        got = lamina.gradient(lamina.tensor(Y), spacing=(0.5, 2.0), edge_order=edge)
        for a, b in zip(got, np.gradient(Y, 0.5, 2.0, edge_order=edge)):
            near(a, b)


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_windows(n):
    for name, periodic in ((k, p) for k in ("hanning", "hamming", "blackman", "bartlett")
                           for p in (True, False)):  # fmt: skip
        want = getattr(np, name)(n + 1)[:-1] if periodic else getattr(np, name)(n)
        ours = getattr(lamina, name.replace("hanning", "hann") + "_window")
        near(ours(n, periodic, dtype=lamina.float64), want)
    near(lamina.kaiser_window(n, False, 5.0, dtype=lamina.float64), np.kaiser(n, 5.0))


def test_parts():
    x = lamina.zeros(3, 3, requires_grad=True)
    y = lamina.select_scatter(x, lamina.ones(3), 1, 2)
    assert y.tolist() == [[0, 0, 1]] * 3
    y.sum().backward()
    assert x.grad.tolist() == [[1, 1, 0]] * 3
    assert lamina.slice_scatter(lamina.zeros(4), lamina.ones(2), 0, 0, 4, 2).tolist() == [
        1,
        0,
        1,
        0,
    ]
    assert lamina.diagonal_scatter(lamina.zeros(2, 3), lamina.ones(2), 1).sum(0).tolist() == [
        0,
        1,
        1,
    ]
    assert lamina.ones(2, 3).sum_to_size(2, 1).tolist() == [[3], [3]]
    with pytest.raises(RuntimeError, match="does not expand"):
        lamina.ones(2, 3).sum_to_size(2, 2)
    near(lamina.renorm(lamina.tensor(X), 2, 0, 0.5).norm(dim=1).clamp(max=0.5),
         np.minimum(np.linalg.norm(X, axis=1), 0.5), 1e-6)  # fmt: skip
    tall = lamina.zeros(5, 2)
    tall.fill_diagonal_(1, wrap=True)
    wanted = np.zeros((5, 2))
    np.fill_diagonal(wanted, 1, wrap=True)
    near(tall, wanted)
    assert lamina.frombuffer(b"\x01\x00\x02\x00", dtype=lamina.int16).tolist() == [1, 2]


def test_dtype_questions():
    f, i = lamina.float32, lamina.int64
    assert (
        lamina.can_cast(i, f) and not lamina.can_cast(f, i) and lamina.can_cast(f, lamina.float16)
    )
    ones = lamina.ones(2, dtype=lamina.int32)
    assert lamina.result_type(ones, 1.5) is f and lamina.result_type(ones, 1) is lamina.int32
    assert lamina.result_type(ones, lamina.tensor(1)) is lamina.int32
    assert lamina.result_type(ones, lamina.ones(1, dtype=lamina.float16)) is lamina.float16
