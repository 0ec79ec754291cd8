"""PyTorch's remote procedure calls: none."""

from . import api
from .api import RRef, init_rpc, remote, rpc_async, rpc_sync, shutdown
