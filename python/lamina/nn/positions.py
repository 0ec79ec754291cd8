"""Positions for models that see a set: added waves, or rotations of queries and keys."""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from . import functional as F
from .module import Module

__all__ = ["SinusoidalPositions", "RotaryPositions"]


def _angles(length: int, dim: int, base: float) -> Tensor:
    """(length, ceil(dim / 2)): t / base^(2 i / dim), computed in float64."""
    rate = (_core.arange(0, dim, 2, _core.float64) * (-math.log(base) / dim)).exp()
    return _core.arange(0, length, 1, _core.float64).unsqueeze(1) * rate


class SinusoidalPositions(Module):
    """x_t + p_t with p_(t, 2i) = sin(t / base^(2i / d)), p_(t, 2i+1) = cos(t / base^(2i / d)).

    Vaswani et al., NeurIPS 2017, section 3.5.

    Args:
        d_model: d. max_len: positions worked out ahead; more are added when needed. dropout: of
            the sum, when training. batch_first: x is (N, T, d), else (T, N, d). base: 10000.
    The table is the buffer "pe" (max_len, d_model), not part of state_dict.

    >>> lamina.nn.SinusoidalPositions(4)(lamina.zeros(1, 2, 4))
    tensor([[[0.0000, 1.0000, 0.0000, 1.0000],
             [0.8415, 0.5403, 0.0100, 0.9999]]])
    """

    def __init__(self, d_model, max_len=512, dropout=0.0, batch_first=True, base=10000.0):
        super().__init__()
        self.d_model, self.dropout, self.batch_first, self.base = (
            d_model,
            dropout,
            batch_first,
            base,
        )
        self.pe: Tensor
        self.register_buffer("pe", self._table(max_len), persistent=False)

    def _table(self, length: int) -> Tensor:
        angles = _angles(length, self.d_model, self.base)
        waves = _core.stack([angles.sin(), angles.cos()], -1).flatten(1)
        return waves[:, : self.d_model].to(_core.default_dtype())

    def forward(self, x: Tensor, offset: int = 0) -> Tensor:
        """x of shape (N, T, d), (T, N, d) or (T, d), whose first position is number `offset`."""
        length = x.shape[1] if self.batch_first and x.dim() == 3 else x.shape[0]
        if offset + length > self.pe.shape[0]:
            self.pe = self._table(max(offset + length, 2 * self.pe.shape[0])).to(self.pe)
        p = self.pe[offset : offset + length].to(x.dtype)
        if x.dim() == 3 and not self.batch_first:
            p = p.unsqueeze(1)
        return F.dropout(x + p, self.dropout, self.training)

    def extra_repr(self) -> str:
        return f"{self.d_model}, dropout={self.dropout}, batch_first={self.batch_first}"


class RotaryPositions(Module):
    """Turns pairs of features by an angle proportional to the position, so that <q_t, k_s> depends
    on t - s only (Su et al., "RoFormer", 2021).

    Pair i of position t turns by a = t / base^(2i / dim): (u, w) -> (u cos a - w sin a,
    u sin a + w cos a).

    Args:
        dim: features of a head, even. base: 10000. interleaved: pairs are (2i, 2i + 1), as in the
            paper; else (i, i + dim / 2), as in GPT-NeoX and LLaMA.
    Raises ValueError for an odd dim.
    """

    def __init__(self, dim, base=10000.0, interleaved=True):
        super().__init__()
        if dim % 2:
            raise ValueError(f"RotaryPositions: dim must be even, got {dim}")
        self.dim, self.base, self.interleaved = dim, base, interleaved
        self._cache: tuple = ()

    def _waves(self, length: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """The cosines and sines of `length` positions or more, as `x` is."""
        kind = x.dtype, _core.device_of(x)
        if not self._cache or self._cache[0] < length or self._cache[1] != kind:
            n = max(64, 1 << (length - 1).bit_length())
            angles = _angles(n, self.dim, self.base)
            self._cache = (n, kind, angles.cos().to(x), angles.sin().to(x))
        return self._cache[2], self._cache[3]

    def forward(self, x: Tensor, offset: int | Tensor = 0, most: int | None = None) -> Tensor:
        """x (..., T, dim) turned; its first position is number `offset`. Or offset: the numbers of
        all T positions, int64 (T,), which are below `most` (when None, the largest is looked up: a
        compiled step cannot)."""
        length = x.shape[-2]
        if isinstance(offset, Tensor):
            if most is None:
                most = int(offset.max()) + 1 if length else 0
            cos, sin = (t[offset] for t in self._waves(most, x))
        else:
            waves = self._waves(offset + length, x)
            cos, sin = (t[offset : offset + length] for t in waves)
        if self.interleaved:
            u, w = x[..., 0::2], x[..., 1::2]
            return _core.stack([u * cos - w * sin, u * sin + w * cos], -1).flatten(-2)
        u, w = x.chunk(2, -1)
        return _core.cat([u * cos - w * sin, u * sin + w * cos], -1)

    def extra_repr(self) -> str:
        return f"{self.dim}, base={self.base:g}, interleaved={self.interleaved}"
