"""Sparse tensors in coordinates (COO) and matrices by rows (CSR) or columns (CSC), with gradients
for their values.

>>> s = lamina.sparse_coo_tensor([[0, 1], [2, 0]], [3.0, 4.0], (2, 3))
>>> s @ lamina.ones(3)
tensor([3., 4.])

A `SparseTensor` or `CompressedTensor` is not a `Tensor`: it holds its indices and its values.
Products, sums, transposes and conversions are here; anything else takes ``to_dense()``.
"""

from __future__ import annotations

from .compressed import (
    CompressedTensor,
    sparse_csc_tensor,
    sparse_csr_tensor,
    to_sparse_csc,
    to_sparse_csr,
)
from .coo import SparseTensor, sparse_coo_tensor, to_sparse
from .functions import addmm, log_softmax, mm, sampled_addmm, softmax, spdiags, spmm, sum

__all__ = [
    "CompressedTensor", "SparseTensor", "addmm", "log_softmax", "mm", "sampled_addmm", "softmax",
    "sparse_coo_tensor", "sparse_csc_tensor", "sparse_csr_tensor", "spdiags", "spmm", "sum",
    "to_sparse", "to_sparse_csc", "to_sparse_csr",
]  # fmt: skip


def __getattr__(name: str):
    """PyTorch's older constructors: ``sparse.FloatTensor(indices, values, size)`` and kin."""
    from .. import _tensor_types

    if name not in _tensor_types.__all__:
        raise AttributeError(f"module 'lamina.sparse' has no attribute {name!r}")
    dtype = getattr(_tensor_types, name).dtype

    def make(indices, values=None, size=None) -> SparseTensor:
        """`sparse_coo_tensor` of the dtype in the name; ``make(size)`` has no elements."""
        return sparse_coo_tensor(indices, values, size, dtype=dtype)

    make.__name__ = name
    return make
