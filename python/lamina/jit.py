"""TorchScript's names. Python runs the model itself; scripting and tracing return it as it is."""

from __future__ import annotations

from ._refuse import refused


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


def annotate(the_type, the_value):
    """Returns `the_value`."""
    return the_value


load = refused(
    "jit.load", "build the model in Python and load its state_dict", "Loading TorchScript files"
)
save = refused("jit.save", "save the model's state_dict with lamina.save", "Saving TorchScript")
