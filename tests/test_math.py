"""The vector mathematics over their whole domain, on every instruction set: units in the last place
against double (float32) or extended precision (float64), and the edges C defines."""

from __future__ import annotations

import math
import platform

import numpy as np
import pytest

import lamina
from lamina import _core

erf, erfc = (np.vectorize(f, otypes=[float]) for f in (math.erf, math.erfc))


@np.vectorize(otypes=[float])
def lgamma(x):
    if math.isinf(x) or (x <= 0 and x == math.floor(x)):
        return math.inf
    return math.lgamma(x)


# Every 2^13th float: all exponents, both signs, infinities, NaN.
FLOATS = np.arange(0, 1 << 32, 8191, dtype=np.uint64).astype(np.uint32).view(np.float32)
RANDOM = np.random.default_rng(0)


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e / (1 + e), 1 / (1 + e))


def softplus(x):
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


# name: (reference in double, bound in units in the last place, the interval looked at closely)
FLOAT32 = {
    "exp": (np.exp, 1.0, (-104, 89)),
    "exp2": (np.exp2, 1.0, (-127, 128)),
    "expm1": (np.expm1, 1.5, (-20, 89)),
    "log": (np.log, 1.0, (0, 3)),
    "log2": (np.log2, 1.5, (0, 3)),
    "log10": (np.log10, 1.0, (0, 3)),
    "log1p": (np.log1p, 1.5, (-1, 3)),
    "tanh": (np.tanh, 2.0, (-10, 10)),
    "sigmoid": (sigmoid, 2.0, (-80, 80)),
    "erf": (erf, 1.5, (-4, 4)),
    "erfc": (erfc, 0.51, (-4, 9)),
    "sin": (np.sin, 1.6, (-1000, 1000)),
    "cos": (np.cos, 1.6, (-1000, 1000)),
    "tan": (np.tan, 0.51, (-10, 10)),
    "asin": (np.arcsin, 0.51, (-1, 1)),
    "acos": (np.arccos, 0.51, (-1, 1)),
    "atan": (np.arctan, 0.51, (-10, 10)),
    "sinh": (np.sinh, 0.51, (-88, 88)),
    "cosh": (np.cosh, 0.51, (-88, 88)),
    "asinh": (np.arcsinh, 0.51, (-10, 10)),
    "acosh": (np.arccosh, 0.51, (1, 10)),
    "atanh": (np.arctanh, 0.51, (-1, 1)),
    "sqrt": (np.sqrt, 0.5, (0, 10)),
    "rsqrt": (lambda x: 1 / np.sqrt(x), 1.5, (0, 10)),
    "lgamma": (lgamma, 0.51, (-5, 30)),
    "softplus": (softplus, 2.5, (-80, 20)),
    "log_sigmoid": (lambda x: -softplus(-x), 2.5, (-20, 80)),
}
POW_BOUND, GELU_BOUND, GELU_SLOPE_BOUND = 0.51, 2e-7, 8e-7


def gelu_slope(x):
    phi = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return 0.5 * erfc(-x / math.sqrt(2)) + x * phi


# Where the value decays to 0 as a product of numbers that do not, the bound is absolute.
DECAYING = {
    "gelu": (lambda x: 0.5 * x * erfc(-x / math.sqrt(2)), (-8, 8)),
    "silu": (lambda x: x * sigmoid(x), (-90, 90)),
    "mish": (lambda x: x * np.tanh(softplus(x)), (-90, 90)),
}
LONG = np.longdouble
FLOAT64 = {
    "exp": (np.exp, 1.5, (-700, 709)),
    "expm1": (np.expm1, 2.0, (-5, 709)),
    "log": (np.log, 1.2, (0, 3)),
    "log1p": (np.log1p, 2.0, (-1, 3)),
    "tanh": (np.tanh, 3.5, (-20, 20)),
    "sigmoid": (sigmoid, 2.5, (-700, 700)),
    "sin": (np.sin, 1.0, (-1000, 1000)),
    "cos": (np.cos, 1.0, (-1000, 1000)),
    "log2": (np.log2, 1.0, (0, 3)),
    "exp2": (np.exp2, 1.0, (-1000, 1000)),
}

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
each_isa = pytest.mark.parametrize("isa", _core.available_isas())


@pytest.fixture
def on(isa):
    before = _core.isa()
    _core.select_isa(isa)
    yield
    _core.select_isa(before)


def call(name, *arrays):
    f = getattr(_core, name)
    extra = (1.0, 1e30) if name == "softplus" else ()
    return f(*[lamina.from_numpy(a) for a in arrays], *extra).numpy()


