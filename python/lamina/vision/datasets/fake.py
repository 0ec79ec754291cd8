"""Made-up images, to try a program without any data."""

from __future__ import annotations

import operator

import lamina

from .vision import VisionDataset


class FakeData(VisionDataset):
    """Images of uniformly random bytes with random labels; image i is always the same.

    Args:
        size: how many images.
        image_size: (C, H, W).
        num_classes: labels are 0 to num_classes - 1.
        transform: called with each image, a uint8 tensor (C, H, W).
        target_transform: called with each label, an int.
        random_offset: image i is drawn with the seed i + random_offset.

    Nothing is held in memory; `data` and `targets` are None.
    """

    def __init__(self, size: int = 1000, image_size=(3, 224, 224), num_classes: int = 10,
                 transform=None, target_transform=None, random_offset: int = 0):  # fmt: skip
        super().__init__(None, transform, target_transform)
        self.size, self.image_size = size, tuple(image_size)
        self.num_classes, self.random_offset = num_classes, random_offset

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index):
        """(image, label). Raises IndexError outside [0, size)."""
        index = operator.index(index)
        if not 0 <= index < self.size:
            raise IndexError(f"FakeData: index {index} is out of range for {self.size} images")
        generator = lamina.Generator().manual_seed(index + self.random_offset)
        image = lamina.randint(0, 256, self.image_size, dtype=lamina.uint8, generator=generator)
        label = int(lamina.randint(0, self.num_classes, (1,), generator=generator))
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label

    def extra_repr(self) -> str:
        """Further lines of the representation."""
        return f"Images: {self.image_size}, {self.num_classes} classes"
