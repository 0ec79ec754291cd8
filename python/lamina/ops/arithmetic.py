"""More elementwise functions, statistics of rows, windows, and writing into a part of a copy."""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from ._method import method, overwrite, under_autocast, write
from .creation import arange, as_tensor, from_numpy
from .view import broadcast_tensors

__all__ = [
    "bartlett_window", "blackman_window", "can_cast", "corrcoef", "cov", "diagonal_scatter",
    "float_power", "frombuffer", "gcd", "gradient", "hamming_window", "hann_window", "heaviside",
    "kaiser_window", "lcm", "ldexp", "logaddexp2", "nextafter", "renorm", "result_type",
    "select_scatter", "sinc", "slice_scatter", "split_with_sizes",
]  # fmt: skip


# ---- dtypes ------------------------------------------------------------------------------------
def _kind(dtype) -> int:
    """bool 0, whole numbers 1, floating ones 2, complex ones 3."""
    if dtype.is_complex:
        return 3
    return 2 if dtype.is_floating_point else 0 if dtype is _core.bool else 1


def can_cast(from_, to) -> bool:
    """Whether a dtype becomes the other one under the promotion rules: never a complex one
    real, a floating one a whole number, nor any number bool."""
    return _kind(from_) <= _kind(to)


def result_type(tensor1, tensor2):
    """The dtype of an operation on two tensors or numbers; among operands of one kind, tensors with
    dimensions come before those without, and these before numbers."""
    ranked: list[list] = [[], [], []]
    for x in (tensor1, tensor2):
        if isinstance(x, Tensor):
            ranked[0 if x.dim() else 1].append(x.dtype)
        elif isinstance(x, bool):
            ranked[2].append(_core.bool)
        elif isinstance(x, complex):
            ranked[2].append(_core.default_dtype().to_complex())
        else:
            ranked[2].append(_core.int64 if isinstance(x, int) else _core.default_dtype())
    result = None
    for dtypes in ranked:
        joined = None
        for d in dtypes:
            joined = d if joined is None else _core.promote_types(joined, d)
        if joined is None:
            continue
        if result is None or _kind(joined) > _kind(result):
            result = joined
    return result


# ---- elementwise -------------------------------------------------------------------------------
@method
def sinc(input: Tensor, *, out=None) -> Tensor:
    """sin(pi x) / (pi x), 1 at 0."""
    x = (input if input.dtype.is_floating_point else input.to(_core.default_dtype())) * math.pi
    zero = x == 0
    safe = x.masked_fill(zero, 1.0)
    value = (safe.sin() / safe).masked_fill(zero, 1.0)
    return write(out, value)


@method
def heaviside(input: Tensor, values: Tensor, *, out=None) -> Tensor:
    """0 below 0, 1 above, `values` at 0."""
    value = (input > 0).to(input.dtype).where(input != 0, values)
    return write(out, value)


@method
def float_power(input, exponent, *, out=None) -> Tensor:
    """input^exponent in float64."""
    base = as_tensor(input).to(_core.float64)
    power = exponent.to(_core.float64) if isinstance(exponent, Tensor) else exponent
    value = base**power
    return write(out, value)


@method
def ldexp(input: Tensor, other: Tensor, *, out=None) -> Tensor:
    """input * 2^other."""
    if not other.dtype.is_floating_point:
        floating = input.dtype.is_floating_point
        other = other.to(input.dtype if floating else _core.default_dtype())
    value = input * other.exp2()
    return write(out, value)


@method
def logaddexp2(input: Tensor, other: Tensor, *, out=None) -> Tensor:
    """log2(2^x + 2^y), without overflow."""
    log2 = math.log(2)
    value = (input * log2).logaddexp(other * log2) / log2
    return write(out, value)


@method
def nextafter(input: Tensor, other: Tensor, *, out=None) -> Tensor:
    """The floating number after x on the way to y. No gradients."""
    import numpy as np

    dtype = (input + other).dtype
    if not dtype.is_floating_point or dtype is _core.bfloat16:
        raise _core.DTypeError(f"nextafter: not defined for {dtype}; use .float()")
    x, y = (np.asarray(t.detach().to(dtype).numpy()) for t in (input, other))
    value = from_numpy(np.asarray(np.nextafter(x, y)))
    return write(out, value)


def _euclid(a: Tensor, b: Tensor) -> Tensor:
    a, b = a.abs(), b.abs()
    while bool((b != 0).any()):
        rest = a.remainder(b.masked_fill(b == 0, 1))
        a, b = b.where(b != 0, a), rest.masked_fill(b == 0, 0)
    return a


