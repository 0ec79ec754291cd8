"""The Dirichlet distribution."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from ..ops.creation import eye
from . import constraints
from .distribution import ExponentialFamily

__all__ = ["Dirichlet"]


def dirichlet_draw(concentration: Tensor) -> Tensor:
    """Draws (..., K) of gamma variables divided by their sum, formed from logarithms so that
    small concentrations do not give 0 / 0; gradients as for the gamma distribution."""
    return _core.log_gamma_draw(concentration, None).softmax(-1).to(concentration.dtype)


class Dirichlet(ExponentialFamily):
    """Density prod_k x_k^(a_k - 1) Gamma(sum a) / prod Gamma(a_k) on the simplex; event_shape (K,).

    Args:
        concentration: a, (..., K), > 0.
    """

    arg_constraints = {
        "concentration": constraints.independent(constraints.positive, 1)
    }  # fmt: skip
    support = constraints.simplex
    has_rsample = True

    def __init__(self, concentration, validate_args=None):
        if concentration.dim() < 1:
            raise ValueError(
                "Dirichlet: concentration must have at least one dimension, got a scalar tensor"
            )
        self.concentration = concentration
        shape = concentration.shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """a / sum a."""
        return self.concentration / self.concentration.sum(-1, keepdim=True)

    @property
    def mode(self) -> Tensor:
        """(a - 1) / sum(a - 1), a - 1 clamped at 0; where every a < 1: the largest a's corner."""
        a = (self.concentration - 1).clamp(min=0)
        mode = a / a.sum(-1, keepdim=True)
        corner = eye(self._event_shape[0], dtype=mode.dtype)[self.concentration.argmax(-1)]
        return _core.where((self.concentration < 1).all(-1, keepdim=True), corner, mode)

    @property
    def variance(self) -> Tensor:
        """a (A - a) / (A^2 (A + 1)), A = sum a."""
        a, total = self.concentration, self.concentration.sum(-1, keepdim=True)
        return a * (total - a) / (total.square() * (total + 1))

    def rsample(self, sample_shape=()) -> Tensor:
        """Normalised gamma draws, with their gradients."""
        return dirichlet_draw(self.concentration.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value) -> Tensor:
        """sum_k (a_k - 1) log x_k + log Gamma(sum a) - sum_k log Gamma(a_k)."""
        if self._validate_args:
            self._validate_sample(value)
        a = self.concentration
        return _core.xlogy(a - 1, value).sum(-1) + a.sum(-1).lgamma() - a.lgamma().sum(-1)

    def entropy(self) -> Tensor:
        """log B(a) + (A - K) digamma(A) - sum_k (a_k - 1) digamma(a_k)."""
        a, total = self.concentration, self.concentration.sum(-1)
        beta = a.lgamma().sum(-1) - total.lgamma()
        spread = (total - self._event_shape[0]) * total.digamma()
        return beta + spread - ((a - 1) * a.digamma()).sum(-1)
