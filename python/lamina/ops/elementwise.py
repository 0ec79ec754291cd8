"""Elementwise functions. Inputs broadcast together and are promoted as in PyTorch; the C++ side
(cpp/kernels/formulas.h) holds each function's value and derivative once.

Every function here takes tensors of any shape and returns a tensor of the broadcast shape.
Integer inputs of floating functions are converted to the default dtype. ``out=`` writes into an
existing tensor; a method with a trailing underscore (``x.exp_()``) writes into ``x``.
"""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from ._method import kind_of, method, older, overwrite, takes_tensors, write

__all__: list[str] = []


def _public(function):
    __all__.append(function.__name__)
    return function


def _out(result: Tensor, out) -> Tensor:
    return result if out is None else _core.copy_(out, result)


def _in_place(name: str, doc: str) -> None:
    """x.name_(...): the same function written into x."""
    call = getattr(_core, name + "_")

    def in_place(self: Tensor, *args) -> Tensor:
        return call(self, *args)

    in_place.__name__ = name + "_"
    in_place.__doc__ = f"In place: {doc}"
    setattr(Tensor, name + "_", in_place)


def _unary(name: str, doc: str, *, core: str | None = None, aliases: tuple = ()) -> None:
    """Defines lamina.name(input, *, out=None), Tensor.name and Tensor.name_."""
    value, into = getattr(_core, core or name), getattr(_core, (core or name) + "_out")

    def function(input, *, out=None):
        return value(input) if out is None else into(out, input)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    for n in (name, *aliases):
        globals()[n] = function
        setattr(Tensor, n, function)
        __all__.append(n)
        call = getattr(_core, (core or name) + "_")

        def in_place(self: Tensor, *, _call=call) -> Tensor:
            return _call(self)

        in_place.__name__ = n + "_"
        in_place.__doc__ = f"In place: {doc}"
        setattr(Tensor, n + "_", in_place)


for _name, _doc in {
    "neg": "-x.",
    "abs": "|x|; its derivative at 0 is 0.",
    "sign": "-1, 0 or 1.",
    "exp": "e^x.",
    "exp2": "2^x.",
    "expm1": "e^x - 1, exact near 0.",
    "log": "Natural logarithm.",
    "log2": "Logarithm to base 2.",
    "log10": "Logarithm to base 10.",
    "log1p": "log(1 + x), exact near 0.",
    "sqrt": "Square root.",
    "rsqrt": "1 / sqrt(x).",
    "reciprocal": "1 / x.",
    "square": "x^2.",
    "sin": "Sine, x in radians.",
    "cos": "Cosine, x in radians.",
    "tan": "Tangent, x in radians.",
    "asin": "Inverse sine, in radians.",
    "acos": "Inverse cosine, in radians.",
    "atan": "Inverse tangent, in radians.",
    "sinh": "(e^x - e^-x) / 2.",
    "cosh": "(e^x + e^-x) / 2.",
    "tanh": "(e^x - e^-x) / (e^x + e^-x).",
    "asinh": "Inverse of sinh.",
    "acosh": "Inverse of cosh.",
    "atanh": "Inverse of tanh.",
    "erf": "(2 / sqrt(pi)) times the integral of e^(-t^2) from 0 to x.",
    "erfc": "1 - erf(x), exact for large x.",
    "erfinv": "Inverse of erf on (-1, 1).",
    "lgamma": "log |Gamma(x)|.",
    "digamma": "The derivative of log |Gamma(x)|.",
    "sigmoid": "1 / (1 + e^-x).",
    "relu": "max(x, 0); its derivative at 0 is 0.",
    "floor": "Largest integer not above x.",
    "ceil": "Smallest integer not below x.",
    "trunc": "x without its fraction.",
    "frac": "x - trunc(x).",
}.items():
    _unary(_name, _doc, aliases={
        "neg": ("negative",), "abs": ("absolute",), "asin": ("arcsin",), "acos": ("arccos",),
        "atan": ("arctan",), "trunc": ("fix",), "asinh": ("arcsinh",), "acosh": ("arccosh",),
        "atanh": ("arctanh",),
    }.get(_name, ()))  # fmt: skip

