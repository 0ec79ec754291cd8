"""From what the user has (tensors, arrays, a data set, a loader) to batches."""

from __future__ import annotations

import lamina
from lamina.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset


def as_tensor(value, name: str):
    """A tensor from a tensor, array or nested list. Arrays of float64 (NumPy's default) become the
    default dtype; smaller integers int64."""
    if isinstance(value, lamina.Tensor):
        return value
    try:
        tensor = lamina.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        kind = type(value).__name__
        raise TypeError(f"{name}: cannot make a tensor of {kind}: {error}") from None
    if tensor.dtype is lamina.float64:
        return tensor.to(lamina.get_default_dtype())
    if tensor.dtype in (lamina.int8, lamina.int16, lamina.int32):
        return tensor.to(lamina.int64)
    return tensor


def loader(data, name: str, batch_size: int, shuffle=False, generator=None, num_workers=0,
           drop_last=False):  # fmt: skip
    """Batches of `data`: a DataLoader (used as it is), a Dataset, (x, y) tensors or arrays, one
    tensor, or any other iterable of batches.

    `name` opens the error messages. Raises ValueError for empty data or x and y of different
    lengths, TypeError for anything else.
    """
    if isinstance(data, DataLoader):
        batches, size = data, data.dataset
    elif isinstance(data, Dataset) or (hasattr(data, "__getitem__") and _is_map(data)):
        batches, size = None, data
    elif isinstance(data, tuple):
        tensors = [as_tensor(v, name) for v in data]
        lengths = [len(t) if t.ndim else 0 for t in tensors]
        if not tensors or len(set(lengths)) != 1:
            shapes = ", ".join(str(tuple(t.shape)) for t in tensors)
            raise ValueError(f"{name}: inputs and targets differ in length: shapes {shapes}")
        batches, size = None, TensorDataset(*tensors)
    elif isinstance(data, lamina.Tensor) or hasattr(data, "__array__"):
        batches, size = None, TensorDataset(as_tensor(data, name))
    elif hasattr(data, "__iter__") and not hasattr(data, "__next__"):
        batches, size = data, data
    else:
        raise TypeError(
            f"{name}: expected a DataLoader, a Dataset or a tuple (x, y) of tensors or arrays, got "
            f"{type(data).__name__}"
        )
    if not isinstance(size, IterableDataset) and hasattr(size, "__len__") and not len(size):
        raise ValueError(f"{name}: the data set is empty (0 samples)")
    if batches is not None:
        return batches
    if isinstance(size, IterableDataset):
        return DataLoader(size, batch_size, num_workers=num_workers, generator=generator)
    return DataLoader(size, batch_size, shuffle=shuffle, generator=generator,
                      num_workers=num_workers, drop_last=drop_last)  # fmt: skip


def _is_map(data) -> bool:
    """True for an object of the user's that acts as a Dataset without deriving from it."""
    return not isinstance(data, (tuple, list, dict, str, lamina.Tensor)) and (
        hasattr(data, "__len__") and not hasattr(data, "__array__")
    )


def count(batches) -> int | None:
    """How many batches, or None when that is not known."""
    try:
        return len(batches)
    except TypeError:
        return None


def split(batch, name: str):
    """(inputs, target) of a batch: all but its last part, and the last part."""
    if isinstance(batch, (tuple, list)) and len(batch) >= 2:
        return batch[:-1], batch[-1]
    raise TypeError(
        f"{name}: expected batches (inputs, target), got {type(batch).__name__}"
        + (f" of {len(batch)} parts" if isinstance(batch, (tuple, list)) else "")
    )