def near(interval, dtype):
    lo, hi = interval
    x = RANDOM.uniform(lo, hi, 100_001)
    small = np.exp(RANDOM.uniform(-60, 0, 20_001)) * np.sign(RANDOM.standard_normal(20_001))
    return np.concatenate([x, small[(small >= lo) & (small <= hi)]]).astype(dtype)


def ulps(got, want, dtype):
    """Errors in units in the last place of `dtype`, of results from 16 times the smallest normal
    number on: below, products inside a function may underflow to 0."""
    info = np.finfo(dtype)
    rounded = want.astype(dtype)
    ok = np.isfinite(rounded) & (np.abs(want) >= 16 * info.tiny)
    exponent = np.floor(np.log2(np.abs(np.where(ok, want, 1))))
    unit = np.exp2(exponent).astype(want.dtype) * info.eps
    error = np.where(ok, np.abs(got.astype(want.dtype) - want) / unit, 0)
    return error, rounded


def check(name, x, got, want, bound, dtype):
    normal = np.abs(x) >= np.finfo(dtype).tiny
    normal |= x == 0
    error, rounded = ulps(got, want, dtype)
    error = np.where(normal, error, 0)
    k = int(np.argmax(error))
    assert error[k] <= bound, f"{name}({x[k]!r}) = {got[k]!r}: {error[k]:.2f} units, want {want[k]}"
    np.testing.assert_array_equal(np.isnan(got) & normal, np.isnan(want) & normal, err_msg=name)
    infinite = np.isinf(rounded) & normal
    np.testing.assert_array_equal(got[infinite], rounded[infinite], err_msg=name)
    assert not np.isinf(got[~infinite & normal]).any(), name


@each_isa
@pytest.mark.parametrize("name", FLOAT32)
def test_float32(name, isa, on):
    reference, bound, interval = FLOAT32[name]
    x = np.concatenate([FLOATS, near(interval, np.float32)])
    if reference in (erf, erfc, lgamma):
        x = x[::4]
    check(name, x, call(name, x), reference(x.astype(np.float64)), bound, np.float32)


@each_isa
@pytest.mark.parametrize("name", DECAYING)
def test_decaying(name, isa, on):
    reference, interval = DECAYING[name]
    x = np.sort(near(interval, np.float32))[::5]
    want = reference(x.astype(np.float64))
    error = np.abs(call(name, x) - want)
    assert (error <= 2.5e-7 * np.maximum(np.abs(want), np.minimum(np.abs(x), 1))).all()


@each_isa
def test_gelu(isa, on):
    x = np.concatenate([np.linspace(-12, 12, 200_001), near((-8, 8), np.float32)])
    x = x.astype(np.float32)
    t = lamina.tensor(x, requires_grad=True)
    y = lamina.nn.functional.gelu(t)
    y.sum().backward()
    for got, reference, bound in (
        (y.detach(), DECAYING["gelu"][0], GELU_BOUND),
        (t.grad, gelu_slope, GELU_SLOPE_BOUND),
    ):
        want = reference(x.astype(np.float64))
        assert (np.abs(got.numpy() - want) <= bound * np.maximum(1, np.abs(want))).all()
    ends = np.array([math.inf, -math.inf, math.nan, 0.0, 2.0**100, -(2.0**100)], np.float32)
    got = lamina.nn.functional.gelu(lamina.from_numpy(ends)).numpy()
    np.testing.assert_array_equal(got, [math.inf, 0, math.nan, 0, 2.0**100, 0])


@pytest.mark.skipif(np.finfo(LONG).nmant <= 52, reason="no extended precision here")
@each_isa
@pytest.mark.parametrize("name", FLOAT64)
def test_float64(name, isa, on):
    reference, bound, interval = FLOAT64[name]
    whole = FLOATS.astype(np.float64)
    wide = np.exp2(RANDOM.uniform(-1020, 1020, 20_001)) * np.where(
        RANDOM.random(20_001) < 0.5, 1, -1
    )
    x = np.concatenate([whole[::8], wide, near(interval, np.float64)])
    if name in ("sin", "cos"):  # extended precision is reduced less exactly than libm does
        x = x[np.abs(x) < 1e6]
    check(name, x, call(name, x), reference(x.astype(LONG)), bound, np.float64)


