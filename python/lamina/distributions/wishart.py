"""The Wishart distribution of positive definite matrices."""

from __future__ import annotations

import math
import warnings

from .. import _core, linalg
from .._core import Tensor
from ..ops.creation import arange, tensor
from ..ops.view import broadcast_shapes
from ..random import randn
from . import constraints
from .chi2 import Chi2
from .distribution import ExponentialFamily
from .multivariate_normal import _tril_inverse, _tril_of_precision
from .utils import eps_of, lazy_property

__all__ = ["Wishart"]


class Wishart(ExponentialFamily):
    """sum over df vectors x ~ N(0, V) of x x^T: density |X|^((df - p - 1) / 2) exp(-tr(V^-1 X) / 2)
    / (2^(df p / 2) |V|^(df / 2) Gamma_p(df / 2)) (Muirhead, Aspects of multivariate statistical
    theory, 1982, chapter 3).

    Args:
        df: degrees of freedom, a number or tensor > p - 1. One of covariance_matrix: V,
        (..., p, p); precision_matrix: V^-1; scale_tril: L with V = L L^T.
    Raises ValueError for other degrees of freedom or shapes, or unless one matrix is given.
    """

    support = constraints.positive_definite
    has_rsample = True

    def __init__(self, df, covariance_matrix=None, precision_matrix=None, scale_tril=None,
                 validate_args=None):  # fmt: skip
        given = {
            "covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix,
            "scale_tril": scale_tril,
        }  # fmt: skip
        given = {k: v for k, v in given.items() if v is not None}
        if len(given) != 1:
            raise ValueError(
                "Wishart: give exactly one of covariance_matrix, precision_matrix and scale_tril, "
                f"got {len(given)}"
            )
        ((name, matrix),) = given.items()
        if matrix.dim() < 2 or matrix.shape[-1] != matrix.shape[-2]:
            raise ValueError(f"Wishart: {name} must be (..., p, p), got {tuple(matrix.shape)}")
        p = matrix.shape[-1]
        df = df if isinstance(df, Tensor) else tensor(df, dtype=matrix.dtype)
        batch = tuple(broadcast_shapes(df.shape, matrix.shape[:-2]))
        self.df, matrix = df.expand(batch), matrix.expand((*batch, p, p))
        if bool((self.df <= p - 1).any()):
            raise ValueError(f"Wishart: df must be above p - 1 = {p - 1}, got {df}")
        if bool((self.df < p).any()):
            warnings.warn("Low df values detected: samples may be singular.", stacklevel=2)
        setattr(self, name, matrix)
        super().__init__(batch, (p, p), validate_args=validate_args)
        if name == "scale_tril":
            self._tril = matrix
        elif name == "covariance_matrix":
            self._tril = linalg.cholesky(matrix)
        else:
            self._tril = _tril_of_precision(matrix)

    @constraints.dependent_property
    def arg_constraints(self):  # type: ignore[override]
        """V and its other forms, and df above p - 1."""
        return {
            "covariance_matrix": constraints.positive_definite,
            "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky,
            "df": constraints.greater_than(self._event_shape[-1] - 1),
        }

    def _expand_rest(self, new, shape):
        new._tril = self._tril.expand((*shape, *self._event_shape))

    @lazy_property
    def scale_tril(self) -> Tensor:
        """L, (..., p, p)."""
        return self._tril

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """V = L L^T, (..., p, p)."""
        return self._tril @ self._tril.mT

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """V^-1, (..., p, p)."""
        inverse = _tril_inverse(self._tril)
        return inverse.mT @ inverse

    def _df(self) -> Tensor:
        return self.df.unsqueeze(-1).unsqueeze(-1)

    @property
    def mean(self) -> Tensor:
        """df V."""
        return self._df() * self.covariance_matrix

    @property
    def mode(self) -> Tensor:
        """(df - p - 1) V, NaN for df <= p + 1."""
        factor = self._df() - self._event_shape[-1] - 1
        return _core.where(factor > 0, factor, math.nan) * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        """df (V_ij^2 + V_ii V_jj)."""
        V = self.covariance_matrix
        d = V.diagonal(0, -2, -1)
        return self._df() * (V.square() + d.unsqueeze(-1) * d.unsqueeze(-2))

    def rsample(self, sample_shape=(), max_try_correction=None) -> Tensor:
        """(L A) (L A)^T, A lower triangular: standard normal numbers, on the diagonal the roots of
        chi-squared ones with df, df - 1, ... degrees of freedom (Bartlett, 1933)."""
        p, shape = self._event_shape[-1], self._extended_shape(sample_shape)
        degrees = self.df.unsqueeze(-1) - arange(p, dtype=self.df.dtype)
        roots = Chi2(degrees, validate_args=False).rsample(sample_shape).sqrt()
        roots = roots.clamp(min=eps_of(roots.dtype))
        factor = self._tril @ (randn(shape, dtype=roots.dtype).tril(-1) + roots.diag_embed())
        return factor @ factor.mT

    def _log_det(self) -> Tensor:
        """log det L."""
        return self._tril.diagonal(0, -2, -1).log().sum(-1)

    def log_prob(self, value) -> Tensor:
        """The logarithm of the density of the class's docstring."""
        if self._validate_args:
            self._validate_sample(value)
        df, p = self.df, self._event_shape[-1]
        root = linalg.cholesky(value)
        log_det = 2 * root.diagonal(0, -2, -1).log().sum(-1)
        whitened = linalg.solve_triangular(self._tril, root, upper=False)
        trace = whitened.square().sum((-2, -1))
        scale = df * (p * math.log(2) / 2 + self._log_det()) + (df / 2).mvlgamma(p)
        return (df - p - 1) / 2 * log_det - trace / 2 - scale

    def entropy(self) -> Tensor:
        """(p + 1) log det L + p (p + 1) log(2) / 2 + log Gamma_p(df / 2) - (df - p - 1) / 2 psi_p
        (df / 2) + df p / 2, psi_p the derivative of log Gamma_p."""
        df, p = self.df, self._event_shape[-1]
        half = (df / 2).unsqueeze(-1) - arange(p, dtype=df.dtype) / 2
        constants = (p + 1) * (p * math.log(2) / 2 + self._log_det()) + (df / 2).mvlgamma(p)
        return constants - (df - p - 1) / 2 * half.digamma().sum(-1) + df * p / 2
