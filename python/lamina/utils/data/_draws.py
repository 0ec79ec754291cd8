"""Random numbers for augmenting whole batches: one row per position in the epoch.

Row p of stream s is a pure function of (seed, s, p), so what happens to the p-th sample of an
epoch depends neither on the batch size nor on which process makes the batch.
"""

from __future__ import annotations

import lamina

BLOCK = 4096  # rows drawn at a time; part of the definition of the stream
_MASK = (1 << 64) - 1


def mix(*words: int) -> int:
    """A 63-bit hash of integers (the finaliser of SplitMix64; Steele et al., OOPSLA 2014)."""
    h = 0x9E3779B97F4A7C15
    for w in words:
        h = (h ^ (w & _MASK)) & _MASK
        h = ((h ^ (h >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        h = ((h ^ (h >> 27)) * 0x94D049BB133111EB) & _MASK
        h = (h ^ (h >> 31)) + 0x9E3779B97F4A7C15 & _MASK
    return h >> 1


class Draws:
    """The draws of one epoch."""

    def __init__(self, seed: int):
        self.seed = seed
        self._blocks: dict = {}

    def at(self, start: int, count: int) -> BatchDraws:
        """The draws of the samples at positions start, ..., start + count - 1."""
        return BatchDraws(self, start, count)

    def rows(self, stream: int, start: int, count: int, columns: int):
        """float32 (count, columns), uniform in [0, 1)."""
        parts, end = [], start + count
        while start < end:
            block, first = divmod(start, BLOCK)
            stop = min(BLOCK, first + end - start)
            parts.append(self._block(stream, block, columns)[first:stop])
            start += stop - first
        return parts[0] if len(parts) == 1 else lamina.cat(parts)

    def _block(self, stream: int, block: int, columns: int):
        key = (stream, columns)
        held = self._blocks.get(key)
        if held is None or held[0] != block:
            generator = lamina.Generator()
            generator.manual_seed(mix(self.seed, stream, block))
            held = (block, lamina.rand((BLOCK, columns), generator=generator))
            self._blocks[key] = held
        return held[1]


class BatchDraws:
    """The draws of one batch: each call of `uniform` takes the next stream."""

    def __init__(self, draws: Draws, start: int, count: int):
        self._draws, self._start, self.count, self._stream = draws, start, count, 0

    def uniform(self, columns: int):
        """float32 (batch, columns), uniform in [0, 1)."""
        self._stream += 1
        return self._draws.rows(self._stream, self._start, self.count, columns)


class GlobalDraws:
    """The same interface on the global generator, for samples used one by one."""

    def __init__(self, count: int = 1):
        self.count = count

    def uniform(self, columns: int):
        """float32 (count, columns), uniform in [0, 1)."""
        return lamina.rand((self.count, columns))
