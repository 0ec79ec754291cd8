"""Transforms of images, with torchvision's names, arguments and defaults.

A transform takes one image, a tensor (C, H, W), or a batch (B, C, H, W); random ones then draw for
each image of the batch separately. Most also take Pillow images, and give Pillow images: whoever
has Pillow and such images can put `ToTensor` or `PILToTensor` last, as with torchvision. `ToTensor`
also takes NumPy arrays (H, W, C).

Draws come from lamina's generator. Inside a `DataLoader` that makes whole batches, what happens to
the p-th image of epoch e depends only on (seed, e, p): not on the batch size or the threads. Runs
of crops, flips, constant padding, `ToTensor` and `Normalize` become one pass over memory.
"""

from . import functional
from ._base import Compose, Lambda, RandomApply, RandomChoice, RandomOrder, Transform
from ._chain import can_batch, make_batch
from ._images import InterpolationMode
from .augment import RandAugment, TrivialAugmentWide
from .colours import (
    ColorJitter,
    GaussianBlur,
    Grayscale,
    RandomAdjustSharpness,
    RandomAutocontrast,
    RandomEqualize,
    RandomGrayscale,
    RandomInvert,
    RandomPosterize,
    RandomSolarize,
)
from .geometry import (
    CenterCrop,
    FiveCrop,
    Pad,
    RandomCrop,
    RandomHorizontalFlip,
    RandomVerticalFlip,
    TenCrop,
)
from .pixels import (
    ConvertImageDtype,
    LinearTransformation,
    Normalize,
    PILToTensor,
    RandomErasing,
    ToPILImage,
    ToTensor,
)
from .policies import AugMix, AutoAugment, AutoAugmentPolicy
from .resampling import (
    ElasticTransform,
    RandomAffine,
    RandomPerspective,
    RandomResizedCrop,
    RandomRotation,
    Resize,
)

__all__ = [
    "AugMix", "AutoAugment", "AutoAugmentPolicy", "CenterCrop", "ColorJitter", "Compose",
    "ConvertImageDtype", "ElasticTransform", "FiveCrop", "GaussianBlur", "Grayscale",
    "InterpolationMode", "Lambda", "LinearTransformation", "Normalize", "PILToTensor", "Pad",
    "RandAugment", "RandomAdjustSharpness", "RandomAffine", "RandomApply", "RandomAutocontrast",
    "RandomChoice", "RandomCrop", "RandomEqualize", "RandomErasing", "RandomGrayscale",
    "RandomHorizontalFlip", "RandomInvert", "RandomOrder", "RandomPerspective", "RandomPosterize",
    "RandomResizedCrop", "RandomRotation", "RandomSolarize", "RandomVerticalFlip", "Resize",
    "TenCrop", "ToPILImage", "ToTensor", "Transform", "TrivialAugmentWide", "can_batch",
    "functional", "make_batch",
]  # fmt: skip
