"""Images, or other samples, in one folder for each class."""

from __future__ import annotations

import operator
import os

from .vision import VisionDataset

IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp",
                  ".npy")  # fmt: skip


def has_file_allowed_extension(filename: str, extensions) -> bool:
    """Whether a name ends in one of `extensions` (one or a tuple), in capitals or not."""
    return str(filename).lower().endswith(extensions)


def default_loader(path):
    """The image in a file as uint8 (3, H, W): `io.read_image` with three channels."""
    from ..io import ImageReadMode, read_image

    return read_image(path, ImageReadMode.RGB)


def pil_loader(path):
    """The image in a file as a Pillow image of mode "RGB"."""
    from PIL import Image

    with Image.open(path) as image:
        return image.convert("RGB")


def find_classes(directory) -> tuple[list[str], dict[str, int]]:
    """The names of the folders in `directory`, sorted, and the number of each. Raises
    FileNotFoundError when there are none."""
    classes = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
    if not classes:
        raise FileNotFoundError(
            f"find_classes: found no class folder in {os.fspath(directory)}; expected one folder "
            "for each class"
        )
    return classes, {name: i for i, name in enumerate(classes)}


def make_dataset(directory, class_to_idx=None, extensions=None, is_valid_file=None,
                 allow_empty=False) -> list[tuple[str, int]]:  # fmt: skip
    """(path, label) of every file below the folders of the classes, sorted by class and path.

    Args:
        class_to_idx: label of each folder's name; None: see `find_classes`.
        extensions: a file counts when its name ends in one of these; or
        is_valid_file: when this function of its path is true.
        allow_empty: classes without files are no error.

    Raises ValueError for none or both of these, FileNotFoundError for classes without files.
    """
    if (extensions is None) == (is_valid_file is None):
        raise ValueError("make_dataset: give either extensions or is_valid_file")
    class_to_idx = find_classes(directory)[1] if class_to_idx is None else class_to_idx
    if not class_to_idx:
        raise ValueError("make_dataset: class_to_idx must have at least one class")
    good = is_valid_file or (lambda path: has_file_allowed_extension(path, extensions))
    samples: list[tuple[str, int]] = []
    empty = []
    for name in sorted(class_to_idx):
        before = len(samples)
        for folder, _, files in sorted(os.walk(os.path.join(directory, name), followlinks=True)):
            for file in sorted(files):
                path = os.path.join(folder, file)
                if good(path):
                    samples.append((path, class_to_idx[name]))
        if len(samples) == before:
            empty.append(name)
    if empty and not allow_empty:
        what = f" (endings {', '.join(extensions)})" if extensions else ""
        raise FileNotFoundError(
            f"make_dataset: found no valid file{what} for the classes {', '.join(empty)} in "
            f"{os.fspath(directory)}"
        )
    return samples


class DatasetFolder(VisionDataset):
    """Samples in one folder for each class: ``root/cat/1.xyz``, ``root/dog/nested/2.xyz``.

    Args:
        root: the folder of the classes' folders.
        loader: a function from a path to a sample.
        extensions: endings of the files that count; or
        is_valid_file: a function from a path to whether the file counts.
        transform, target_transform: called with each sample and each label.
        allow_empty: classes without files are no error.

    Attributes: classes, sorted; class_to_idx; samples, a list of (path, label); targets, the
    labels. Raises FileNotFoundError when there are no classes, or classes without files.
    """

    def __init__(self, root, loader, extensions=None, transform=None, target_transform=None,
                 is_valid_file=None, allow_empty=False):  # fmt: skip
        super().__init__(root, transform, target_transform)
        self.loader, self.extensions = loader, extensions
        self.classes, numbers = self.find_classes(self.root)
        self._numbers = numbers
        self.samples = self.make_dataset(
            self.root, numbers, extensions, is_valid_file, allow_empty=allow_empty
        )
        self.targets = [label for _, label in self.samples]

    @staticmethod
    def make_dataset(directory, class_to_idx, extensions=None, is_valid_file=None,
                     allow_empty=False):  # fmt: skip
        """The samples; subclasses may choose others. See the function `make_dataset`."""
        return make_dataset(directory, class_to_idx, extensions, is_valid_file, allow_empty)

    def find_classes(self, directory):
        """The classes; subclasses may choose others. See the function `find_classes`."""
        return find_classes(directory)

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class."""
        return self._numbers

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index):
        """(sample, label)."""
        path, label = self.samples[operator.index(index)]
        sample = self.loader(path)
        if self.transform is not None:
            sample = self.transform(sample)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return sample, label

    def extra_repr(self) -> str:
        """Further lines of the representation."""
        return f"Classes: {len(self.classes)}"


class ImageFolder(DatasetFolder):
    """Images in one folder for each class: ``root/dog/a.png``, ``root/cat/b.jpg``.

    An image is a uint8 tensor (3, H, W); ``loader=pil_loader`` gives Pillow images instead, as
    torchvision does. PPM, PGM and NPY files need no further package, others Pillow. Arguments as
    `DatasetFolder`; `imgs` is another name of `samples`.
    """

    def __init__(self, root, transform=None, target_transform=None, loader=default_loader,
                 is_valid_file=None, allow_empty=False):  # fmt: skip
        super().__init__(
            root, loader, IMG_EXTENSIONS if is_valid_file is None else None, transform,
            target_transform, is_valid_file, allow_empty,
        )  # fmt: skip
        self.imgs = self.samples