for _name, _doc in {
    "isnan": "True where x is NaN.",
    "isinf": "True where x is infinite.",
    "isfinite": "True where x is neither NaN nor infinite.",
    "isposinf": "True where x is +infinity.",
    "isneginf": "True where x is -infinity.",
    "signbit": "True where the sign bit is set (-0.0 too).",
    "logical_not": "True where x is 0.",
    "bitwise_not": "Every bit flipped; logical not for bool.",
}.items():
    _unary(_name, _doc)


@_public
@method
def sgn(input: Tensor, *, out=None) -> Tensor:
    """-1, 0 or 1 (the same as `sign` for real tensors); of complex ones z / |z|, 0 at 0."""
    if not input.dtype.is_complex:
        return _core.sign(input) if out is None else _core.sign_out(out, input)
    size = _core.abs(input)
    zero = size == 0
    result = _core.where(zero, 0.0, input / _core.where(zero, 1.0, size))
    return write(out, result)


@_public
@method
def round(input: Tensor, *, decimals=0, out=None) -> Tensor:
    """Nearest integer, halves to even; with `decimals`, nearest multiple of 10^-decimals."""
    if decimals:
        scale = 10.0**decimals
        return _out(_core.round(input * scale) / scale, out)
    return _core.round(input) if out is None else _core.round_out(out, input)


@method
def round_(self: Tensor, *, decimals=0) -> Tensor:
    """In place: `round`."""
    return round(self, decimals=decimals, out=self)


def _binary(name: str, doc: str, *, core: str | None = None, aliases: tuple = ()) -> None:
    """Defines lamina.name(input, other, *, out=None), Tensor.name and Tensor.name_."""
    core = core or name
    value, into = getattr(_core, core), getattr(_core, core + "_out")

    def function(input, other, *, out=None):
        return value(input, other) if out is None else into(out, input, other)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    call = getattr(_core, core + "_")
    for n in (name, *aliases):
        globals()[n] = function
        setattr(Tensor, n, function)
        __all__.append(n)

        def in_place(self: Tensor, other, *, _call=call) -> Tensor:
            return _call(self, other)

        in_place.__name__ = n + "_"
        in_place.__doc__ = f"In place: {doc}"
        setattr(Tensor, n + "_", in_place)


for _name, _doc in {
    "mul": "x * y.",
    "maximum": "Elementwise maximum; NaN wins. Ties give each half the gradient.",
    "minimum": "Elementwise minimum; NaN wins. Ties give each half the gradient.",
    "fmax": "Elementwise maximum; NaN loses.",
    "fmin": "Elementwise minimum; NaN loses.",
    "remainder": "x - y * floor(x / y): the sign of y, as Python's %.",
    "fmod": "x - y * trunc(x / y): the sign of x, as C's fmod.",
    "floor_divide": "floor(x / y).",
    "atan2": "Angle of the point (y=other, x=input)... atan(input / other) in the right quadrant.",
    "hypot": "sqrt(x^2 + y^2).",
    "eq": "True where x == y.",
    "ne": "True where x != y.",
    "lt": "True where x < y.",
    "le": "True where x <= y.",
    "gt": "True where x > y.",
    "ge": "True where x >= y.",
    "logical_and": "True where both are nonzero.",
    "logical_or": "True where at least one is nonzero.",
    "logical_xor": "True where exactly one is nonzero.",
    "bitwise_and": "Bitwise and of integers or bools.",
    "bitwise_or": "Bitwise or of integers or bools.",
    "bitwise_xor": "Bitwise exclusive or of integers or bools.",
    "bitwise_left_shift": "x << y.",
    "bitwise_right_shift": "x >> y.",
    "copysign": "|x| with the sign of y.",
    "logaddexp": "log(e^x + e^y), without overflow.",
    "xlogy": "x log y; 0 where x is 0.",
}.items():
    _binary(_name, _doc, aliases={
        "mul": ("multiply",), "atan2": ("arctan2",), "eq": (), "ne": ("not_equal",),
        "lt": ("less",), "le": ("less_equal",), "gt": ("greater",), "ge": ("greater_equal",),
    }.get(_name, ()))  # fmt: skip