@method
def gcd(input: Tensor, other: Tensor, *, out=None) -> Tensor:
    """The greatest common divisor of whole numbers, by Euclid's algorithm; gcd(0, 0) = 0.

    Raises DTypeError for floating and complex numbers.
    """
    if max(_kind(input.dtype), _kind(other.dtype)) > 1:
        raise _core.DTypeError(f"gcd: expected integers, got {input.dtype} and {other.dtype}")
    dtype = (input + other).dtype
    value = _euclid(*broadcast_tensors(input.to(dtype), other.to(dtype)))
    return write(out, value)


@method
def lcm(input: Tensor, other: Tensor, *, out=None) -> Tensor:
    """The least common multiple of whole numbers. Raises DTypeError for floating ones."""
    divisor = gcd(input, other)
    quotient = input.div(divisor.masked_fill(divisor == 0, 1), rounding_mode="floor")
    value = (quotient * other).abs().to(divisor.dtype)
    return write(out, value)


# ---- statistics --------------------------------------------------------------------------------
@method
def cov(input: Tensor, *, correction=1, fweights=None, aweights=None) -> Tensor:
    """Covariances of the rows (variables) of a matrix (variables, observations): (n, n); of one
    variable, which a 1-D input is, ().

    correction: n - correction is the divisor. fweights, aweights: how often each observation was
    made, and its importance. Raises ShapeError for more than two dimensions.
    """
    if input.dim() > 2:
        raise _core.ShapeError(f"cov: expected at most 2 dimensions, got {tuple(input.shape)}")
    x = input.reshape(1, -1) if input.dim() < 2 else input
    x = x if x.dtype.is_floating_point else x.to(_core.default_dtype())
    w = x.new_ones(x.shape[1])
    if fweights is not None:
        w = w * fweights
    if aweights is not None:
        w = w * aweights
    total = w.sum()
    mean = (x * w).sum(1, keepdim=True) / total
    if aweights is None:
        divisor = total - correction
    else:
        divisor = total - correction * (w * aweights).sum() / total
    centred = x - mean
    result = (centred * w) @ centred.t() / divisor.clamp(min=0)
    return result.squeeze()


@method
def corrcoef(input: Tensor) -> Tensor:
    """Correlations of the rows of a matrix: `cov` divided by both standard deviations."""
    c = cov(input)
    if c.dim() == 0:
        return c / c
    deviation = c.diagonal().sqrt()
    return (c / deviation.unsqueeze(1) / deviation).clamp(-1, 1)


def gradient(input: Tensor, *, spacing=1, dim=None, edge_order=1) -> tuple:
    """Slopes by central differences (one-sided at the ends, with edge_order 1 or 2 points more),
    one tensor per dimension.

    spacing: a number or one per dimension. Raises ValueError for other settings.
    """
    dims = range(input.dim()) if dim is None else (dim,) if isinstance(dim, int) else dim
    steps = list(spacing) if isinstance(spacing, (tuple, list)) else [spacing] * len(dims)
    if edge_order not in (1, 2) or any(isinstance(h, Tensor) for h in steps):
        raise _core.ArgumentError("gradient: edge_order must be 1 or 2, and spacing numbers")
    from .join import cat

    x = input if input.dtype.is_floating_point else input.to(_core.default_dtype())
    results = []
    for d, h in zip(dims, steps):
        n = x.shape[d]
        if n < edge_order + 1:
            raise RuntimeError(f"gradient: dimension {d} needs {edge_order + 1} elements, has {n}")
        at = [x.narrow(d, i, 1) for i in (*range(min(n, 3)), *range(max(n - 3, 0), n))]
        a, z = at[: min(n, 3)], at[min(n, 3) :]
        middle = (x.narrow(d, 2, n - 2) - x.narrow(d, 0, n - 2)) / (2 * h) if n > 2 else None
        if edge_order == 1:
            first, last = (a[1] - a[0]) / h, (z[-1] - z[-2]) / h
        else:
            first = (-1.5 * a[0] + 2 * a[1] - 0.5 * a[2]) / h
            last = (1.5 * z[-1] - 2 * z[-2] + 0.5 * z[-3]) / h
        results.append(cat([first, last] if middle is None else [first, middle, last], d))
    return tuple(results)


