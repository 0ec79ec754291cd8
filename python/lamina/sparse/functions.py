"""Functions of sparse tensors."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from ..ops.creation import zeros
from .compressed import CompressedTensor, to_sparse_csr
from .coo import SparseTensor


def _check(name: str, a, b) -> None:
    if a.dim() != 2 or b.dim() not in (1, 2) or a.shape[1] != b.shape[0]:
        raise _core.ShapeError(
            f"{name}: shapes {tuple(a.shape)} and {tuple(b.shape)} do not fit; expected (M, K) "
            "and (K, N) or (K,)"
        )
    if a.dtype is not b.dtype:
        raise _core.DTypeError(f"{name}: operands have dtypes {a.dtype} and {b.dtype}; convert one")


def mm(mat1, mat2):
    """The product of two matrices of which one (or both) is sparse: (M, K) and (K, N) or (K,).

    Sparse times sparse is sparse, anything else dense. Cost: one row of the dense operand for each
    kept element. In an autocast region products with a dense operand are of the lower type. Raises
    ShapeError and DTypeError for operands that do not fit.
    """
    if isinstance(mat1, CompressedTensor) or isinstance(mat2, CompressedTensor):
        a, b = (m.to_sparse() if isinstance(m, CompressedTensor) else m for m in (mat1, mat2))
        product = mm(a, b)
        return to_sparse_csr(product) if isinstance(product, SparseTensor) else product
    if not isinstance(mat1, SparseTensor):
        return mm(mat2.t(), mat1.t()).t() if mat1.dim() == 2 else mm(mat2.t(), mat1)
    if isinstance(mat2, SparseTensor):
        from .coo import to_sparse

        _check("sparse.mm", mat1, mat2)
        return to_sparse(_product(mat1, mat2.to_dense()))
    mat1, mat2 = _lower(mat1), _lower(mat2)
    _check("sparse.mm", mat1, mat2)
    return _product(mat1, mat2)


def _lower(x):
    """x in the lower type where an autocast region for its device is active."""
    on_cuda = x.device.type == "cuda"
    take = x.dtype.is_floating_point and x.dtype is not _core.float64
    return x.to(_core.autocast_dtype(on_cuda)) if take and _core.autocast_enabled(on_cuda) else x


def _product(mat1, mat2: Tensor) -> Tensor:
    rows, columns = mat1._i
    values = mat1._v if mat2.dim() == 1 else mat1._v.unsqueeze(1)
    result = zeros((mat1.shape[0], *mat2.shape[1:]), dtype=mat2.dtype)
    return result.index_add(0, rows, values * mat2.index_select(0, columns))


def spmm(input, mat2):
    """`mm` under its older name."""
    if isinstance(input, Tensor) and isinstance(mat2, Tensor):
        return input.mm(mat2)
    return mm(input, mat2)


def addmm(mat, mat1, mat2, *, beta=1.0, alpha=1.0):
    """beta mat + alpha (mat1 @ mat2), mat dense, mat1 sparse."""
    return beta * _lower(mat) + alpha * mm(mat1, mat2)


def sampled_addmm(input, mat1, mat2, *, beta=1.0, alpha=1.0, out=None):
    """beta input + alpha (mat1 @ mat2) at the elements that `input`, a CSR matrix, keeps.

    mat1 (M, K) and mat2 (K, N) are dense; only the kept products are computed. The result has the
    form of `input`. Raises ShapeError for operands that do not fit.
    """
    if input.shape != (mat1.shape[0], mat2.shape[1]) or mat1.shape[1] != mat2.shape[0]:
        raise _core.ShapeError(
            f"sampled_addmm: shapes {tuple(input.shape)}, {tuple(mat1.shape)} and "
            f"{tuple(mat2.shape)} do not fit; expected (M, N), (M, K) and (K, N)"
        )
    rows, columns = input.to_sparse()._i
    products = (mat1.index_select(0, rows) * mat2.index_select(1, columns).t()).sum(1)
    return input._with(beta * input._v + alpha * products)


def spdiags(diagonals: Tensor, offsets, shape, layout=None):
    """A sparse matrix with the rows of `diagonals` as its diagonals: element (i, i + k) of the one
    at offset k is the row's number i + k.

    diagonals: (D, L) or (L); offsets: D different ints, positive above the main diagonal. layout:
    coordinates, or lamina.sparse_csr or sparse_csc. Raises ValueError for repeated offsets.
    """
    from ..ops.creation import as_tensor, tensor
    from .coo import sparse_coo_tensor

    table = diagonals if diagonals.dim() == 2 else diagonals.unsqueeze(0)
    steps = as_tensor(offsets).reshape(-1).tolist()
    if len(steps) != len(table) or len(set(steps)) != len(steps):
        raise ValueError(
            f"spdiags: expected {len(table)} different offsets, one per diagonal, got {steps}"
        )
    rows, columns, which = [], [], []
    for d, k in enumerate(steps):
        for j in range(max(0, k), min(shape[1], shape[0] + k, table.shape[1])):
            rows.append(j - k)
            columns.append(j)
            which.append(d)
    places = tensor([rows, columns], dtype=_core.int64)
    values = table[tensor(which, dtype=_core.int64), places[1]]
    made = sparse_coo_tensor(places, values, shape)
    if layout is None or str(layout).endswith("coo"):
        return made
    return made.to_sparse(layout=layout)


def sum(input: SparseTensor, dim=None, dtype=None):
    """The sum of all values (a dense number), or over dimensions `dim`: sparse while an indexed
    dimension is left, else dense."""
    values = input._v if dtype is None else input._v.to(dtype)
    if dim is None:
        return values.sum()
    dims = {d % input.ndim for d in ((dim,) if isinstance(dim, int) else dim)}
    n = input.sparse_dim()
    inner = [d - n + 1 for d in dims if d >= n]
    values = values.sum(inner) if inner else values
    shape = [s for d, s in enumerate(input.shape) if d not in dims]
    kept = [d for d in range(n) if d not in dims]
    if not kept:
        return values.sum(0)
    if len(kept) == n:
        return SparseTensor(input._i, values, shape, input._coalesced)
    return SparseTensor(input._i[kept], values, shape).coalesce()


def _normalised(input: SparseTensor, dim: int, logarithm: bool) -> SparseTensor:
    input = input.coalesce()
    if input.dim() != 2 or input.sparse_dim() != 2:
        raise NotImplementedError("sparse.softmax: only sparse matrices; use to_dense()")
    where = input._i[1 - dim % 2]
    count = input.shape[1 - dim % 2]
    lowest = zeros(count, dtype=input.dtype)
    largest = lowest.scatter_reduce(0, where, input._v.detach(), "amax", include_self=False)
    shifted = input._v - largest.index_select(0, where)
    total = lowest.index_add(0, where, shifted.exp()).index_select(0, where)
    return input._with(shifted - total.log() if logarithm else shifted.exp() / total)


def softmax(input: SparseTensor, dim: int, *, dtype=None) -> SparseTensor:
    """softmax over the kept elements of each row (dim=1) or column (dim=0) of a matrix."""
    return _normalised(input if dtype is None else input.to(dtype), dim, False)


def log_softmax(input: SparseTensor, dim: int, *, dtype=None) -> SparseTensor:
    """The logarithm of `softmax`."""
    return _normalised(input if dtype is None else input.to(dtype), dim, True)
