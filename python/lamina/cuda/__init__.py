"""NVIDIA GPUs: which there are, their memory, streams and events.

Without a GPU, its driver or the library (``liblamina_cuda.so``) queries answer so
(``is_available()`` is False, ``device_count()`` 0), what has nothing to do does nothing, and what
needs a device raises RuntimeError.
"""

from __future__ import annotations

from .._core import OutOfMemoryError
from .._tensor_types import cuda_type as _cuda_type
from . import amp
from ._device import (
    DeviceProperties,
    _number,
    current_device,
    device,
    device_count,
    get_device_capability,
    get_device_name,
    get_device_properties,
    is_available,
    is_bf16_supported,
    set_device,
    synchronize,
)
from ._memory import (
    empty_cache,
    ipc_collect,
    max_memory_allocated,
    max_memory_cached,
    max_memory_reserved,
    mem_get_info,
    memory_allocated,
    memory_cached,
    memory_reserved,
    memory_stats,
    memory_summary,
    reset_max_memory_allocated,
    reset_max_memory_cached,
    reset_peak_memory_stats,
)
from .streams import Event, Stream, current_stream, default_stream, set_stream, stream

FloatTensor = _cuda_type("FloatTensor")
DoubleTensor = _cuda_type("DoubleTensor")
HalfTensor = _cuda_type("HalfTensor")
BFloat16Tensor = _cuda_type("BFloat16Tensor")
LongTensor = _cuda_type("LongTensor")
IntTensor = _cuda_type("IntTensor")
ShortTensor = _cuda_type("ShortTensor")
CharTensor = _cuda_type("CharTensor")
ByteTensor = _cuda_type("ByteTensor")
BoolTensor = _cuda_type("BoolTensor")

default_generators: tuple = ()
_initialized = False  # as `is_initialized`


def is_initialized() -> bool:
    """Whether there is a device to have been initialised (that happens by itself)."""
    return is_available()


def init() -> None:
    """Nothing; raises RuntimeError when there is no CUDA device."""
    _number(None, "init")


def get_arch_list() -> list:
    """The architectures the library holds code for; none without a device."""
    return ["sm_80", "sm_90", "compute_90"] if is_available() else []


# One generator serves every device: the same seed gives the same numbers on all of them.
def manual_seed(seed) -> None:
    """Seeds `lamina.default_generator`, from which tensors of every device draw."""
    if is_available():
        from ..random import manual_seed

        manual_seed(seed)


manual_seed_all = manual_seed


def seed() -> None:
    """Nothing: `lamina.seed` draws a new seed for every device."""


def seed_all() -> None:
    """Nothing: `lamina.seed` draws a new seed for every device."""


def get_rng_state_all() -> list:
    """The state of the generator, once for each device."""
    from ..random import get_rng_state

    return [get_rng_state() for _ in range(device_count())]


def set_rng_state_all(new_states) -> None:
    """Sets the generator to the last of the states; raises RuntimeError for any when there is no
    device."""
    if len(new_states):
        _number(None, "set_rng_state_all")
        from ..random import set_rng_state

        set_rng_state(new_states[-1])
