"""Integers are modulo 2^64, as NumPy's and PyTorch's are."""

from __future__ import annotations

import numpy as np
import pytest

import lamina

A = np.array([2**63 - 1, -(2**63), 2**62 + 3, -5, 7], np.int64)
B = np.array([2, -1, 5, 2**63 - 1, -(2**63)], np.int64)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply"])
def test_elementwise(name):
    with np.errstate(over="ignore"):
        want = getattr(np, name)(A, B)
    got = getattr(lamina, name)(lamina.tensor(A), lamina.tensor(B))
    np.testing.assert_array_equal(got.numpy(), want)


def test_one_operand():
    least = lamina.tensor(A)[1]
    assert (-least).item() == abs(least).item() == -(2**63)
    assert (lamina.tensor(A) ** 2).tolist() == (A * A).tolist()
    assert lamina.addcmul(*map(lamina.tensor, (A, A, B))).tolist() == (A + A * B).tolist()


@pytest.mark.parametrize("name", ["sum", "prod", "cumsum", "cumprod"])
@pytest.mark.parametrize("n", [3, 700])
def test_reductions(name, n):
    x = np.random.default_rng(n).integers(-(2**63), 2**63 - 1, (n, 5)) | 1
    for axis in (0, 1):
        want = getattr(np, name)(x, axis)
        np.testing.assert_array_equal(getattr(lamina.tensor(x), name)(axis).numpy(), want)


@pytest.mark.parametrize("m, k, n", [(1, 1, 1), (3, 5, 2), (4, 16, 16), (7, 33, 65), (1, 40, 1),
                                     (9, 1, 31), (5, 0, 3), (64, 64, 64)])  # fmt: skip
def test_products(m, k, n, threads):
    """Whole tiles, their edges, and operands whose rows are not dense."""
    rng = np.random.default_rng(m + k + n)
    a, b = rng.integers(-(2**63), 2**63 - 1, (m, k)), rng.integers(-(2**63), 2**63 - 1, (k, n))
    want = a @ b
    x, y = lamina.tensor(a), lamina.tensor(b)
    x_across, y_across = lamina.tensor(a.T.copy()).t(), lamina.tensor(b.T.copy()).t()
    for left in (x, x_across):
        for right in (y, y_across):
            np.testing.assert_array_equal((left @ right).numpy(), want)
    np.testing.assert_array_equal((x @ y[:, 0]).numpy(), want[:, 0])
    np.testing.assert_array_equal((x[0] @ y).numpy(), want[0])
    np.testing.assert_array_equal((x.int() @ y.int()).numpy(), want.astype(np.int32))


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int8])
def test_divisions(dtype):
    """Rounded down; the remainder has the divisor's sign, fmod's the dividend's."""
    top = np.iinfo(dtype).max
    edges = [top, -top, top - 1, 7, -7, 6, 1, -1, 0, 3, -3]
    a = np.array([-top - 1, *edges], dtype)[:, None]
    b = np.array([x for x in edges if x], dtype)
    x, y = lamina.tensor(a), lamina.tensor(b)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal((x // y).numpy(), a // b)
        np.testing.assert_array_equal((x % y).numpy(), a % b)
        np.testing.assert_array_equal(lamina.fmod(x, y).numpy(), np.fmod(a, b))
