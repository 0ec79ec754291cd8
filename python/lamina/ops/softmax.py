"""softmax and its logarithm along one dimension."""

from __future__ import annotations

import warnings

from .. import _core
from .._core import Tensor
from ._method import method, takes_tensors

__all__ = ["softmax", "log_softmax"]
__functional__ = ["softmax", "log_softmax", "softmin"]

_softmax, _log_softmax = _core.softmax, _core.log_softmax


def _implicit_dim(name: str, ndim: int) -> int:
    dim = 0 if ndim in (0, 1, 3) else 1
    warnings.warn(
        f"{name}: dim was not given; {dim} is used for {ndim} dimensions. Give dim=", stacklevel=3
    )
    return dim


@method
@takes_tensors
def softmax(input: Tensor, dim=None, dtype=None, *, _stacklevel=3) -> Tensor:
    """exp(x - m) / sum exp(x - m) along `dim`, m = max x: positive numbers that sum to 1.

    Same shape and dtype as `input`; with `dtype` the input is converted first. Without `dim` 0 is
    used for 0, 1 and 3 dimensions and 1 otherwise, with a warning. Raises IndexError for a dim out
    of range, DTypeError for integers (Bridle, 1990).

    >>> lamina.softmax(lamina.zeros(2, 4), dim=1)[0]
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    if dtype is not None:
        input = input.to(dtype)
    return _softmax(input, _implicit_dim("softmax", input.dim()) if dim is None else dim)


@method
def log_softmax(input: Tensor, dim=None, dtype=None, *, _stacklevel=3) -> Tensor:
    """log softmax(x) along `dim`, as x - m - log sum exp(x - m): exact where softmax would be 0.

    Arguments and errors as `softmax`.
    """
    if dtype is not None:
        input = input.to(dtype)
    return _log_softmax(input, _implicit_dim("log_softmax", input.dim()) if dim is None else dim)


def softmin(input: Tensor, dim=None, dtype=None, *, _stacklevel=3) -> Tensor:
    """softmax(-x) along `dim`."""
    if dtype is not None:
        input = input.to(dtype)
    return _softmax(-input, _implicit_dim("softmin", input.dim()) if dim is None else dim)
