"""Invertible maps of whole vectors and matrices: onto the simplex, onto Cholesky factors."""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from ..linalg import cholesky
from ..nn import functional as F
from ..ops.creation import arange, eye, tensor
from . import constraints
from .transforms import Transform
from .utils import clamp_probs, eps_of

__all__ = [
    "CorrCholeskyTransform", "LowerCholeskyTransform", "PositiveDefiniteTransform",
    "SoftmaxTransform", "StickBreakingTransform",
]  # fmt: skip

_TINY = {_core.float64: 2.0**-1022, _core.float16: 2.0**-14}


class _Unequal(Transform):
    """A transform without settings: all of a class are equal."""

    def __eq__(self, other):
        return type(other) is type(self)

    __hash__ = object.__hash__


def _need_dims(transform: Transform, shape, dims: int) -> None:
    if len(shape) < dims:
        raise ValueError(
            f"{type(transform).__name__}: needs {dims} dimensions or more, got shape {tuple(shape)}"
        )


class SoftmaxTransform(_Unequal):
    """y = softmax(x) over the last dimension; its inverse is log y. Not one to one."""

    bijective = False
    domain, codomain, event_dim = constraints.real_vector, constraints.simplex, 1

    def _call(self, x):
        return x.softmax(-1)

    def _inverse(self, y):
        return y.log()

    def forward_shape(self, shape):
        """The same; ValueError for a number."""
        _need_dims(self, shape, 1)
        return shape

    inverse_shape = forward_shape


class StickBreakingTransform(_Unequal):
    """K - 1 numbers to a point of the simplex of K: y_k = z_k (1 - z_1) ... (1 - z_k-1),
    z_k = sigmoid(x_k - log(K - k)), y_K what is left (Stan reference manual, "Unit simplex").
    """

    domain, codomain, event_dim = constraints.real_vector, constraints.simplex, 1

    def _shift(self, x):
        """log(K - k)."""
        n = x.shape[-1]
        return (n - arange(n, dtype=x.dtype)).log()

    def _call(self, x):
        z = clamp_probs((x - self._shift(x)).sigmoid())
        left = (1 - z).cumprod(-1)
        return F.pad(z, (0, 1), value=1.0) * F.pad(left, (1, 0), value=1.0)

    def _inverse(self, y):
        head = y[..., :-1]
        left = (1 - head.cumsum(-1)).clamp(min=_TINY.get(y.dtype, 2.0**-126))
        return head.log() - left.log() + self._shift(head)

    def log_abs_det_jacobian(self, x, y):
        """sum_k log y_k + log(1 - z_k)."""
        x = x - self._shift(x)
        return (-x + F.logsigmoid(x) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape):
        """One more in the last dimension."""
        _need_dims(self, shape, 1)
        return (*shape[:-1], shape[-1] + 1)

    def inverse_shape(self, shape):
        """One less in the last dimension."""
        _need_dims(self, shape, 1)
        return (*shape[:-1], shape[-1] - 1)


def _diagonal(x: Tensor) -> Tensor:
    return x.diagonal(0, -2, -1)


class LowerCholeskyTransform(_Unequal):
    """Square matrices to lower triangular ones with a positive diagonal: e^x on the diagonal."""

    domain = constraints.independent(constraints.real, 2)
    codomain, event_dim = constraints.lower_cholesky, 2

    def _call(self, x):
        return x.tril(-1) + _diagonal(x).exp().diag_embed()

    def _inverse(self, y):
        return y.tril(-1) + _diagonal(y).log().diag_embed()


class PositiveDefiniteTransform(_Unequal):
    """Square matrices to L L^T, L as of `LowerCholeskyTransform`."""

    domain = constraints.independent(constraints.real, 2)
    codomain, event_dim = constraints.positive_definite, 2

    def _call(self, x):
        tril = LowerCholeskyTransform()(x)
        return tril @ tril.mT

    def _inverse(self, y):
        return LowerCholeskyTransform().inv(cholesky(y))


def _below(size: int) -> Tensor:
    """Row-major numbers of the elements below the diagonal."""
    places = [i * size + j for i in range(size) for j in range(i)]
    return tensor(places, dtype=_core.int64)


class CorrCholeskyTransform(_Unequal):
    """D (D - 1) / 2 numbers to the Cholesky factor of a D x D correlation matrix: with z = tanh(x)
    below the diagonal row by row, w_ij = z_ij sqrt((1 - z_i1^2) ... (1 - z_i,j-1^2)), and the
    diagonal makes the rows' norms 1 (Lewandowski, Kurowicka and Joe, 2009; Stan reference manual).
    """

    domain, codomain, event_dim = constraints.real_vector, constraints.corr_cholesky, 1

    def _call(self, x):
        eps = eps_of(x.dtype)
        z = x.tanh().clamp(-1 + eps, 1 - eps)
        size = _side(x.shape[-1])
        flat = z.new_zeros((*z.shape[:-1], size * size))
        full = flat.index_copy(-1, _below(size), z).reshape(*z.shape[:-1], size, size)
        left = (1 - full * full).sqrt().cumprod(-1)
        full = full + eye(size, dtype=z.dtype)
        return full * F.pad(left[..., :-1], (1, 0), value=1.0)

    def _inverse(self, y):
        left = F.pad((1 - (y * y).cumsum(-1))[..., :-1], (1, 0), value=1.0)
        place = _below(y.shape[-1])
        ratio = y.flatten(-2).index_select(-1, place)
        ratio = ratio / left.flatten(-2).index_select(-1, place).sqrt()
        return (ratio.log1p() - (-ratio).log1p()) / 2

    def log_abs_det_jacobian(self, x, y):
        """Of both steps: sum log sqrt(left) over what was multiplied, and of tanh."""
        left = F.pad((1 - (y * y).cumsum(-1))[..., :-1], (1, 0), value=1.0)
        factors = left.flatten(-2).index_select(-1, _below(y.shape[-1]))
        of_tanh = -2.0 * (x + F.softplus(-2.0 * x) - math.log(2.0)).sum(-1)
        return 0.5 * factors.log().sum(-1) + of_tanh

    def forward_shape(self, shape):
        """D (D - 1) / 2 becomes D, D."""
        _need_dims(self, shape, 1)
        size = _side(shape[-1])
        return (*shape[:-1], size, size)

    def inverse_shape(self, shape):
        """D, D becomes D (D - 1) / 2."""
        _need_dims(self, shape, 2)
        if shape[-1] != shape[-2]:
            raise ValueError(f"CorrCholeskyTransform: expected a square matrix, got {shape}")
        return (*shape[:-2], shape[-1] * (shape[-1] - 1) // 2)


def _side(n: int) -> int:
    size = round((0.25 + 2 * n) ** 0.5 + 0.5)
    if size * (size - 1) // 2 != n:
        raise ValueError(
            f"CorrCholeskyTransform: {n} numbers are not the lower triangle of a square matrix"
        )
    return size