atan2.__doc__ = "The angle of the point (other, input), from -pi to pi."  # noqa: F821


def _check_alpha(name, alpha, *operands):
    kind = max(
        kind_of(x.dtype) if isinstance(x, Tensor) else 2 * isinstance(x, float) for x in operands
    )
    if isinstance(alpha, float) and kind < 2:
        raise _core.DTypeError(f"{name}: alpha {alpha} is not an integer, but the operands are")


@_public
@method
def add(input, other, *more, alpha=1, out=None) -> Tensor:
    """input + alpha * other."""
    if more:
        (input, other), (alpha,) = older("add", 2, input, other, *more)
    if alpha != 1:
        _check_alpha("add", alpha, input, other)
    if out is not None:
        return _core.add_out(out, input, other, alpha)
    return _core.add(input, other, alpha)


@method
def add_(self: Tensor, other, *more, alpha=1) -> Tensor:
    """In place: self + alpha * other."""
    if more:
        (self, other), (alpha,) = older("add_", 2, self, other, *more)
    if alpha != 1:
        _check_alpha("add_", alpha, self, other)
    return _core.add_(self, other, alpha)


@_public
@method
def sub(input, other, *more, alpha=1, out=None) -> Tensor:
    """input - alpha * other."""
    if more:
        (input, other), (alpha,) = older("sub", 2, input, other, *more)
    if alpha != 1:
        _check_alpha("sub", alpha, input, other)
    if out is not None:
        return _core.sub_out(out, input, other, alpha)
    return _core.sub(input, other, alpha)


@method
def sub_(self: Tensor, other, *more, alpha=1) -> Tensor:
    """In place: self - alpha * other."""
    if more:
        (self, other), (alpha,) = older("sub_", 2, self, other, *more)
    if alpha != 1:
        _check_alpha("sub_", alpha, self, other)
    return _core.sub_(self, other, alpha)


subtract = sub
__all__.append("subtract")
Tensor.subtract, Tensor.subtract_ = sub, sub_


@_public
@method
def rsub(input, other, *, alpha=1) -> Tensor:
    """other - alpha * input."""
    return _core.sub(other, input, alpha)


def _truncated(input, other):
    """The quotient rounded towards 0: of integers exactly, whatever their size."""
    quotient = _core.div(input, other)
    floor = _core.floor_divide(input, other)
    if floor.dtype.is_floating_point:
        return _core.trunc(quotient)
    if floor.dtype is _core.uint8:  # a number below 0 counts as the uint8 it wraps to
        return floor
    inexact = _core.ne(_core.remainder(input, other), 0)
    return _core.where(inexact & _core.lt(quotient, 0), floor + 1, floor)


@_public
@method
def div(input, other, *, rounding_mode=None, out=None) -> Tensor:
    """input / other in floating point; `rounding_mode` "floor" or "trunc" rounds the quotient and
    keeps integer dtypes."""
    if rounding_mode is None:
        return _core.div(input, other) if out is None else _core.div_out(out, input, other)
    if rounding_mode == "floor":
        return write(out, _core.floor_divide(input, other))
    if rounding_mode == "trunc":
        return write(out, _truncated(input, other))
    raise _core.ArgumentError(
        f"div: rounding_mode must be None, 'trunc' or 'floor', got {rounding_mode!r}"
    )


@method
def div_(self: Tensor, other, *, rounding_mode=None) -> Tensor:
    """In place: self / other."""
    if rounding_mode is None:
        return _core.div_(self, other)
    return overwrite(self, div(self, other, rounding_mode=rounding_mode))


