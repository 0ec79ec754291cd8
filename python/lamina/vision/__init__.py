"""Images: data sets, models and transforms, with torchvision's names.

An image is a tensor (C, H, W); a batch of them is (B, C, H, W). Where torchvision hands a PIL
image to a transform, lamina hands a uint8 tensor (C, H, W) with values 0 to 255.
"""

from . import datasets, models, transforms

__all__ = ["datasets", "models", "transforms"]
