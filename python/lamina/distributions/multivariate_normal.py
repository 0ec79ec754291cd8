"""The multivariate normal distribution."""

from __future__ import annotations

import math

from .. import linalg
from .._core import Tensor
from ..ops.creation import eye
from ..ops.view import broadcast_shapes
from ..random import randn
from . import constraints
from .distribution import Distribution
from .utils import lazy_property

__all__ = ["MultivariateNormal"]


class MultivariateNormal(Distribution):
    """Density exp(-(x - loc)^T S^-1 (x - loc) / 2) / sqrt((2 pi)^d det S); event_shape (d,).

    Args:
        loc: (..., d). One of covariance_matrix S, precision_matrix S^-1, scale_tril L with
            S = L L^T: (..., d, d).
    Raises ValueError when not exactly one matrix is given, or it is not positive definite.
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc, covariance_matrix=None, precision_matrix=None, scale_tril=None,
                 validate_args=None):  # fmt: skip
        given = {
            "covariance_matrix": covariance_matrix,
            "precision_matrix": precision_matrix,
            "scale_tril": scale_tril,
        }
        given = {k: v for k, v in given.items() if v is not None}
        if len(given) != 1:
            raise ValueError(
                "MultivariateNormal: give exactly one of covariance_matrix, precision_matrix and "
                f"scale_tril, got {len(given)}"
            )
        ((name, matrix),) = given.items()
        if loc.dim() < 1 or matrix.dim() < 2:
            raise ValueError(
                f"MultivariateNormal: loc must be (..., d) and {name} (..., d, d), got shapes "
                f"{tuple(loc.shape)} and {tuple(matrix.shape)}"
            )
        batch = tuple(broadcast_shapes(loc.shape[:-1], matrix.shape[:-2]))
        self.loc = loc.expand(batch + tuple(loc.shape[-1:]))
        matrix = matrix.expand(batch + tuple(matrix.shape[-2:]))
        setattr(self, name, matrix)
        super().__init__(batch, loc.shape[-1:], validate_args=validate_args)
        if name == "scale_tril":
            self._unbroadcasted_scale_tril = matrix
        elif name == "covariance_matrix":
            self._unbroadcasted_scale_tril = linalg.cholesky(matrix)
        else:
            self._unbroadcasted_scale_tril = _tril_of_precision(matrix)

    def _expand_rest(self, new, shape):
        tril = self._unbroadcasted_scale_tril
        new._unbroadcasted_scale_tril = tril.expand(tuple(shape) + tuple(tril.shape[-2:]))

    @lazy_property
    def scale_tril(self) -> Tensor:
        """L, (..., d, d)."""
        return self._unbroadcasted_scale_tril

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """L L^T, (..., d, d)."""
        tril = self._unbroadcasted_scale_tril
        return tril @ tril.mT

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """(L L^T)^-1, (..., d, d)."""
        inverse = _tril_inverse(self._unbroadcasted_scale_tril)
        return inverse.mT @ inverse

    @property
    def mean(self) -> Tensor:
        """loc."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """loc."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The covariance's diagonal, (..., d)."""
        return self._unbroadcasted_scale_tril.square().sum(-1)

    def rsample(self, sample_shape=()) -> Tensor:
        """loc + L z, z standard normal."""
        z = randn(self._extended_shape(sample_shape), dtype=self.loc.dtype)
        return self.loc + (self._unbroadcasted_scale_tril @ z.unsqueeze(-1)).squeeze(-1)

    def _log_det(self) -> Tensor:
        """log det L."""
        return self._unbroadcasted_scale_tril.diagonal(0, -2, -1).log().sum(-1)

    def log_prob(self, value) -> Tensor:
        """-|L^-1 (x - loc)|^2 / 2 - d log(2 pi) / 2 - log det L."""
        if self._validate_args:
            self._validate_sample(value)
        d = self._event_shape[0]
        m = mahalanobis(self._unbroadcasted_scale_tril, value - self.loc)
        return -0.5 * (d * math.log(2 * math.pi) + m) - self._log_det()

    def entropy(self) -> Tensor:
        """d (1 + log(2 pi)) / 2 + log det L."""
        return 0.5 * self._event_shape[0] * (1 + math.log(2 * math.pi)) + self._log_det()


def mahalanobis(tril: Tensor, x: Tensor) -> Tensor:
    """|L^-1 x|^2 for L (..., d, d) and x (..., d), broadcast."""
    z = linalg.solve_triangular(tril, x.unsqueeze(-1), upper=False)
    return z.square().sum((-2, -1))


def _tril_inverse(tril: Tensor) -> Tensor:
    return linalg.solve_triangular(tril, eye(tril.shape[-1], dtype=tril.dtype), upper=False)


def _tril_of_precision(precision: Tensor) -> Tensor:
    # Cholesky of the matrix with both orders reversed, reversed back, is an upper factor U with
    # P = U U^T; so P^-1 = U^-T U^-1 and L = U^-T is lower triangular.
    reversed_factor = linalg.cholesky(precision.flip((-2, -1)))
    return _tril_inverse(reversed_factor.flip((-2, -1)).mT)
