"""Activation functions. Each is elementwise: a tensor of any shape in, the same shape out.

With ``inplace=True`` the result is written into `input`. Values and derivatives are in
cpp/kernels/formulas.h.
"""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from ._method import method, under_autocast

__all__ = ["relu_", "prelu", "rrelu", "celu", "selu", "celu_", "selu_", "hardshrink", "threshold",
           "threshold_"]  # fmt: skip
__functional__ = [
    *__all__, "relu", "relu6", "leaky_relu", "leaky_relu_", "elu", "elu_", "gelu", "silu", "mish",
    "softplus", "softsign", "tanhshrink", "softshrink", "hardtanh", "hardtanh_", "hardsigmoid",
    "hardswish", "logsigmoid", "glu", "sigmoid", "tanh", "rrelu_",
]  # fmt: skip


def _apply(name: str, input: Tensor, inplace, *p) -> Tensor:
    return getattr(_core, name + "_" if inplace else name)(input, *p)


def relu(input: Tensor, inplace=False) -> Tensor:
    """max(x, 0); its derivative at 0 is 0 (Nair and Hinton, ICML 2010)."""
    return _core.relu_(input) if inplace else _core.relu(input)


def relu_(input: Tensor) -> Tensor:
    """In place `relu`."""
    return _core.relu_(input)


def relu6(input: Tensor, inplace=False) -> Tensor:
    """min(max(x, 0), 6)."""
    return _apply("relu6", input, inplace)


def leaky_relu(input: Tensor, negative_slope=0.01, inplace=False) -> Tensor:
    """x where x > 0, else negative_slope * x (Maas et al., ICML 2013)."""
    return _apply("leaky_relu", input, inplace, negative_slope)


def leaky_relu_(input: Tensor, negative_slope=0.01) -> Tensor:
    """In place `leaky_relu`."""
    return _core.leaky_relu_(input, negative_slope)


@method
@under_autocast("lower", "lower")
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where x > 0, else weight * x; weight has one element, or one per channel (dimension 1)
    (He et al., ICCV 2015). ShapeError when neither."""
    channels = input.shape[1] if input.dim() > 1 else 1
    if weight.numel() not in (1, channels):
        raise _core.ShapeError(
            f"prelu: weight has {weight.numel()} elements; expected 1 or the input's {channels} "
            f"channels (input {tuple(input.shape)})"
        )
    size = (channels, *[1] * (input.dim() - 2)) if weight.numel() != 1 else ()
    if weight.shape != size:
        weight = weight.reshape(size)
    return _core.prelu(input, weight)


def rrelu(input: Tensor, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False) -> Tensor:
    """x where x > 0, else a x; a drawn from U(lower, upper) for each element while training, else
    (lower + upper) / 2 (Xu et al., 2015)."""
    if lower > upper:
        raise _core.ArgumentError(f"rrelu: lower {lower} is above upper {upper}")
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    from ..random import rand_like

    slope = rand_like(input) * (upper - lower) + lower
    y = _core.where(input > 0, input, input * slope)
    return input.copy_(y) if inplace else y


def rrelu_(input: Tensor, lower=1.0 / 8, upper=1.0 / 3, training=False) -> Tensor:
    """In place `rrelu`."""
    return rrelu(input, lower, upper, training, True)


def elu(input: Tensor, alpha=1.0, inplace=False) -> Tensor:
    """x where x > 0, else alpha (e^x - 1) (Clevert et al., ICLR 2016)."""
    return _apply("elu", input, inplace, alpha, 1.0, 1.0)


def elu_(input: Tensor, alpha=1.0) -> Tensor:
    """In place `elu`."""
    return elu(input, alpha, True)


def celu(input: Tensor, alpha=1.0, inplace=False) -> Tensor:
    """max(0, x) + min(0, alpha (e^(x / alpha) - 1)) (Barron, 2017)."""
    if alpha == 0:
        raise ZeroDivisionError("celu: alpha must not be 0")
    return _apply("celu", input, inplace, alpha)


def celu_(input: Tensor, alpha=1.0) -> Tensor:
    """In place `celu`."""
    return celu(input, alpha, True)


def selu(input: Tensor, inplace=False) -> Tensor:
    """scale * elu(x, a) with scale = 1.0507009873554804934, a = 1.6732632423543772848
    (Klambauer et al., NeurIPS 2017)."""
    return _apply("selu", input, inplace)


def selu_(input: Tensor) -> Tensor:
    """In place `selu`."""
    return _core.selu_(input)


def gelu(input: Tensor, approximate="none") -> Tensor:
    """x Phi(x), Phi the normal distribution function; approximate="tanh":
    x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 (Hendrycks and Gimpel, 2016)."""
    if approximate == "none":
        return _core.gelu(input)
    if approximate == "tanh":
        return _core.gelu_tanh(input)
    raise RuntimeError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")


def silu(input: Tensor, inplace=False) -> Tensor:
    """x sigmoid(x), also called swish (Elfwing et al., 2017)."""
    return _apply("silu", input, inplace)


def mish(input: Tensor, inplace=False) -> Tensor:
    """x tanh(softplus(x)) (Misra, BMVC 2020)."""
    return _apply("mish", input, inplace)


def softplus(input: Tensor, beta=1.0, threshold=20.0) -> Tensor:
    """log(1 + e^(beta x)) / beta; x itself where beta x > threshold."""
    return _core.softplus(input, beta, threshold)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return _core.softsign(input)


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x)."""
    return _core.tanhshrink(input)


