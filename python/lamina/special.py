"""Special functions under PyTorch's names."""

from __future__ import annotations

import math

from . import ops as _ops
from ._core import Tensor
from .ops._method import write

_OTHER_NAMES = {"gammaln": "lgamma", "expit": "sigmoid", "psi": "digamma"}


def __getattr__(name: str):
    """A function of `lamina.ops`: erf, expm1, log1p, logit, logsumexp, digamma, ..."""
    name = _OTHER_NAMES.get(name, name)
    if name in _ops.__all__:
        return getattr(_ops, name)
    raise AttributeError(f"module 'lamina.special' has no attribute {name!r}")


def entr(input: Tensor, *, out=None) -> Tensor:
    """-x ln x for x > 0, 0 at 0, -infinity below."""
    value = (-input.xlogy(input)).masked_fill(input < 0, -math.inf)
    return write(out, value)


def xlog1py(input: Tensor, other, *, out=None) -> Tensor:
    """input log(1 + other), 0 where input is 0 and other is not NaN."""
    many = isinstance(other, Tensor)
    zero = (input == 0) & ~other.isnan() if many else input == 0
    value = (input * (other.log1p() if many else math.log1p(other))).masked_fill(zero, 0.0)
    return write(out, value)
