"""Counting and listing the true elements of masks, and what is selected by them."""

import numpy as np
import pytest

import lamina


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
@pytest.mark.parametrize(
    "shape", [(0,), (1,), (7,), (8,), (65,), (8192,), (8193,), (100_003,), (3, 5), (130, 131),
              (1, 20_000), (20_000, 1), (7, 0, 3), (13, 17, 91), (2, 3, 4, 5)],
)  # fmt: skip
def test_nonzero(shape, share):
    m = np.random.default_rng(0).random(shape) < share
    t = lamina.from_numpy(m)
    np.testing.assert_array_equal(t.nonzero().numpy(), np.argwhere(m))
    assert t.sum().item() == m.sum() == lamina.count_nonzero(t).item()
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    np.testing.assert_array_equal(lamina.from_numpy(x)[t].numpy(), x[m])
    np.testing.assert_array_equal(lamina.from_numpy(x).masked_select(t).numpy(), x[m])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "uint8", "int8"])
def test_nonzero_of_numbers(dtype):
    x = np.random.default_rng(2).integers(0, 3, (40, 41)).astype(dtype)
    if dtype.startswith("float"):
        x[3, 4], x[5, 6] = np.nan, -0.0
    t = lamina.from_numpy(x)
    np.testing.assert_array_equal(t.nonzero().numpy(), np.argwhere(x))
    np.testing.assert_array_equal(t.t().nonzero().numpy(), np.argwhere(x.T))
    assert lamina.count_nonzero(t).item() == np.count_nonzero(x)


def test_sums_of_masks():
    m = np.random.default_rng(3).random((5, 70, 300)) < 0.7
    t = lamina.from_numpy(m)
    for dim in [0, 1, 2, (1, 2), (0, 1), (0, 2), (0, 1, 2)]:
        got = t.sum(dim).numpy()
        assert got.dtype == np.int64
        np.testing.assert_array_equal(got, m.sum(dim))
    np.testing.assert_array_equal(t.sum(-1, keepdim=True).numpy(), m.sum(-1, keepdims=True))
    np.testing.assert_array_equal(t[:, ::2].sum(2).numpy(), m[:, ::2].sum(2))
    np.testing.assert_array_equal(t[:, :, :0].sum(2).numpy(), m[:, :, :0].sum(2))
    assert lamina.ones(1_000_003, dtype=lamina.bool).sum().item() == 1_000_003


@pytest.mark.parametrize("dtype", [lamina.float32, lamina.float64, lamina.int64, lamina.bool])
def test_tolist(dtype):
    x = (lamina.arange(24).reshape(2, 3, 4) % 5).to(dtype)
    want = x.numpy().tolist()
    assert x.tolist() == want and repr(x.tolist()) == repr(want)
    assert x[:, :, 1::2].tolist() == x.numpy()[:, :, 1::2].tolist()
    assert x.permute(2, 0, 1)[1:].tolist() == x.numpy().transpose(2, 0, 1)[1:].tolist()
    assert x[:, :, :0].tolist() == [[[]] * 3] * 2 and x[0, 0, 1].tolist() == x.numpy()[0, 0, 1]


@pytest.mark.parametrize("length", [0, 1, 2, 9])
def test_embedding_bag_of_equal_bags(length):
    bag = lamina.nn.functional.embedding_bag
    rng = np.random.default_rng(4)
    w, rows = rng.standard_normal((11, 5)), rng.integers(0, 11, (6, length))
    t = lamina.from_numpy(w).requires_grad_()
    at = lamina.from_numpy(rows)
    np.testing.assert_allclose(bag(at, t, mode="sum").detach().numpy(), w[rows].sum(1), atol=1e-14)
    mean = w[rows].mean(1) if length else np.zeros((6, 5))
    np.testing.assert_allclose(bag(at, t).detach().numpy(), mean, atol=1e-14)
    g = rng.standard_normal((6, 5))
    bag(at, t, mode="sum").backward(lamina.from_numpy(g))
    want = np.zeros_like(w)
    for b, row in np.ndindex(6, length):
        want[rows[b, row]] += g[b]
    np.testing.assert_allclose(t.grad.numpy(), want, atol=1e-14)
    if length:
        with pytest.raises(IndexError, match="embedding: index 1[0-9]+ is out of bounds"):
            bag(at + 11, t)
