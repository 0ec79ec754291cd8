"""Padded and packed batches of sequences: PyTorch's results, gradients, errors."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest

import lamina
from lamina import nn
from lamina.nn.utils import rnn as packing


def array(t):
    return t.detach().numpy()


def randn(*shape, seed=0):
    rng = np.random.default_rng([seed, *shape])
    return lamina.tensor(rng.standard_normal(shape), dtype=lamina.float64)


def test_packing_agrees_with_pytorch():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.utils.rnn
    x = randn(4, 3, 2)
    for batch_first, lengths, ordered in itertools.product(
        (False, True), ([3, 3, 1], [1, 3, 2], [2, 3, 3]), (False, True)
    ):
        x = randn(3, 4, 2) if batch_first else randn(4, 3, 2)
        if ordered and lengths != sorted(lengths, reverse=True):
            continue
        a = theirs.pack_padded_sequence(torch.tensor(x.numpy()), lengths, batch_first, ordered)
        b = packing.pack_padded_sequence(x, lengths, batch_first, ordered)
        for s, t in zip(a, b, strict=True):
            assert (s is None) == (t is None)
            assert s is None or s.tolist() == t.tolist()
        for total in (None, 6):
            p, n = theirs.pad_packed_sequence(a, batch_first, -1.0, total)
            q, m = packing.pad_packed_sequence(b, batch_first, -1.0, total)
            assert p.tolist() == q.tolist() and n.tolist() == m.tolist()
    parts = [randn(n, 2) for n in (2, 4, 1)]
    given = [torch.tensor(p.numpy()) for p in parts]
    for batch_first, side in itertools.product((False, True), ("left", "right")):
        p = theirs.pad_sequence(given, batch_first, 7.0, side)
        q = packing.pad_sequence(parts, batch_first, 7.0, side)
        assert p.tolist() == q.tolist()
    assert [t.tolist() for t in packing.unpack_sequence(packing.pack_sequence(parts, False))] == [
        t.tolist() for t in parts
    ]
    padded = packing.pad_sequence(parts)
    got = packing.unpad_sequence(padded, lamina.tensor([2, 4, 1]))
    assert [t.tolist() for t in got] == [t.tolist() for t in parts]


def test_packing_of_labels_and_its_gradient():
    p = packing.pack_sequence([lamina.tensor([1, 2, 3]), lamina.tensor([4, 5])])
    assert p.data.tolist() == [1, 4, 2, 5, 3] and p.batch_sizes.tolist() == [2, 2, 1]
    assert p.sorted_indices is None and p.data.dtype is lamina.int64
    x = randn(3, 2, 2).requires_grad_()
    packed = packing.pack_padded_sequence(x, [1, 3], enforce_sorted=False)
    y, _ = packing.pad_packed_sequence(packed)
    (y * y).sum().backward()
    want = 2 * array(x)
    want[1:, 0] = 0
    np.testing.assert_array_equal(array(x.grad), want)
    parts = [randn(2).requires_grad_(), randn(3).requires_grad_()]
    packing.pad_sequence(parts).sum().backward()
    assert [t.grad.tolist() for t in parts] == [[1, 1], [1, 1, 1]]


def test_packed_sequence_is_a_tuple():
    p = packing.pack_sequence([lamina.ones(3), lamina.ones(2)])
    data, sizes, order, back = p
    assert data is p.data and order is None and back is None and isinstance(p, tuple)
    assert p.to(lamina.float64).data.dtype is lamina.float64 and p.to(lamina.float32) is p
    assert p.double().batch_sizes is sizes and not p.is_cuda and p.cpu() is p
    again = packing.PackedSequence((data, sizes), sorted_indices=lamina.tensor([1, 0]))
    assert again.unsorted_indices.tolist() == [1, 0]
    assert (
        type(pickle.loads(pickle.dumps(packing.PackedSequence(1, 2)))).__name__ == type(p).__name__
    )
    assert packing.invert_permutation(lamina.tensor([2, 0, 1])).tolist() == [1, 2, 0]


def raises(kind, text, f, *args, **kwargs):
    with pytest.raises(kind) as info:
        f(*args, **kwargs)
    assert text in str(info.value), str(info.value)


def test_packing_says_what_is_wrong():
    x = lamina.zeros(4, 2, 3)
    pack = packing.pack_padded_sequence
    raises(RuntimeError, "`lengths` array must be sorted in decreasing order", pack, x, [1, 4])
    raises(RuntimeError, "Length of all samples has to be greater than 0", pack, x, [4, 0])
    raises(RuntimeError, "Expected `len(lengths)` to be equal to batch_size, but got 3 "
           "(batch_size=2)", pack, x, [4, 2, 1])  # fmt: skip
    raises(RuntimeError, "lengths go up to 5, the input has 4 steps", pack, x, [5, 2])
    raises(ValueError, "Expected total_length to be at least the length of the longest sequence in "
           "input, but got total_length=3 and max sequence length being 4",
           packing.pad_packed_sequence, pack(x, [4, 2]), total_length=3)  # fmt: skip
    raises(RuntimeError, "Expected padding_side to be one of left or right, but got up.",
           packing.pad_sequence, [x[0]], padding_side="up")  # fmt: skip
    raises(RuntimeError, "received an empty list of sequences", packing.pad_sequence, [])
    raises(RuntimeError, "pad_sequence: Expected iterable for input sequences",
           packing.pad_sequence, 3)  # fmt: skip
    raises(RuntimeError, "sequences must agree in all dimensions but the first",
           packing.pad_sequence, [lamina.zeros(2, 3), lamina.zeros(2, 4)])  # fmt: skip
    wrong = packing.PackedSequence(lamina.zeros(3, 3), lamina.tensor([1, 2]))
    raises(ValueError, "batch_sizes must be positive and not increase, got 2 at step 1",
           nn.GRU(3, 5), wrong)  # fmt: skip