# ---- windows -----------------------------------------------------------------------------------
def _window(length, periodic, terms, dtype, requires_grad) -> Tensor:
    """sum over k of (-1)^k terms[k] cos(2 pi k i / n), n = length (or length - 1)."""
    dtype = dtype or _core.default_dtype()
    n = length if periodic else length - 1
    i = arange(length, dtype=_core.float64)
    y = i * 0 + (1.0 if n < 1 else terms[0])
    for k, a in enumerate(terms[1:], 1) if n > 0 else ():
        y = y + (-1) ** k * a * (i * (2 * math.pi * k / n)).cos()
    return y.to(dtype).requires_grad_(requires_grad)


def hann_window(window_length, periodic=True, *, dtype=None, layout=None,
                device=None, requires_grad=False, pin_memory=False) -> Tensor:  # fmt: skip
    """(1 - cos(2 pi i / n)) / 2, n = window_length, or one less without `periodic`."""
    return _window(window_length, periodic, (0.5, 0.5), dtype, requires_grad)


def hamming_window(window_length, periodic=True, alpha=0.54, beta=0.46, *, dtype=None, layout=None,
                   device=None, requires_grad=False, pin_memory=False) -> Tensor:  # fmt: skip
    """alpha - beta cos(2 pi i / n)."""
    return _window(window_length, periodic, (alpha, beta), dtype, requires_grad)


def blackman_window(window_length, periodic=True, *, dtype=None, layout=None,
                    device=None, requires_grad=False, pin_memory=False) -> Tensor:  # fmt: skip
    """0.42 - 0.5 cos(2 pi i / n) + 0.08 cos(4 pi i / n)."""
    return _window(window_length, periodic, (0.42, 0.5, 0.08), dtype, requires_grad)


def bartlett_window(window_length, periodic=True, *, dtype=None, layout=None,
                    device=None, requires_grad=False, pin_memory=False) -> Tensor:  # fmt: skip
    """1 - |2 i / n - 1|: a triangle."""
    n = window_length if periodic else window_length - 1
    i = arange(window_length, dtype=_core.float64)
    y = 1 - (i * (2 / n) - 1).abs() if n > 0 else i * 0 + 1
    return y.to(dtype or _core.default_dtype()).requires_grad_(requires_grad)


def kaiser_window(window_length, periodic=True, beta=12.0, *, dtype=None, layout=None,
                  device=None, requires_grad=False, pin_memory=False) -> Tensor:  # fmt: skip
    """I0(beta sqrt(1 - (2 i / n - 1)^2)) / I0(beta), I0 the modified Bessel function (Kaiser and
    Schafer, 1980)."""
    import numpy as np

    window = np.kaiser(window_length + 1, beta)[:-1] if periodic else np.kaiser(window_length, beta)
    return from_numpy(window).to(dtype or _core.default_dtype()).requires_grad_(requires_grad)


# ---- parts -------------------------------------------------------------------------------------
@method
def split_with_sizes(input: Tensor, split_sizes, dim=0) -> tuple:
    """Views of `split_sizes` elements along `dim`."""
    return input.split(list(split_sizes), dim)


