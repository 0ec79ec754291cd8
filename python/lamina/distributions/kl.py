"""Kullback-Leibler divergences between pairs of distributions, in closed form.

Formulas: Cover and Thomas, Elements of Information Theory, 2nd ed., 2006; Penny, "KL-divergences
of normal, gamma, Dirichlet and Wishart densities", 2001; Chyzak and Nielsen, "A closed-form formula
for the Kullback-Leibler divergence between Cauchy distributions", 2019.
"""

from __future__ import annotations

import math

from .. import _core, linalg
from .._core import Tensor
from .bernoulli import Bernoulli, binary_cross_entropy_with_logits
from .beta import Beta
from .binomial import Binomial
from .categorical import Categorical
from .cauchy import Cauchy
from .dirichlet import Dirichlet
from .distribution import Distribution
from .exponential import Exponential
from .gamma import Gamma
from .geometric import Geometric
from .gumbel import Gumbel
from .half_normal import HalfNormal
from .independent import Independent
from .laplace import Laplace
from .multivariate_normal import MultivariateNormal, mahalanobis
from .normal import Normal
from .one_hot_categorical import OneHotCategorical
from .pareto import Pareto
from .poisson import Poisson
from .transformed_distribution import TransformedDistribution
from .uniform import Uniform
from .utils import sum_rightmost

__all__ = ["kl_divergence", "register_kl"]

_FORMULAS: dict = {}
_EULER = 0.57721566490153286


def register_kl(type_p, type_q):
    """A decorator: ``@register_kl(P, Q) def kl(p, q)`` serves kl_divergence for these classes.

    The most specific pair of (base) classes wins. Raises TypeError for anything but distributions.
    """
    for t in (type_p, type_q):
        if not (isinstance(t, type) and issubclass(t, Distribution)):
            raise TypeError(f"register_kl: expected subclasses of Distribution, got {t!r}")

    def decorate(function):
        _FORMULAS[type_p, type_q] = function
        return function

    return decorate


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """E_p[log p(X) - log q(X)], of the batch shape p and q broadcast to.

    Raises NotImplementedError for a pair that has no formula; see `register_kl`.
    """
    for above_p in type(p).__mro__:
        for above_q in type(q).__mro__:
            if (above_p, above_q) in _FORMULAS:
                return _FORMULAS[above_p, above_q](p, q)
    raise NotImplementedError(
        f"kl_divergence: no formula for {type(p).__name__} and {type(q).__name__}; estimate it from"
        " samples or register one with register_kl"
    )


def _infinite_where(condition, value) -> Tensor:
    return _core.where(condition, math.inf, value)


@register_kl(Normal, Normal)
def _normal(p, q):
    ratio = (p.scale / q.scale).square()
    distance = ((p.loc - q.loc) / q.scale).square()
    return 0.5 * (ratio + distance - 1 - ratio.log())


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate_normal(p, q):
    d = p.event_shape[0]
    if q.event_shape[0] != d:
        raise ValueError(
            f"kl_divergence: MultivariateNormal of {d} and of {q.event_shape[0]} dimensions"
        )
    tril_p, tril_q = p._unbroadcasted_scale_tril, q._unbroadcasted_scale_tril
    trace = linalg.solve_triangular(tril_q, tril_p, upper=False).square().sum((-2, -1))
    distance = mahalanobis(tril_q, p.loc - q.loc)
    return q._log_det() - p._log_det() + 0.5 * (trace + distance - d)


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p, q):
    # -t q - softplus(-l): finite wherever either probability is inside (0, 1).
    cross = binary_cross_entropy_with_logits(q.logits, p.probs)
    kl = cross - p.entropy()
    kl = _infinite_where(((q.probs == 0) & (p.probs > 0)) | ((q.probs == 1) & (p.probs < 1)), kl)
    return _core.where(((p.probs == 0) & (q.probs == 0)) | ((p.probs == 1) & (q.probs == 1)), 0.0,
                       kl)  # fmt: skip


@register_kl(Binomial, Binomial)
def _binomial(p, q):
    if bool((p.total_count < q.total_count).any()):
        raise NotImplementedError(
            "kl_divergence: between Binomials with total_count smaller in the first is not known"
        )
    kl = p.total_count * (p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p())
    return _infinite_where((p.total_count > q.total_count).expand(kl.shape), kl)


@register_kl(Geometric, Geometric)
def _geometric(p, q):
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@register_kl(Categorical, Categorical)
def _categorical(p, q):
    terms = p.probs * (p.logits - q.logits)
    terms = _infinite_where((q.probs == 0).expand(terms.shape), terms)
    return _core.where((p.probs == 0).expand(terms.shape), 0.0, terms).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot_categorical(p, q):
    return _categorical(p._categorical, q._categorical)


