"""PyTorch's distributed package: one process per job. Queries say so; collectives raise
NotImplementedError."""

from __future__ import annotations

import enum

from .._refuse import refused

_ONE = "a job is one process; raise the number of threads (lamina.set_num_threads) instead"


class ReduceOp(enum.Enum):
    """How a collective would combine values."""

    SUM = 0
    AVG = 1
    PRODUCT = 2
    MIN = 3
    MAX = 4
    BAND = 5
    BOR = 6
    BXOR = 7


class group:
    """The default group."""

    WORLD = None


def is_available() -> bool:
    """False: there are no collectives."""
    return False


def is_initialized() -> bool:
    """False: there is no process group."""
    return False


def is_nccl_available() -> bool:
    """False."""
    return False


is_mpi_available = is_gloo_available = is_ucc_available = is_nccl_available


def is_torchelastic_launched() -> bool:
    """False: nothing launched this process as one of several."""
    return False


def get_rank(group=None) -> int:
    """Raises ValueError: the process group has not been initialised."""
    raise ValueError(
        "Default process group has not been initialized; ask distributed.is_initialized() first"
    )


def get_world_size(group=None) -> int:
    """Raises ValueError: the process group has not been initialised."""
    return get_rank(group)


def destroy_process_group(group=None) -> None:
    """Nothing: there is no process group."""


init_process_group = refused("distributed.init_process_group", _ONE)
all_reduce = refused("distributed.all_reduce", _ONE)
all_gather = refused("distributed.all_gather", _ONE)
all_gather_into_tensor = refused("distributed.all_gather_into_tensor", _ONE)
all_gather_object = refused("distributed.all_gather_object", _ONE)
barrier = refused("distributed.barrier", _ONE)
broadcast = refused("distributed.broadcast", _ONE)
broadcast_object_list = refused("distributed.broadcast_object_list", _ONE)
gather = refused("distributed.gather", _ONE)
new_group = refused("distributed.new_group", _ONE)
recv = refused("distributed.recv", _ONE)
reduce = refused("distributed.reduce", _ONE)
reduce_scatter = refused("distributed.reduce_scatter", _ONE)
reduce_scatter_tensor = refused("distributed.reduce_scatter_tensor", _ONE)
scatter = refused("distributed.scatter", _ONE)
send = refused("distributed.send", _ONE)
