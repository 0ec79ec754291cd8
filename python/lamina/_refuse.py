"""Functions that exist to say what to use instead."""

from __future__ import annotations


def refused(name: str, instead: str, doc: str = ""):
    """A function that raises NotImplementedError naming the alternative."""

    def function(*args, **kwargs):
        raise NotImplementedError(f"{name}: not available in lamina; {instead}")

    function.__name__ = name.rpartition(".")[2]
    function.__doc__ = f"{doc or 'Not available'}: raises NotImplementedError ({instead})."
    function.__lamina_refused__ = True  # type: ignore[attr-defined]
    return function


def refused_class(name: str, instead: str):
    """A class that raises NotImplementedError, naming the alternative, when it is made."""

    def __init__(self, *args, **kwargs):
        raise NotImplementedError(f"{name}: not available in lamina; {instead}")

    doc = f"Not available: raises NotImplementedError ({instead})."
    attributes = {"__init__": __init__, "__doc__": doc, "__lamina_refused__": True}
    return type(name.rpartition(".")[2], (), attributes)
