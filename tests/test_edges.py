"""Edges of functions where a rule of PyTorch's is easily missed, with the values worked out."""

from __future__ import annotations

import math

import pytest

import lamina
from lamina.nn import functional as F


def test_polygamma_of_order_0_is_digamma():
    x = lamina.tensor([1.0, 0.5])
    want = [-0.5772156649, -1.9635100260]
    assert lamina.allclose(lamina.polygamma(0, x), lamina.tensor(want), atol=1e-6)


def test_nansum_keeps_the_asked_dtype():
    s = lamina.nansum(lamina.tensor([1.7, 2.2, -0.5]), dtype=lamina.int32)
    assert s.dtype == lamina.int32 and s.item() == 3


def test_linspace_of_integers_cuts_its_ends_first():
    assert lamina.linspace(-3, -0.5, 5, dtype=lamina.int64).tolist() == [-3, -2, -1, 0, 0]


def test_a_number_below_0_is_wrapped_for_uint8():
    x = lamina.tensor([1, 5, 254], dtype=lamina.uint8)
    for mode in ("trunc", "floor"):
        assert lamina.div(x, -3, rounding_mode=mode).tolist() == [0, 0, 1]  # 256 - 3 = 253


def test_statistics_of_one_variable_are_numbers():
    x = lamina.tensor([[1.0, 2.0, 4.0]])
    assert x.cov().shape == () == x.corrcoef().shape
    assert math.isclose(x.cov().item(), 7 / 3, rel_tol=1e-6) and x.corrcoef().item() == 1


def test_quantile_of_a_number():
    x = lamina.tensor(3.0)
    assert x.quantile(lamina.tensor([0.1, 0.5]), dim=0, keepdim=True).tolist() == [3.0, 3.0]
    assert x.nanquantile(0.5, dim=-1).item() == 3


def test_no_difference_joins_nothing():
    x = lamina.arange(3)
    assert lamina.diff(x, 0, prepend=x).tolist() == [0, 1, 2]


@pytest.mark.parametrize("distance", [
    lambda x: lamina.cdist(x, 2 * x, p=0.0), lambda x: F.pdist(x, 0.0), lambda x: x.norm(0, -1),
])  # fmt: skip
def test_counting_distances_have_gradient_0(distance):
    x = lamina.tensor([[1.0, 0.0], [2.0, math.inf]], requires_grad=True)
    distance(x).sum().backward()
    assert x.grad.tolist() == [[0, 0], [0, 0]]


def test_a_replay_calls_one_hot_by_its_name():
    step = lamina.compile(lambda x: F.one_hot(x, 5) * 2)
    for _ in range(3):
        assert step(lamina.tensor([1, 3]))[1].tolist() == [0, 0, 0, 2, 0]
    assert step.plan is not None
    for wrong in (-1, 5):
        with pytest.raises(IndexError, match="one_hot: a class number is out of range for 5"):
            step(lamina.tensor([1, wrong]))
