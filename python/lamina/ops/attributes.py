"""What a tensor says about itself, and changes of its shape in place."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from .._refuse import refused
from ._method import method

__all__ = ["is_complex", "is_nonzero", "is_same_size", "is_signed"]


def _constant(name: str, value, doc: str) -> None:
    setattr(Tensor, name, property(lambda self: value, doc=doc))


for _name, _what in {
    "is_mps": "on an Apple GPU", "is_xpu": "on an Intel GPU", "is_meta": "without memory",
    "is_quantized": "quantized", "is_sparse": "sparse (COO)", "is_sparse_csr": "sparse (CSR)",
    "is_nested": "nested", "is_mkldnn": "in another library's layout",
}.items():  # fmt: skip
    _constant(_name, False, f"Whether the tensor is {_what}.")
Tensor.is_cuda = property(lambda self: _core.device_of(self) >= 0, doc="Whether on a CUDA device.")
Tensor.is_cpu = property(lambda self: _core.device_of(self) < 0, doc="Whether in host memory.")


def _layout(self: Tensor):
    from .._platform import strided

    return strided


Tensor.layout = property(_layout, doc="How the tensor is stored: lamina.strided.")
Tensor.itemsize = property(lambda self: self.dtype.itemsize, doc="Bytes of one element.")
Tensor.nbytes = property(lambda self: self.dtype.itemsize * self.numel(), doc="Bytes in all.")
Tensor.names = property(lambda self: (None,) * self.ndim, doc="Names of dimensions: none.")
Tensor.output_nr = property(lambda self: 0, doc="Which output of its function the tensor is.")


@method
def element_size(self: Tensor) -> int:
    """Bytes of one element."""
    return self.dtype.itemsize


@method
def is_floating_point(self: Tensor) -> bool:
    """True for float16, bfloat16, float32 and float64."""
    return self.dtype.is_floating_point


@method
def is_complex(input: Tensor) -> bool:
    """True for complex64 and complex128."""
    return input.dtype.is_complex


@method
def is_signed(input: Tensor) -> bool:
    """Whether the dtype has negative numbers (all but uint8 and bool)."""
    return input.dtype not in (_core.uint8, _core.bool)


@method
def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether both shapes are equal."""
    return input.shape == other.shape


@method
def get_device(self: Tensor) -> int:
    """The number of the CUDA device, -1 for the CPU."""
    return _core.device_of(self)


@method
def is_pinned(self: Tensor, device=None) -> bool:
    """Whether in page-locked memory (`pin_memory`)."""
    return _core.is_pinned(self)


@method
def is_shared(self: Tensor) -> bool:
    """False: memory is shared by forking."""
    return False


@method
def share_memory_(self: Tensor) -> Tensor:
    """The tensor itself: memory is shared by forking."""
    return self


@method
def record_stream(self: Tensor, stream) -> None:
    """Nothing: there are no streams."""


@method
def is_inference(self: Tensor) -> bool:
    """False: tensors made in `inference_mode` are ordinary ones."""
    return False


@method
def is_set_to(self: Tensor, tensor: Tensor) -> bool:
    """Whether both are the same memory, sizes and strides."""
    return (
        _core.address(self) == _core.address(tensor)
        and self.shape == tensor.shape
        and self.stride() == tensor.stride()
    )


@method
def is_nonzero(input: Tensor) -> bool:
    """Whether the single element is not zero. Raises RuntimeError for more elements or none."""
    return bool(input)


@method
def to_sparse(self: Tensor, sparse_dim=None, *, layout=None):
    """The nonzero elements as a `lamina.sparse.SparseTensor`, or, of a matrix, by rows or columns:
    `layout` lamina.sparse_csr or sparse_csc."""
    from ..sparse import to_sparse

    made = to_sparse(self, sparse_dim)
    return made if layout is None else made.to_sparse(layout=layout)


