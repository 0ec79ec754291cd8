"""Samplers: the order in which a loader visits a data set.

Orders come from lamina's counter-based generator, so an order depends only on the seed and on
which draw (epoch) it is, never on threads or workers. A sampler that knows its whole order also
has ``_order()``, an int64 tensor (or ``_pieces()``, several), which spares a loader of tensor data
the walk over Python ints.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Generic, TypeVar

import lamina

T_co = TypeVar("T_co", covariant=True)


def draw_seed(generator=None) -> int:
    """A fresh non-negative 62-bit seed from `generator` (the global one when None)."""
    return int(lamina.randint(0, 1 << 62, (1,), dtype=lamina.int64, generator=generator).item())


class Sampler(Generic[T_co]):
    """Base class: subclasses define ``__iter__`` (indices) and, where known, ``__len__``."""

    def __init__(self, data_source=None):
        pass

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__}: a Sampler must define __iter__(self)")


class SequentialSampler(Sampler[int]):
    """0, 1, ..., len(data_source) - 1."""

    def __init__(self, data_source):
        self.data_source = data_source

    def _order(self):
        return lamina.arange(len(self.data_source))

    def __iter__(self):
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


_PIECE = 1 << 16  # indices drawn at a time with replacement; part of what a seed means


class RandomSampler(Sampler[int]):
    """A new random order at each pass.

    Args:
        replacement: draw each index independently instead of a permutation.
        num_samples: how many indices; ``len(data_source)`` when None. Without replacement more
            than that many run through further permutations.
        generator: source of the randomness. None: a seed is drawn from the global generator at
            the start of each pass.

    Raises ValueError when num_samples is not a positive integer.
    """

    def __init__(self, data_source, replacement=False, num_samples=None, generator=None):
        if not isinstance(replacement, bool):
            raise TypeError(f"RandomSampler: replacement must be a bool, got {replacement!r}")
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        n = self.num_samples
        if not isinstance(n, int) or isinstance(n, bool) or n <= 0:
            raise ValueError(
                f"RandomSampler: num_samples must be a positive integer, got {n!r}"
                + ("; the data set is empty" if num_samples is None and n == 0 else "")
            )

    @property
    def num_samples(self) -> int:
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def _pieces(self):
        """The order, drawn as it is used: num_samples may be more than memory holds."""
        n, left = len(self.data_source), self.num_samples
        generator = self.generator
        if generator is None:
            generator = lamina.Generator()
            generator.manual_seed(draw_seed())
        while left > 0:
            if self.replacement:
                piece = lamina.randint(0, n, (min(left, _PIECE),), generator=generator)
            else:
                piece = lamina.randperm(n, generator=generator)[:left]
            yield piece
            left -= piece.numel()

    def __iter__(self):
        for piece in self._pieces():
            yield from piece.tolist()

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The given indices in a new random order at each pass."""

    def __init__(self, indices, generator=None):
        self.indices = indices
        self.generator = generator

    def __iter__(self):
        for i in lamina.randperm(len(self.indices), generator=self.generator).tolist():
            yield int(self.indices[i])

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """`num_samples` indices, i with probability weights[i] / sum(weights).

    Drawn by `lamina.multinomial`; without replacement no index comes twice.

    Raises ValueError for negative or missing weights, or more samples than positive weights
    without replacement.
    """

    def __init__(self, weights, num_samples, replacement=True, generator=None):
        if not isinstance(num_samples, int) or isinstance(num_samples, bool) or num_samples <= 0:
            raise ValueError(
                f"WeightedRandomSampler: num_samples must be a positive integer, got {num_samples}"
            )
        if not isinstance(replacement, bool):
            raise ValueError(
                f"WeightedRandomSampler: replacement must be a bool, got {replacement!r}"
            )
        self.weights = lamina.as_tensor(weights, dtype=lamina.float64)
        if self.weights.ndim != 1 or self.weights.numel() == 0:
            raise ValueError(
                "WeightedRandomSampler: weights must be a non-empty 1-D sequence, got shape "
                f"{tuple(self.weights.shape)}"
            )
        total = self.weights.sum().item()
        if self.weights.min().item() < 0 or not 0 < total < float("inf"):
            raise ValueError(
                "WeightedRandomSampler: weights must be non-negative with a positive, finite sum"
            )
        positive = int((self.weights > 0).sum().item())
        if not replacement and num_samples > positive:
            raise ValueError(
                f"WeightedRandomSampler: cannot draw {num_samples} samples without replacement "
                f"from {positive} positive weights"
            )
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def _order(self):
        return lamina.multinomial(
            self.weights, self.num_samples, self.replacement, generator=self.generator
        )

    def __iter__(self):
        yield from self._order().tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list]):
    """Lists of `batch_size` indices of `sampler`; the last may be shorter unless `drop_last`.

    Raises ValueError when batch_size is not a positive integer.
    """

    def __init__(self, sampler, batch_size: int, drop_last: bool):
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(
                f"BatchSampler: batch_size must be a positive integer, got {batch_size!r}"
            )
        if not isinstance(drop_last, bool):
            raise ValueError(f"BatchSampler: drop_last must be a bool, got {drop_last!r}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self):
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if self.drop_last and len(batch) < self.batch_size:
                return
            yield batch

    def __len__(self) -> int:
        n = len(self.sampler)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)
