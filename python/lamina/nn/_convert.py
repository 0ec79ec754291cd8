"""The part of Module that changes the dtype or device of everything it holds."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from .._types import device as _device
from ..autograd import no_grad
from ..ops.creation import empty


def _parse_to(args, kwargs):
    """(device, dtype, copy) of the arguments of `Module.to`."""
    known = {"device", "dtype", "non_blocking", "copy", "memory_format", "tensor"}
    wrong = set(kwargs) - known
    if wrong or len(args) > 4:
        raise TypeError(
            f"to: expected (device, dtype), (dtype) or (tensor), got {len(args)} arguments and "
            f"{sorted(kwargs)}"
        )
    device, dtype, copy = kwargs.get("device"), kwargs.get("dtype"), kwargs.get("copy", False)
    other = kwargs.get("tensor")
    rest = list(args)
    if rest and isinstance(rest[0], Tensor):
        other = rest.pop(0)
    elif rest and isinstance(rest[0], _core.dtype):
        dtype = rest.pop(0)
    elif rest:
        device = rest.pop(0)
        if rest and (rest[0] is None or isinstance(rest[0], _core.dtype)):
            dtype = rest.pop(0)
    if len(rest) > 1:
        copy = rest[1]
    if other is not None:
        device, dtype = other.device, other.dtype
    return device if device is None else _device(device), dtype, copy


class Convert:
    """to, float, double, half, bfloat16, type, cpu, cuda, share_memory."""

    _modules: dict
    _parameters: dict
    _buffers: dict

    def children(self):
        """The direct submodules."""
        raise NotImplementedError

    def _apply(self, fn, recurse=True):
        """Replaces every parameter, gradient and buffer t by fn(t); Parameter objects stay."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        for p in self._parameters.values():
            if p is None:
                continue
            grad = p.grad
            with no_grad():
                made = fn(p)
                if made is not p:
                    p.grad = None
                    p.data = made
                    if grad is not None:
                        p.grad = fn(grad).requires_grad_(grad.requires_grad)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def to(self, *args, **kwargs):
        """Converts, in place: ``to(device)``, ``to(dtype)``, ``to(device, dtype)``, ``to(tensor)``.

        A dtype changes floating point parameters and buffers only. Returns self. Raises TypeError
        for a dtype that is not floating point, DeviceError for a device this build lacks.
        """
        device, dtype, copy = _parse_to(args, kwargs)
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(
                f"to: a module's dtype must be floating point, got {dtype}; convert the tensors "
                "themselves"
            )

        def convert(t):
            to = dtype if dtype is not None and t.dtype.is_floating_point else None
            where = _core.device_of(t) if isinstance(t, Tensor) else -1  # sparse: on the CPU only
            if device is not None and device._where() != where:
                return t.detach().to(device, to)
            if to is None or to == t.dtype:
                return t.detach().clone() if copy else t
            return t.detach().to(to)

        return self._apply(convert)

    def _to_dtype(self, dtype):
        return self._apply(
            lambda t: t.detach().to(dtype) if t.dtype.is_floating_point and t.dtype != dtype else t
        )

    def float(self):
        """Floating point parameters and buffers to float32; returns self."""
        return self._to_dtype(_core.float32)

    def double(self):
        """Floating point parameters and buffers to float64; returns self."""
        return self._to_dtype(_core.float64)

    def half(self):
        """Floating point parameters and buffers to float16; returns self."""
        return self._to_dtype(_core.float16)

    def bfloat16(self):
        """Floating point parameters and buffers to bfloat16; returns self."""
        return self._to_dtype(_core.bfloat16)

    def type(self, dst_type):
        """All parameters and buffers to `dst_type`; returns self."""
        return self._apply(lambda t: t.detach().type(dst_type))

    def cpu(self):
        """Moves to the CPU; returns self."""
        return self._apply(lambda t: t if t.device.type == "cpu" else t.detach().cpu())

    def cuda(self, device=None):
        """Moves to a CUDA device; returns self. Raises DeviceError when this build has none."""
        return self.to(_device("cuda", device) if device is None or isinstance(device, int)
                       else device)  # fmt: skip

    def to_empty(self, *, device, recurse=True):
        """Moves to `device` without the values; returns self."""
        return self._apply(
            lambda t: empty(tuple(t.shape), dtype=t.dtype, device=device), recurse=recurse
        )

    def share_memory(self):
        """Moves parameters and buffers to memory that processes forked later share with this one;
        returns self. A tensor written in one process is then changed in all of them."""
        for p in self._parameters.values():
            if p is not None and not getattr(p, "_shared_memory", False):
                p.data = _shared(p.detach())
                p._shared_memory = True
        for name, buffer in self._buffers.items():
            if buffer is not None and not getattr(buffer, "_shared_memory", False):
                self._buffers[name] = _shared(buffer)
        for module in self.children():
            module.share_memory()
        return self


def _shared(t: Tensor) -> Tensor:
    """A copy of t in anonymous shared memory."""
    if t.numel() == 0:
        return t
    import mmap

    memory = memoryview(mmap.mmap(-1, t.numel() * t.dtype.itemsize))
    kinds: dict = {1: "B", 2: "h", 4: "i", 8: "q"}
    integers = _core.from_buffer(memory.cast(kinds[t.dtype.itemsize]))
    made = _core.view(_core.view_dtype(integers, t.dtype), tuple(t.shape))
    made.copy_(t.detach())
    made._shared_memory = True
    return made
