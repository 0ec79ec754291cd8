"""Images: data sets, transforms, models, their blocks, and files, with torchvision's names.

An image is a tensor (C, H, W); a batch of them is (B, C, H, W). Where torchvision hands a PIL
image to a transform, lamina's data sets hand a uint8 tensor (C, H, W) with values 0 to 255; most
transforms take either.
"""

from . import datasets, transforms

__all__ = ["datasets", "io", "models", "ops", "transforms", "utils"]


def __getattr__(name: str):
    """The other modules are imported when first used."""
    if name in ("io", "models", "ops", "utils"):
        import importlib

        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module 'lamina.vision' has no attribute {name!r}")
