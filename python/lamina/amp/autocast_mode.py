"""autocast: regions in which products run in half precision, and what needs range in float32.

Each function's rule stands beside the function: in its line of cpp/python/bind_<stem>.cpp, in
cpp/kernels/formulas.h for the elementwise ones, and as a decorator for those composed in Python.
They are PyTorch's, which differ between the CPU (few functions are kept from computing in halves)
and CUDA.
"""

from __future__ import annotations

import contextlib
import functools
import warnings

from .. import _core
from .._core import Tensor

_TYPES = ("cpu", "cuda", "mps", "xpu")


def _number(device_type: str) -> int:
    """0 for the CPU, 1 for CUDA; -1 for devices there are none of here."""
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    kind = device_type.partition(":")[0]
    if kind not in _TYPES:
        raise RuntimeError(f"autocast: unknown device type {device_type!r}; use 'cpu' or 'cuda'")
    return {"cpu": 0, "cuda": 1}.get(kind, -1)


_depth = _core.autocast_depth


class autocast:
    """``with autocast("cpu", dtype=lamina.bfloat16):``, also as a decorator.

    In the region functions called from Python convert their floating arguments, float64 excepted:

    - matrix products, linear, convolutions, attention and recurrent layers: to `dtype`;
    - losses, and on CUDA exp, log, pow, softmax, norms, sums and the like: to float32;
    - cat and stack on the CPU, some others on CUDA: to the widest type among them;
    - all others take what they are given.

    Float32 leaves that require grad are converted once per outermost region (cache_enabled), and
    again when they were modified. Gradients come back in the type of what they belong to; backward
    itself runs in the types of the forward pass. Only tensors on `device_type` are concerned.

    Args:
        device_type: "cpu" or "cuda" ("mps", "xpu": without effect).
        dtype: bfloat16 or float16; None: bfloat16 on the CPU, float16 on CUDA, or what
            `set_autocast_dtype` set. Another one disables the region, with a warning.
        enabled: False makes a region inside another one compute as it is given.
        cache_enabled: None: as outside.

    Raises ValueError when device_type is no string, RuntimeError for an unknown one.

    Micikevicius et al., "Mixed precision training" (ICLR 2018).

    >>> with lamina.autocast("cpu"):
    ...     (lamina.ones(2, 3) @ lamina.ones(3, 2)).dtype
    lamina.bfloat16
    """

    def __init__(self, device_type, dtype=None, enabled=True, cache_enabled=None):
        self._kind = _number(device_type)
        self.device, self.fast_dtype = device_type, dtype
        if dtype is None and self._kind >= 0:
            self.fast_dtype = _core.autocast_dtype(self._kind)
        self._enabled = bool(enabled)
        self._cache_enabled = _core.autocast_cache() if cache_enabled is None else cache_enabled
        if self._kind == 1 and self._enabled and not _core.device_count():
            warnings.warn(
                "User provided device_type of 'cuda', but CUDA is not available. Disabling",
                stacklevel=2,
            )
            self._enabled = False
        if self._enabled and self.fast_dtype not in (_core.bfloat16, _core.float16, None):
            warnings.warn(
                f"In {device_type} autocast, but the target dtype {self.fast_dtype} is not "
                "supported. Disabling autocast. Supported are lamina.bfloat16 and lamina.float16",
                stacklevel=2,
            )
            self._enabled = False
            self.fast_dtype = _core.autocast_dtype(max(self._kind, 0))
        self._before: list = []

    def __enter__(self):
        kind = self._kind
        if kind >= 0:
            before = _core.autocast_enabled(kind), _core.autocast_dtype(kind)
            self._before.append((*before, _core.autocast_cache()))
            _core.set_autocast(kind, self._enabled, self.fast_dtype, self._cache_enabled)
            _depth(1)
        return self

    def __exit__(self, *_):
        if self._kind >= 0:
            if _depth(-1) == 0:
                _core.clear_autocast_cache()
            _core.set_autocast(self._kind, *self._before.pop())
        return False

    def __call__(self, function):
        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            with self:
                return function(*args, **kwargs)

        return wrapped


