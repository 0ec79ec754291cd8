"""How samples become a batch."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence

import lamina


def default_convert(data):
    """Arrays and numbers inside `data` as tensors, one sample at a time."""
    if isinstance(data, lamina.Tensor) or isinstance(data, (str, bytes)):
        return data
    if hasattr(data, "__array_interface__"):
        return data if data.dtype.kind in "SUO" else lamina.as_tensor(data)
    if isinstance(data, Mapping):
        return {k: default_convert(v) for k, v in data.items()}
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(v) for v in data))
    if isinstance(data, Sequence):
        return [default_convert(v) for v in data]
    return data


def default_collate(batch):
    """A batch out of a list of samples, with a new first dimension.

    Tensors and arrays are stacked, numbers become one tensor (floats float64, ints int64),
    strings stay a list, and mappings, named tuples and sequences are collated member by member.

    Raises TypeError for other types and RuntimeError when members have different lengths.
    """
    if len(batch) == 0:
        raise ValueError("default_collate: the batch is empty; a sampler gave no indices")
    first = batch[0]
    if isinstance(first, lamina.Tensor):
        if any(t.shape != first.shape for t in batch):
            shapes = [tuple(t.shape) for t in batch if t.shape != first.shape]
            raise RuntimeError(
                f"default_collate: samples of different shapes {tuple(first.shape)} and "
                f"{shapes[0]} cannot be stacked; pad them or pass a collate_fn"
            )
        return lamina.stack(list(batch), 0)
    if hasattr(first, "__array_interface__"):
        if first.dtype.kind in "SUO":
            raise TypeError(
                f"default_collate: arrays of dtype {first.dtype} cannot become tensors; "
                "pass a collate_fn"
            )
        return default_collate([lamina.as_tensor(b) for b in batch])
    if isinstance(first, bool):
        return lamina.tensor(batch)
    if isinstance(first, float):
        return lamina.tensor(batch, dtype=lamina.float64)
    if isinstance(first, int):
        return lamina.tensor(batch, dtype=lamina.int64)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        made = {k: default_collate([b[k] for b in batch]) for k in first}
        if isinstance(first, MutableMapping) and type(first) is not dict:
            try:
                return type(first)(made)  # type: ignore[call-arg]
            except TypeError:
                pass
        return made
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(default_collate(list(members)) for members in zip(*batch)))
    if isinstance(first, Sequence):
        lengths = {len(b) for b in batch}
        if len(lengths) > 1:
            raise RuntimeError(
                f"default_collate: each sample should have as many members as the others, got "
                f"{sorted(lengths)}; pass a collate_fn"
            )
        return [default_collate(list(members)) for members in zip(*batch)]
    raise TypeError(
        "default_collate: a batch must contain tensors, NumPy arrays, numbers, strings, dicts or "
        f"lists; found {type(first).__name__}; pass a collate_fn"
    )
