"""Sequences of different lengths: padded to one tensor, or packed without padding.

A packed batch holds the elements of all sequences step by step, longest sequence first:
``data`` = all first elements, then all second ones, ...; ``batch_sizes[t]`` = sequences that have a
step t. Recurrent layers take packed batches and compute no padding.

>>> from lamina.nn.utils.rnn import pack_sequence
>>> pack_sequence([lamina.tensor([1, 2, 3]), lamina.tensor([4, 5])]).data
tensor([1, 4, 2, 5, 3])
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable

from ... import _core
from ..._core import Tensor
from ...ops.creation import arange, as_tensor
from ...ops.join import cat
from ...ops.sort import sort

__all__ = ["PackedSequence", "invert_permutation", "pack_padded_sequence", "pad_packed_sequence",
           "pad_sequence", "unpad_sequence", "pack_sequence", "unpack_sequence"]  # fmt: skip

PackedSequence_ = namedtuple(
    "PackedSequence_", ("data", "batch_sizes", "sorted_indices", "unsorted_indices")
)


class PackedSequence(PackedSequence_):
    """A packed batch, made by `pack_padded_sequence` and `pack_sequence`.

    Fields: data (elements, *), batch_sizes (steps,) int64, and where the batch was sorted
    sorted_indices (batch,) int64, its order, and unsorted_indices, the way back; else None.
    """

    def __new__(cls, data, batch_sizes=None, sorted_indices=None, unsorted_indices=None):
        if batch_sizes is None:  # PackedSequence((data, batch_sizes))
            if not (isinstance(data, (list, tuple)) and len(data) == 2):
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args, **kwargs) -> PackedSequence:
        """With `data` converted as by Tensor.to; itself when that changes nothing."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        order, back = (None if i is None else i.to(data.device) for i in self[2:])
        return type(self)(data, self.batch_sizes, order, back)

    def cpu(self, *args, **kwargs) -> PackedSequence:
        """On the CPU."""
        return self.to("cpu")

    def cuda(self, *args, **kwargs) -> PackedSequence:
        """On a GPU."""
        return self.to("cuda")

    def double(self) -> PackedSequence:
        """data in float64."""
        return self.to(dtype=_core.float64)

    def float(self) -> PackedSequence:
        """data in float32."""
        return self.to(dtype=_core.float32)

    def half(self) -> PackedSequence:
        """data in float16."""
        return self.to(dtype=_core.float16)

    def long(self) -> PackedSequence:
        """data in int64."""
        return self.to(dtype=_core.int64)

    def int(self) -> PackedSequence:
        """data in int32."""
        return self.to(dtype=_core.int32)

    def short(self) -> PackedSequence:
        """data in int16."""
        return self.to(dtype=_core.int16)

    def char(self) -> PackedSequence:
        """data in int8."""
        return self.to(dtype=_core.int8)

    def byte(self) -> PackedSequence:
        """data in uint8."""
        return self.to(dtype=_core.uint8)

    def pin_memory(self) -> PackedSequence:
        """Itself: memory here is not pinned."""
        return self

    def is_pinned(self) -> bool:
        """False."""
        return False

    @property
    def is_cuda(self) -> bool:
        """Whether data is on a GPU."""
        return self.data.device.type == "cuda"


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """q with q[p[i]] = i for a permutation p (n,) int64; None for None."""
    if permutation is None:
        return None
    places = arange(permutation.numel(), device=permutation.device)
    return _core.index_copy(permutation, 0, permutation, places)


def _step_rows(lengths: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """For sequences sorted by length: (step, sequence) of every packed row, int64 each."""
    places = (arange(steps, device="cpu").unsqueeze(1) < lengths.unsqueeze(0)).nonzero()
    return places[:, 0], places[:, 1]


def pack_padded_sequence(input: Tensor, lengths, batch_first=False, enforce_sorted=True):
    """Packs a padded batch.

    Args:
        input: (steps, batch, *), or (batch, steps, *) with `batch_first`.
        lengths: (batch,) of each sequence, a tensor or list; elements past it are dropped.
        enforce_sorted: the sequences must come longest first; else they are sorted here.
    Returns a `PackedSequence`. Raises RuntimeError for lengths that are not positive, do not fit
    `input` or are not sorted.
    """
    lengths = as_tensor(lengths, dtype=_core.int64).cpu()
    batch_dim = 0 if batch_first else 1
    if input.numel() == 0:
        raise RuntimeError("Cannot pack empty tensors.")
    if lengths.dim() != 1 or lengths.shape[0] != input.shape[batch_dim]:
        raise _core.ShapeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {lengths.numel()} "
            f"(batch_size={input.shape[batch_dim]})"
        )
    order = None
    if not enforce_sorted:
        lengths, order = sort(lengths, descending=True)
    sizes = lengths.tolist()
    if sizes[-1] <= 0 or min(sizes) <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' "
            "that is <= 0"
        )
    if any(a < b for a, b in zip(sizes, sizes[1:])):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. "
            "You can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to "
            "sidestep this requirement if you do not need ONNX exportability."
        )
    if sizes[0] > input.shape[1 - batch_dim]:
        raise _core.ShapeError(
            f"pack_padded_sequence: lengths go up to {sizes[0]}, the input has "
            f"{input.shape[1 - batch_dim]} steps"
        )
    step, sequence = _step_rows(lengths, sizes[0])
    counts = arange(sizes[0], device="cpu").unsqueeze(1)
    batch_sizes = (counts < lengths.unsqueeze(0)).sum(1)
    if order is not None:
        sequence = order[sequence]
        order = order.to(input.device)
    places = [sequence, step] if batch_first else [step, sequence]
    data = input[tuple(p.to(input.device) for p in places)]
    return PackedSequence(data, batch_sizes, order, None)


