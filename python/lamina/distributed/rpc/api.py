"""Remote calls and references: not available."""

from ..._refuse import refused, refused_class

_LOCAL = "call the function in this process"
RRef = refused_class("distributed.rpc.RRef", _LOCAL)
init_rpc = refused("distributed.rpc.init_rpc", _LOCAL)
remote = refused("distributed.rpc.remote", _LOCAL)
rpc_async = refused("distributed.rpc.rpc_async", _LOCAL)
rpc_sync = refused("distributed.rpc.rpc_sync", _LOCAL)
shutdown = refused("distributed.rpc.shutdown", _LOCAL)