@register_kl(Exponential, Exponential)
def _exponential(p, q):
    ratio = q.rate / p.rate
    return ratio - 1 - ratio.log()


@register_kl(Gamma, Gamma)
def _gamma(p, q):
    a, b = p.concentration, q.concentration
    shapes = b.lgamma() - a.lgamma() + (a - b) * a.digamma()
    return b * (p.rate / q.rate).log() + shapes + a * (q.rate / p.rate - 1)


@register_kl(Exponential, Gamma)
def _exponential_gamma(p, q):
    return _gamma(Gamma(p.rate * 0 + 1, p.rate, validate_args=False), q)


@register_kl(Gamma, Exponential)
def _gamma_exponential(p, q):
    return _gamma(p, Gamma(q.rate * 0 + 1, q.rate, validate_args=False))


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p, q):
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    constants = total.lgamma() - b.sum(-1).lgamma() + (b.lgamma() - a.lgamma()).sum(-1)
    return constants + ((a - b) * (a.digamma() - total.digamma().unsqueeze(-1))).sum(-1)


@register_kl(Beta, Beta)
def _beta(p, q):
    a1, a0, b1, b0 = p.concentration1, p.concentration0, q.concentration1, q.concentration0
    total = a1 + a0
    ends = (a1 - b1) * a1.digamma() + (a0 - b0) * a0.digamma()
    return q._log_beta() - p._log_beta() + ends + (b1 + b0 - total) * total.digamma()


@register_kl(Laplace, Laplace)
def _laplace(p, q):
    ratio, distance = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + distance / q.scale + ratio * (-distance / p.scale).exp() - 1


@register_kl(Poisson, Poisson)
def _poisson(p, q):
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Uniform, Uniform)
def _uniform(p, q):
    kl = ((q.high - q.low) / (p.high - p.low)).log()
    return _infinite_where((q.low > p.low) | (q.high < p.high), kl)


@register_kl(Uniform, Normal)
def _uniform_normal(p, q):
    width = p.high - p.low
    spread = width.square() / 12 + ((p.high + p.low) / 2 - q.loc).square()
    return 0.5 * spread / q.scale.square() + (math.sqrt(2 * math.pi) * q.scale / width).log()


@register_kl(Normal, Laplace)
def _normal_laplace(p, q):
    z = (p.loc - q.loc) / p.scale
    folded = math.sqrt(2 / math.pi) * p.scale * (-0.5 * z * z).exp()
    folded = folded + (p.loc - q.loc) * (z / math.sqrt(2)).erf()
    return (2 * q.scale / p.scale).log() + folded / q.scale - 0.5 * math.log(2 * math.pi * math.e)


@register_kl(Laplace, Normal)
def _laplace_normal(p, q):
    spread = 2 * p.scale.square() + (p.loc - q.loc).square()
    return (math.sqrt(2 * math.pi) * q.scale / (2 * p.scale)).log() + (
        0.5 * spread / q.scale.square() - 1
    )


@register_kl(HalfNormal, HalfNormal)
def _half_normal(p, q):
    ratio = (p.scale / q.scale).square()
    return 0.5 * (ratio - 1 - ratio.log())


@register_kl(Cauchy, Cauchy)
def _cauchy(p, q):
    apart = (p.scale + q.scale).square() + (p.loc - q.loc).square()
    return apart.log() - (4 * p.scale * q.scale).log()


@register_kl(Gumbel, Gumbel)
def _gumbel(p, q):
    # With z = (x - loc_p) / scale_p: E z is Euler's constant, E exp(-r z) = Gamma(1 + r).
    r, shift = p.scale / q.scale, (p.loc - q.loc) / q.scale
    tail = ((1 + r).lgamma() - shift).exp()
    return (r - 1) * _EULER + shift - r.log() + tail - 1


@register_kl(Pareto, Pareto)
def _pareto(p, q):
    r = q.alpha / p.alpha
    kl = q.alpha * (p.scale / q.scale).log() - r.log() + r - 1
    return _infinite_where(p.scale < q.scale, kl)  # the support of p reaches below that of q


@register_kl(Independent, Independent)
def _independent(p, q):
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError(
            "kl_divergence: Independent distributions with different reinterpreted_batch_ndims: "
            f"{p.reinterpreted_batch_ndims} and {q.reinterpreted_batch_ndims}"
        )
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p, q):
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError(
            "kl_divergence: TransformedDistributions must have the same transforms and event shape"
        )
    return kl_divergence(p.base_dist, q.base_dist)