def current() -> list:
    """What `again` takes to run something later as it would run now."""
    cache = _core.autocast_cache()
    return [(kind, _core.autocast_dtype(i), _core.autocast_enabled(i), cache)
            for i, kind in enumerate(("cpu", "cuda"))]  # fmt: skip


@contextlib.contextmanager
def again(state: list):
    """A region with the dtypes and switches that `current` found."""
    with contextlib.ExitStack() as stack:
        for arguments in state:
            stack.enter_context(autocast(*arguments))
        yield


def is_autocast_available(device_type: str) -> bool:
    """Whether regions of this device type have an effect: "cpu" and "cuda"."""
    return _number(device_type) >= 0


def _cast(value, device_type: str, dtype):
    """`value` with the floating tensors on the device (float64 excepted) converted; in containers
    too."""
    if isinstance(value, Tensor):
        take = value.is_floating_point() and value.dtype is not _core.float64
        return value.to(dtype) if take and value.device.type == device_type else value
    if isinstance(value, dict):
        return {_cast(k, device_type, dtype): _cast(v, device_type, dtype)
                for k, v in value.items()}  # fmt: skip
    if isinstance(value, (list, tuple)):
        made = [_cast(v, device_type, dtype) for v in value]
        return type(value)(*made) if hasattr(value, "_fields") else type(value)(made)
    return value


def custom_fwd(fwd=None, *, device_type: str, cast_inputs=None):
    """Decorates the forward of an `autograd.Function` that is used in autocast regions.

    cast_inputs: a dtype to which floating tensors on the device are converted when the call is made
        in a region; forward then runs with autocast switched off. None: forward runs as called.

    `custom_bwd` runs the backward in the same state.
    """
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)
    kind = max(_number(device_type), 0)

    @functools.wraps(fwd)
    def decorated(*args, **kwargs):
        ctx = args[0]
        inside = _core.autocast_enabled(kind)
        ctx._dtype = _core.autocast_dtype(kind)
        if cast_inputs is None or not inside:
            ctx._fwd_used_autocast = inside if cast_inputs is None else False
            return fwd(*args, **kwargs)
        ctx._fwd_used_autocast = False
        with autocast(device_type, enabled=False):
            return fwd(*_cast(args, device_type, cast_inputs),
                       **_cast(kwargs, device_type, cast_inputs))  # fmt: skip

    return decorated


def custom_bwd(bwd=None, *, device_type: str):
    """Decorates the backward of an `autograd.Function`: it runs under autocast if its forward,
    decorated with `custom_fwd`, did."""
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def decorated(*args, **kwargs):
        ctx = args[0]
        with autocast(device_type, enabled=ctx._fwd_used_autocast, dtype=ctx._dtype):
            return bwd(*args, **kwargs)

    return decorated


def call_converted(function, args, kwargs, cpu: str, cuda: str):
    """Calls a function composed in Python as its rule says: what the decorator `under_autocast`
    (ops/_method.py) does in a region."""
    tensors: list = []

    def note(value):
        if isinstance(value, Tensor):
            tensors.append(value)
        elif isinstance(value, (list, tuple)):
            for v in value:
                note(v)

    note((args, tuple(kwargs.values())))
    on_cuda = any(t.device.type == "cuda" for t in tensors)
    rule = cuda if on_cuda else cpu
    if not rule or not _core.autocast_enabled(on_cuda):
        return function(*args, **kwargs)
    if rule == "unsafe":
        raise RuntimeError(
            f"{function.__name__}: unsafe to autocast; use binary_cross_entropy_with_logits or "
            "nn.BCEWithLogitsLoss, which take scores before the sigmoid"
        )
    kind = "cuda" if on_cuda else "cpu"
    dtype = _core.float32
    if rule == "lower":
        dtype = _core.autocast_dtype(on_cuda)
    elif rule == "widest":
        halves = {t.dtype for t in tensors if t.is_floating_point() and t.device.type == kind}
        if halves == {_core.autocast_dtype(on_cuda)}:
            dtype = _core.autocast_dtype(on_cuda)
    args, kwargs = _cast((args, kwargs), kind, dtype)
    _core.autocast_suspend(True)
    try:
        return function(*args, **kwargs)
    finally:
        _core.autocast_suspend(False)
