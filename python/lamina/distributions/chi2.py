"""The chi-squared distribution."""

from __future__ import annotations

from .._core import Tensor
from . import constraints
from .gamma import Gamma
from .utils import broadcast_all

__all__ = ["Chi2"]


class Chi2(Gamma):
    """The sum of the squares of df standard normal variables: Gamma(df / 2, 1 / 2).

    Args:
        df: degrees of freedom, > 0; a number or a tensor.
    """

    arg_constraints = {"df": constraints.positive}  # type: ignore[assignment]

    def __init__(self, df, validate_args=None):
        (df,) = broadcast_all(df)
        super().__init__(0.5 * df, 0.5 + 0 * df, validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        """With the parameter expanded to a larger batch shape."""
        return Chi2(self.df.expand(batch_shape), validate_args=self._validate_args)

    @property
    def df(self) -> Tensor:
        """Degrees of freedom."""
        return self.concentration * 2
