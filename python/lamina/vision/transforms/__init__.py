"""Transforms of images, with torchvision's names, arguments and defaults.

A transform takes one image, a tensor (C, H, W), or a batch (B, C, H, W); random ones then draw for
each image of the batch separately. `ToTensor` also takes NumPy arrays (H, W, C).

Draws come from lamina's generator. Inside a `DataLoader` that makes whole batches, what happens to
the p-th image of epoch e depends only on (seed, e, p): not on the batch size or the threads. Runs
of crops, flips, constant padding, `ToTensor` and `Normalize` become one pass over memory.
"""

from . import functional
from ._base import Compose, Lambda, RandomApply, RandomChoice, RandomOrder, Transform
from ._chain import can_batch, make_batch
from .geometry import CenterCrop, Pad, RandomCrop, RandomHorizontalFlip, RandomVerticalFlip
from .pixels import (
    ConvertImageDtype,
    Grayscale,
    Normalize,
    RandomErasing,
    RandomGrayscale,
    ToTensor,
)

__all__ = [
    "CenterCrop", "Compose", "ConvertImageDtype", "Grayscale", "Lambda", "Normalize", "Pad",
    "RandomApply", "RandomChoice", "RandomCrop", "RandomErasing", "RandomGrayscale",
    "RandomHorizontalFlip", "RandomOrder", "RandomVerticalFlip", "ToTensor", "Transform",
    "can_batch", "functional", "make_batch",
]  # fmt: skip
