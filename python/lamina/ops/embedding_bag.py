"""Sums, means and maxima of rows of a table, by bags of row numbers."""

from __future__ import annotations

from .. import _core
from .._core import Tensor

__all__: list[str] = []
__functional__ = ["embedding_bag"]

_NAME = "embedding_bag"


def _flat(input: Tensor, offsets, include_last_offset: bool) -> tuple:
    """(numbers (n), where each bag begins (B), in one list of B + 1 Python ints)."""
    if input.dtype not in (_core.int64, _core.int32):
        raise _core.DTypeError(f"{_NAME}: expected integer input, got {input.dtype}")
    if input.dim() == 2:
        if offsets is not None:
            raise ValueError(
                f"{_NAME}: if input is 2D, then offsets has to be None, as input is treated as a "
                "mini-batch of fixed length sequences"
            )
        bags, length = input.shape
        return input.reshape(-1), [i * length for i in range(bags + 1)]
    if input.dim() != 1:
        raise ValueError(f"{_NAME}: input has to be 1D or 2D, got {input.dim()} dimensions")
    if offsets is None:
        raise ValueError(f"{_NAME}: offsets has to be a 1D Tensor but got None")
    if offsets.dim() != 1:
        raise ValueError(f"{_NAME}: offsets has to be a 1D Tensor, got {offsets.dim()} dimensions")
    ends, n = offsets.tolist(), input.shape[0]
    if include_last_offset:
        if not ends:
            raise ValueError(f"{_NAME}: include_last_offset needs at least one offset")
    else:
        ends.append(n)
    if ends[0] != 0:
        raise ValueError(f"{_NAME}: offsets[0] has to be 0, got {ends[0]}")
    if any(a > b for a, b in zip(ends, ends[1:])) or ends[-1] > n:
        raise ValueError(
            f"{_NAME}: offsets must not decrease nor exceed the {n} numbers of input, got "
            f"{tuple(ends if include_last_offset else ends[:-1])}"
        )
    return input[: ends[-1]], ends


def embedding_bag(
    input: Tensor, weight: Tensor, offsets=None, max_norm=None, norm_type=2,
    scale_grad_by_freq=False, mode="mean", sparse=False, per_sample_weights=None,
    include_last_offset=False, padding_idx=None,
) -> Tensor:  # fmt: skip
    """The sum, mean or maximum of the rows of `weight` (V, E) that each bag names: (B, E).

    Args:
        input: row numbers, int64 or int32: (B, N), B bags of N; or (n), which `offsets` cuts.
        offsets: (B): where each bag begins in a 1-D input; the first is 0.
        max_norm, norm_type, scale_grad_by_freq, sparse: as in `embedding`.
        mode: "sum", "mean" or "max"; an empty bag gives 0.
        per_sample_weights: factors of the rows, of the input's shape; "sum" only. They get a
            gradient.
        include_last_offset: offsets (B + 1) ends with the end of the last bag.
        padding_idx: this row takes no part (nor in the number a mean divides by).

    Raises ValueError for other shapes, offsets or modes, IndexError for a row outside [0, V).
    """
    from .index import embedding

    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"{_NAME}: mode has to be one of sum, mean or max, got {mode!r}")
    if mode == "max" and scale_grad_by_freq:
        raise ValueError(f"{_NAME}: max mode does not support scaling the gradient by frequency")
    if per_sample_weights is not None:
        if mode != "sum":
            raise NotImplementedError(
                f"{_NAME}: per_sample_weights is only supported for mode='sum' (got mode={mode!r})"
            )
        if per_sample_weights.shape != input.shape:
            raise ValueError(
                f"{_NAME}: per_sample_weights {tuple(per_sample_weights.shape)} must have the "
                f"shape of input, {tuple(input.shape)}"
            )
    numbers, ends = _flat(input, offsets, include_last_offset)
    plain = max_norm is None and padding_idx is None and per_sample_weights is None
    if (
        plain and mode != "max" and input.dim() == 2
        and not (scale_grad_by_freq or sparse)
        and weight.dim() == 2 and weight.dtype in (_core.float32, _core.float64)
        and weight.device.type == "cpu"
    ):  # fmt: skip
        sums = _core.embedding_bag_sum(weight, input)
        return sums if mode == "sum" else sums / max(input.shape[1], 1)
    rows = embedding(numbers, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
    keep = None  # False where a row takes no part
    if padding_idx is not None:
        keep = numbers != padding_idx % len(weight)
    if mode == "max":
        return _largest(rows, keep, ends)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.reshape(-1)[: len(numbers)].unsqueeze(1)
    if keep is not None:
        rows = rows * keep.to(rows.dtype).unsqueeze(1)
    bags, lengths = len(ends) - 1, [b - a for a, b in zip(ends, ends[1:])]
    if bags and min(lengths) == max(lengths):
        sums = rows.reshape(bags, lengths[0], rows.shape[1]).sum(1)
    else:
        sums = rows.new_zeros((bags, rows.shape[1])).index_add(0, _bag_of(lengths, rows), rows)
    if mode == "sum":
        return sums
    from .creation import tensor

    counts = tensor(lengths, dtype=_core.int64, device=rows.device)
    if keep is not None:
        counts = counts.new_zeros(bags).index_add(0, _bag_of(lengths, rows), keep.to(_core.int64))
    return sums / counts.clamp(min=1).to(sums.dtype).unsqueeze(1)


def _bag_of(lengths: list, rows: Tensor) -> Tensor:
    from .creation import tensor

    bags = [i for i, n in enumerate(lengths) for _ in range(n)]
    return tensor(bags, dtype=_core.int64, device=rows.device)


def _largest(rows: Tensor, keep, ends: list) -> Tensor:
    """The maxima per bag: the rows of each bag side by side, filled up with -infinity."""
    from .creation import tensor
    from .join import cat

    n, bags = len(rows), len(ends) - 1
    kept = list(range(n)) if keep is None else [i if k else n for i, k in enumerate(keep.tolist())]
    most = max([b - a for a, b in zip(ends, ends[1:])], default=0) or 1
    table = [kept[a:b] + [n] * (most - b + a) for a, b in zip(ends, ends[1:])]
    least = rows.new_full((1, rows.shape[1]), -float("inf"))
    places = tensor(table, dtype=_core.int64, device=rows.device).reshape(bags, most)
    found = cat((rows, least))[places].max(1)[0]
    empty = (places == n).all(1, keepdim=True)
    return found.masked_fill(empty.expand(found.shape), 0)
