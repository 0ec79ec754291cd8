"""Sparse matrices in coordinate (COO) form, with gradients for their values.

>>> s = lamina.sparse_coo_tensor([[0, 1], [2, 0]], [3.0, 4.0], (2, 3))
>>> s @ lamina.ones(3)
tensor([3., 4.])

A `SparseTensor` is not a `Tensor`: it holds two, its indices and its values. Products, sums,
transposes and conversions are here; anything else takes ``to_dense()``.
"""

from __future__ import annotations

from .coo import SparseTensor, sparse_coo_tensor, to_sparse
from .functions import addmm, log_softmax, mm, softmax, spmm, sum

__all__ = [
    "SparseTensor", "addmm", "log_softmax", "mm", "softmax", "sparse_coo_tensor", "spmm", "sum",
    "to_sparse",
]  # fmt: skip