def softshrink(input: Tensor, lambd=0.5) -> Tensor:
    """x - lambd where x > lambd, x + lambd where x < -lambd, else 0. RuntimeError for lambd < 0."""
    if lambd < 0:
        raise RuntimeError(f"softshrink: lambd must be at least 0, got {lambd}")
    return _core.softshrink(input, lambd)


@method
def hardshrink(input: Tensor, lambd=0.5) -> Tensor:
    """x where |x| > lambd, else 0."""
    return _core.hardshrink(input, lambd)


def hardtanh(input: Tensor, min_val=-1.0, max_val=1.0, inplace=False) -> Tensor:
    """min(max(x, min_val), max_val). ValueError when min_val > max_val."""
    if min_val > max_val:
        raise _core.ArgumentError(f"hardtanh: min_val {min_val} is above max_val {max_val}")
    return _apply("hardtanh", input, inplace, min_val, max_val)


def hardtanh_(input: Tensor, min_val=-1.0, max_val=1.0) -> Tensor:
    """In place `hardtanh`."""
    return hardtanh(input, min_val, max_val, True)


def hardsigmoid(input: Tensor, inplace=False) -> Tensor:
    """min(max(x + 3, 0), 6) / 6 (Howard et al., ICCV 2019)."""
    return _apply("hardsigmoid", input, inplace)


def hardswish(input: Tensor, inplace=False) -> Tensor:
    """x min(max(x + 3, 0), 6) / 6 (Howard et al., ICCV 2019)."""
    return _apply("hardswish", input, inplace)


def threshold(input: Tensor, threshold, value, inplace=False) -> Tensor:
    """x where x > threshold, else value."""
    return _apply("threshold", input, inplace, threshold, value)


def threshold_(input: Tensor, threshold, value) -> Tensor:
    """In place `threshold`."""
    return _core.threshold_(input, threshold, value)


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x)) = min(x, 0) - log(1 + e^-|x|)."""
    return _core.log_sigmoid(input)


def glu(input: Tensor, dim=-1) -> Tensor:
    """a sigmoid(b), with a and b the two halves of `input` along `dim` (Dauphin et al., ICML 2017).
    ShapeError when the size there is odd."""
    size = input.shape[dim]
    if size % 2:
        raise _core.ShapeError(
            f"glu: the size of dimension {dim} must be even, got {size} in {tuple(input.shape)}"
        )
    a, b = _core.split(input, max(size // 2, 1), dim) if size else (input, input)
    return a * _core.sigmoid(b)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + e^-x)."""
    return _core.sigmoid(input)


def tanh(input: Tensor) -> Tensor:
    """(e^x - e^-x) / (e^x + e^-x)."""
    return _core.tanh(input)
