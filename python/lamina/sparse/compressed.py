"""Compressed sparse matrices: the rows (CSR) or columns (CSC) one after another."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from .._types import Size
from ..ops.creation import arange, as_tensor, tensor
from ..ops.join import stack
from .coo import SparseTensor, to_sparse


class CompressedTensor:
    """A matrix of which only some elements are kept, row by row (`layout` sparse_csr) or column by
    column (sparse_csc) (Saad, Iterative methods for sparse linear systems, 2003, section 3.4).

    Row i holds values[k] in column col_indices[k] for crow_indices[i] <= k < crow_indices[i + 1];
    of columns the same with ccol_indices and row_indices. Gradients flow to the values. Made by
    `sparse_csr_tensor`, `sparse_csc_tensor`, ``Tensor.to_sparse_csr`` and ``to_sparse_csc``.
    """

    is_sparse, is_cuda = False, False

    def __init__(self, starts: Tensor, places: Tensor, values: Tensor, size, by_rows=True):
        self._starts, self._places, self._v = starts, places, values
        self.shape, self._by_rows = Size(size), by_rows

    # ---- what it is ----------------------------------------------------------------------------
    @property
    def is_sparse_csr(self) -> bool:
        """Whether it is kept by rows."""
        return self._by_rows

    @property
    def layout(self):
        """lamina.sparse_csr or lamina.sparse_csc."""
        from .. import _platform

        return _platform.sparse_csr if self._by_rows else _platform.sparse_csc

    @property
    def dtype(self):
        """The dtype of the values."""
        return self._v.dtype

    @property
    def device(self):
        """Where the memory is."""
        return self._v.device

    @property
    def ndim(self) -> int:
        """2."""
        return 2

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to the values."""
        return self._v.requires_grad

    @property
    def grad(self):
        """The gradient of the values, as a matrix of the same form, or None."""
        return None if self._v.grad is None else self._with(self._v.grad)

    def dim(self) -> int:
        """2."""
        return 2

    def size(self, dim=None):
        """The shape, or one size."""
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> int:
        """The number of elements of the whole shape."""
        return self.shape[0] * self.shape[1]

    def __len__(self) -> int:
        return self.shape[0]

    def _nnz(self) -> int:
        """How many values are kept."""
        return len(self._v)

    def values(self) -> Tensor:
        """The kept values, row by row (or column by column)."""
        return self._v

    def _need(self, name: str, by_rows: bool) -> None:
        if by_rows is not self._by_rows:
            raise RuntimeError(
                f"{name} expected a tensor kept by {'rows' if by_rows else 'columns'}, got layout "
                f"{self.layout}; use {'to_sparse_csr' if by_rows else 'to_sparse_csc'}()"
            )

    def crow_indices(self) -> Tensor:
        """Where each row begins, and the number of values: int64 (M + 1). RuntimeError for CSC."""
        self._need("crow_indices", True)
        return self._starts

    def col_indices(self) -> Tensor:
        """The column of each value. Raises RuntimeError for CSC."""
        self._need("col_indices", True)
        return self._places

    def ccol_indices(self) -> Tensor:
        """Where each column begins, and the number of values: int64 (N + 1). RuntimeError for
        CSR."""
        self._need("ccol_indices", False)
        return self._starts

    def row_indices(self) -> Tensor:
        """The row of each value. Raises RuntimeError for CSR."""
        self._need("row_indices", False)
        return self._places

    def __repr__(self) -> str:
        a, b = ("crow", "col") if self._by_rows else ("ccol", "row")
        return (
            f"tensor({a}_indices={self._starts},\n       {b}_indices={self._places},\n       "
            f"values={self._v}, size={tuple(self.shape)}, nnz={self._nnz()},\n       "
            f"layout={self.layout})"
        )

    # ---- forms ---------------------------------------------------------------------------------
    def to_sparse(self, sparse_dim=None, *, layout=None):
        """In coordinates, or of another `layout`."""
        if layout is not None and not str(layout).endswith("coo"):
            return self.to_sparse_csr() if str(layout).endswith("csr") else self.to_sparse_csc()
        lengths = self._starts[1:] - self._starts[:-1]
        of = arange(len(lengths)).repeat_interleave(lengths)
        pair = (of, self._places) if self._by_rows else (self._places, of)
        return SparseTensor(stack(pair), self._v, self.shape, self._by_rows)

    def to_sparse_csr(self) -> CompressedTensor:
        """Kept by rows."""
        return self if self._by_rows else to_sparse_csr(self.to_sparse())

    def to_sparse_csc(self) -> CompressedTensor:
        """Kept by columns."""
        return to_sparse_csc(self.to_sparse()) if self._by_rows else self

    def to_dense(self) -> Tensor:
        """The whole matrix."""
        return self.to_sparse().to_dense()

    def _with(self, values: Tensor) -> CompressedTensor:
        return CompressedTensor(self._starts, self._places, values, self.shape, self._by_rows)

    def to(self, *args, **kwargs) -> CompressedTensor:
        """With values of another dtype; see ``Tensor.to``."""
        return self._with(self._v.to(*args, **kwargs))

    def float(self) -> CompressedTensor:
        """With float32 values."""
        return self._with(self._v.float())

    def double(self) -> CompressedTensor:
        """With float64 values."""
        return self._with(self._v.double())

    def cpu(self) -> CompressedTensor:
        """Itself."""
        return self

    def clone(self) -> CompressedTensor:
        """A copy."""
        return CompressedTensor(
            self._starts.clone(), self._places.clone(), self._v.clone(), self.shape, self._by_rows
        )

    def detach(self) -> CompressedTensor:
        """Without history."""
        return self._with(self._v.detach())

    def requires_grad_(self, requires_grad=True) -> CompressedTensor:
        """Lets gradients flow to the values; returns itself."""
        self._v.requires_grad_(requires_grad)
        return self

    def t(self) -> CompressedTensor:
        """The transposed matrix: rows become columns, nothing moves."""
        return CompressedTensor(
            self._starts, self._places, self._v, self.shape[::-1], not self._by_rows
        )

    T = property(t, doc="The transposed matrix.")

    def transpose(self, dim0: int, dim1: int) -> CompressedTensor:
        """The transposed matrix, or itself."""
        return self if dim0 % 2 == dim1 % 2 else self.t()

    # ---- arithmetic ----------------------------------------------------------------------------
    def __neg__(self) -> CompressedTensor:
        return self._with(-self._v)

    def __mul__(self, other):
        if isinstance(other, (int, float)) or (isinstance(other, Tensor) and other.dim() == 0):
            return self._with(self._v * other)
        product = self.to_sparse() * (other if isinstance(other, Tensor) else other.to_dense())
        return self._with(product._v)

    __rmul__ = mul = __mul__

    def __truediv__(self, other) -> CompressedTensor:
        return self._with(self._v / other)

    def __add__(self, other):
        if isinstance(other, CompressedTensor):
            return to_sparse_csr(self.to_sparse() + other.to_sparse())
        return self.to_sparse() + other

    __radd__ = add = __add__

    def __matmul__(self, other):
        from .functions import mm

        return mm(self, other)

    def __rmatmul__(self, other):
        from .functions import mm

        return mm(other, self)

    mm = matmul = mv = __matmul__

    def sum(self, dim=None, dtype=None):
        """The sum of the values, or over dimensions; see `sparse.sum`."""
        return self.to_sparse().sum(dim, dtype)