divide = true_divide = div
__all__ += ["divide", "true_divide"]
Tensor.divide, Tensor.true_divide, Tensor.divide_ = div, div, div_


@_public
@method
def pow(input, exponent, *, out=None) -> Tensor:
    """input ** exponent; either may be a number."""
    if out is not None:
        return _core.pow_out(out, input, exponent)
    return input**exponent if isinstance(input, Tensor) else _core.pow(input, exponent)


@method
def pow_(self: Tensor, exponent) -> Tensor:
    """In place: self ** exponent."""
    return _core.pow_(self, exponent)


@method
def __rpow__(self: Tensor, base) -> Tensor:
    """base ** self."""
    return _core.pow(base, self)


@_public
@method
def clamp(input: Tensor, min=None, max=None, *, out=None) -> Tensor:
    """min(max(x, min), max); a bound that is None does not apply; bounds may be tensors.

    The gradient is 1 inside the bounds (inclusive) and 0 outside. ValueError without any bound.
    """
    if min is None and max is None:
        raise _core.ArgumentError("clamp: at least one of min and max must be given")
    if not _plain_bounds(input, min, max):
        result = input
        if min is not None:
            result = _core.maximum(result, min)
        if max is not None:
            result = _core.minimum(result, max)
        return write(out, result)
    low = math.nan if min is None else min
    high = math.nan if max is None else max
    return _core.clamp(input, low, high) if out is None else _core.clamp_out(out, input, low, high)


def _plain_bounds(input, min, max):
    """Whether the one-pass kernel does it: a floating input and numbers that are not NaN."""
    return input.dtype.is_floating_point and not any(
        isinstance(b, Tensor) or (b is not None and b != b) for b in (min, max)
    )


@method
def clamp_(self: Tensor, min=None, max=None) -> Tensor:
    """In place `clamp`."""
    if not _plain_bounds(self, min, max) or (min is None and max is None):
        return overwrite(self, clamp(self, min, max))
    return _core.clamp_(self, math.nan if min is None else min, math.nan if max is None else max)


@_public
@method
def clamp_min(input: Tensor, min, *, out=None) -> Tensor:
    """max(x, min)."""
    return clamp(input, min=min, out=out)


@_public
@method
def clamp_max(input: Tensor, max, *, out=None) -> Tensor:
    """min(x, max)."""
    return clamp(input, max=max, out=out)


@method
def clamp_min_(self: Tensor, min) -> Tensor:
    """In place max(x, min)."""
    return clamp_(self, min=min)


@method
def clamp_max_(self: Tensor, max) -> Tensor:
    """In place min(x, max)."""
    return clamp_(self, max=max)


clip = clamp
__all__.append("clip")
Tensor.clip, Tensor.clip_ = clamp, clamp_


@_public
@method
def nan_to_num(input: Tensor, nan=None, posinf=None, neginf=None, *, out=None) -> Tensor:
    """NaN, +infinity and -infinity replaced by finite numbers (0 and the dtype's extremes)."""
    if not input.dtype.is_floating_point:
        return _out(input.clone(), out)
    top = {2: 65504.0, 4: 3.4028234663852886e38, 8: 1.7976931348623157e308}[input.dtype.itemsize]
    if input.dtype is _core.bfloat16:
        top = 3.3895313892515355e38
    nan = 0.0 if nan is None else nan
    high, low = top if posinf is None else posinf, -top if neginf is None else neginf
    return _out(_core.nan_to_num(input, nan, high, low), out)


@_public
def where(condition: Tensor, input=None, other=None, *, out=None):
    """input where condition is true, else other. With the condition alone: the indices of true
    elements, one tensor per dimension."""
    if input is None and other is None:
        from .index import nonzero

        return nonzero(condition, as_tuple=True)
    if out is not None:
        return _core.where_out(out, condition, input, other)
    return _core.where(condition, input, other)


@method("where")
def _where_method(self: Tensor, condition, other) -> Tensor:
    """self where condition is true, else other."""
    return _core.where(condition, self, other)


