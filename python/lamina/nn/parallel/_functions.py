"""PyTorch's module path of the functions that move tensors between devices: there is one device, so
making or applying one raises NotImplementedError."""

from ..._refuse import refused, refused_class

_ONE = "there is one device: use the tensors themselves"


def _function(name: str):
    made = refused_class(f"nn.parallel._functions.{name}", _ONE)
    made.apply = staticmethod(refused(f"nn.parallel._functions.{name}.apply", _ONE))
    return made


Broadcast = _function("Broadcast")
Gather = _function("Gather")
ReduceAddCoalesced = _function("ReduceAddCoalesced")
Scatter = _function("Scatter")
