"""MNIST and data sets in its format.

An IDX file begins with two zero bytes, a byte for the element type (8: unsigned bytes), the number
of dimensions, and the dimensions as big-endian 32-bit integers; then come the elements
(Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits").
"""

from __future__ import annotations

import math
import pathlib
import struct

import lamina
from lamina.utils._memory import from_bytes

from ._files import download as fetch
from ._files import folders, not_found, present, read
from .vision import VisionDataset


def read_idx(path, ndim: int):
    """The uint8 tensor in an IDX file of `ndim` dimensions, gzipped or not.

    Raises ValueError when the file is of another kind, truncated, or too long.
    """
    raw = read(pathlib.Path(path))
    magic, head = 0x800 + ndim, 4 + 4 * ndim
    if len(raw) < 4:
        raise ValueError(f"{path}: truncated IDX file of {len(raw)} bytes; fetch it again")
    found = struct.unpack_from(">I", raw)[0]
    if found != magic:
        raise ValueError(
            f"{path}: not an IDX file of unsigned bytes with {ndim} dimensions: its magic number "
            f"is {found:#010x}, expected {magic:#010x}"
        )
    if len(raw) < head:
        raise ValueError(f"{path}: truncated IDX file of {len(raw)} bytes; fetch it again")
    shape = struct.unpack_from(f">{ndim}I", raw, 4)
    expected = math.prod(shape)
    if len(raw) - head != expected:
        what = "truncated" if len(raw) - head < expected else "too long"
        raise ValueError(
            f"{path}: {what} IDX file: shape {shape} needs {expected} bytes after the header, got "
            f"{len(raw) - head}; fetch it again"
        )
    return from_bytes(memoryview(raw)[head:], lamina.uint8, shape)


class MNIST(VisionDataset):
    """Handwritten digits, 28 x 28: 60,000 for training and 10,000 for testing.

    The IDX files ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-...`` (or with a
    dot: ``train-images.idx3-ubyte``), gzipped or not, are looked for in `root`, in its subfolders
    ``MNIST/raw`` (torchvision's layout), ``MNIST``, ``mnist``, ``mnist/raw`` and ``raw``, then in
    the same places of the folder $LAMINA_DATA.

    Args:
        root: folder to look in first, and to download to.
        train: the training images, or else the test images.
        transform: called with each image, a uint8 tensor (1, H, W).
        target_transform: called with each label, an int.
        download: fetch the files to ``root/MNIST/raw`` when they are nowhere; checked by MD5 sum.

    Attributes: data, uint8 (N, H, W); targets, int64 (N); classes; class_to_idx.

    Raises DatasetNotFound (a FileNotFoundError and RuntimeError) naming every folder searched, and
    ValueError for files that are truncated, of another kind, of different lengths, or with labels
    that are no class.
    """

    classes = ["0 - zero", "1 - one", "2 - two", "3 - three", "4 - four",
               "5 - five", "6 - six", "7 - seven", "8 - eight", "9 - nine"]  # fmt: skip
    mirrors = ["https://ossci-datasets.s3.amazonaws.com/mnist/"]
    resources = [  # name, MD5 sum of the gzipped file
        ("train-images-idx3-ubyte", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("train-labels-idx1-ubyte", "d53e105ee54ea40749a09fcbcd1e9432"),
        ("t10k-images-idx3-ubyte", "9fb629c4189551a2d022fa330f9573f3"),
        ("t10k-labels-idx1-ubyte", "ec29112dd5afa0611ce80d1b7f02629c"),
    ]
    _subfolders = ["MNIST/raw", "MNIST", "mnist", "mnist/raw", "raw"]
    _bare_data = True

    def __init__(
        self, root="data", train: bool = True, transform=None, target_transform=None,
        download: bool = False,
    ):  # fmt: skip
        super().__init__(root, transform, target_transform)
        self.train = train
        paths = self._find()
        if paths is None and download:
            self.download()
            paths = self._find()
        if paths is None:
            raise not_found(
                type(self).__name__, f"IDX files ({self._prefix}-images-idx3-ubyte[.gz] and "
                f"{self._prefix}-labels-idx1-ubyte[.gz])", self._folders(), "download=True",
            )  # fmt: skip
        self.data, labels = read_idx(paths[0], 3), read_idx(paths[1], 1)
        if len(self.data) != len(labels):
            raise ValueError(
                f"{type(self).__name__}: {paths[0]} has {len(self.data)} images but {paths[1]} "
                f"has {len(labels)} labels"
            )
        if len(labels) and int(labels.max()) >= len(self.classes):
            raise ValueError(
                f"{paths[1]}: label {int(labels.max())}, but {type(self).__name__} has the classes "
                f"0 to {len(self.classes) - 1}"
            )
        self.targets = labels.to(lamina.int64)

    @property
    def _prefix(self) -> str:
        return "train" if self.train else "t10k"

    @property
    def raw_folder(self) -> str:
        """Where `download` puts the files."""
        return str(pathlib.Path(self.root or "data") / type(self).__name__ / "raw")

    def _folders(self) -> list[pathlib.Path]:
        return folders(self.root, self._subfolders, self._bare_data)

    def _find(self) -> tuple[pathlib.Path, pathlib.Path] | None:
        """The files of images and of labels, both of one folder."""
        for folder in self._folders():
            images, labels = (
                present(folder, [f"{self._prefix}-{kind}-{idx}", f"{self._prefix}-{kind}.{idx}"])
                for kind, idx in (("images", "idx3-ubyte"), ("labels", "idx1-ubyte"))
            )
            if images and labels:
                return images, labels
        return None

    def download(self) -> None:
        """Fetches the files that are not in `raw_folder`. Raises RuntimeError."""
        for name, md5 in self.resources:
            path = pathlib.Path(self.raw_folder) / f"{name}.gz"
            if present(path.parent, [name]) is None:
                fetch(type(self).__name__, [m + path.name for m in self.mirrors], path, md5)


class FashionMNIST(MNIST):
    """Articles of clothing, 28 x 28, in MNIST's format (Xiao, Rasul and Vollgraf, 2017).

    As `MNIST`; subfolders ``FashionMNIST/raw``, ``FashionMNIST``, ``fashion-mnist``,
    ``fashion_mnist``, ``fashion``, looked in before `root` itself since the files are named as
    MNIST's are; $LAMINA_DATA itself is left out for the same reason.
    """

    classes = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
               "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]  # fmt: skip
    mirrors = ["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"]
    resources = [
        ("train-images-idx3-ubyte", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        ("train-labels-idx1-ubyte", "25c81989df183df01b3e8a0aad5dffbe"),
        ("t10k-images-idx3-ubyte", "bef4ecab320f06d8554ea6380940ec79"),
        ("t10k-labels-idx1-ubyte", "bb300cfdad3c16e7a12a480ee83cd310"),
    ]
    _subfolders = ["FashionMNIST/raw", "FashionMNIST", "fashion-mnist", "fashion_mnist", "fashion",
                   "raw"]  # fmt: skip
    _bare_data = False

    def _folders(self) -> list[pathlib.Path]:
        found = super()._folders()
        return [*found[1:], found[0]] if self.root is not None else found
