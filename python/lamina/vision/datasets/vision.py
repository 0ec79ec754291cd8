"""What the data sets of images have in common."""

from __future__ import annotations

import operator
import os
from typing import Any

import lamina
from lamina.utils.data import Dataset

from .. import transforms as image_transforms


class VisionDataset(Dataset):
    """Images and labels held in memory.

    Args:
        root: folder of the files; None where there are none.
        transform: called with each image, a uint8 tensor (C, H, W), values 0 to 255.
        target_transform: called with each label, an int.

    Attributes:
        data: the images, uint8 (N, H, W) or (N, H, W, C) as in torchvision.
        targets: the labels: int64 tensor (N), or a list of N ints.
        classes: names of the classes; class_to_idx: from name to label.

    `data` and `targets` may be replaced, and changed in place, by others of the same kind. In
    subclasses that define ``__getitem__`` a DataLoader takes samples one by one; otherwise, and
    when the transform is made of `lamina.vision.transforms`, whole batches in one C++ call.
    """

    classes: list[str] = []

    def __init__(self, root=None, transform=None, target_transform=None):
        self.root = os.fspath(root) if root is not None else None
        self.transform = transform
        self.target_transform = target_transform
        self.data: Any = None
        self.targets: Any = None
        self._held: Any = None

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index):
        """(image, label) of sample `index`. Raises IndexError outside [-N, N)."""
        index, n = operator.index(index), len(self)
        if not -n <= index < n:
            raise IndexError(f"{type(self).__name__}: index {index} is out of range for {n} images")
        image = self._planes()[index].clone()
        if image.ndim == 2:
            image = image.unsqueeze(0)
        label = int(self.targets[index])
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class."""
        return {name: i for i, name in enumerate(self.classes)}

    def _planes(self):
        """The images as a tensor (N, H, W) or (N, C, H, W) with dense images."""
        data = self.data
        held = self._held
        if held is not None and held[0] is data and held[1] == getattr(data, "_version", 0):
            return held[2]
        planes = lamina.as_tensor(data)
        if planes.ndim == 4:
            planes = planes.permute(0, 3, 1, 2)
        planes = planes.contiguous()
        self._held = (data, getattr(data, "_version", 0), planes)
        return planes

    def _can_batch(self) -> bool:
        return self.target_transform is None and image_transforms.can_batch(self.transform)

    def _batch(self, index, draws):
        images = image_transforms.make_batch(self.transform, self._planes(), index, draws)
        if isinstance(self.targets, lamina.Tensor):
            return [images, self.targets[index]]
        labels = [int(self.targets[i]) for i in index.tolist()]
        return [images, lamina.tensor(labels, dtype=lamina.int64)]

    def extra_repr(self) -> str:
        """Further lines of the representation."""
        return f"Split: {'Train' if getattr(self, 'train', True) else 'Test'}"

    def __repr__(self) -> str:
        lines = [f"Dataset {type(self).__name__}", f"Number of datapoints: {len(self)}"]
        if self.root is not None:
            lines.append(f"Root location: {self.root}")
        lines.append(self.extra_repr())
        for name in ("transform", "target_transform"):
            if getattr(self, name) is not None:
                label = f"{name.replace('_', ' ').capitalize()}: "
                text = repr(getattr(self, name)).replace("\n", "\n" + " " * len(label))
                lines += (label + text).split("\n")
        return "\n    ".join(lines)
