"""The packaged digits.

Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
Learning Repository, 1998 (the 1,797 images of its test part, also scikit-learn's `load_digits`),
CC BY 4.0. The file holds 1,797 labels, then 1,797 images of 8 rows of 8 pixels, one byte each,
pixels 0 to 16, shuffled so that both parts hold about the same share of every class.
"""

from __future__ import annotations

import pathlib

import lamina
from lamina.utils._memory import from_bytes

from ._files import read
from .vision import VisionDataset

COUNT, SIDE, TRAIN = 1797, 8, 1437


class Digits(VisionDataset):
    """1,797 handwritten digits of 8 x 8 pixels, which come with lamina: nothing is downloaded.

    The first 1,437 images of the packaged file are for training, the last 360 (36 +- 1 of each
    class) are held out. The original grey levels p = 0, ..., 16 are stretched to the bytes
    round(255 p / 16), so that `transforms.ToTensor` gives p / 16 within 0.002, as for other images:
    over the training part the mean is 0.3055 and the standard deviation 0.3761.

    Args:
        train: the training part, or else the held-out one.
        transform: called with each image, a uint8 tensor (1, 8, 8).
        target_transform: called with each label, an int.

    Attributes: data, uint8 (N, 8, 8); targets, int64 (N); classes, "0" to "9".
    """

    classes = [str(i) for i in range(10)]

    def __init__(self, train: bool = True, transform=None, target_transform=None):
        super().__init__(None, transform, target_transform)
        self.train = train
        raw = read(pathlib.Path(__file__).with_name("digits.bin.gz"))
        part = slice(0, TRAIN) if train else slice(TRAIN, COUNT)
        stretch = bytes((510 * min(p, 16) + 16) // 32 for p in range(256))  # round(255 p / 16)
        labels = from_bytes(raw[:COUNT], lamina.uint8, (COUNT,))
        images = from_bytes(raw[COUNT:].translate(stretch), lamina.uint8, (COUNT, SIDE, SIDE))
        self.data = images[part].clone()
        self.targets = labels[part].to(lamina.int64)
