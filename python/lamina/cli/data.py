"""The data of the command line: names and folders become a training and a held-out data set."""

from __future__ import annotations

import os
import pathlib
from typing import Any, NamedTuple

import lamina
from lamina.utils import data as loading
from lamina.vision import datasets, transforms

# Mean and standard deviation of the pixels (as numbers in [0, 1]) of the training images.
PIXELS = {
    "digits": ((0.3053,), (0.3760,)),
    "mnist": ((0.1307,), (0.3081,)),
    "fashion-mnist": ((0.2860,), (0.3530,)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
}
CLASSES = {"digits": datasets.Digits, "mnist": datasets.MNIST,
           "fashion-mnist": datasets.FashionMNIST, "cifar10": datasets.CIFAR10}  # fmt: skip
ROOT = "data"  # where files are looked for before $LAMINA_DATA


class Data(NamedTuple):
    """A training set, a held-out set, and what the model must know of them."""

    name: str  # what the user wrote; a folder as an absolute path
    kind: str  # "digits", "mnist", ..., or "folder"
    train: Any
    held_out: Any
    shape: tuple  # of an image: (C, H, W)
    classes: list[str]
    mean: tuple
    std: tuple


def load(name: str, augment: bool = True, pixels=None) -> Data:
    """The data set `name`: one of `CLASSES` or a folder.

    augment: crop and flip the training images where that suits the data (cifar10). Raises
    FileNotFoundError or ValueError for missing, empty or broken files and labels out of range.
    """
    if name in CLASSES:
        return _named(name, name, ROOT, augment, pixels)
    folder = pathlib.Path(name)
    if not folder.is_dir():
        raise FileNotFoundError(f"no data set or folder {name!r}")
    full = str(folder.resolve())
    files = [p.name for p in folder.rglob("*") if p.is_file()]
    elsewhere = os.environ.pop("LAMINA_DATA", None)  # a folder that was named is the data
    try:
        if any("idx3-ubyte" in f for f in files):
            return _named("mnist", full, full, augment, pixels)
        if any(f.startswith("data_batch") for f in files):
            return _named("cifar10", full, full, augment, pixels)
    finally:
        if elsewhere is not None:
            os.environ["LAMINA_DATA"] = elsewhere
    return _class_folders(folder, full, pixels)


def _named(kind: str, name: str, root: str, augment: bool, pixels) -> Data:
    mean, std = pixels or PIXELS[kind]
    plain = normalised(mean, std)
    training = plain
    if kind == "cifar10" and augment:
        moves = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
        training = transforms.Compose([*moves, *plain.transforms])
    make = CLASSES[kind]
    where = {} if kind == "digits" else {"root": root}
    try:
        train = make(train=True, transform=training, **where)
        held_out = make(train=False, transform=plain, **where)
    except (FileNotFoundError, RuntimeError) as error:
        if isinstance(error, ValueError) or kind == "digits":
            raise
        raise FileNotFoundError(f"data {name}: {error}") from error
    for part, what in ((train, "training"), (held_out, "held-out")):
        if len(part) == 0:
            raise ValueError(f"data {name}: there are no {what} images")
    classes = [str(c) for c in getattr(train, "classes", range(10))]
    _check_labels(name, train, len(classes))
    _check_labels(name, held_out, len(classes))
    shape = tuple(held_out[0][0].shape)
    return Data(name, kind, train, held_out, shape, classes, mean, std)


def normalised(mean, std):
    """Images as tensors (C, H, W) with zero mean and unit variance."""
    return transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)])


def _check_labels(name: str, dataset, classes: int) -> None:
    labels = lamina.as_tensor(dataset.targets)
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise ValueError(
            f"data {name}: labels run from {low} to {high}, but there are {classes} classes"
        )


def _class_folders(folder: pathlib.Path, name: str, pixels) -> Data:
    """One subfolder of .npy images (H, W) or (C, H, W) per class; every fifth is held out."""
    classes = sorted(p.name for p in folder.iterdir() if p.is_dir() and any(p.glob("*.npy")))
    if len(classes) < 2:
        raise ValueError(
            f"data {name}: found neither IDX files, CIFAR-10 binary files, nor two subfolders of "
            ".npy images (one per class)"
        )
    parts: dict = {"train": ([], []), "held_out": ([], [])}
    first = None
    for label, kind in enumerate(classes):
        for i, path in enumerate(sorted((folder / kind).glob("*.npy"))):
            image = read_array(path)
            if image.ndim == 2:
                image = image.unsqueeze(0)
            if image.ndim != 3 or (first is not None and image.shape != first[0].shape):
                want = "(H, W) or (C, H, W)" if first is None else str(tuple(first[0].shape))
                raise ValueError(
                    f"{path}: image of shape {tuple(image.shape)}, expected {want}"
                    + ("" if first is None else f" as in {first[1]}")
                )
            first = first or (image, path)
            images, labels = parts["held_out" if i % 5 == 4 else "train"]
            images.append(image)
            labels.append(label)
    if not parts["held_out"][0]:
        raise ValueError(f"data {name}: a class needs at least 5 images; every fifth is held out")
    x = lamina.stack(parts["train"][0])
    if pixels is None:
        mean, std = x.mean((0, 2, 3)), x.std((0, 2, 3)).clamp(min=1e-3)
    else:
        mean, std = map(lamina.tensor, pixels)
    sets = {
        k: loading.TensorDataset(
            (lamina.stack(images) - mean.reshape(-1, 1, 1)) / std.reshape(-1, 1, 1),
            lamina.tensor(labels),
        )
        for k, (images, labels) in parts.items()
    }
    assert first is not None
    shape = tuple(first[0].shape)
    return Data(name, "folder", sets["train"], sets["held_out"], shape, classes,
                tuple(mean.tolist()), tuple(std.tolist()))  # fmt: skip


def read_array(path):
    """The array of a .npy file (or the first of a .npz file, or its "x" or "images") as float32;
    uint8 is divided by 255. FileNotFoundError, or ValueError for another kind of file."""
    import numpy

    if not os.path.exists(path):
        raise FileNotFoundError(f"no such file: {path}")
    try:
        array = numpy.load(path, allow_pickle=False)
        if isinstance(array, numpy.lib.npyio.NpzFile):
            names = [n for n in ("x", "images", "image") if n in array.files] or array.files
            if not names:
                raise ValueError("it holds no array")
            array = array[names[0]]
        scale = 255 if array.dtype == numpy.uint8 else 1
        values = numpy.ascontiguousarray(array, dtype=numpy.float32) / numpy.float32(scale)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path}: not a readable .npy or .npz file of numbers: {error}") from error
    if values.size == 0:
        raise ValueError(f"{path}: the array is empty, shape {values.shape}")
    if not numpy.isfinite(values).all():
        raise ValueError(f"{path}: the array holds NaN or infinite values")
    return lamina.from_numpy(values)
