"""The LKJ distribution of correlation matrices, by their Cholesky factors."""

from __future__ import annotations

import math

from .._core import Tensor
from ..autograd import no_grad
from ..ops.creation import arange
from ..random import randn
from . import constraints
from .beta import Beta
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Lower Cholesky factors L of d x d correlation matrices M = L L^T with density of M
    proportional to det(M)^(eta - 1): uniform for eta = 1 (Lewandowski, Kurowicka and Joe, 2009).

    Args:
        dim: d >= 2. concentration: eta > 0.
    Raises ValueError for d < 2.
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(self, dim, concentration=1.0, validate_args=None):
        if dim < 2:
            raise ValueError(f"LKJCholesky: dim must be an integer of at least 2, got {dim}")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        super().__init__(self.concentration.shape, (dim, dim), validate_args=validate_args)

    def _expand_rest(self, new, shape):
        new.dim = self.dim

    def sample(self, sample_shape=()) -> Tensor:
        """Row by row (the onion method): row i is a uniform direction of i numbers times sqrt(y),
        y ~ Beta(i / 2, eta + (d - 1 - i) / 2), and sqrt(1 - y) on the diagonal."""
        with no_grad():
            d, dtype = self.dim, self.concentration.dtype
            i = arange(1, d, dtype=dtype)
            rest = self.concentration.unsqueeze(-1) + (d - 1 - i) / 2
            y = Beta((i / 2).expand(rest.shape), rest, validate_args=False).sample(sample_shape)
            shape = self._extended_shape(sample_shape)
            below = randn((*shape[:-2], d - 1, d), dtype=dtype).tril(0)
            below = below / below.norm(dim=-1, keepdim=True) * y.sqrt().unsqueeze(-1)
            full = below.new_zeros(shape)
            full[..., 1:, :] = below
            full[..., 0, 0] = 1
            full.diagonal(0, -2, -1)[..., 1:] = (1 - y).clamp(min=1e-38).sqrt()
            return full

    def log_prob(self, value) -> Tensor:
        """sum over i > 1 of (d - i + 2 (eta - 1)) log L_ii, less the logarithm of its integral."""
        if self._validate_args:
            self._validate_sample(value)
        d, eta = self.dim, self.concentration
        order = 2 * (eta - 1).unsqueeze(-1) + d - arange(2, d + 1, dtype=eta.dtype)
        inside = (order * value.diagonal(0, -2, -1)[..., 1:].log()).sum(-1)
        alpha = eta + 0.5 * (d - 1)
        norm = 0.5 * (d - 1) * math.log(math.pi) + (alpha - 0.5).mvlgamma(d - 1)
        return inside - (norm - (d - 1) * alpha.lgamma())
