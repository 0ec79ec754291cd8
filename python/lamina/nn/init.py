"""Initial values of parameters. Every function writes into its tensor, records nothing and returns
the tensor.

fan_in and fan_out of a weight (out, in, *kernel) are in * prod(kernel) and out * prod(kernel).
"""

from __future__ import annotations

import functools
import math
import warnings

from .. import random as _random
from .._core import Tensor, float64
from ..autograd import no_grad
from ..ops.creation import empty, zeros

__all__ = [
    "calculate_gain", "uniform_", "normal_", "trunc_normal_", "constant_", "ones_", "zeros_",
    "eye_", "dirac_", "xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_",
    "orthogonal_", "sparse_",
]  # fmt: skip

# PyTorch's first names, without the underscore, still work and warn.
_OLD = {
    name[:-1] for name in __all__
    if name[-1] == "_" and name not in ("trunc_normal_", "ones_", "zeros_")
}  # fmt: skip


def __getattr__(name: str):
    if name not in _OLD:
        raise AttributeError(f"module 'lamina.nn.init' has no attribute {name!r}")
    function = globals()[name + "_"]

    @functools.wraps(function)
    def old(*args, **kwargs):
        warnings.warn(
            f"`nn.init.{name}` is now deprecated in favor of `nn.init.{name}_`.",
            FutureWarning,
            stacklevel=2,
        )
        return function(*args, **kwargs)

    return old


_LINEAR = ("linear", "sigmoid", *(f"conv{t}{d}d" for t in ("", "_transpose") for d in (1, 2, 3)))


def calculate_gain(nonlinearity, param=None) -> float:
    """What an activation multiplies a standard deviation by, inverted: 1 for linear, convolutions
    and sigmoid, 5/3 for tanh, sqrt(2) for relu, sqrt(2 / (1 + slope^2)) for leaky_relu (`param` is
    its slope, 0.01 by default), 3/4 for selu. Raises ValueError for another name."""
    if nonlinearity in _LINEAR:
        return 1
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {slope} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ValueError(f"Unsupported nonlinearity {nonlinearity}")


def _fans(tensor: Tensor) -> tuple[int, int]:
    if tensor.dim() < 2:
        raise ValueError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions"
        )
    out, into, *kernel = tensor.shape
    field = math.prod(kernel)
    return into * field, out * field


_calculate_fan_in_and_fan_out = _fans


def _fan(tensor: Tensor, mode: str) -> int:
    if mode.lower() not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    return _fans(tensor)[mode.lower() == "fan_out"]


@no_grad()
def uniform_(tensor: Tensor, a=0.0, b=1.0, generator=None) -> Tensor:
    """Uniform draws from [a, b)."""
    return tensor.uniform_(a, b, generator=generator)


@no_grad()
def normal_(tensor: Tensor, mean=0.0, std=1.0, generator=None) -> Tensor:
    """Normal draws of this mean and standard deviation."""
    return tensor.normal_(mean, std, generator=generator)


@no_grad()
def trunc_normal_(tensor: Tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None) -> Tensor:
    """Normal draws conditioned to lie in [a, b] (absolute bounds, not multiples of std).

    By inversion: x = mean + std sqrt(2) erfinv(u), u uniform between 2 Phi((a - mean) / std) - 1
    and 2 Phi((b - mean) / std) - 1. Warns when mean is more than 2 std outside [a, b], where the
    tails lose accuracy.
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of "
            "values may be incorrect.",
            stacklevel=2,
        )
    low, high = (math.erf((x - mean) / (std * math.sqrt(2.0))) for x in (a, b))
    tensor.uniform_(low, high, generator=generator)
    return tensor.erfinv_().mul_(std * math.sqrt(2.0)).add_(mean).clamp_(min=a, max=b)


@no_grad()
def constant_(tensor: Tensor, val) -> Tensor:
    """Every element `val`."""
    return tensor.fill_(val)


@no_grad()
def ones_(tensor: Tensor) -> Tensor:
    """Every element 1."""
    return tensor.fill_(1.0)


@no_grad()
def zeros_(tensor: Tensor) -> Tensor:
    """Every element 0."""
    return tensor.fill_(0.0)


@no_grad()
def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix; not square: ones on the main diagonal. ValueError unless 2-D."""
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    tensor.fill_(0.0)
    tensor.diagonal().fill_(1.0)
    return tensor


