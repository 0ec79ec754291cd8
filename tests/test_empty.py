"""Sizes of 0, empty tensors and numbers out of range, beside what PyTorch does."""

from __future__ import annotations

import numpy as np
import pytest

import lamina

F = lamina.nn.functional


def same(call):
    """lamina's result of call(module), after comparing with PyTorch's where it is installed."""
    result = call(lamina)
    try:
        import torch
    except ImportError:
        return result
    theirs = call(torch)
    assert tuple(result.shape) == tuple(theirs.shape)
    assert str(result.dtype).split(".")[1] == str(theirs.dtype).split(".")[1]
    np.testing.assert_array_equal(result.detach().numpy(), theirs.detach().numpy())
    return result


def test_prelu_of_a_number():
    y = same(lambda m: m.nn.functional.prelu(m.tensor(-2.0), m.tensor([0.25])))
    assert y.shape == () and y.item() == -0.5
    x, w = lamina.tensor(-2.0, requires_grad=True), lamina.tensor([0.25], requires_grad=True)
    F.prelu(x, w).backward()
    assert x.grad.item() == 0.25 and w.grad.tolist() == [-2.0]


@pytest.mark.parametrize("weights", [0, 1])
def test_prelu_without_channels(weights):
    same(lambda m: m.nn.functional.prelu(m.ones(3, 0, 2), m.ones(weights)))
    w = lamina.ones(weights, requires_grad=True)
    F.prelu(lamina.ones(3, 0, 2, requires_grad=True), w).sum().backward()
    assert w.grad.tolist() == [0.0] * weights


@pytest.mark.parametrize("p", [0, 1, 2, 3, float("inf")])
def test_distances_of_rows_of_nothing(p):
    assert same(lambda m: m.cdist(m.ones(2, 0), m.ones(3, 0), p=p)).tolist() == [[0.0] * 3] * 2
    same(lambda m: m.nn.functional.pdist(m.ones(3, 0), p=p))
    same(lambda m: m.cdist(m.ones(0, 2), m.ones(3, 2), p=p))
    if p:
        x = lamina.ones(2, 0, requires_grad=True)
        lamina.cdist(x, lamina.ones(3, 0), p=p).sum().backward()
        assert x.grad.shape == (2, 0)


@pytest.mark.parametrize(
    ("shape", "pads"),
    [((1, 2, 0), (0, 0)), ((1, 2, 0, 3), (1, 1, 0, 0)), ((1, 2, 3, 0), (0, 0, 1, 1)),
     ((0, 2, 4), (1, 1)), ((1, 0, 4), (2, 1))],
)  # fmt: skip
def test_circular_padding_beside_a_size_of_0(shape, pads):
    y = same(lambda m: m.nn.functional.pad(m.ones(shape), pads, mode="circular"))
    assert y.numel() == 0
    x = lamina.ones(shape, requires_grad=True)
    F.pad(x, pads, mode="circular").sum().backward()
    assert x.grad.shape == shape
    with pytest.raises(lamina.ShapeError, match=r"padding \(1, 1\) is too large"):
        F.pad(lamina.ones(1, 2, 0), (1, 1), mode="circular")


@pytest.mark.parametrize("least", [0, 3])
@pytest.mark.parametrize("weights", [None, (0,), (3,), (3, 2)])
def test_bincount_of_nothing(least, weights):
    def call(m):
        w = None if weights is None else m.ones(weights)
        return m.bincount(m.tensor([], dtype=m.int64), w, minlength=least)

    assert same(call).tolist() == [0] * least


def test_bincount_refuses(device):
    def at(*numbers):
        return lamina.tensor(numbers, device=device)

    with pytest.raises(ValueError, match="^bincount: -2 is negative$"):
        at(1, -2, 2).bincount()
    with pytest.raises(ValueError, match="^bincount: minlength must not be negative, got -1$"):
        at(1, 2).bincount(minlength=-1)
    with pytest.raises(lamina.ShapeError, match="^bincount: weights has shape"):
        at(1, 2).bincount(lamina.ones(3, device=device))


def test_one_hot_refuses(device):
    for numbers in ([1, 5], [1, -2]):
        with pytest.raises(IndexError, match="^one_hot: .* is out of range for 3 classes"):
            F.one_hot(lamina.tensor(numbers, device=device), 3).cpu()
    result = F.one_hot(lamina.tensor([1, 0], device=device), 3)
    assert result.tolist() == [[0, 1, 0], [1, 0, 0]]
