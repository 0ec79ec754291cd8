"""Collectives with gradients (``torch.distributed.nn``): a job is one process, so each raises
NotImplementedError."""

from ..._refuse import refused
from .. import _ONE

all_gather = refused("distributed.nn.all_gather", _ONE)
all_reduce = refused("distributed.nn.all_reduce", _ONE)
all_to_all = refused("distributed.nn.all_to_all", _ONE)
broadcast = refused("distributed.nn.broadcast", _ONE)
gather = refused("distributed.nn.gather", _ONE)
reduce = refused("distributed.nn.reduce", _ONE)
reduce_scatter = refused("distributed.nn.reduce_scatter", _ONE)
scatter = refused("distributed.nn.scatter", _ONE)
