"""CIFAR-10 and CIFAR-100 in their binary format: records of one byte for the label (CIFAR-100: two,
the kind of thing and the thing) and 3 x 32 x 32 bytes for the red, green and blue planes
(A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009)."""

from __future__ import annotations

import os
import pathlib

import lamina
from lamina.utils._memory import from_bytes

from ._files import download as fetch
from ._files import folders, not_found, present, read
from .vision import VisionDataset

PIXELS = 3 * 32 * 32


class CIFAR10(VisionDataset):
    """Photographs of 10 kinds of things, 3 x 32 x 32: 50,000 for training and 10,000 for testing.

    The binary files ``data_batch_1.bin`` to ``data_batch_5.bin`` (those that are there: a subset is
    fine) and ``test_batch.bin``, gzipped or not, are looked for in `root`, in its subfolders
    ``cifar-10-batches-bin``, ``cifar10``, ``cifar-10``, ``CIFAR10``, ``cifar10-small``, then in the
    same places of the folder $LAMINA_DATA.

    Args:
        root: folder to look in first, and to download to.
        train: the training images, or else the test images.
        transform: called with each image, a uint8 tensor (3, 32, 32).
        target_transform: called with each label, an int.
        download: fetch the archive (162 MiB, checked by MD5 sum) when the files are nowhere, and
            unpack it to ``root/cifar-10-batches-bin``.

    Attributes: data, uint8 (N, 32, 32, 3), a view of the planes (torchvision: the same shape, a
    NumPy array); targets, list of N ints; classes; class_to_idx.

    Raises DatasetNotFound (a FileNotFoundError and RuntimeError) naming every folder searched, and
    ValueError for truncated files and labels that are no class.
    """

    classes = ["airplane", "automobile", "bird", "cat", "deer",
               "dog", "frog", "horse", "ship", "truck"]  # fmt: skip
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    md5 = "c32a1d4ab5d03f1284b67883e8d87530"
    base_folder = "cifar-10-batches-bin"
    train_list = [f"data_batch_{i}.bin" for i in range(1, 6)]
    test_list = ["test_batch.bin"]
    _subfolders = [base_folder, "cifar10", "cifar-10", "CIFAR10", "cifar10-small",
                   "cifar10/cifar-10-batches-bin", "CIFAR10/cifar-10-batches-bin"]  # fmt: skip
    _title = "CIFAR-10"
    _label_bytes = 1  # of a record; the last is the label

    def __init__(
        self, root="data", train: bool = True, transform=None, target_transform=None,
        download: bool = False,
    ):  # fmt: skip
        super().__init__(root, transform, target_transform)
        self.train = train
        paths = self._find()
        if not paths and download:
            self.download()
            paths = self._find()
        if not paths:
            names = ", ".join(f"{n}[.gz]" for n in self._names)
            raise not_found(
                type(self).__name__, f"binary files ({names})",
                folders(self.root, self._subfolders), "download=True",
            )  # fmt: skip
        images, labels = zip(*(self._read(p) for p in paths))
        planes = images[0] if len(images) == 1 else lamina.cat(images)
        self.data = planes.permute(0, 2, 3, 1)
        self.targets = [label for part in labels for label in part]

    @property
    def _names(self) -> list[str]:
        return self.train_list if self.train else self.test_list

    def _find(self) -> list[pathlib.Path]:
        """The files of the first folder that has any."""
        for folder in folders(self.root, self._subfolders):
            if found := [path for n in self._names if (path := present(folder, [n]))]:
                return found
        return []

    def _read(self, path: pathlib.Path):
        """Planes (n, 3, 32, 32) and labels of one file."""
        raw = read(path)
        size = PIXELS + self._label_bytes
        n, rest = divmod(len(raw), size)
        if rest:
            what = "a label" if self._label_bytes == 1 else f"{self._label_bytes} labels"
            raise ValueError(
                f"{path}: truncated {self._title} file: {len(raw)} bytes are not a multiple of "
                f"{size} ({what} and 3 x 32 x 32 pixels); fetch it again"
            )
        records = from_bytes(raw, lamina.uint8, (n, size))
        labels = list(raw[self._label_bytes - 1 :: size])
        if labels and max(labels) >= len(self.classes):
            worst = max(range(n), key=labels.__getitem__)
            raise ValueError(
                f"{path}: label {labels[worst]} of image {worst}, but {type(self).__name__} has "
                f"the classes 0 to {len(self.classes) - 1}"
            )
        return records[:, self._label_bytes :].reshape(n, 3, 32, 32), labels

    def download(self) -> None:
        """Fetches and unpacks the archive to ``root/cifar-10-batches-bin``. Raises RuntimeError."""
        import tarfile

        root = pathlib.Path(self.root or "data")
        archive = root / self.url.rpartition("/")[2]
        fetch(type(self).__name__, [self.url], archive, self.md5)
        folder = root / self.base_folder
        folder.mkdir(exist_ok=True)
        with tarfile.open(archive) as tar:
            for member in tar:
                name = pathlib.PurePosixPath(member.name).name
                source = tar.extractfile(member)
                if name not in self.train_list + self.test_list or source is None:
                    continue
                temporary = folder / f"{name}.{os.getpid()}.part"
                try:
                    with open(temporary, "wb") as file:
                        while block := source.read(1 << 20):
                            file.write(block)
                    os.replace(temporary, folder / name)
                finally:
                    temporary.unlink(missing_ok=True)


class CIFAR100(CIFAR10):
    """Photographs of 100 kinds of things, 3 x 32 x 32: 500 of each for training, 100 for testing.

    The binary files ``train.bin`` and ``test.bin``, gzipped or not, are looked for in `root`, in
    its subfolders ``cifar-100-binary``, ``cifar100``, ``cifar-100``, ``CIFAR100``, then in the same
    places of the folder $LAMINA_DATA. Arguments, attributes and errors as `CIFAR10`; the labels are
    the fine ones.
    """

    classes = """
        apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
        butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach
        couch crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster
        house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
        motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear
        pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket
        rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
        sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip
        turtle wardrobe whale willow_tree wolf woman worm
    """.split()
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
    md5 = "03b5dce01913d631647c71ecec9e9cb8"
    base_folder = "cifar-100-binary"
    train_list = ["train.bin"]
    test_list = ["test.bin"]
    _subfolders = [base_folder, "cifar100", "cifar-100", "CIFAR100",
                   "cifar100/cifar-100-binary", "CIFAR100/cifar-100-binary"]  # fmt: skip
    _title = "CIFAR-100"
    _label_bytes = 2
