"""Bools of memory that others wrote: any byte but 0 is true, as in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import lamina

BYTES = np.array([0, 1, 2, 3, 128, 255, 0, 6] * 9, np.uint8)
OTHER = np.roll(BYTES, 1)
DOORS = {
    "from_numpy": lambda a: lamina.from_numpy(a.view(bool)),
    "tensor": lambda a: lamina.tensor(a.view(bool)),
    "frombuffer": lambda a: lamina.frombuffer(a, dtype=lamina.bool),
    "from_dlpack": lambda a: lamina.from_dlpack(a.view(bool)),
    "view": lambda a: lamina.from_numpy(a).view(lamina.bool),
    "strided": lambda a: lamina.from_numpy(np.repeat(a, 3).view(bool))[::3],
}
# name -> the call, of two bools and floats (m: lamina or NumPy)
CALLS = {
    "float": lambda m, x, y, f: x * f,
    "int": lambda m, x, y, f: x + 1,
    "equal": lambda m, x, y, f: x == y,
    "unequal": lambda m, x, y, f: x != y,
    "is true": lambda m, x, y, f: x == True,  # noqa: E712
    "less": lambda m, x, y, f: x < y,
    "and": lambda m, x, y, f: x & y,
    "or": lambda m, x, y, f: x | y,
    "xor": lambda m, x, y, f: x ^ y,
    "not": lambda m, x, y, f: ~x,
    "logical_xor": lambda m, x, y, f: m.logical_xor(x, y),
    "maximum": lambda m, x, y, f: m.maximum(x, y),
    "sum": lambda m, x, y, f: x.sum(),
    "sum of a strided mask": lambda m, x, y, f: x.reshape(8, 9).T.sum(0),
    "cumsum": lambda m, x, y, f: m.cumsum(x, 0),
    "where": lambda m, x, y, f: m.where(x, f, -f),
    "index": lambda m, x, y, f: f[x],
    "all": lambda m, x, y, f: x.all(),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", CALLS)
def test_true_is_any_byte_but_0(name, door):
    x, y = DOORS[door](BYTES.copy()), DOORS[door](OTHER.copy())
    floats = np.arange(72, dtype=np.float32)
    got = CALLS[name](lamina, x, y, lamina.from_numpy(floats)).numpy()
    want = CALLS[name](np, BYTES != 0, OTHER != 0, floats)
    if got.dtype == bool:
        got = got.view(np.uint8)  # a result's bytes are 0 and 1
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "uint8", "complex64"])
def test_conversion(dtype):
    x = lamina.from_numpy(BYTES.view(bool)).to(getattr(lamina, dtype))
    np.testing.assert_array_equal(x.numpy(), (BYTES != 0).astype(dtype))


def test_memory_stays_shared():
    """Nothing is changed in the memory that is taken over."""
    a = BYTES.copy()
    x = lamina.from_numpy(a.view(bool))
    np.testing.assert_array_equal(a, BYTES)
    a[0] = 9
    assert x[0].item() is True and x.view(lamina.uint8)[0].item() == 9
