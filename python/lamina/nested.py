"""Tensors of rows of different lengths: not available."""

from ._refuse import refused

nested_tensor = refused(
    "nested.nested_tensor", "pad with nn.utils.rnn.pad_sequence and mask", "Ragged tensors"
)
as_nested_tensor = refused(
    "nested.as_nested_tensor", "pad with nn.utils.rnn.pad_sequence and mask", "Ragged tensors"
)
