"""Elementwise functions: value, derivative and domain of each."""

from __future__ import annotations

import math

import numpy as np

from row import Row

_lgamma = np.vectorize(math.lgamma, otypes=[float])
_erf = np.vectorize(math.erf, otypes=[float])
_erfc = np.vectorize(math.erfc, otypes=[float])


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def softplus(x):
    return np.logaddexp(x, 0)


def away(lo, hi, *kinks):
    """Uniform draws kept 0.05 away from points where the derivative jumps."""

    def draw(rng, shape):
        x = rng.uniform(lo, hi, shape)
        for k in kinks:
            x = np.where(np.abs(x - k) < 0.05, k + 0.05 * np.where(x < k, -1.0, 1.0), x)
        return x

    return draw


def one(name, ref, domain=(-3, 3), **options):
    """A function of one tensor, called as m.name(x)."""
    fn = options.pop("fn", lambda m, x: getattr(m, name)(x))
    return Row(name, fn, ref, lambda n: [(3, n)], domain, **options)


def act(name, ref, domain=(-3, 3), *args, **options):
    """A function of nn.functional."""

    def fn(m, x):
        return getattr(m.nn.functional, name)(x, *args)

    label = "_".join([name, *map(str, args)])
    return Row(label, fn, ref, lambda n: [(3, n)], domain, **options)


def two(name, ref, domain=(-3, 3), **options):
    """A function of two tensors that broadcast: (3, n) with (n,)."""
    fn = options.pop("fn", lambda m, x, y: getattr(m, name)(x, y))
    return Row(name, fn, ref, lambda n: [(3, n), (n,)], domain, **options)


flat = {"grad": True, "second": False}  # a derivative that is constant or zero
none = {"grad": False, "second": False}

