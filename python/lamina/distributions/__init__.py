"""Probability distributions: parameters of any batch shape, samples, log densities, entropies.

>>> d = lamina.distributions.Normal(lamina.zeros(3), lamina.ones(3))
>>> d.sample((2,)).shape
lamina.Size([2, 3])
"""

from . import constraints, utils
from .bernoulli import Bernoulli
from .categorical import Categorical
from .distribution import Distribution, ExponentialFamily
from .exponential import Exponential
from .laplace import Laplace
from .normal import Normal
from .one_hot_categorical import OneHotCategorical, OneHotCategoricalStraightThrough
from .uniform import Uniform
