"""Bags of embeddings against sums, means and maxima by hand, and against PyTorch."""

import numpy as np
import pytest

import lamina
import lamina.nn.functional as F
from lamina import nn

RNG = np.random.default_rng(1)
TABLE = RNG.normal(size=(7, 3))
NUMBERS = np.array([1, 2, 4, 5, 4, 3, 2, 6, 0, 2])
OFFSETS = [0, 3, 3, 4, 9]  # the second bag is empty
REDUCE = {"sum": lambda v: v.sum(0), "mean": lambda v: v.mean(0), "max": lambda v: v.max(0)}


def by_hand(numbers, offsets, mode, weights=None, padding=None, table=TABLE):
    out = np.zeros((len(offsets), table.shape[1]))
    for b, (i, j) in enumerate(zip(offsets, [*offsets[1:], len(numbers)])):
        rows = [k for k in range(i, j) if numbers[k] != padding]
        if rows:
            factor = 1 if weights is None else weights[rows][:, None]
            out[b] = REDUCE[mode](table[numbers[rows]] * factor)
    return out


def tensors():
    return lamina.tensor(NUMBERS), lamina.tensor(TABLE).requires_grad_(), lamina.tensor(OFFSETS)


@pytest.mark.parametrize("padding", [None, 2, -3])
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_by_offsets(mode, padding):
    numbers, table, offsets = tensors()
    got = F.embedding_bag(numbers, table, offsets, mode=mode, padding_idx=padding)
    want = by_hand(NUMBERS, OFFSETS, mode, padding=None if padding is None else padding % 7)
    np.testing.assert_allclose(got.detach().numpy(), want, atol=1e-15)
    last = lamina.tensor([*OFFSETS, len(NUMBERS)])
    again = F.embedding_bag(numbers, table, last, mode=mode, padding_idx=padding,
                            include_last_offset=True)  # fmt: skip
    assert lamina.equal(got, again)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_of_one_length(mode):
    numbers, table, _ = tensors()
    got = F.embedding_bag(numbers.view(5, 2), table, mode=mode)
    want = by_hand(NUMBERS, [0, 2, 4, 6, 8], mode)
    np.testing.assert_allclose(got.detach().numpy(), want, atol=1e-15)
    assert F.embedding_bag(numbers[:0].view(0, 2), table, mode=mode).shape == (0, 3)
    assert F.embedding_bag(numbers[:0].view(4, 0), table, mode=mode).tolist() == [[0] * 3] * 4


def test_weights_of_the_samples_have_a_gradient():
    numbers, table, offsets = tensors()
    w = RNG.normal(size=len(NUMBERS))
    weights = lamina.tensor(w).requires_grad_()
    got = F.embedding_bag(numbers, table, offsets, mode="sum", per_sample_weights=weights)
    np.testing.assert_allclose(got.detach().numpy(), by_hand(NUMBERS, OFFSETS, "sum", w),
                               atol=1e-15)  # fmt: skip
    got.sum().backward()
    np.testing.assert_allclose(weights.grad.numpy(), TABLE[NUMBERS].sum(1), atol=1e-14)
    assert lamina.autograd.gradcheck(
        lambda t, v: F.embedding_bag(numbers, t, offsets, mode="sum", per_sample_weights=v),
        (table, weights),
    )


def test_gradients_divided_by_frequency():
    numbers, table, offsets = tensors()
    y = F.embedding_bag(numbers, table, offsets, mode="sum", scale_grad_by_freq=True)
    y.sum().backward()  # every row counts once, however often it occurs
    assert table.grad.tolist() == np.ones((7, 3)).tolist()
    with pytest.raises(ValueError, match="max mode does not support"):
        F.embedding_bag(numbers, table, offsets, mode="max", scale_grad_by_freq=True)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding", [None, 2])
def test_values_and_gradients_are_pytorchs(mode, padding):
    torch = pytest.importorskip("torch")
    results = []
    for m in (lamina, torch):
        table = m.tensor(TABLE, requires_grad=True)
        y = m.nn.functional.embedding_bag(
            m.tensor(NUMBERS), table, m.tensor(OFFSETS), mode=mode, padding_idx=padding
        )
        (y * y).sum().backward()
        results.append((y.detach().numpy(), table.grad.numpy()))
    for got, want in zip(*results):
        np.testing.assert_allclose(got, want, atol=1e-13)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mode": "sum", "padding_idx": 3, "max_norm": 1.0},
        {"mode": "max", "norm_type": 1.0, "sparse": False},
    ],
)
def test_layer_is_pytorchs(settings):
    torch = pytest.importorskip("torch")
    ours, theirs = nn.EmbeddingBag(7, 3, **settings), torch.nn.EmbeddingBag(7, 3, **settings)
    assert repr(ours) == repr(theirs)
    theirs.weight.data.copy_(torch.tensor(ours.weight.detach().numpy()))
    with lamina.no_grad(), torch.no_grad():
        got = ours(lamina.tensor(NUMBERS), lamina.tensor(OFFSETS))
        want = theirs(torch.tensor(NUMBERS), torch.tensor(OFFSETS))
    np.testing.assert_allclose(got.numpy(), want.numpy(), atol=1e-6)
    np.testing.assert_allclose(ours.weight.detach().numpy(), theirs.weight.detach().numpy(),
                               atol=1e-6)  # fmt: skip
    frozen = nn.EmbeddingBag.from_pretrained(lamina.tensor(TABLE))
    assert not frozen.weight.requires_grad and frozen.weight.shape == (7, 3)


def test_errors():
    numbers, table, offsets = tensors()
    with pytest.raises(ValueError, match=r"offsets\[0\] has to be 0, got 1"):
        F.embedding_bag(numbers, table, offsets + 1)
    with pytest.raises(ValueError, match="offsets has to be None"):
        F.embedding_bag(numbers.view(5, 2), table, offsets)
    with pytest.raises(ValueError, match="mode has to be one of sum, mean or max, got 'median'"):
        F.embedding_bag(numbers, table, offsets, mode="median")
    with pytest.raises(ValueError, match="must not decrease nor exceed the 10 numbers"):
        F.embedding_bag(numbers, table, lamina.tensor([0, 5, 4]))
    with pytest.raises(NotImplementedError, match="only supported for mode='sum'"):
        F.embedding_bag(numbers, table, offsets, per_sample_weights=table[0])
    with pytest.raises(IndexError):
        F.embedding_bag(numbers + 3, table, offsets)
    with pytest.raises(lamina.DTypeError, match="expected integer input"):
        F.embedding_bag(numbers.float(), table, offsets)


def test_long_bags():
    """Rows are added some at a time: as exact as a sum of rows."""
    rng = np.random.default_rng(5)
    w = rng.uniform(0, 1, (50, 7)).astype(np.float32)
    for length in (1, 31, 32, 33, 64, 65, 1000):
        at = rng.integers(0, 50, (3, length))
        for mode in ("sum", "mean"):
            want = getattr(w.astype(np.float64)[at], mode)(1)
            got = F.embedding_bag(lamina.tensor(at), lamina.tensor(w), mode=mode)
            np.testing.assert_allclose(got.numpy(), want, rtol=4e-6)
