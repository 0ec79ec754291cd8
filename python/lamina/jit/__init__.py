"""TorchScript's names. Python runs the model itself; scripting and tracing return it as it is."""

from __future__ import annotations

from .._refuse import refused


def script(obj=None, *args, **kwargs):
    """Returns the module or function as it is."""
    return obj


def trace(func=None, *args, **kwargs):
    """Returns the module or function as it is."""
    return func


def script_if_tracing(fn):
    """Returns the function as it is."""
    return fn


def ignore(drop=False, **kwargs):
    """A decorator that returns the function as it is (also without parentheses)."""
    return drop if callable(drop) else (lambda fn: fn)


def export(fn):
    """Returns the function as it is."""
    return fn


unused = interface = export


def is_scripting() -> bool:
    """False."""
    return False


is_tracing = is_scripting


def script_method(fn):
    """Returns the method as it is."""
    return fn


def freeze(mod, preserved_attrs=None, optimize_numerics=True):
    """Returns the module as it is."""
    return mod


optimize_for_inference = freeze


class optimized_execution:
    """A context that changes nothing."""

    def __init__(self, should_optimize):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return None


def __getattr__(name: str):
    """``ScriptModule``, a Module under that name, and ``Final``: made when first used."""
    if name == "ScriptModule":
        from ..nn.module import Module

        made = type(
            name, (Module,), {"__doc__": "A Module: Python runs it.", "__module__": __name__}
        )
    elif name == "Final":
        from typing import Final

        made = Final  # type: ignore[assignment]
    else:
        raise AttributeError(f"module 'lamina.jit' has no attribute {name!r}")
    globals()[name] = made
    return made


def annotate(the_type, the_value):
    """Returns `the_value`."""
    return the_value


load = refused(
    "jit.load", "build the model in Python and load its state_dict", "Loading TorchScript files"
)
save = refused("jit.save", "save the model's state_dict with lamina.save", "Saving TorchScript")
