"""PyTorch's module path of the handle that registering a hook on a module returns."""

from ..nn._hooks import RemovableHandle

__all__ = ["RemovableHandle"]