def _compress(coo: SparseTensor, by_rows: bool) -> CompressedTensor:
    if coo.dim() != 2 or coo.sparse_dim() != 2:
        raise _core.ShapeError(
            f"to_sparse_{'csr' if by_rows else 'csc'}: expected a matrix, got shape "
            f"{tuple(coo.shape)}"
        )
    ordered = (coo if by_rows else coo.t()).coalesce()  # sorted by rows (columns), then within
    first, places = ordered._i
    starts = tensor([0] * (ordered.shape[0] + 1), dtype=_core.int64)
    counts = first.bincount(minlength=ordered.shape[0]) if len(first) else starts[1:]
    starts[1:] = counts.cumsum(0)
    return CompressedTensor(starts, places, ordered._v, coo.shape, by_rows)


def to_sparse_csr(self) -> CompressedTensor:
    """The nonzero elements of a matrix (dense, or sparse in coordinates), row by row."""
    return _compress(self if isinstance(self, SparseTensor) else to_sparse(self), True)


def to_sparse_csc(self) -> CompressedTensor:
    """The nonzero elements of a matrix (dense, or sparse in coordinates), column by column."""
    return _compress(self if isinstance(self, SparseTensor) else to_sparse(self), False)


def _checked(name, starts, places, values, size, dtype, requires_grad, by_rows):
    starts, places = as_tensor(starts).to(_core.int64), as_tensor(places).to(_core.int64)
    values = as_tensor(values)
    values = values if dtype is None else values.to(dtype)
    if starts.dim() != 1 or places.dim() != 1 or values.shape != places.shape or not len(starts):
        raise ValueError(
            f"{name}: expected 1-D indices and as many values as places, got shapes "
            f"{tuple(starts.shape)}, {tuple(places.shape)} and {tuple(values.shape)}"
        )
    if size is None:
        other = int(places.max()) + 1 if len(places) else 0
        size = (len(starts) - 1, other) if by_rows else (other, len(starts) - 1)
    size = tuple(size)
    if len(size) != 2 or size[0 if by_rows else 1] != len(starts) - 1:
        raise ValueError(
            f"{name}: size {size} does not fit {len(starts) - 1} "
            f"{'rows' if by_rows else 'columns'} of the compressed indices"
        )
    lengths = starts[1:] - starts[:-1]
    if int(starts[0]) != 0 or int(starts[-1]) != len(values) or bool((lengths < 0).any()):
        raise ValueError(
            f"{name}: the compressed indices must rise from 0 to the number of values, "
            f"{len(values)}, got {starts.tolist()[:8]}"
        )
    limit = size[1 if by_rows else 0]
    if len(places) and not 0 <= int(places.min()) <= int(places.max()) < limit:
        raise ValueError(
            f"{name}: places reach from {int(places.min())} to {int(places.max())}, the size is "
            f"{limit}"
        )
    made = CompressedTensor(starts, places, values, size, by_rows)
    return made.requires_grad_() if requires_grad else made


def sparse_csr_tensor(crow_indices, col_indices, values, size=None, *, dtype=None, device=None,
                      layout=None, pin_memory=False, requires_grad=False,
                      check_invariants=None) -> CompressedTensor:  # fmt: skip
    """A matrix kept by rows: row i has values[k] in column col_indices[k] for crow_indices[i] <= k
    < crow_indices[i + 1].

    crow_indices: (M + 1) whole numbers from 0 to nnz; col_indices, values: (nnz). size: (M, N), by
    default as few columns as the indices allow. Raises ValueError for parts that do not fit.
    """
    return _checked("sparse_csr_tensor", crow_indices, col_indices, values, size, dtype,
                    requires_grad, True)  # fmt: skip


def sparse_csc_tensor(ccol_indices, row_indices, values, size=None, *, dtype=None, device=None,
                      layout=None, pin_memory=False, requires_grad=False,
                      check_invariants=None) -> CompressedTensor:  # fmt: skip
    """A matrix kept by columns: `sparse_csr_tensor` of the transposed matrix."""
    return _checked("sparse_csc_tensor", ccol_indices, row_indices, values, size, dtype,
                    requires_grad, False)  # fmt: skip