INF, NAN = math.inf, math.nan
EDGES = {
    "exp": {0.0: 1.0, INF: INF, -INF: 0.0, 1e4: INF, -1e4: 0.0},
    "expm1": {-0.0: -0.0, INF: INF, -INF: -1.0},
    "log": {0.0: -INF, 1.0: 0.0, INF: INF, -1.0: NAN, -INF: NAN},
    "log2": {0.0: -INF, 1.0: 0.0, 8.0: 3.0, INF: INF, -1.0: NAN},
    "log10": {0.0: -INF, 1.0: 0.0, 1000.0: 3.0, INF: INF},
    "exp2": {0.0: 1.0, 10.0: 1024.0, -3.0: 0.125, INF: INF, -INF: 0.0},
    "log1p": {-0.0: -0.0, -1.0: -INF, INF: INF, -2.0: NAN},
    "tanh": {-0.0: -0.0, INF: 1.0, -INF: -1.0},
    "sigmoid": {0.0: 0.5, INF: 1.0, -INF: 0.0, 200.0: 1.0},
    "erf": {-0.0: -0.0, INF: 1.0, -INF: -1.0},
    "sin": {-0.0: -0.0, INF: NAN, -INF: NAN},
    "cos": {0.0: 1.0, INF: NAN},
    "atan": {INF: math.pi / 2, -0.0: -0.0},
    "sqrt": {-0.0: -0.0, -1.0: NAN, INF: INF},
    "digamma": {0.0: -INF, 1.0: -0.5772156649015329, -2.0: NAN, -1e-20: 1e20},
    "lgamma": {1.0: 0.0, 2.0: 0.0, 0.0: INF, -1.0: INF, INF: INF},
    "erfinv": {0.0: 0.0, 1.0: INF, -1.0: -INF, 2.0: NAN},
}


@each_isa
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_edges(isa, dtype, on):
    rtol = 1e-6 if dtype is np.float32 else 1e-15
    for name, table in EDGES.items():
        x = np.array([*table, NAN], dtype)
        want = np.array([*table.values(), NAN], dtype)
        for n in (len(x), 40):  # in one partial vector, and in whole ones
            got = call(name, np.resize(x, n))
            want_n = np.resize(want, n)
            np.testing.assert_allclose(got, want_n, rtol=rtol, err_msg=name)
            zero = want_n == 0
            np.testing.assert_array_equal(
                np.signbit(got[zero]), np.signbit(want_n[zero]), err_msg=name
            )


@each_isa
def test_pow(isa, on):
    a = np.exp(RANDOM.uniform(-80, 80, 200_001)).astype(np.float32)
    b = (RANDOM.standard_normal(200_001) * 5).astype(np.float32)
    a[::3] = -a[::3]
    b[::3] = np.round(b[::3])
    b[1::30] = np.round(b[1::30])
    want = np.power(a.astype(np.float64), b.astype(np.float64))
    check("pow", a, call("pow", a, b), want, POW_BOUND, np.float32)
    special = np.array(
        [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, INF, -INF, NAN], np.float32
    )
    x, y = (v.ravel() for v in np.meshgrid(special, special))
    for dtype in (np.float32, np.float64):
        got = call("pow", x.astype(dtype), y.astype(dtype))
        want = np.power(x.astype(np.float64), y.astype(np.float64)).astype(dtype)
        np.testing.assert_allclose(got, want, rtol=1e-6)
        np.testing.assert_array_equal(np.signbit(got[want == 0]), np.signbit(want[want == 0]))


@each_isa
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_powers_of_denormals(dtype, isa, on):
    """They count as zeros of their sign."""
    tiny = np.finfo(dtype).tiny
    x = np.array([tiny / 2, -tiny / 2, tiny / 1e5, np.nextafter(dtype(0), dtype(1))] * 9, dtype)
    for b in (2.0, 3.0, 0.5, 0.1, 1 / 3, 1.5, -0.1, -1.5, -2.0, -3.0, 0.0):
        e = np.full_like(x, b)
        np.testing.assert_array_equal(call("pow", x, e), np.power(np.copysign(dtype(0), x), e))


PAIRS = {"atan2": np.arctan2, "hypot": np.hypot, "fmod": np.fmod, "remainder": np.mod}


