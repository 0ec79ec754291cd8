"""The multivariate normal distribution with a covariance of low rank plus a diagonal."""

from __future__ import annotations

import math

from .. import linalg
from .._core import Tensor
from ..ops.creation import eye
from ..ops.view import broadcast_shapes
from ..random import randn
from . import constraints
from .distribution import Distribution
from .kl import kl_divergence, register_kl
from .multivariate_normal import MultivariateNormal
from .utils import lazy_property

__all__ = ["LowRankMultivariateNormal"]


class LowRankMultivariateNormal(Distribution):
    """Covariance W W^T + diag(D): densities cost O(d k^2) by the Woodbury identity and the matrix
    determinant lemma, never O(d^3) (Golub and Van Loan, Matrix Computations, 2013, section 2.1.4).

    Args:
        loc: (..., d). cov_factor: W, (..., d, k). cov_diag: D > 0, (..., d).
    Raises ValueError for shapes that do not fit.
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc, cov_factor, cov_diag, validate_args=None):
        if loc.dim() < 1 or cov_factor.dim() < 2 or cov_diag.dim() < 1:
            raise ValueError(
                "LowRankMultivariateNormal: expected loc (..., d), cov_factor (..., d, k) and "
                f"cov_diag (..., d), got shapes {tuple(loc.shape)}, {tuple(cov_factor.shape)} and "
                f"{tuple(cov_diag.shape)}"
            )
        d = loc.shape[-1]
        if cov_factor.shape[-2] != d or cov_diag.shape[-1] != d:
            raise ValueError(
                f"LowRankMultivariateNormal: cov_factor {tuple(cov_factor.shape)} must have {d} "
                f"rows and cov_diag {tuple(cov_diag.shape)} {d} elements"
            )
        batch = tuple(broadcast_shapes(loc.shape[:-1], cov_factor.shape[:-2], cov_diag.shape[:-1]))
        self.loc, self.cov_diag = loc.expand((*batch, d)), cov_diag.expand((*batch, d))
        self.cov_factor = cov_factor.expand((*batch, d, cov_factor.shape[-1]))
        super().__init__(batch, (d,), validate_args=validate_args)

    @property
    def _small(self) -> Tensor:
        """The Cholesky factor of I + W^T D^-1 W, (..., k, k)."""
        W = self.cov_factor
        return linalg.cholesky(
            eye(W.shape[-1], dtype=W.dtype) + W.mT @ (W / self.cov_diag.unsqueeze(-1))
        )

    @property
    def _scaled_factor(self) -> Tensor:
        """C^-1 W^T D^-1, C of `_small`: (..., k, d)."""
        scaled = (self.cov_factor / self.cov_diag.unsqueeze(-1)).mT
        return linalg.solve_triangular(self._small, scaled, upper=False)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """W W^T + diag(D), (..., d, d)."""
        return self.cov_factor @ self.cov_factor.mT + self.cov_diag.diag_embed()

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """Its inverse, (..., d, d)."""
        scaled = self._scaled_factor
        return self.cov_diag.reciprocal().diag_embed() - scaled.mT @ scaled

    @lazy_property
    def scale_tril(self) -> Tensor:
        """Its Cholesky factor, (..., d, d)."""
        return linalg.cholesky(self.covariance_matrix)

    def _expand_rest(self, new, shape):
        for name in ("covariance_matrix", "precision_matrix", "scale_tril"):
            new.__dict__.pop(name, None)

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
        return self.cov_factor.square().sum(-1) + self.cov_diag

    def rsample(self, sample_shape=()) -> Tensor:
        """loc + W z + sqrt(D) e, z and e standard normal."""
        shape = self._extended_shape(sample_shape)
        z = randn((*shape[:-1], self.cov_factor.shape[-1]), dtype=self.loc.dtype)
        e = randn(shape, dtype=self.loc.dtype)
        return self.loc + (self.cov_factor @ z.unsqueeze(-1)).squeeze(-1) + self.cov_diag.sqrt() * e

    def _log_det(self) -> Tensor:
        """log det of the covariance."""
        return 2 * self._small.diagonal(0, -2, -1).log().sum(-1) + self.cov_diag.log().sum(-1)

    def log_prob(self, value) -> Tensor:
        """-(x^T D^-1 x - |C^-1 W^T D^-1 x|^2 + d log(2 pi) + log det) / 2, of x - loc."""
        if self._validate_args:
            self._validate_sample(value)
        x = value - self.loc
        part = (self._scaled_factor @ x.unsqueeze(-1)).squeeze(-1)
        distance = (x.square() / self.cov_diag).sum(-1) - part.square().sum(-1)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + self._log_det() + distance)

    def entropy(self) -> Tensor:
        """(d (1 + log(2 pi)) + log det) / 2."""
        return 0.5 * (self._event_shape[0] * (1 + math.log(2 * math.pi)) + self._log_det())


def _full(p) -> MultivariateNormal:
    if isinstance(p, MultivariateNormal):
        return p
    return MultivariateNormal(p.loc, scale_tril=p.scale_tril, validate_args=False)


for _pair in (
    (LowRankMultivariateNormal, LowRankMultivariateNormal),
    (LowRankMultivariateNormal, MultivariateNormal),
    (MultivariateNormal, LowRankMultivariateNormal),
):
    register_kl(*_pair)(lambda p, q: kl_divergence(_full(p), _full(q)))