@method
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of `input` with `src` in place of ``input.select(dim, index)``."""
    result = input.clone()
    result.select(dim, index).copy_(src)
    return result


@method
def slice_scatter(input: Tensor, src: Tensor, dim=0, start=None, end=None, step=1) -> Tensor:
    """A copy of `input` with `src` in place of the slice start:end:step of `dim`."""
    result = input.clone()
    where = [slice(None)] * input.dim()
    where[dim] = slice(start, end, step)
    result[tuple(where)] = src
    return result


@method
def diagonal_scatter(input: Tensor, src: Tensor, offset=0, dim1=0, dim2=1) -> Tensor:
    """A copy of `input` with `src` in place of its diagonal."""
    result = input.clone()
    result.diagonal(offset, dim1, dim2).copy_(src)
    return result


@method
@under_autocast(cuda="float32")
def renorm(input: Tensor, p, dim: int, maxnorm, *, out=None) -> Tensor:
    """Slices along `dim` whose p-norm is above `maxnorm` scaled down to it."""
    if p <= 0 or maxnorm < 0:
        raise _core.ArgumentError(
            f"renorm: p must be positive and maxnorm not negative, got {p}, {maxnorm}"
        )
    others = [d for d in range(input.dim()) if d != dim % input.dim()]
    norms = input.norm(p, others, True)
    value = input * (maxnorm / (norms + 1e-7)).where(norms > maxnorm, norms.new_ones(()))
    return write(out, value)


@method
def put_(self: Tensor, index: Tensor, source: Tensor, accumulate=False) -> Tensor:
    """In place: element index[i] of the flattened tensor becomes source[i] (``+=`` with
    `accumulate`). Raises RangeError for an index outside the tensor."""
    flat = self.reshape(-1).index_put_((index.reshape(-1),), source.reshape(-1), accumulate)
    return self if self.is_contiguous() else _core.copy_(self, flat.reshape(self.shape))


@method("__contains__")
def _contains(self: Tensor, element):
    """Whether any element equals a number or tensor."""
    if not isinstance(element, (Tensor, int, float)):
        raise RuntimeError(f"in: expected a number or a Tensor, got {type(element).__name__}")
    return bool(_core.eq(self, element).any())


def frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False) -> Tensor:
    """A 1-D tensor over the memory of a buffer, from byte `offset`, of `count` elements (-1: all).

    Raises ValueError for a buffer that does not fit.
    """
    import numpy as np

    if dtype is _core.bfloat16:
        raise _core.ArgumentError("frombuffer: bfloat16 has no buffer format; use uint8")
    array = np.frombuffer(buffer, dtype=str(dtype).partition(".")[2], count=count, offset=offset)
    return from_numpy(array).requires_grad_(requires_grad)


# ---- methods in place --------------------------------------------------------------------------
def _written(name: str, function) -> None:
    """Tensor.name_(...): the same function, written into the tensor."""

    def in_place(self: Tensor, *args, **kwargs) -> Tensor:
        return overwrite(self, function(self, *args, **kwargs))

    in_place.__name__ = in_place.__qualname__ = name + "_"
    in_place.__doc__ = f"In place: see `{name}`."
    setattr(Tensor, name + "_", in_place)


for _name in (
    "sinc", "heaviside", "float_power", "ldexp", "nextafter", "gcd", "lcm", "renorm", "addmm",
    "addmv", "addbmm", "baddbmm", "addr", "nan_to_num", "logit", "sgn", "deg2rad", "rad2deg",
    "true_divide",
):  # fmt: skip
    if not hasattr(Tensor, _name + "_"):
        _written(_name, getattr(Tensor, _name))


def _in_place_function(name: str):
    """lamina.name_(x, ...): the method of that name."""
    method = getattr(Tensor, name)

    def function(input: Tensor, *args, **kwargs) -> Tensor:
        return method(input, *args, **kwargs)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"``input.{name}(...)``."
    return function


for _name in (
    "abs", "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "asin",
    "asinh", "atan", "atanh", "ceil", "clamp", "clamp_max", "clamp_min", "clip", "cos", "cosh",
    "deg2rad", "erf", "erfc", "exp", "exp2", "expm1", "fill", "fix", "floor", "frac", "log",
    "log10", "log1p", "log2", "logit", "nan_to_num", "neg", "negative", "rad2deg", "reciprocal",
    "round", "rsqrt", "sigmoid", "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc", "zero",
):  # fmt: skip
    globals()[_name + "_"] = _in_place_function(_name + "_")
    __all__.append(_name + "_")


@method
def fill_diagonal_(self: Tensor, fill_value, wrap=False) -> Tensor:
    """Writes a number into the diagonal of a matrix (or of a cube); with `wrap` a tall matrix gets
    one again every width + 1 rows."""
    if self.dim() < 2 or (self.dim() > 2 and len(set(self.shape)) > 1):
        raise RuntimeError(f"fill_diagonal_: expected a matrix or cube, got {tuple(self.shape)}")
    n = min(self.shape)
    step = sum(self.stride())
    self.as_strided((n,), (step,), self.storage_offset()).fill_(fill_value)
    if wrap and self.dim() == 2:
        for start in range(self.shape[1] + 1, self.shape[0], self.shape[1] + 1):
            self[start:].fill_diagonal_(fill_value)
    return self


@method
def sum_to_size(self: Tensor, *sizes, size=None) -> Tensor:
    """Summed over the dimensions that `size` (numbers one by one, or a sequence)
    lacks or has as 1: the transpose of `expand`.

    Raises RuntimeError for a size that does not expand to the shape.
    """
    size = sizes if size is None else (tuple(size),)
    size = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size
    lead = self.dim() - len(size)
    ones = [d + lead for d, n in enumerate(size) if n == 1 and self.shape[d + lead] != 1]
    fits = lead >= 0 and all(n in (1, m) for n, m in zip(size, self.shape[max(lead, 0) :]))
    if not fits:
        raise RuntimeError(f"sum_to_size: size {size} does not expand to {tuple(self.shape)}")
    dims = [*range(lead), *ones]
    return self.sum(dims, keepdim=True).view(size) if dims else self
