"""Sorting, order statistics, distinct values, counting: order of NaN, equals, shapes, errors."""

import importlib
import math

import numpy as np
import pytest

import lamina

one_hot = importlib.import_module("lamina.ops.sort").one_hot
NAN, INF = math.nan, math.inf


@pytest.mark.parametrize("copies", [1, 20])  # insertion and radix sort
@pytest.mark.parametrize("dtype", [lamina.float32, lamina.float64])
def test_order_of_special_values(copies, dtype):
    x = lamina.tensor([NAN, 1.0, -INF, 0.0, -0.0, INF, -1.0] * copies, dtype=dtype)
    y, at = x.sort()
    want = sorted([1.0, -INF, 0.0, 0.0, INF, -1.0] * copies)
    assert y.tolist()[:-copies] == want and y[-copies:].isnan().all()
    zeros = [i for i in range(7 * copies) if i % 7 in (3, 4)]
    assert at[2 * copies : 4 * copies].tolist() == zeros  # 0 and -0 are equal: as they came
    down, at = x.sort(descending=True)
    assert down[:copies].isnan().all() and at[:copies].tolist() == list(range(0, 7 * copies, 7))
    assert x.topk(1).indices.item() == 0 and x.topk(1, largest=False).values.item() == -INF


def test_extreme_integers():
    x = lamina.tensor([5, -(2**63), 2**63 - 1, 0, -1] * 20)
    assert x.sort().values.tolist() == sorted(x.tolist())
    assert lamina.tensor([3, 255, 0], dtype=lamina.uint8).sort().values.tolist() == [0, 3, 255]
    assert lamina.tensor([True, False]).sort().values.tolist() == [False, True]


