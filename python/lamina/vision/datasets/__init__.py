"""Data sets of labelled images, held in memory as bytes or read from a folder.

``dataset[i]`` is (image, label): a uint8 tensor (C, H, W) with values 0 to 255, or what
`transform` makes of it, and an int. A `lamina.utils.data.DataLoader` makes whole batches in one
C++ call when the transform is a chain of `lamina.vision.transforms`.
"""

from ._files import DatasetNotFound
from .cifar import CIFAR10, CIFAR100
from .digits import Digits
from .fake import FakeData
from .folder import DatasetFolder, ImageFolder
from .mnist import MNIST, FashionMNIST
from .vision import VisionDataset

__all__ = [
    "CIFAR10", "CIFAR100", "DatasetFolder", "DatasetNotFound", "Digits", "FakeData",
    "FashionMNIST", "ImageFolder", "MNIST", "VisionDataset",
]  # fmt: skip
