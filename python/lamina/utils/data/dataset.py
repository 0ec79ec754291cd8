"""Data sets: anything with ``__getitem__`` and ``__len__`` (or ``__iter__``).

A data set whose samples lie in tensors may also have ``_batch(index, draws)``: the collated
batch of the samples `index` (int64 tensor) in a few C++ calls; where that depends on its contents
it says so in ``_can_batch()``. `draws` hands out the random numbers of augmentations (see
`lamina.vision.transforms`).
"""

from __future__ import annotations

import bisect
import math
import warnings
from collections.abc import Sequence
from typing import Generic, TypeVar

import lamina

T_co = TypeVar("T_co", covariant=True)


def batch_method(dataset):
    """``dataset._batch`` where it tells the truth; None when there is none, when ``_can_batch()``
    is False, or when a subclass redefines the samples (``__getitem__``, ``__getitems__``) below
    the class that defines ``_batch``."""
    for cls in type(dataset).__mro__:
        if "_batch" in cls.__dict__:
            can = getattr(dataset, "_can_batch", None)
            return dataset._batch if can is None or can() else None
        if "__getitem__" in cls.__dict__ or "__getitems__" in cls.__dict__:
            return None
    return None


def fetch_samples(dataset, indices: list) -> list:
    """The samples `indices` as a list: one call where the data set has ``__getitems__``."""
    if callable(getattr(dataset, "__getitems__", None)):
        samples = dataset.__getitems__(indices)
        if len(samples) != len(indices):
            raise ValueError(
                f"{type(dataset).__name__}: __getitems__ was asked for {len(indices)} samples and "
                f"gave {len(samples)}"
            )
        return samples
    return [dataset[i] for i in indices]


class Dataset(Generic[T_co]):
    """A map from index to sample: subclasses define ``__getitem__`` and ``__len__``."""

    def __getitem__(self, index) -> T_co:
        raise NotImplementedError(
            f"{type(self).__name__}: a Dataset must define __getitem__(self, index)"
        )

    def __add__(self, other: Dataset) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co]):
    """A stream of samples: subclasses define ``__iter__``. With several workers each worker
    iterates the whole stream unless ``__iter__`` splits it by `get_worker_info`."""

    def __iter__(self):
        raise NotImplementedError(
            f"{type(self).__name__}: an IterableDataset must define __iter__(self)"
        )

    def __add__(self, other: Dataset) -> ChainDataset:  # type: ignore[override]
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple]):
    """Tensors that share their first dimension; sample i is the tuple of their i-th rows.

    Raises ValueError when the first dimensions differ.
    """

    def __init__(self, *tensors):
        if not tensors:
            raise ValueError("TensorDataset: needs at least one tensor")
        for i, t in enumerate(tensors):
            if not isinstance(t, lamina.Tensor):
                raise TypeError(
                    f"TensorDataset: argument {i} is {type(t).__name__}, not a Tensor; "
                    "convert it with lamina.as_tensor"
                )
            if t.ndim == 0 or t.shape[0] != tensors[0].shape[0]:
                shapes = ", ".join(str(tuple(t.shape)) for t in tensors)
                raise ValueError(
                    f"TensorDataset: all tensors need the same first dimension, got {shapes}"
                )
        self.tensors = tensors

    def __getitem__(self, index):
        return tuple(t[index] for t in self.tensors)

    def __len__(self) -> int:
        return int(self.tensors[0].shape[0])

    def _batch(self, index, draws):
        return [t[index] for t in self.tensors]


class StackDataset(Dataset):
    """Data sets of equal length side by side: sample i is the tuple (or dict) of their samples i.

    Raises ValueError when lengths differ.
    """

    def __init__(self, *args, **kwargs):
        if bool(args) == bool(kwargs):
            raise ValueError("StackDataset: give data sets either in order or by name")
        parts = list(args or kwargs.values())
        lengths = [len(d) for d in parts]
        if len(set(lengths)) != 1:
            raise ValueError(f"StackDataset: data sets of different lengths {lengths}")
        self.datasets = kwargs or args
        self._length = lengths[0]

    def __getitem__(self, index):
        if isinstance(self.datasets, dict):
            return {k: d[index] for k, d in self.datasets.items()}
        return tuple(d[index] for d in self.datasets)

    def __getitems__(self, indices: list) -> list:
        """The samples `indices`, each part asked once."""
        if isinstance(self.datasets, dict):
            columns = [fetch_samples(d, indices) for d in self.datasets.values()]
            return [dict(zip(self.datasets, row)) for row in zip(*columns)]
        return list(zip(*(fetch_samples(d, indices) for d in self.datasets)))

    def __len__(self) -> int:
        return self._length


