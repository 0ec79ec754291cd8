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
    with pytest.raises(ValueError, match="bincount: -1 is negative"):
        lamina.bincount(lamina.tensor([0, -1]))
    with pytest.raises(ValueError, match="bincount: expected a 1-D tensor of integers"):
        lamina.bincount(lamina.zeros(2))


def test_one_hot():
    assert one_hot(lamina.tensor([1, 0])).tolist() == [[0, 1], [1, 0]]
    assert one_hot(lamina.tensor([[1]]), 3).tolist() == [[[0, 1, 0]]]
    with pytest.raises(IndexError, match="one_hot: class number 3 is out of range for 3 classes"):
        one_hot(lamina.tensor([3]), 3)
    with pytest.raises(IndexError, match="one_hot: class number -1"):
        one_hot(lamina.tensor([-1]))


def test_scan_special_values():
    x = lamina.tensor([1.0, NAN, 3.0])
    assert lamina.cummax(x, 0).indices.tolist() == [0, 1, 1]
    assert lamina.cummax(lamina.tensor([2, 2, 1]), 0).indices.tolist() == [0, 1, 1]
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
