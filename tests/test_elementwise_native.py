"""Arithmetic, comparisons, logic and where() in the storage types themselves."""

import itertools

import numpy as np
import pytest

import lamina

INTS = ["uint8", "int8", "int16", "int32"]
TYPES = [*INTS, "int64", "float32", "float64", "bool"]
ARITHMETIC = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "maximum": np.maximum,
    "minimum": np.minimum, "bitwise_and": np.bitwise_and, "bitwise_or": np.bitwise_or,
    "bitwise_xor": np.bitwise_xor,
}  # fmt: skip
COMPARISONS = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal, "logical_and": np.logical_and, "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
}  # fmt: skip


def draw(dtype, shape, seed=0):
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if dtype.startswith("float"):
        x = rng.integers(-3, 4, shape).astype(dtype)
        x[rng.random(shape) < 0.1] = np.nan
        return x
    bounds = np.iinfo(dtype)
    x = rng.integers(bounds.min, bounds.max, shape, dtype=dtype, endpoint=True)
    return np.where(rng.random(shape) < 0.3, rng.integers(0, 3, shape), x).astype(dtype)


def same(y, want):
    got = y.numpy()
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("name", [*ARITHMETIC, *COMPARISONS])
def test_all_pairs_of_bytes(name, dtype):
    f = {**ARITHMETIC, **COMPARISONS}[name]
    every = np.arange(256).astype(dtype)
    a, b = (np.ascontiguousarray(v) for v in np.meshgrid(every, every, indexing="ij"))
    same(getattr(lamina, name)(lamina.from_numpy(a), lamina.from_numpy(b)), f(a, b))
    same(getattr(lamina, name)(lamina.from_numpy(a), lamina.from_numpy(every)), f(a, b))


@pytest.mark.parametrize("dtype", INTS)
def test_one_operand(dtype):
    x = draw(dtype, 1003)
    t = lamina.from_numpy(x)
    same(-t, np.negative(x))
    same(~t, ~x)
    same(t.square(), x * x)
    same(t.logical_not(), x == 0)


@pytest.mark.parametrize("n", [0, 1, 15, 16, 63, 64, 65, 129, 5000])
@pytest.mark.parametrize("dtype", INTS)
def test_arithmetic_wraps_around(dtype, n):
    a, b = draw(dtype, n, 1), draw(dtype, n, 2)
    ta, tb = lamina.from_numpy(a), lamina.from_numpy(b)
    for name, f in ARITHMETIC.items():
        same(getattr(lamina, name)(ta, tb), f(a, b))
    same(lamina.add(ta, tb, alpha=3), a + b * np.array(3, dtype))
    same(lamina.sub(ta, tb, alpha=-7), a + b * np.array(7, dtype))


@pytest.mark.parametrize("n", [0, 1, 17, 64, 65, 5000])
@pytest.mark.parametrize("dtype", TYPES)
def test_comparisons(dtype, n):
    a, b = draw(dtype, n, 3), draw(dtype, n, 4)
    for name, f in COMPARISONS.items():
        same(getattr(lamina, name)(lamina.from_numpy(a), lamina.from_numpy(b)), f(a, b))


@pytest.mark.parametrize("dtype", [*TYPES, "float16"])
def test_where(dtype):
    for n, kind in itertools.product((0, 1, 33, 4099), ("bool", "uint8")):
        m = draw(kind, n, 5)
        a, b = (draw(dtype.replace("16", "32") if dtype[0] == "f" else dtype, n, s) for s in (6, 7))
        a, b = a.astype(dtype), b.astype(dtype)
        args = [lamina.from_numpy(v) for v in (m, a, b)]
        same(lamina.where(*args), np.where(m != 0, a, b))


@pytest.mark.parametrize("dtype", [*INTS, "bool"])
def test_strides_and_broadcasting(dtype):
    a, b = draw(dtype, (37, 70), 8), draw(dtype, (37, 70), 9)
    ta, tb = lamina.from_numpy(a), lamina.from_numpy(b)
    f, name = (np.bitwise_xor, "bitwise_xor") if dtype == "bool" else (np.subtract, "sub")
    g = getattr(lamina, name)
    same(g(ta.t(), tb.t()), np.ascontiguousarray(f(a.T, b.T)))
    same(g(ta.t()[:37, :37], tb[:, :37]), f(a.T[:37, :37], b[:, :37]))
    same(g(ta[:, ::3], tb[:, ::3]), f(a[:, ::3], b[:, ::3]))
    same(g(ta, tb[:, 5:6]), f(a, b[:, 5:6]))
    same(g(ta[3], tb), f(a[3], b))
    same(g(ta, tb[2, 2]), f(a, b[2, 2]))
    same(ta > tb[:, :1], a > b[:, :1])
    into, want = ta.clone(), a.copy()
    getattr(into, name + "_")(tb)
    f(want, b, out=want)
    same(into, want)
    getattr(into[:, 1::2], name + "_")(tb[:, 1::2])  # a strided place to write to
    f(want[:, 1::2], b[:, 1::2], out=want[:, 1::2])
    same(into, want)


def test_mixed_types_are_promoted_first():
    a, b = draw("uint8", 300, 10), draw("int16", 300, 11)
    same(lamina.from_numpy(a) + lamina.from_numpy(b), a.astype("int16") + b)
    same(lamina.from_numpy(a) - 1, a - np.uint8(1))
    same(lamina.from_numpy(a) + True, a + np.uint8(1))


def test_bool_arithmetic():
    a, b = draw("bool", 200, 12), draw("bool", 200, 13)
    ta, tb = lamina.from_numpy(a), lamina.from_numpy(b)
    same(ta + tb, a | b)
    same(ta * tb, a & b)
    same(ta & tb, a & b)
    same(ta | tb, a | b)
    same(ta ^ tb, a ^ b)
    same(~ta, ~a)
    same(lamina.maximum(ta, tb), a | b)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads(threads):
    before = lamina.get_num_threads()
    lamina.set_num_threads(threads)
    try:
        a, b = draw("uint8", 600_001, 14), draw("uint8", 600_001, 15)
        same(lamina.from_numpy(a) * lamina.from_numpy(b), a * b)
        m = a > b
        same(lamina.from_numpy(m).nonzero(), np.argwhere(m))
        same(lamina.from_numpy(a)[lamina.from_numpy(m)], a[m])
    finally:
        lamina.set_num_threads(before)


@pytest.mark.parametrize("alpha", [2, 128, 255, 256, 512])
def test_sums_of_truth_values(alpha):
    a, b = lamina.tensor([True, False, False]), lamina.tensor([True, True, False])
    assert lamina.add(a, b, alpha=alpha).tolist() == [True, True, False]