@method
def to_sparse_coo(self: Tensor):
    """The nonzero elements as a `lamina.sparse.SparseTensor`."""
    return to_sparse(self)


@method
def to_sparse_csr(self: Tensor, dense_dim=None):
    """The nonzero elements of a matrix row by row, as a `lamina.sparse.CompressedTensor`."""
    return to_sparse(self).to_sparse_csr()


@method
def to_sparse_csc(self: Tensor, dense_dim=None):
    """The nonzero elements of a matrix column by column."""
    return to_sparse(self).to_sparse_csc()


@method
def to_dense(self: Tensor, dtype=None, *, masked_grad=None) -> Tensor:
    """The tensor itself (as `dtype`): it is dense."""
    return self if dtype is None else self.to(dtype)


# ---- what there is not -------------------------------------------------------------------------
method("storage")(refused("Tensor.storage", "use data_ptr(), nbytes or numpy()"))
method("untyped_storage")(refused("Tensor.untyped_storage", "use data_ptr(), nbytes or numpy()"))
method("reinforce")(
    refused("Tensor.reinforce", "PyTorch removed it too; use -distribution.log_prob(x) * reward")
)


# ---- in place ----------------------------------------------------------------------------------
def _reshaped(name: str, self: Tensor, value: Tensor) -> Tensor:
    """`self` with the memory, sizes and strides of `value`."""
    if self.requires_grad and _core.grad_enabled():
        raise RuntimeError(
            f"{name}: a tensor that requires grad keeps its shape; use {name.rstrip('_')} and its "
            "result"
        )
    self.data = value
    return self


def _view_in_place(name: str) -> None:
    view = getattr(Tensor, name[:-1])

    def in_place(self: Tensor, *args, **kwargs) -> Tensor:
        return _reshaped(name, self, view(self.detach(), *args, **kwargs))

    in_place.__name__ = in_place.__qualname__ = name
    in_place.__doc__ = (
        f"The tensor itself, its sizes and strides now those of `{name[:-1]}`'s result. Raises "
        "RuntimeError for a tensor that requires grad."
    )
    setattr(Tensor, name, in_place)


for _name in ("squeeze_", "unsqueeze_", "transpose_", "t_", "swapaxes_", "swapdims_"):
    _view_in_place(_name)


@method
def resize_(self: Tensor, *sizes, size=None, memory_format=None) -> Tensor:
    """The tensor with new sizes: the first elements stay, in row-major order; new memory beyond
    them is not initialised."""
    from .creation import _at, _shape

    shape = _shape(sizes if size is None else (size,))
    new = _at(self.device, _core.empty, tuple(shape), self.dtype)
    old = self.detach()
    kept = min(new.numel(), old.numel())
    if kept:
        new.view(-1)[:kept].copy_(old.reshape(-1)[:kept])
    return _reshaped("resize_", self, new)


@method
def resize_as_(self: Tensor, the_template: Tensor, memory_format=None) -> Tensor:
    """`resize_` to the sizes of another tensor."""
    return resize_(self, *the_template.shape)


@method
def set_(self: Tensor, source=None) -> Tensor:
    """The tensor over the memory of `source` (an empty one without)."""
    return _reshaped("set_", self, self.new_empty((0,)) if source is None else source)


@method
def apply_(self: Tensor, callable) -> Tensor:
    """Every element replaced by ``callable(element)``, one Python call each."""
    values = [callable(x) for x in self.detach().reshape(-1).tolist()]
    return self.copy_(_core.tensor(values, self.dtype).view(self.shape))


@method
def map_(self: Tensor, tensor: Tensor, callable) -> Tensor:
    """Every element replaced by ``callable(element, element of tensor)``."""
    pairs = zip(self.detach().reshape(-1).tolist(), tensor.expand(self.shape).reshape(-1).tolist())
    values = [callable(a, b) for a, b in pairs]
    return self.copy_(_core.tensor(values, self.dtype).view(self.shape))
