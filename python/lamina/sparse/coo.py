"""The sparse tensor: indices (dims, nnz) and values (nnz, rest of the shape)."""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from .._types import Size
from ..ops.creation import as_tensor, zeros
from ..ops.join import cat, stack


class SparseTensor:
    """A tensor of which only some elements are kept (Saad, Iterative methods for sparse linear
    systems, 2003, section 3.4).

    indices: int64 (dims, nnz); values: (nnz, ...); element indices[:, k] is values[k], equal
    indices add up. Made by `sparse_coo_tensor` and ``Tensor.to_sparse``.
    """

    is_sparse, is_cuda, is_sparse_csr = True, False, False

    def __init__(self, indices: Tensor, values: Tensor, size, coalesced=False):
        self._i, self._v = indices, values
        self.shape = Size(size)
        self._coalesced = coalesced

    # ---- what it is ----------------------------------------------------------------------------
    @property
    def dtype(self):
        """The dtype of the values."""
        return self._v.dtype

    @property
    def device(self):
        """Where the memory is."""
        return self._v.device

    @property
    def layout(self):
        """lamina.sparse_coo."""
        from .._platform import sparse_coo

        return sparse_coo

    @property
    def ndim(self) -> int:
        """How many dimensions the shape has."""
        return len(self.shape)

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to the values."""
        return self._v.requires_grad

    @property
    def grad(self):
        """The gradient of the values, as a sparse tensor, or None."""
        grad = self._v.grad
        return None if grad is None else SparseTensor(self._i, grad, self.shape, self._coalesced)

    def dim(self) -> int:
        """How many dimensions the shape has."""
        return len(self.shape)

    def size(self, dim=None):
        """The shape, or one size."""
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> int:
        """The number of elements of the whole shape."""
        return math.prod(self.shape)

    def sparse_dim(self) -> int:
        """How many dimensions the indices cover."""
        return self._i.shape[0]

    def dense_dim(self) -> int:
        """How many dimensions each value has."""
        return self._v.dim() - 1

    def is_coalesced(self) -> bool:
        """Whether the indices are sorted and different."""
        return self._coalesced

    def _nnz(self) -> int:
        """How many values are kept."""
        return self._i.shape[1]

    def _indices(self) -> Tensor:
        """The indices as they are."""
        return self._i

    def _values(self) -> Tensor:
        """The values as they are."""
        return self._v

    def indices(self) -> Tensor:
        """The sorted indices. Raises RuntimeError before `coalesce`."""
        self._need_coalesced("indices")
        return self._i

    def values(self) -> Tensor:
        """The values in the order of `indices`. Raises RuntimeError before `coalesce`."""
        self._need_coalesced("values")
        return self._v

    def _need_coalesced(self, what: str) -> None:
        if not self._coalesced:
            raise RuntimeError(
                f"Cannot get {what} on an uncoalesced tensor, please call .coalesce() first"
            )

    def __repr__(self) -> str:
        parts = [
            f"{name}=" + f"{t}".replace("\n", "\n" + " " * len(f"tensor({name}="))
            for name, t in (("indices", self._i), ("values", self._v))
        ]
        last = f"size={tuple(self.shape)}, nnz={self._nnz()}, layout=lamina.sparse_coo"
        return "tensor(" + ",\n       ".join([*parts, last]) + ")"

    def __len__(self) -> int:
        return self.shape[0]

    # ---- forms ---------------------------------------------------------------------------------
    def _flat(self) -> Tensor:
        """Row-major numbers of the kept elements."""
        flat = self._i[0]
        for d in range(1, self.sparse_dim()):
            flat = flat * self.shape[d] + self._i[d]
        return flat

    def coalesce(self) -> SparseTensor:
        """Sorted, with the values of equal indices added up."""
        if self._coalesced:
            return self
        from ..ops.distinct import unique

        flat, place = unique(self._flat(), return_inverse=True)
        values = zeros((len(flat), *self._v.shape[1:]), dtype=self.dtype)
        values = values.index_add(0, place, self._v)
        rows = []
        for size in reversed(self.shape[: self.sparse_dim()]):
            rows.append(flat % size)
            flat = flat.div(size, rounding_mode="floor")
        return SparseTensor(stack(rows[::-1]), values, self.shape, True)

    def to_dense(self) -> Tensor:
        """The whole tensor."""
        n = self.sparse_dim()
        flat = zeros((math.prod(self.shape[:n]), *self.shape[n:]), dtype=self.dtype)
        return flat.index_add(0, self._flat(), self._v).view(self.shape)

    def to_sparse(self, sparse_dim=None, *, layout=None):
        """Itself, or of another `layout` (lamina.sparse_csr, lamina.sparse_csc)."""
        if layout is None or str(layout).endswith("coo"):
            return self
        return self.to_sparse_csr() if str(layout).endswith("csr") else self.to_sparse_csc()

    def to_sparse_csr(self):
        """The matrix row by row: see `sparse_csr_tensor`."""
        from .compressed import to_sparse_csr

        return to_sparse_csr(self)

    def to_sparse_csc(self):
        """The matrix column by column."""
        from .compressed import to_sparse_csc

        return to_sparse_csc(self)

    def _with(self, values: Tensor) -> SparseTensor:
        return SparseTensor(self._i, values, self.shape, self._coalesced)

    def to(self, *args, **kwargs) -> SparseTensor:
        """With values of another dtype; see ``Tensor.to``."""
        return self._with(self._v.to(*args, **kwargs))

    def type(self, dtype) -> SparseTensor:
        """With values of another dtype."""
        return self._with(self._v.type(dtype))

    def float(self) -> SparseTensor:
        """With float32 values."""
        return self._with(self._v.float())

    def double(self) -> SparseTensor:
        """With float64 values."""
        return self._with(self._v.double())

    def long(self) -> SparseTensor:
        """With int64 values."""
        return self._with(self._v.long())

    def cpu(self) -> SparseTensor:
        """Itself."""
        return self

    def clone(self) -> SparseTensor:
        """A copy."""
        return SparseTensor(self._i.clone(), self._v.clone(), self.shape, self._coalesced)

    def detach(self) -> SparseTensor:
        """Without history."""
        return self._with(self._v.detach())

    def requires_grad_(self, requires_grad=True) -> SparseTensor:
        """Lets gradients flow to the values; returns itself."""
        self._v.requires_grad_(requires_grad)
        return self

    def copy_(self, src: SparseTensor) -> SparseTensor:
        """Takes the elements of another sparse tensor of the same shape; returns itself."""
        if not isinstance(src, SparseTensor) or src.shape != self.shape:
            raise RuntimeError(
                f"copy_: expected a sparse tensor of shape {tuple(self.shape)}, got "
                f"{type(src).__name__} {tuple(src.shape)}"
            )
        self._i, self._v = src._i.clone(), src._v.detach().to(self.dtype, copy=True)
        self._coalesced = src._coalesced
        return self

    def is_floating_point(self) -> bool:
        """Whether the values are floating point numbers."""
        return self.dtype.is_floating_point

    def transpose(self, dim0: int, dim1: int) -> SparseTensor:
        """With two of the indexed dimensions exchanged."""
        order = list(range(self.ndim))
        order[dim0], order[dim1] = order[dim1], order[dim0]
        if max(dim0 % self.ndim, dim1 % self.ndim) >= self.sparse_dim():
            raise ValueError("transpose: only indexed dimensions of a sparse tensor can move")
        indices = stack([self._i[d] for d in order[: self.sparse_dim()]])
        return SparseTensor(indices, self._v, [self.shape[d] for d in order])

    def t(self) -> SparseTensor:
        """The transposed matrix."""
        return self.transpose(0, 1)

    T = property(t, doc="The transposed matrix.")

    # ---- arithmetic ----------------------------------------------------------------------------
    def norm(self, p=2) -> Tensor:
        """The p-norm of all elements."""
        return self.coalesce()._v.norm(p)

    def pow(self, exponent) -> SparseTensor:
        """Elements to a power that is a positive number."""
        if not exponent > 0:
            raise ValueError(f"pow: a sparse tensor takes a positive exponent, got {exponent}")
        c = self.coalesce()
        return c._with(c._v.pow(exponent))

    __pow__ = pow

    def __neg__(self) -> SparseTensor:
        return self._with(-self._v)

    def __mul__(self, other) -> SparseTensor:
        if isinstance(other, SparseTensor):
            other = other.to_dense()
        if isinstance(other, Tensor) and other.dim():
            other = other.expand(self.shape)[tuple(self._i)]
        return self._with(self._v * other)

    __rmul__ = mul = __mul__

    def __truediv__(self, other) -> SparseTensor:
        if isinstance(other, (SparseTensor, Tensor)) and other.dim():
            raise NotImplementedError("sparse division takes a number; use to_dense()")
        return self._with(self._v / other)

    div = __truediv__

    def __add__(self, other):
        if not isinstance(other, SparseTensor):
            return self.to_dense() + other
        if self.shape != other.shape:
            raise _core.ShapeError(
                f"add: sparse tensors of shapes {tuple(self.shape)} and {tuple(other.shape)}"
            )
        dtype = _core.promote_types(self.dtype, other.dtype)
        return SparseTensor(
            cat([self._i, other._i], 1), cat([self._v.to(dtype), other._v.to(dtype)]), self.shape
        )

    __radd__ = add = __add__

    def __sub__(self, other):
        return self + (-other)

    def __rsub__(self, other):
        return -self + other

    def __matmul__(self, other):
        from .functions import mm

        return mm(self, other)

    def __rmatmul__(self, other):
        from .functions import mm

        return mm(other, self)

    mm = matmul = __matmul__

    def sum(self, dim=None, dtype=None):
        """The sum of the values, or a sparse or dense sum over dimensions."""
        from .functions import sum

        return sum(self, dim, dtype)


def _size(indices: Tensor, values: Tensor) -> list:
    least = [int(row.max()) + 1 if len(row) else 0 for row in indices]
    return [*least, *values.shape[1:]]


def _value_function(name: str):
    def function(self: SparseTensor) -> SparseTensor:
        c = self.coalesce()
        return c._with(getattr(c._v, name)())

    function.__name__ = name
    function.__doc__ = f"``{name}`` of each element, which leaves 0 as it is."
    return function


for _name in (
    "abs", "asin", "asinh", "atan", "ceil", "erf", "expm1", "floor", "log1p", "neg", "relu",
    "round", "sgn", "sign", "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc",
):  # fmt: skip
    setattr(SparseTensor, _name, _value_function(_name))


def sparse_coo_tensor(indices, values=None, size=None, *, dtype=None, device=None,
                      requires_grad=False, check_invariants=None, is_coalesced=None):  # fmt: skip
    """A sparse tensor: element indices[:, k] is values[k].

    Args:
        indices: whole numbers (dims, nnz). values: (nnz, ...); without both, `size` zeros.
        size: the shape; by default as small as the indices allow.

    Raises ValueError for shapes that do not fit and for indices outside of `size`.
    """
    if values is None:
        size = indices if size is None else size
        indices = zeros(len(size), 0, dtype=_core.int64)
        values = zeros(0, dtype=dtype or _core.default_dtype())
    indices = as_tensor(indices).to(_core.int64)
    values = as_tensor(values)
    values = values if dtype is None else values.to(dtype)
    if indices.dim() != 2 or values.dim() < 1 or indices.shape[1] != values.shape[0]:
        raise ValueError(
            f"sparse_coo_tensor: expected indices (dims, nnz) and values (nnz, ...), got "
            f"{tuple(indices.shape)} and {tuple(values.shape)}"
        )
    size = _size(indices, values) if size is None else list(size)
    if len(size) != len(indices) + values.dim() - 1:
        raise ValueError(
            f"sparse_coo_tensor: size {tuple(size)} has not the {len(indices)} dimensions of the "
            f"indices and {values.dim() - 1} of the values"
        )
    for d, row in enumerate(indices):
        if len(row) and not 0 <= int(row.min()) <= int(row.max()) < size[d]:
            raise ValueError(
                f"sparse_coo_tensor: indices of dimension {d} reach from {int(row.min())} to "
                f"{int(row.max())}, its size is {size[d]}"
            )
    made = SparseTensor(indices, values, size, bool(is_coalesced))
    return made.requires_grad_() if requires_grad else made


def to_sparse(self: Tensor, sparse_dim=None) -> SparseTensor:
    """The nonzero elements of a tensor, in the first `sparse_dim` dimensions (default: all)."""
    n = self.dim() if sparse_dim is None else sparse_dim
    kept = self.detach() != 0
    for _ in range(self.dim() - n):
        kept = kept.any(-1)
    indices = kept.nonzero().t().contiguous()
    return SparseTensor(indices, self[tuple(indices)], self.shape, True)
