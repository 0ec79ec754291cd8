"""Products of bfloat16 against double: on every instruction set, at every edge of the tiles."""

from __future__ import annotations

import numpy as np
import pytest

import lamina
from lamina import _core
from lamina.nn import functional as F

SHAPES = [(1, 1, 1), (5, 7, 9), (64, 10, 128), (33, 47, 785), (130, 70, 1540), (200, 2100, 20),
          (3, 50, 0), (193, 33, 801), (1, 64, 400)]  # fmt: skip
FORMS = [(a, b) for a in (False, True) for b in (False, True)]


@pytest.fixture(params=_core.available_isas(), autouse=True)
def isa(request):
    before = _core.isa()
    _core.select_isa(request.param)
    yield request.param
    _core.select_isa(before)


def draw(*shape, seed=0, transposed=False):
    x = np.random.default_rng(seed).standard_normal(shape[::-1] if transposed else shape)
    x = lamina.tensor(x, dtype=lamina.float32).bfloat16()
    return x.t() if transposed else x


def wide(x):
    return x.double().numpy()


def assert_close(got, want, terms, depth):
    """One rounding to bfloat16 of a float32 sum: `terms` is the sum of the products' sizes."""
    assert got.dtype is lamina.bfloat16
    limit = 2.0**-8 * np.abs(want) + (depth + 2) * 2.0**-23 * terms + 1e-37
    assert (np.abs(wide(got) - want) <= limit).all()


@pytest.mark.parametrize("m, n, k", SHAPES)
@pytest.mark.parametrize("ta, tb", FORMS)
def test_product(m, n, k, ta, tb):
    a, b = draw(m, k, transposed=ta), draw(k, n, seed=1, transposed=tb)
    want, terms = wide(a) @ wide(b), np.abs(wide(a)) @ np.abs(wide(b))
    assert_close(a @ b, want, terms, k)


@pytest.mark.parametrize("m, n, k", SHAPES)
def test_linear(m, n, k):
    x, w, b = draw(m, k), draw(n, k, seed=1), draw(n, seed=2)
    want = wide(x) @ wide(w).T + wide(b)
    terms = np.abs(wide(x)) @ np.abs(wide(w)).T + np.abs(wide(b))
    assert_close(F.linear(x, w, b), want, terms, k)
    assert_close(_core.linear_relu(x, w, b), np.maximum(want, 0), terms, k)


def test_gradients():
    x, w, g = draw(9, 33), draw(5, 33, seed=1), draw(9, 5, seed=2)
    x.requires_grad_()
    w.requires_grad_()
    F.linear(x, w).backward(g)
    for got, a, b in ((x.grad, g, w.detach()), (w.grad, g.t(), x.detach())):
        assert_close(got, wide(a) @ wide(b), np.abs(wide(a)) @ np.abs(wide(b)), 33)


def test_batches_and_strides():
    a, b = draw(3, 8, 20), draw(20, 3, 6, seed=1).transpose(0, 1)
    want = wide(a) @ wide(b)
    assert_close(lamina.bmm(a, b), want, np.abs(wide(a)) @ np.abs(wide(b)), 20)
    part = draw(40, 61)[3::2, 1::3]  # no stride is 1
    other = draw(20, 4, seed=3)
    assert_close(part @ other, wide(part) @ wide(other),
                 np.abs(wide(part)) @ np.abs(wide(other)), 20)  # fmt: skip


def test_sums_are_float32():
    """4096 ones: bfloat16 sums would stop at 256."""
    ones = lamina.ones(1, 4096, dtype=lamina.bfloat16)
    assert (ones @ ones.t()).item() == 4096


def test_special_values():
    inf, nan = float("inf"), float("nan")
    a = lamina.tensor([[inf, 1.0], [nan, 0.0], [0.0, 2.0]], dtype=lamina.bfloat16)
    b = lamina.tensor([[0.0, 1.0], [1.0, -inf]], dtype=lamina.bfloat16)
    assert str((a @ b).tolist()) == "[[nan, nan], [nan, nan], [2.0, -inf]]"
    large = lamina.full((1, 2), 3e38, dtype=lamina.bfloat16)
    assert (large @ large.t()).item() == inf


def test_bits_do_not_depend_on_threads_or_on_other_rows():
    x, w = draw(140, 900), draw(300, 900, seed=1)
    before = lamina.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            lamina.set_num_threads(threads)
            results.append(F.linear(x, w))
    finally:
        lamina.set_num_threads(before)
    assert all(r.equal(results[0]) for r in results)
    for rows in (1, 2, 17, 139):
        assert F.linear(x[:rows], w).equal(results[0][:rows])
    assert F.linear(x, w[5:9]).equal(results[0][:, 5:9])