ROWS = [
    one("neg", np.negative),
    one("abs", np.abs, away(-3, 3, 0)),
    one("sign", np.sign, away(-3, 3, 0), **flat),
    one("exp", np.exp, (-20, 3)),
    one("exp2", np.exp2, (-20, 3)),
    one("expm1", np.expm1, (-5, 3)),
    one("log", np.log, (0.01, 30)),
    one("log2", np.log2, (0.01, 30)),
    one("log10", np.log10, (0.01, 30)),
    one("log1p", np.log1p, (-0.9, 30)),
    one("sqrt", np.sqrt, (0.01, 30)),
    one("rsqrt", lambda x: 1 / np.sqrt(x), (0.1, 30)),
    one("reciprocal", lambda x: 1 / x, (0.1, 9)),
    one("square", np.square),
    one("sin", np.sin, (-9, 9)),
    one("cos", np.cos, (-9, 9)),
    one("tan", np.tan, (-1.2, 1.2)),
    one("asin", np.arcsin, (-0.9, 0.9)),
    one("acos", np.arccos, (-0.9, 0.9)),
    one("atan", np.arctan),
    one("sinh", np.sinh),
    one("cosh", np.cosh),
    one("tanh", np.tanh, (-5, 5)),
    one("asinh", np.arcsinh),
    one("acosh", np.arccosh, (1.2, 9)),
    one("atanh", np.arctanh, (-0.9, 0.9)),
    one("erf", _erf),
    one("erfc", _erfc),
    Row("erfinv", lambda m, x: m.erf(m.erfinv(x)), lambda x: x, lambda n: [(3, n)], (-0.95, 0.95)),
    one("lgamma", _lgamma, (0.2, 9), tol=5e-6),
    one("sigmoid", sigmoid, (-9, 9)),
    one("relu", lambda x: np.maximum(x, 0), away(-3, 3, 0)),
    one("floor", np.floor, away(-3, 3, -2, -1, 0, 1, 2), **flat),
    one("ceil", np.ceil, away(-3, 3, -2, -1, 0, 1, 2), **flat),
    one("trunc", np.trunc, away(-3, 3, -2, -1, 0, 1, 2), **flat),
    one("round", np.round, away(-3, 3, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5), **flat),
    one("frac", lambda x: x - np.trunc(x), away(-3, 3, -2, -1, 0, 1, 2), **flat),
    one("isnan", np.isnan, **none),
    one("isinf", np.isinf, **none),
    one("isfinite", np.isfinite, **none),
    one("signbit", np.signbit, **none),
    one("logical_not", lambda x: x == 0, **none),
    one("bitwise_not", np.invert, "int:100", **none),
    one("bitwise_not_bool", np.invert, "bool", fn=lambda m, x: ~x, **none),
    one("clamp", lambda x: np.clip(x, -1, 2), away(-3, 3, -1, 2),
        fn=lambda m, x: m.clamp(x, -1.0, 2.0)),
    one("clamp_min", lambda x: np.maximum(x, 0.5), away(-3, 3, 0.5),
        fn=lambda m, x: x.clamp(min=0.5)),
    one("pow_2", lambda x: x**2, fn=lambda m, x: x**2),
    one("pow_3", lambda x: x**3, fn=lambda m, x: x**3),
    one("pow_half", np.sqrt, (0.1, 9), fn=lambda m, x: x**0.5),
    one("pow_1.7", lambda x: x**1.7, (0.1, 9), fn=lambda m, x: x**1.7),
    one("rpow", lambda x: 2.0**x, fn=lambda m, x: 2.0**x),
    one("logit", lambda x: np.log(x / (1 - x)), (0.05, 0.95)),
    one("rsub", lambda x: 1 - x, fn=lambda m, x: 1 - x),
    one("rdiv", lambda x: 1 / x, (0.2, 3), fn=lambda m, x: 1 / x),
    # activations
    act("leaky_relu", lambda x: np.where(x > 0, x, 0.2 * x), away(-3, 3, 0), 0.2),
    act("relu6", lambda x: np.clip(x, 0, 6), away(-3, 9, 0, 6)),
    act("elu", lambda x: np.where(x > 0, x, 1.3 * np.expm1(x)), away(-3, 3, 0), 1.3),
    act("celu", lambda x: np.where(x > 0, x, 1.3 * np.expm1(x / 1.3)), away(-3, 3, 0), 1.3,
        torch_tol=1e-7),  # PyTorch holds alpha in float32
    act("selu", lambda x: 1.0507009873554804934 * np.where(
        x > 0, x, 1.6732632423543772848 * np.expm1(x)), away(-3, 3, 0)),
    act("gelu", lambda x: x * 0.5 * _erfc(-x / math.sqrt(2)), (-5, 5)),
    Row("gelu_tanh", lambda m, x: m.nn.functional.gelu(x, approximate="tanh"),
        lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        lambda n: [(3, n)], (-5, 5)),
    act("silu", lambda x: x * sigmoid(x), (-9, 9)),
    act("mish", lambda x: x * np.tanh(softplus(x)), (-9, 9)),
    act("softplus", lambda x: softplus(2 * x) / 2, (-9, 9), 2.0, 30.0),
    act("softsign", lambda x: x / (1 + np.abs(x)), away(-3, 3, 0)),
    act("tanhshrink", lambda x: x - np.tanh(x)),
    act("softshrink", lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
        away(-3, 3, -0.5, 0.5)),
    act("hardshrink", lambda x: np.where(np.abs(x) > 0.5, x, 0), away(-3, 3, -0.5, 0.5)),
    act("hardtanh", lambda x: np.clip(x, -1, 1), away(-3, 3, -1, 1)),
    act("hardsigmoid", lambda x: np.clip(x + 3, 0, 6) / 6, away(-5, 5, -3, 3),
        torch_tol=1e-7),  # PyTorch holds 1 / 6 in float32
    act("hardswish", lambda x: x * np.clip(x + 3, 0, 6) / 6, away(-5, 5, -3, 3)),
    act("logsigmoid", lambda x: -softplus(-x), (-9, 9)),
    act("threshold", lambda x: np.where(x > 0.1, x, 20.0), away(-3, 3, 0.1), 0.1, 20.0),
    Row("glu", lambda m, x: m.nn.functional.glu(x), lambda x: x[:, : x.shape[1] // 2]
        * sigmoid(x[:, x.shape[1] // 2 :]), lambda n: [(3, 2 * n)]),
    Row("prelu", lambda m, x, w: m.nn.functional.prelu(x, w),
        lambda x, w: np.where(x > 0, x, w[:, None] * x), lambda n: [(2, 3, n), (3,)],
        [away(-3, 3, 0), (0.1, 0.5)]),
    # two tensors
    two("add", np.add),
    two("sub", np.subtract),
    two("mul", np.multiply),
    two("div", np.divide, [(-3, 3), (0.3, 3)]),
    two("pow", np.power, [(0.2, 3), (-2, 2)]),
    two("maximum", np.maximum),
    two("minimum", np.minimum),
    two("fmax", np.fmax),
    two("fmin", np.fmin),
    two("atan2", np.arctan2, [(0.2, 3), (0.2, 3)]),
    two("hypot", np.hypot, [(0.2, 3), (0.2, 3)]),
    two("logaddexp", np.logaddexp),
    two("xlogy", lambda x, y: x * np.log(y), [(-3, 3), (0.2, 3)]),
    two("copysign", np.copysign, [away(-3, 3, 0), away(-3, 3, 0)]),
    two("remainder", np.mod, [(0.1, 0.9), (1, 2)]),
    two("fmod", np.fmod, [(0.1, 0.9), (1, 2)]),
    two("floor_divide", np.floor_divide, [(0.1, 9), (1, 2)], **none),
    *(two(name, ref, **none) for name, ref in {
        "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal,
        "gt": np.greater, "ge": np.greater_equal, "logical_and": np.logical_and,
        "logical_or": np.logical_or, "logical_xor": np.logical_xor}.items()),
    *(two(name, ref, "int:64", **none) for name, ref in {
        "bitwise_and": np.bitwise_and, "bitwise_or": np.bitwise_or,
        "bitwise_xor": np.bitwise_xor}.items()),
    two("bitwise_left_shift", np.left_shift, ["int:64", "int:6"], **none),
    two("bitwise_right_shift", np.right_shift, ["int:64", "int:6"], **none),
    Row("add_alpha", lambda m, x, y: m.add(x, y, alpha=3), lambda x, y: x + 3 * y,
        lambda n: [(n,), (2, n)]),
    # three tensors
    Row("where", lambda m, c, x, y: m.where(c, x, y), np.where, lambda n: [(3, n), (n,), (3, 1)],
        ["bool", (-3, 3), (-3, 3)]),
    Row("lerp", lambda m, x, y, w: m.lerp(x, y, w), lambda x, y, w: x + w * (y - x),
        lambda n: [(3, n)] * 3),
    Row("addcmul", lambda m, x, y, z: m.addcmul(x, y, z, value=0.5),
        lambda x, y, z: x + 0.5 * y * z, lambda n: [(3, n)] * 3),
    Row("addcdiv", lambda m, x, y, z: m.addcdiv(x, y, z, value=0.5),
        lambda x, y, z: x + 0.5 * y / z, lambda n: [(3, n)] * 3, [(-3, 3), (-3, 3), (0.3, 3)]),
]  # fmt: skip
