"""The von Mises distribution of angles."""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from ..autograd import no_grad
from ..ops.creation import arange, empty
from . import constraints
from .distribution import Distribution
from .utils import broadcast_all, lazy_property

__all__ = ["VonMises"]

_POINTS, _TERMS, _LARGE = 48, 14, 50.0


def scaled_bessel(order: int, k: Tensor) -> Tensor:
    """e^-k I_order(k) of k >= 0, for order 0 or 1.

    Up to 50 the integral of e^(k (cos t - 1)) cos(order t) over [0, pi] / pi at 48 midpoints, whose
    error falls faster than exponentially; above, the asymptotic series (Abramowitz and Stegun,
    9.7.1). Both to about 1e-15, with gradients.
    """
    small = k.clamp(max=_LARGE).unsqueeze(-1)
    angle = (arange(_POINTS, dtype=k.dtype) + 0.5) * (math.pi / _POINTS)
    near = ((small * (angle.cos() - 1)).exp() * (order * angle).cos()).mean(-1)
    large = k.clamp(min=_LARGE)
    total = term = large * 0 + 1
    for j in range(1, _TERMS):
        term = term * ((2 * j - 1) ** 2 - 4 * order**2) / (8 * j * large)
        total = total + term
    return _core.where(k <= _LARGE, near, total / (2 * math.pi * large).sqrt())


class VonMises(Distribution):
    """Density exp(k cos(x - loc)) / (2 pi I_0(k)) on the circle (Mardia and Jupp, Directional
    statistics, 2000).

    Args:
        loc: the mean direction, an angle in radians. concentration: k > 0.
    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real
    has_rsample = False

    def __init__(self, loc, concentration, validate_args=None):
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @lazy_property
    def _length(self) -> Tensor:
        """I_1(k) / I_0(k), the mean of cos(x - loc)."""
        return scaled_bessel(1, self.concentration) / scaled_bessel(0, self.concentration)

    def _expand_rest(self, new, shape):
        new.__dict__.pop("_length", None)

    def log_prob(self, value) -> Tensor:
        """k cos(x - loc) - log(2 pi I_0(k))."""
        if self._validate_args:
            self._validate_sample(value)
        k = self.concentration
        scale = math.log(2 * math.pi) + scaled_bessel(0, k).log()
        return k * ((value - self.loc).cos() - 1) - scale

    def sample(self, sample_shape=()) -> Tensor:
        """Draws by rejection from a wrapped Cauchy distribution (Best and Fisher, 1979)."""
        with no_grad():
            shape = self._extended_shape(sample_shape)
            k = self.concentration.double().expand(shape)
            tau = 1 + (1 + 4 * k * k).sqrt()
            rho = (tau - (2 * tau).sqrt()) / (2 * k)
            # for small k the difference above loses its digits: rho = k to first order
            rho = _core.where(k < 1e-5, k, rho)
            r = (1 + rho * rho) / (2 * rho)
            cosine, done = k * 0, k != k
            while not bool(done.all()):
                u = [empty(shape, dtype=_core.float64).uniform_() for _ in range(2)]
                z = (math.pi * u[0]).cos()
                f = (1 + r * z) / (r + z)
                c = k * (r - f)
                good = (c * (2 - c) - u[1] > 0) | ((c / u[1]).log() + 1 - c >= 0)
                cosine = _core.where(good & ~done, f, cosine)
                done = done | good
            side = (empty(shape, dtype=_core.float64).uniform_() - 0.5).sign()
            angle = side * cosine.clamp(-1, 1).acos() + self.loc.double()
            wrapped = (angle + math.pi).remainder(2 * math.pi) - math.pi
            return wrapped.to(self.loc.dtype)

    @property
    def mean(self) -> Tensor:
        """loc, the mean direction."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """loc."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The circular variance 1 - I_1(k) / I_0(k)."""
        return 1 - self._length
