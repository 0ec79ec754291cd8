"""Data sets of labelled images, held in memory as bytes.

``dataset[i]`` is (image, label): a uint8 tensor (C, H, W) with values 0 to 255, or what
`transform` makes of it, and an int. A `lamina.utils.data.DataLoader` makes whole batches in one
C++ call when the transform is a chain of `lamina.vision.transforms`.
"""

from ._files import DatasetNotFound
from .cifar import CIFAR10
from .digits import Digits
from .mnist import MNIST, FashionMNIST
from .vision import VisionDataset

__all__ = ["CIFAR10", "DatasetNotFound", "Digits", "FashionMNIST", "MNIST", "VisionDataset"]