@pytest.mark.parametrize("order", ["random", "rising", "falling", "few values"])
def test_topk_of_long_lines(order):
    """More than 64 of more than 32 times as many: of equals the first, NaN above all."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 5003)).astype(np.float32)
    x = {"rising": np.sort(x), "falling": -np.sort(x), "few values": np.floor(x)}.get(order, x)
    x[1, 4000] = np.nan
    for largest in (True, False):
        for a in (x, x.astype(np.float64)):
            y = lamina.tensor(a).topk(101, largest=largest)
            keys = np.where(np.isnan(a), np.inf, a) * (-1 if largest else 1)
            place = np.argsort(keys, axis=-1, kind="stable")[:, :101]
            assert np.array_equal(y.indices.numpy(), place)
            np.testing.assert_array_equal(y.values.numpy(), np.take_along_axis(a, place, -1))


def test_topk():
    x = lamina.tensor([[3.0, 1.0, 3.0, 2.0]])
    y = x.topk(3)
    assert y.values.tolist() == [[3, 3, 2]] and y.indices.tolist() == [[0, 2, 3]]
    assert x.topk(0).values.shape == (1, 0) and x.topk(1, dim=0).values.shape == (1, 4)
    a = np.random.default_rng(0).standard_normal(5000)
    for k in (1, 64, 65, 5000):
        assert lamina.tensor(a).topk(k).values.tolist() == sorted(a.tolist(), reverse=True)[:k]
    with pytest.raises(
        IndexError, match=r"topk: k = 5 is out of range for dimension 1 with size 4"
    ):
        x.topk(5)


def test_order_statistics():
    x = lamina.tensor([[4.0, 1.0, 3.0, 2.0], [NAN, 1.0, 2.0, 0.0]])
    assert lamina.kthvalue(x[0], 2).values.item() == 2
    assert lamina.kthvalue(x[0], 2, keepdim=True).indices.tolist() == [3]
    assert x[0].median().item() == 2 and x.median().isnan().item()
    assert x.nanmedian(1).values.tolist() == [2, 1]
    assert x.median(1).indices.tolist() == [3, 0]
    assert lamina.quantile(x[0], lamina.tensor([0.0, 0.5, 1.0])).tolist() == [1, 2.5, 4]
    assert lamina.nanquantile(x[1], 0.5).item() == 1 and lamina.quantile(x[1], 0.5).isnan().item()
    y = lamina.tensor([[2, 5, 5, 2, 1], [1, 1, 1, 0, 0]]).mode()
    assert y.values.tolist() == [2, 1]
    with pytest.raises(IndexError, match="kthvalue: k = 0 is out of range"):
        lamina.kthvalue(x, 0)
    with pytest.raises(ValueError, match="q must be between 0 and 1"):
        lamina.quantile(x, 1.5)
    with pytest.raises(ValueError, match="interpolation must be one of"):
        lamina.quantile(x, 0.5, interpolation="cubic")


def test_gradients_go_to_their_places():
    x = lamina.tensor([3.0, 1.0, 2.0], requires_grad=True)
    (x.sort().values * lamina.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.tolist() == [100, 1, 10]
    x.grad = None
    x.topk(2).values.sum().backward()
    assert x.grad.tolist() == [1, 0, 1]
    x.grad = None
    x.median().backward()
    assert x.grad.tolist() == [0, 0, 1]


def test_unique():
    x = lamina.tensor([[3, 1], [3, 2]])
    y, inverse, counts = lamina.unique(x, return_inverse=True, return_counts=True)
    assert y.tolist() == [1, 2, 3] and counts.tolist() == [1, 1, 2]
    assert inverse.tolist() == [[2, 0], [2, 1]]
    rows = lamina.tensor([[2, 1], [1, 5], [2, 1], [1, 4]])
    assert lamina.unique(rows, dim=0).tolist() == [[1, 4], [1, 5], [2, 1]]
    runs = lamina.unique_consecutive(lamina.tensor([1, 1, 2, 1]), return_counts=True)
    assert runs[0].tolist() == [1, 2, 1] and runs[1].tolist() == [2, 1, 1]
    assert lamina.unique(lamina.zeros(0)).shape == (0,)
    assert lamina.tensor([NAN, NAN]).unique().shape == (2,)


UNIQUE = np.array([[3, 1, 2, 1], [3, 1, 2, 1], [1, 1, 0, 1], [3, 1, 2, 1]])


@pytest.mark.parametrize("dtype", [lamina.int64, lamina.float32, lamina.uint8])
@pytest.mark.parametrize("dim", [None, 0, 1, -1])
def test_unique_inverse_and_counts(dtype, dim):
    values, inverse, counts = np.unique(UNIQUE, return_inverse=True, return_counts=True, axis=dim)
    x = lamina.tensor(UNIQUE, dtype=dtype)
    got = lamina.unique(x, return_inverse=True, return_counts=True, dim=dim)
    assert got[0].dtype is dtype and got[0].tolist() == values.tolist()
    assert got[1].reshape(-1).tolist() == inverse.reshape(-1).tolist()
    assert got[1].shape == (x.shape if dim is None else (x.shape[dim],))
    assert got[2].tolist() == counts.tolist()
    back = got[0][got[1]] if dim is None else got[0].index_select(dim, got[1])
    assert back.equal(x)
    y, n = x.unique(return_counts=True, dim=dim)
    assert y.equal(got[0]) and n.equal(got[2])
    runs, at, lengths = lamina.unique_consecutive(x, True, True, dim)
    assert lengths.sum().item() == (16 if dim is None else 4)
    back = runs[at] if dim is None else runs.index_select(dim, at)
    assert back.equal(x)


def test_unique_of_nothing():
    for dim, shape in ((None, (0,)), (0, (0, 3))):
        y, inverse, counts = lamina.unique(lamina.zeros(0, 3), True, True, True, dim)
        assert y.shape == shape and counts.shape == (0,) and inverse.numel() == 0


@pytest.mark.parametrize("n", [5, 40, 3000])  # insertion, merging, radix
@pytest.mark.parametrize("dtype", [lamina.int64, lamina.float32, lamina.float64, lamina.int8])
@pytest.mark.parametrize("descending", [False, True])
def test_equal_elements_stay_in_order(n, dtype, descending):
    a = np.random.default_rng(1).integers(-2, 2, (3, n))
    order = np.argsort(-a if descending else a, -1, kind="stable")
    for x, dim in ((lamina.tensor(a, dtype=dtype), 1), (lamina.tensor(a.T, dtype=dtype), 0)):
        y = x.sort(dim, descending=descending, stable=True)
        at = y.indices if dim else y.indices.t()
        assert (at.numpy() == order).all()
        assert x.gather(dim, y.indices).equal(y.values)
        assert x.argsort(dim, descending=descending, stable=True).equal(y.indices)
        top = x.topk(min(n, 7), dim, largest=descending)
        assert top.indices.equal(y.indices.narrow(dim, 0, min(n, 7)))


def test_median_shares_its_gradient_among_equals():
    x = lamina.tensor([1.0, 1.0, 2.0, 2.0, 0.0], requires_grad=True)
    assert x.median().item() == 1
    x.median().backward()
    assert x.grad.tolist() == [0.5, 0.5, 0, 0, 0]
    x.grad = None
    x.median(0).values.backward()
    assert x.grad.sum().item() == 1 and x.grad.count_nonzero().item() == 1


@pytest.mark.parametrize("interpolation", ["linear", "lower", "higher", "midpoint", "nearest"])
def test_quantiles(interpolation):
    a = np.random.default_rng(2).standard_normal((4, 7))
    q = [0.0, 0.1, 0.35, 0.5, 0.77, 1.0]
    x = lamina.tensor(a)
    got = x.quantile(lamina.tensor(q, dtype=lamina.float64), 1, interpolation=interpolation)
    np.testing.assert_allclose(got.numpy(), np.quantile(a, q, 1, method=interpolation), rtol=1e-13)
    whole = x.quantile(0.3, interpolation=interpolation)
    assert whole.item() == pytest.approx(np.quantile(a, 0.3, method=interpolation), rel=1e-13)
    ends = lamina.tensor([-INF, -INF, 3.0, INF, INF])
    assert ends.quantile(0.1, interpolation=interpolation).item() == -INF
    assert ends.quantile(0.5, interpolation=interpolation).item() == 3
    assert ends.quantile(1.0, interpolation=interpolation).item() == INF
    if interpolation in ("lower", "higher", "nearest"):  # an element itself, without rounding
        far = lamina.tensor([-3e38, 1.0, 3e38])
        want = far[0] if interpolation == "lower" else far[1]
        assert far.quantile(0.45, interpolation=interpolation).equal(want)


def test_errors_of_empty_dimensions():
    x = lamina.zeros(3, 0)
    for f in (lamina.median, lamina.nanmedian, lamina.mode):
        with pytest.raises(
            IndexError, match=rf"^{f.__name__}: dimension 1 of shape \(3, 0\) is empty$"
        ):
            f(x, 1)
    with pytest.raises(IndexError, match="kthvalue: k = 1 is out of range for dimension 1 with"):
        x.kthvalue(1, 1)
    assert x.sort(1).values.shape == (3, 0) and x.sort(0).values.shape == (3, 0)


def test_search():
    s = lamina.tensor([1.0, 3.0, 5.0])
    v = lamina.tensor([0.0, 1.0, 4.0, 5.0, 6.0, NAN])
    assert lamina.searchsorted(s, v).tolist() == [0, 0, 2, 2, 3, 3]
    assert lamina.searchsorted(s, v, right=True).tolist() == [0, 1, 2, 3, 3, 3]
    assert lamina.searchsorted(s, 3.5).item() == 2
    messy = lamina.tensor([5.0, 1.0, 3.0])
    assert lamina.searchsorted(messy, v, sorter=messy.argsort()).tolist() == [0, 0, 2, 2, 3, 3]
    assert lamina.searchsorted(s, v, out_int32=True).dtype is lamina.int32
    lines = lamina.tensor([[1, 2, 3], [10, 20, 30]])
    assert lamina.searchsorted(lines, lamina.tensor([[2], [20]])).tolist() == [[1], [1]]
    assert lamina.isin(lamina.tensor([1, 2, 3]), lamina.tensor([3, 1])).tolist() == [
        True, False, True,
    ]  # fmt: skip
    with pytest.raises(lamina.ShapeError, match="must be equal in all but the last dimension"):
        lamina.searchsorted(lines, v)
    with pytest.raises(ValueError, match="side must be 'left' or 'right'"):
        lamina.searchsorted(s, v, side="middle")


def test_counting():
    x = lamina.tensor([0, 2, 2, 5])
    assert lamina.bincount(x).tolist() == [1, 0, 2, 0, 0, 1]
    assert lamina.bincount(x, minlength=8).shape == (8,)
    assert lamina.bincount(x, lamina.tensor([0.5, 1.0, 2.0, 3.0])).tolist() == [0.5, 0, 3, 0, 0, 3]
    assert lamina.bincount(lamina.zeros(0).long()).shape == (0,)
    assert lamina.histc(lamina.tensor([0.0, 1.0, 2.0, NAN, 9.0]), 4, 0, 4).tolist() == [1, 1, 1, 0]
    assert lamina.histc(lamina.tensor([0.0, 4.0]), 2).tolist() == [1, 1]
    with pytest.raises(ValueError, match="bincount: 9223372036854775807 is too large"):
        lamina.bincount(lamina.tensor([2**63 - 1]))
    with pytest.raises(ValueError, match="bincount: -1 is negative"):
        lamina.bincount(lamina.tensor([0, -1]))
    with pytest.raises(ValueError, match="bincount: expected a 1-D tensor of integers"):
        lamina.bincount(lamina.zeros(2))


def test_one_hot():
    assert one_hot(lamina.tensor([1, 0])).tolist() == [[0, 1], [1, 0]]
    assert one_hot(lamina.tensor([[1]]), 3).tolist() == [[[0, 1, 0]]]
    assert one_hot(lamina.tensor(2)).tolist() == [0, 0, 1]
    assert one_hot(lamina.zeros(0).long(), 3).shape == (0, 3)
    a = np.random.default_rng(0).integers(0, 37, (17, 3))
    for dtype in (lamina.int64, lamina.int32, lamina.uint8):
        x = lamina.tensor(a).to(dtype)
        np.testing.assert_array_equal(one_hot(x, 37).numpy(), np.eye(37, dtype=np.int64)[a])
        np.testing.assert_array_equal(one_hot(x.t(), 37).numpy(), np.eye(37, dtype=np.int64)[a.T])
    with pytest.raises(ValueError, match="an empty tensor does not tell num_classes"):
        one_hot(lamina.zeros(0).long())
    with pytest.raises(IndexError, match="one_hot: class number 3 is out of range for 3 classes"):
        one_hot(lamina.tensor([3]), 3)
    with pytest.raises(IndexError, match="one_hot: class number -1"):
        one_hot(lamina.tensor([-1]))


def test_scan_special_values():
    x = lamina.tensor([1.0, NAN, 3.0])
    assert lamina.cummax(x, 0).indices.tolist() == [0, 1, 1]
    assert lamina.cummax(lamina.tensor([2, 2, 1]), 0).indices.tolist() == [0, 1, 1]
    x = lamina.tensor([3.0] + [1.0] * 40 + [3.0, NAN] + [9.0] * 20 + [NAN, 1.0])
    want = [0] * 41 + [41] + [42] * 21 + [63] * 2
    assert lamina.cummax(x, 0).indices.tolist() == want
    assert lamina.cummin(-x, 0).indices.tolist() == want
    assert lamina.cumsum(lamina.tensor([True, True]), 0).tolist() == [1, 2]
    assert lamina.cumsum(lamina.tensor(3.0), 0).item() == 3
    assert lamina.logcumsumexp(lamina.tensor([-INF, 0.0, 0.0]), 0).tolist() == pytest.approx(
        [-INF, 0, math.log(2)]
    )
    z = lamina.tensor([2.0, 0.0, 3.0, 0.0], requires_grad=True)
    z.cumprod(0).sum().backward()
    assert z.grad.tolist() == [1, 8, 0, 0]  # d (a + ab + abc + abcd), b = d = 0


@pytest.mark.parametrize("shape, dim", [((50_000,), 0), ((300, 500), 1), ((300, 500), 0)])
def test_bits_do_not_depend_on_threads(shape, dim):
    x = lamina.tensor(np.random.default_rng(4).standard_normal(shape).astype(np.float32))
    before, results = lamina.get_num_threads(), []
    try:
        for n in (1, 2, 3):
            lamina.set_num_threads(n)
            parts = (*x.sort(dim), *x.topk(5, dim), x.cumsum(dim), *x.cummax(dim))
            results.append([t.numpy().tobytes() for t in parts])
    finally:
        lamina.set_num_threads(before)
    assert results[0] == results[1] == results[2]


def test_ranges_of_histograms():
    """min = max takes the range of the data, and a range must be finite, as with PyTorch."""
    inf, nan = math.inf, math.nan
    assert lamina.tensor([1.0, 2, 3]).histc(3, 2, 2).tolist() == [1, 1, 1]
    assert lamina.tensor([2.0, 2]).histc(3, 5, 5).tolist() == [0, 2, 0]
    assert lamina.tensor([1.0]).histc(3, inf, inf).tolist() == [0, 1, 0]
    assert lamina.tensor([]).histc(3, 2, 2).tolist() == [0, 0, 0]
    for values, low, high in (([1, inf], 0, 0), ([1, nan], 3, 3), ([1, 2], 0, inf), ([1], 0, nan)):
        with pytest.raises(ValueError, match=r"histc: range of \[.*\] is not finite"):
            lamina.tensor(values, dtype=lamina.float32).histc(3, low, high)


def test_nothing_to_count():
    none = lamina.tensor([], dtype=lamina.int64)
    for dtype in (lamina.float32, lamina.float64, lamina.int32):
        for n in (0, 3):
            y = none.bincount(lamina.tensor([], dtype=dtype), n)
            assert y.dtype is lamina.int64 and y.tolist() == [0] * n


def test_nonzero_of_a_number():
    for x, places in ((5.0, [0]), (0.0, [])):
        found = lamina.tensor(x).nonzero(as_tuple=True)
        assert [t.tolist() for t in found] == [places] and found[0].dtype is lamina.int64
    assert lamina.tensor(5.0).nonzero().shape == (1, 0)
    assert [t.tolist() for t in lamina.where(lamina.tensor(5.0))] == [[0]]