@_public
@method
def lerp(input: Tensor, end, weight, *, out=None) -> Tensor:
    """input + weight * (end - input)."""
    return _core.lerp(input, end, weight)


@method
def lerp_(self: Tensor, end, weight) -> Tensor:
    """In place: self + weight * (end - self)."""
    return _core.lerp_(self, end, weight)


@_public
@method
def addcmul(input: Tensor, tensor1, tensor2, *more, value=1, out=None) -> Tensor:
    """input + value * tensor1 * tensor2."""
    if more:
        (input, tensor1, tensor2), (value,) = older("addcmul", 3, input, tensor1, tensor2, *more)
    result = _core.addcmul(input, tensor1, tensor2, value)
    return write(out, result)


@method
def addcmul_(self: Tensor, tensor1, tensor2, *more, value=1) -> Tensor:
    """In place: self + value * tensor1 * tensor2."""
    if more:
        (self, tensor1, tensor2), (value,) = older("addcmul_", 3, self, tensor1, tensor2, *more)
    return _core.addcmul_(self, tensor1, tensor2, value)


@_public
@method
def addcdiv(input: Tensor, tensor1, tensor2, *more, value=1, out=None) -> Tensor:
    """input + value * tensor1 / tensor2."""
    if more:
        (input, tensor1, tensor2), (value,) = older("addcdiv", 3, input, tensor1, tensor2, *more)
    result = _core.addcdiv(input, tensor1, tensor2, value)
    return write(out, result)


@method
def addcdiv_(self: Tensor, tensor1, tensor2, *more, value=1) -> Tensor:
    """In place: self + value * tensor1 / tensor2."""
    if more:
        (self, tensor1, tensor2), (value,) = older("addcdiv_", 3, self, tensor1, tensor2, *more)
    return _core.addcdiv_(self, tensor1, tensor2, value)


@_public
@method
def logit(input: Tensor, eps=None, *, out=None) -> Tensor:
    """log(x / (1 - x)), x clamped to [eps, 1 - eps] first when eps is given."""
    real = input.dtype.is_floating_point or input.dtype.is_complex
    x = input if real else input.to(_core.default_dtype())
    x = x if eps is None else clamp(x, eps, 1 - eps)
    return _out(_core.log(x / (1 - x)), out)


@_public
@method
def deg2rad(input: Tensor, *, out=None) -> Tensor:
    """Degrees to radians."""
    return _out(input * (math.pi / 180), out)


@_public
@method
def rad2deg(input: Tensor, *, out=None) -> Tensor:
    """Radians to degrees."""
    return _out(input * (180 / math.pi), out)


@_public
@method
def positive(input: Tensor) -> Tensor:
    """+x: the tensor itself."""
    return input


Tensor.__pos__ = positive


@_public
@method
@takes_tensors
def isclose(input: Tensor, other: Tensor, rtol=1e-05, atol=1e-08, equal_nan=False) -> Tensor:
    """True where |input - other| <= atol + rtol * |other|."""
    if input.dtype != other.dtype:
        raise _core.DTypeError(f"isclose: {input.dtype} did not match {other.dtype}")
    if not (input.dtype.is_floating_point or input.dtype.is_complex):  # must not wrap
        input, other = input.double(), other.double()
    apart = _core.abs(input - other)
    close = _core.le(apart, atol + rtol * _core.abs(other)) & _core.isfinite(apart)
    close = close | _core.eq(input, other)
    return close | (_core.isnan(input) & _core.isnan(other)) if equal_nan else close


@_public
@method
@takes_tensors
def allclose(input: Tensor, other: Tensor, rtol=1e-05, atol=1e-08, equal_nan=False):
    """True when every pair of elements `isclose`."""
    return isclose(input, other, rtol, atol, equal_nan).all().item()


@_public
@method
@takes_tensors
def equal(input: Tensor, other: Tensor):
    """True when shapes are the same and all elements are equal."""
    return input.shape == other.shape and _core.eq(input, other).all().item()
