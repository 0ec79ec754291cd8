"""The cache of keys and values that makes generation fast: attention of each new token to what was
kept of the earlier ones (Pope et al., "Efficiently scaling transformer inference", 2022).
"""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from ..ops.creation import arange
from . import functional as F

__all__ = ["KVCache"]


def kept_in(dtype):
    """The dtype of the buffers of a cache with a capacity, for keys and values of `dtype`."""
    return _core.float32 if dtype in (_core.float16, _core.bfloat16) else dtype


class KVCache:
    """Keys and values of the positions a model has seen, one pair per attention layer.

    An attention layer calls ``y = cache.attend(self, q, k, v)`` with its new queries (N, H, T, D),
    keys (N, H', T, D) and values (N, H', T, E); `CausalSelfAttention` does. Nothing is recorded for
    backward.

    Args:
        capacity: the most positions. Their memory is made at once, each step has the shapes of the
            last, and the number of positions is a tensor, so that `lamina.compile` replays a step
            (`generate` does so by itself). A position too many is a ValueError. None: room doubles
            when it is used up, so n steps copy O(n); steps are not replayed.
        device: where `positions` are made before a layer has come by; None: the default device.

    A model that adds positions to its tokens takes them from ``cache.positions(T)``. With a
    capacity float16 and bfloat16 keys and values are kept in float32, which attention computes in.
    """

    def __init__(self, capacity: int | None = None, device=None):
        if capacity is not None and (type(capacity) is not int or capacity < 1):
            raise ValueError(f"KVCache: capacity must be at least 1, and an int, got {capacity!r}")
        self.capacity, self.device = capacity, device
        # id(layer): keys, values, positions held (a number, or with a capacity a tensor), layer
        self._layers: dict[int, list] = {}

    def length_of(self, layer) -> int:
        """Positions held for a layer."""
        return int(self._layers[id(layer)][2]) if id(layer) in self._layers else 0

    @property
    def length(self) -> int:
        """Positions held: the least of all layers. With a capacity this reads a tensor's value."""
        return min((int(entry[2]) for entry in self._layers.values()), default=0)

    def positions(self, length: int, layer=None) -> Tensor:
        """The numbers of the next `length` positions, int64 (length,): after those held for
        `layer`, or for the first layer that came by."""
        entries = self._layers
        entry = next(iter(entries.values()), None) if layer is None else entries.get(id(layer))
        new = arange(length, device=self.device if entry is None else entry[0].device)
        return new if entry is None else new + entry[2]

    def attend(self, layer, q: Tensor, k: Tensor, v: Tensor, scale=None, dropout_p=0.0) -> Tensor:
        """Adds the new keys and values; the queries' attention to all held so far and, each, to
        those that came no later: (N, H, T, E). scale: 1 / sqrt(D) when None. H a multiple of H'."""
        if self.capacity is not None and dropout_p == 0:
            keys, values, filled, _ = self._buffers(layer, k, v)
            return _core.attend_cached(
                q.detach(), k.detach(), v.detach(), keys, values, filled, scale
            )
        past, T = self.length_of(layer), q.shape[2]
        q = q.detach()
        k, v = self.update(layer, k, v)
        mask = None
        if past and T > 1:  # query i of these stands at position past + i
            mask = _core.tril(q.new_full((T, past + T), 1, dtype=_core.bool), past)
        return F.scaled_dot_product_attention(
            q, k, v, mask, dropout_p, is_causal=past == 0 and T > 1, scale=scale,
            enable_gqa=q.shape[1] != k.shape[1],
        )  # fmt: skip

    def _buffers(self, layer, k: Tensor, v: Tensor) -> list:
        """The entry of a layer in a cache with a capacity."""
        entry = self._layers.get(id(layer))
        if entry is None:
            shapes = [(*x.shape[:2], self.capacity, x.shape[3]) for x in (k, v)]
            room = [k.new_empty(shape, dtype=kept_in(k.dtype)) for shape in shapes]
            filled = k.new_full((), 0, dtype=_core.int64)
            entry = self._layers[id(layer)] = [*room, filled, layer]
        return entry

    def update(self, layer, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Adds (N, H, T, D) keys and (N, H, T, E) values; returns all of the layer's, as views."""
        k, v = k.detach(), v.detach()
        held, T = self.length_of(layer), k.shape[2]
        if self.capacity is not None:
            entry = self._buffers(layer, k, v)
            if held + T > self.capacity:
                raise ValueError(
                    f"KVCache: {held} positions and {T} more do not fit a capacity of "
                    f"{self.capacity}; make it larger, or crop() or reset() it"
                )
        else:
            entry = self._grown(layer, k, v, held + T)
        for buffer, new in zip(entry, (k, v)):
            buffer[:, :, held : held + T] = new
        if self.capacity is None:
            entry[2] = held + T
        else:
            entry[2].fill_(held + T)
        return tuple(x[:, :, : held + T].to(k.dtype) for x in entry[:2])

    def _grown(self, layer, k: Tensor, v: Tensor, length: int) -> list:
        """The entry of a layer with room for `length` positions."""
        entry = self._layers.get(id(layer))
        if entry is not None and length <= entry[0].shape[2]:
            return entry
        room, held = 64, length - k.shape[2]
        while room < length:
            room *= 2
        grown = [x.new_empty((*x.shape[:2], room, x.shape[3])) for x in (k, v)]
        if entry is not None and held:
            for new, old in zip(grown, entry):
                new[:, :, :held] = old[:, :, :held]
        entry = self._layers[id(layer)] = [*grown, held, layer]
        return entry

    def reorder(self, index: Tensor) -> None:
        """Row n of the batch becomes the old row index[n] (beams that survive)."""
        for entry in self._layers.values():
            for i in range(2):
                if self.capacity is None:
                    entry[i] = entry[i][index]
                else:
                    entry[i].copy_(entry[i][index])

    def crop(self, length: int) -> None:
        """Forgets positions from `length` on."""
        if length < 0:
            raise ValueError(f"KVCache.crop: the length must not be negative, got {length}")
        for entry in self._layers.values():
            if self.capacity is None:
                entry[2] = min(entry[2], length)
            else:
                entry[2].clamp_(max=length)

    def reset(self) -> None:
        """Forgets everything, and keeps the memory."""
        self.crop(0)