@no_grad()
def dirac_(tensor: Tensor, groups=1) -> Tensor:
    """A convolution weight (out, in, *kernel) that copies channel i of each group to output i.

    Raises ValueError unless it has 3 to 5 dimensions and `groups` divides out.
    """
    if tensor.dim() not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    if tensor.shape[0] % groups:
        raise ValueError("dim 0 must be divisible by groups")
    per_group = tensor.shape[0] // groups
    middle = tuple(k // 2 for k in tensor.shape[2:])
    tensor.fill_(0.0)
    for g in range(groups):
        for i in range(min(per_group, tensor.shape[1])):
            tensor[(g * per_group + i, i, *middle)] = 1.0
    return tensor


def xavier_uniform_(tensor: Tensor, gain=1.0, generator=None) -> Tensor:
    """Uniform on (-a, a), a = gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, AISTATS 2010).

    Raises ValueError below 2 dimensions.
    """
    bound = gain * math.sqrt(6.0 / sum(_fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain=1.0, generator=None) -> Tensor:
    """Normal with std gain sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio, AISTATS 2010).

    Raises ValueError below 2 dimensions.
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_fans(tensor))), generator)


def _empty(tensor: Tensor) -> bool:
    if tensor.numel() == 0:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return True
    return False


def kaiming_uniform_(tensor: Tensor, a=0, mode="fan_in", nonlinearity="leaky_relu",
                     generator=None) -> Tensor:  # fmt: skip
    """Uniform on (-b, b), b = gain sqrt(3 / fan) (He et al., ICCV 2015).

    Args:
        a: the slope of the leaky_relu that follows.
        mode: "fan_in" keeps the variance of the forward pass, "fan_out" of the backward pass.
        nonlinearity: see `calculate_gain`.

    Raises ValueError for another mode or nonlinearity, or below 2 dimensions.
    """
    if _empty(tensor):
        return tensor
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / _fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor: Tensor, a=0, mode="fan_in", nonlinearity="leaky_relu",
                    generator=None) -> Tensor:  # fmt: skip
    """Normal with std gain / sqrt(fan); arguments and errors as `kaiming_uniform_`."""
    if _empty(tensor):
        return tensor
    std = calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode))
    return normal_(tensor, 0.0, std, generator)


def _orthonormal_rows(a: Tensor, block=32) -> Tensor:
    """Gram-Schmidt on the rows of a (n, m), n <= m, twice over for orthogonality to rounding
    (Giraud et al., Numer. Math. 2005): the Q of the QR factorisation whose R has a positive
    diagonal. Blocks of rows are cleared of the earlier ones by matrix products."""
    q = zeros(*a.shape, dtype=a.dtype)
    for start in range(0, a.shape[0], block):
        rows = a[start : start + block].clone()
        done = q[:start]
        if start:
            for _ in range(2):
                rows -= (rows @ done.t()) @ done
        for i in range(rows.shape[0]):
            row = rows[i]
            for _ in range(2 if i else 0):
                row -= ((rows[:i] * row).sum(1, keepdim=True) * rows[:i]).sum(0)
            row /= (row * row).sum().sqrt()
        q[start : start + block] = rows
    return q


@no_grad()
def orthogonal_(tensor: Tensor, gain=1, generator=None) -> Tensor:
    """A matrix, uniform among those with orthonormal rows or columns, times gain; more than 2
    dimensions count as (size 0, the rest) (Saxe et al., ICLR 2014). ValueError below 2 dimensions.
    """
    if tensor.dim() < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0:
        return tensor
    rows, columns = tensor.shape[0], tensor.numel() // tensor.shape[0]
    draws = empty(min(rows, columns), max(rows, columns), dtype=float64)
    q = _orthonormal_rows(draws.normal_(generator=generator))
    return tensor.copy_((q.t() if rows > columns else q).reshape(tuple(tensor.shape))).mul_(gain)


@no_grad()
def sparse_(tensor: Tensor, sparsity, std=0.01, generator=None) -> Tensor:
    """Normal draws of this std, of which a share `sparsity` (rounded up) in each column of the
    matrix is 0 (Martens, ICML 2010). Raises ValueError unless 2-D."""
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows, columns = tensor.shape
    none = math.ceil(sparsity * rows)
    tensor.normal_(0.0, std, generator=generator)
    for j in range(columns):
        tensor[_random.randperm(rows, generator=generator)[:none], j] = 0.0
    return tensor