class Subset(Dataset[T_co]):
    """The samples of `dataset` at `indices`, in that order."""

    def __init__(self, dataset: Dataset[T_co], indices: Sequence[int]):
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index):
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]  # type: ignore[index]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: list) -> list:
        """The samples `indices` of this subset."""
        return fetch_samples(self.dataset, [self.indices[i] for i in indices])

    def __len__(self) -> int:
        return len(self.indices)

    def _can_batch(self) -> bool:
        return batch_method(self.dataset) is not None

    def _batch(self, index, draws):
        if isinstance(self.indices, lamina.Tensor):
            rows = self.indices[index]
        else:
            rows = lamina.tensor([int(self.indices[i]) for i in index.tolist()], dtype=lamina.int64)
        return self.dataset._batch(rows, draws)  # type: ignore[attr-defined]


class ConcatDataset(Dataset[T_co]):
    """Data sets one after another. Raises ValueError when there are none."""

    def __init__(self, datasets):
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: needs at least one data set")
        self.cumulative_sizes: list[int] = []
        for d in self.datasets:
            if isinstance(d, IterableDataset):
                raise ValueError(
                    "ConcatDataset: does not work on an IterableDataset; use ChainDataset"
                )
            before = self.cumulative_sizes[-1] if self.cumulative_sizes else 0
            self.cumulative_sizes.append(before + len(d))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index):
        if index < 0:
            if -index > len(self):
                raise ValueError(
                    f"ConcatDataset: index {index} is out of range for {len(self)} samples"
                )
            index += len(self)
        part = bisect.bisect_right(self.cumulative_sizes, index)
        if part == len(self.datasets):
            raise IndexError(
                f"ConcatDataset: index {index} is out of range for {len(self)} samples"
            )
        return self.datasets[part][index - (self.cumulative_sizes[part - 1] if part else 0)]


class ChainDataset(IterableDataset):
    """Iterable data sets one after another."""

    def __init__(self, datasets):
        self.datasets = datasets

    def __iter__(self):
        for d in self.datasets:
            yield from d

    def __len__(self) -> int:
        return sum(len(d) for d in self.datasets)


def random_split(dataset: Dataset, lengths, generator=None) -> list[Subset]:
    """Splits `dataset` at random into disjoint subsets.

    Args:
        lengths: sizes that sum to ``len(dataset)``, or fractions that sum to 1 (sizes are rounded
            down; what is left goes one by one to the first subsets).
        generator: where the permutation comes from; the global one when None.

    Raises ValueError when the sizes do not sum to the data set's, or a fraction is outside [0, 1].
    """
    lengths = list(lengths)
    total = len(dataset)  # type: ignore[arg-type]
    if (
        math.isclose(sum(lengths), 1)
        and sum(lengths) <= 1 + 1e-9
        and not (all(isinstance(n, int) for n in lengths) and total == 1)
    ):
        for i, fraction in enumerate(lengths):
            if not 0 <= fraction <= 1:
                raise ValueError(
                    f"random_split: fraction {fraction} at position {i} is not between 0 and 1"
                )
        sizes = [math.floor(total * fraction) for fraction in lengths]
        for i in range(total - sum(sizes)):
            sizes[i % len(sizes)] += 1
        for i, n in enumerate(sizes):
            if n == 0:
                warnings.warn(
                    f"random_split: split {i} of {len(sizes)} has no samples", stacklevel=2
                )
        lengths = sizes
    if sum(lengths) != total:
        raise ValueError(
            f"random_split: lengths {lengths} sum to {sum(lengths)}, "
            f"but the data set has {total} samples"
        )
    order = lamina.randperm(total, generator=generator).tolist()
    subsets, start = [], 0
    for n in lengths:
        subsets.append(Subset(dataset, order[start : start + n]))
        start += n
    return subsets
