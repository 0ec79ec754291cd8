"""Special functions with an integer parameter, element by element."""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from ._method import method

__all__ = ["polygamma", "mvlgamma"]


def polygamma(n, input: Tensor, *, out=None) -> Tensor:
    """The n-th derivative of `digamma`: (-1)^(n+1) n! sum_k (x + k)^-(n+1) for x > 0
    (Abramowitz and Stegun, 6.4.10).

    Any shape; floating, integers in the default dtype. ValueError for a negative n.
    """
    if not 0 <= n < 2**20:
        raise _core.ArgumentError(f"polygamma: n must be 0 to {2**20 - 1}, got {n}")
    if n == 0:
        return _core.digamma(input) if out is None else _core.digamma_out(out, input)
    return _core.polygamma(input, n) if out is None else _core.polygamma_out(out, input, n)


@method("polygamma")
def _polygamma(self: Tensor, n) -> Tensor:
    """The n-th derivative of `digamma` at x."""
    return polygamma(n, self)


@method
def mvlgamma(input: Tensor, p, *, out=None) -> Tensor:
    """log of the multivariate gamma function of dimension p:
    p (p - 1) / 4 log pi + sum_{i<p} log Gamma(x - i / 2), for x > (p - 1) / 2.

    Any shape. ValueError for p < 1.
    """
    if p < 1:
        raise _core.ArgumentError(f"mvlgamma: p must be at least 1, got {p}")
    shifts = _core.tensor([-i / 2 for i in range(p)], input.dtype)
    total = (input.unsqueeze(-1) + shifts).lgamma().sum(-1)
    total = total + p * (p - 1) / 4 * math.log(math.pi)
    return total if out is None else _core.copy_(out, total)