def pad_packed_sequence(sequence: PackedSequence, batch_first=False, padding_value=0.0,
                        total_length=None) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The padded batch of a packed one, in its first order, and the lengths.

    Args:
        sequence: a `PackedSequence`.
        padding_value: of elements past a sequence's end. total_length: steps of the result, at
            least the longest sequence's (which is the default).
    Returns (steps, batch, *), or (batch, steps, *) with `batch_first`, and (batch,) int64.
    Raises ValueError for a total_length that is too short.
    """
    data, batch_sizes = sequence.data, sequence.batch_sizes
    longest = batch_sizes.shape[0]
    steps = longest if total_length is None else total_length
    if steps < longest:
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, "
            f"but got total_length={total_length} and max sequence length being {longest}"
        )
    batch = int(batch_sizes[0])
    numbers = arange(batch, device="cpu")
    lengths = (numbers.unsqueeze(1) < batch_sizes.unsqueeze(0)).sum(1)
    step, place = _step_rows(lengths, longest)
    if sequence.unsorted_indices is not None:
        back = sequence.unsorted_indices.cpu()
        lengths = lengths[back]
        place = _core.index_copy(back, 0, back, numbers)[place]
    rest = tuple(data.shape[1:])
    size = (batch, steps, *rest) if batch_first else (steps, batch, *rest)
    places = [p.to(data.device) for p in ([place, step] if batch_first else [step, place])]
    padded = data.new_full(size, padding_value)
    return _core.index_put(padded, places, data, False), lengths


def pad_sequence(sequences, batch_first=False, padding_value=0.0, padding_side="right") -> Tensor:
    """Sequences (length, *) of any lengths as one tensor, the shorter ones filled up.

    Args:
        sequences: an iterable of tensors whose shapes after the first dimension agree.
        padding_value: what fills them; padding_side: "right" (after the end) or "left".
    Returns (longest, batch, *), or (batch, longest, *) with `batch_first`.
    Raises RuntimeError for something that is not iterable or empty, and for another padding_side.
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            "pad_sequence: Expected iterable for input sequences, but got arg of type: "
            f"{type(sequences)}"
        )
    tensors = list(sequences)
    if not tensors:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(
            f"Expected padding_side to be one of left or right, but got {padding_side}."
        )
    rest = tuple(tensors[0].shape[1:])
    for t in tensors:
        if tuple(t.shape[1:]) != rest:
            raise _core.ShapeError(
                "pad_sequence: sequences must agree in all dimensions but the first, got shapes "
                f"{tuple(tensors[0].shape)} and {tuple(t.shape)}"
            )
    lengths = [t.shape[0] for t in tensors]
    longest, batch = max(lengths), len(tensors)
    size = (batch, longest, *rest) if batch_first else (longest, batch, *rest)
    padded = tensors[0].new_full(size, padding_value)
    if longest == 0:
        return padded
    ends = as_tensor(lengths, device=padded.device).unsqueeze(1)
    steps = arange(longest, device=padded.device).unsqueeze(0)
    mask = steps < ends if padding_side == "right" else steps >= longest - ends
    places = mask.nonzero()  # (sequence, step), in the order of the elements of `cat`
    columns = [places[:, 0], places[:, 1]]
    if not batch_first:
        columns.reverse()
    return _core.index_put(padded, columns, cat(tensors), False)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first=False) -> list[Tensor]:
    """The sequences (length, *) of a padded batch, each without its padding.

    Args:
        padded_sequences: (steps, batch, *), or (batch, steps, *) with `batch_first`.
        lengths: (batch,) int64.
    Raises ValueError unless there is one length per sequence.
    """
    rows = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    counts = as_tensor(lengths).tolist()
    return [row[:n] for row, n in zip(rows.unbind(0), counts, strict=True)]


def pack_sequence(sequences, enforce_sorted=True) -> PackedSequence:
    """`pad_sequence`, then `pack_padded_sequence`: packs a list of tensors (length, *)."""
    sequences = list(sequences)
    lengths = as_tensor([t.shape[0] for t in sequences])
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences (length, *) of a packed batch, in their first order."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
