"""Result dtypes of every pair of dtypes, with and without dimensions, as in PyTorch."""

from __future__ import annotations

import itertools
import operator
import warnings

import pytest

import lamina

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32",
          "float64")  # fmt: skip
NUMBERS = (True, 2, -1, 1.5, 300)
PAIRS = {
    **{
        f: (lambda m, a, b, f=f: getattr(m, f)(a, b))
        for f in ("add", "sub", "mul", "div", "remainder", "fmod", "floor_divide", "eq", "lt", "ge",
                  "maximum", "minimum", "bitwise_and", "bitwise_or", "logical_xor", "atan2",
                  "xlogy", "ldexp", "gcd", "lcm", "float_power")
    },
    "where": lambda m, a, b: m.where(m.tensor([True, False, True]), a, b),
    "stack": lambda m, a, b: m.stack([a.expand(3), b.expand(3)]),
    "cat": lambda m, a, b: m.cat([a.expand(3), b.expand(3)]),
    "iadd": lambda m, a, b: operator.iadd(a.expand(3).clone(), b),
    "ipow": lambda m, a, b: operator.ipow(a.expand(3).clone(), b),
    "ifloordiv": lambda m, a, b: operator.ifloordiv(a.expand(3).clone(), b),
    "copy_": lambda m, a, b: a.expand(3).clone().copy_(b),
    "clamp": lambda m, a, b: a.clamp(b),
    "out": lambda m, a, b: m.mul(a, a, out=b.clone()),
}  # fmt: skip
# torch leaves these out on the CPU; here they mean what they say
WIDER = {"clamp", "ldexp", "gcd", "lcm", "ifloordiv", "ipow", "floor_divide", "remainder", "fmod"}


def outcome(m, function, *operands):
    """(dtype, values) of a call, or the error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = function(m, *operands)
        return str(y.dtype).rpartition(".")[2], y.double().reshape(-1).tolist()
    except (RuntimeError, TypeError, ValueError) as error:
        return error, None


def tensor(m, dtype, dimensions):
    values = [[3, 1, 2], 2][not dimensions]
    return m.tensor(values, dtype=getattr(m, dtype))


def compare(torch, function, *operands, wider=False):
    """Whether both libraries make the same of operands given as (dtype, dimensions)."""
    theirs = outcome(torch, function, *(tensor(torch, *o) for o in operands))
    ours = outcome(lamina, function, *(tensor(lamina, *o) for o in operands))
    if isinstance(theirs[0], Exception):
        return wider or isinstance(ours[0], RuntimeError)
    return ours[0] == theirs[0] and ours[1] == pytest.approx(theirs[1], rel=1e-2, nan_ok=True)


@pytest.mark.parametrize("name", PAIRS)
def test_pairs(name):
    torch = pytest.importorskip("torch")
    wrong = [
        (a, b, i, j)
        for a, b in itertools.product(DTYPES, DTYPES)
        for i, j in ((1, 1), (1, 0), (0, 1))
        if not compare(torch, PAIRS[name], (a, i), (b, j), wider=name in WIDER)
    ]  # fmt: skip
    assert not wrong


@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "eq",
                                  "lt", "and_", "or_", "lshift"])  # fmt: skip
@pytest.mark.parametrize("reverse", [False, True])
def test_numbers(name, reverse):
    torch = pytest.importorskip("torch")
    f = getattr(operator, name)
    wrong = []
    for dtype, number, dimensions in itertools.product(DTYPES, NUMBERS, (1, 0)):

        def call(m, x, number=number):
            return f(number, x) if reverse else f(x, number)

        wide = name in ("floordiv", "mod", "pow", "lshift")
        if not compare(torch, call, (dtype, dimensions), wider=wide):
            wrong.append((dtype, number, dimensions))
    assert not wrong