@each_isa
@pytest.mark.parametrize("name", PAIRS)
def test_pairs(name, isa, on):
    """Of any two floats, of floats near each other, of small whole numbers, and of the ends."""
    n = 100_001
    a, b = (RANDOM.permutation(FLOATS)[:n] for _ in range(2))
    near_a = RANDOM.standard_normal(n).astype(np.float32)
    near_b = (near_a * np.exp(RANDOM.uniform(-8, 8, n))).astype(np.float32)
    whole = RANDOM.integers(-50, 50, (2, n)).astype(np.float32)
    ends = np.array([0.0, -0.0, 1.0, -1.0, 2.5, 2.0**60, INF, -INF, NAN], np.float32)
    x, y = (v.ravel() for v in np.meshgrid(ends, ends))
    a, b = np.concatenate([a, near_a, whole[0], x]), np.concatenate([b, near_b, whole[1], y])
    tiny = np.finfo(np.float32).tiny
    a, b = (np.where(np.abs(v) < tiny, v * 0, v) for v in (a, b))  # denormals count as 0
    want = PAIRS[name](a.astype(np.float64), b.astype(np.float64))
    if name == "remainder":  # fmod of an infinite divisor is exact, NumPy's modulo is not
        want = np.fmod(a.astype(np.float64), b.astype(np.float64))
        want = np.where(np.abs(want) < tiny, want * 0, want)
        want = np.where((want != 0) & ((want < 0) != (b < 0)), want + b.astype(np.float64), want)
    check(name, a, call(name, a, b), want, 0.51 if name in ("atan2", "hypot") else 0.5, np.float32)
    zero = (want == 0) & (name != "remainder")
    got = call(name, a, b)
    np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]))


@each_isa
@pytest.mark.parametrize("name", ["digamma", "erfinv"])
def test_by_double(name, isa, on):
    """float32 against float64, which runs other code; of erfinv also erf of it."""
    lo, hi = {"digamma": (-30, 60), "erfinv": (-1, 1)}[name]
    tail = 1 - np.exp(RANDOM.uniform(-16, 0, 50_001))
    x = np.concatenate([near((lo, hi), np.float32), tail.astype(np.float32), FLOATS[::4]])
    want = call(name, x.astype(np.float64))
    check(name, x, call(name, x), want, 0.51, np.float32)
    if name == "erfinv":
        inside = np.abs(x) < 1
        y = x[inside].astype(np.float64)
        np.testing.assert_allclose(erf(want[inside]), y, rtol=1e-14, atol=1e-300)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="sets with the same fma")
def test_sets_with_fma_agree():
    """avx2 and avx512 run the same formula with the same roundings."""
    both = [s for s in _core.available_isas() if s != "generic"]
    before = _core.isa()
    try:
        for name in (*FLOAT32, *DECAYING):
            results = []
            for isa in both:
                _core.select_isa(isa)
                y = call(name, FLOATS)
                y[np.isnan(y)] = np.nan  # whatever its sign and payload
                results.append(y.view(np.uint32))
            for r in results[1:]:
                np.testing.assert_array_equal(r, results[0], err_msg=name)
    finally:
        _core.select_isa(before)


@each_isa
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floor_divide_edges(isa, dtype, on):
    a = np.array([-5, 5, 0, 7, -7, 7, 5, NAN], dtype)
    b = np.array([INF, -INF, INF, INF, 2, -2, 0, 1], dtype)
    np.testing.assert_array_equal(call("floor_divide", a, b), [-1, -1, 0, 0, -4, -4, INF, NAN])


@each_isa
def test_polygamma(isa, on):
    """psi_n(1) = (-1)^(n+1) n! zeta(n + 1); psi_n(x + 1) = psi_n(x) + (-1)^n n! / x^(n+1)."""

    def psi(n, x):
        return _core.polygamma(lamina.tensor(x, dtype=lamina.float64), n).numpy()

    zeta = {1: math.pi**2 / 6, 2: 1.2020569031595942, 3: math.pi**4 / 90}
    x = np.concatenate([[-3.7, -2.4, -1.5, -0.3], np.geomspace(0.1, 1e6, 40)])
    for n, z in zeta.items():
        sign = -1.0 if n % 2 == 0 else 1.0
        assert psi(n, [1.0])[0] == pytest.approx(sign * math.factorial(n) * z, rel=1e-14)
        step = -sign * math.factorial(n) / x ** (n + 1)
        np.testing.assert_allclose(psi(n, x + 1), psi(n, x) + step, rtol=1e-11)
        assert np.isnan(psi(n, [0.0, -2.0])).all()


def test_atan2_at_the_origin_has_no_slope():
    a, b = (lamina.zeros(3, requires_grad=True) for _ in range(2))
    lamina.atan2(a, b).sum().backward()
    assert a.grad.tolist() == b.grad.tolist() == [0.0, 0.0, 0.0]
