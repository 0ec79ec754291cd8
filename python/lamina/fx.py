"""``torch.fx``'s names: Python runs a model, so marks do nothing and there are no graphs of it."""

from ._refuse import refused, refused_class

_NONE = "call the module, or read its named_modules()"


def wrap(fn_or_name):
    """Returns the function (or name) as it is: a mark for tracing."""
    return fn_or_name


symbolic_trace = refused("fx.symbolic_trace", _NONE, "Recording a module's graph")
replace_pattern = refused("fx.replace_pattern", _NONE, "Rewriting a module's graph")
Graph = refused_class("fx.Graph", _NONE)
GraphModule = refused_class("fx.GraphModule", _NONE)
Interpreter = refused_class("fx.Interpreter", _NONE)
Node = refused_class("fx.Node", _NONE)
Proxy = refused_class("fx.Proxy", _NONE)
Tracer = refused_class("fx.Tracer", _NONE)
