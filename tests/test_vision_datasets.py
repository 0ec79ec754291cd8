"""Data sets of images: the packaged digits, IDX and CIFAR-10 files, where they are found, and what
is said of broken ones. The real files are read where LAMINA_DATA is set."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import struct
import tarfile

import numpy as np
import pytest

import lamina
from lamina.utils.data import DataLoader
from lamina.vision import transforms as T
from lamina.vision.datasets import CIFAR10, CIFAR100, MNIST, DatasetNotFound, Digits, FashionMNIST
from lamina.vision.datasets.mnist import read_idx

REAL = os.environ.get("LAMINA_DATA", "")


@pytest.fixture(autouse=True)
def nothing_elsewhere(request, monkeypatch):
    """Tests see only the files they write."""
    if "real" not in request.node.name:
        monkeypatch.delenv("LAMINA_DATA", raising=False)


def idx(array, kind=8):
    return (
        struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.tobytes()
    )


def write_mnist(folder, n=7, prefix="train", seed=0, packed=True, size=(5, 4)):
    """A small data set in MNIST's format; returns its images and labels."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, *size)).astype(np.uint8)
    labels = rng.integers(0, 10, n).astype(np.uint8)
    for name, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
        data = idx(array)
        name = f"{prefix}-{name}" + (".gz" if packed else "")
        (folder / name).write_bytes(gzip.compress(data) if packed else data)
    return images, labels


def cifar_records(n, seed):
    rng = np.random.default_rng(seed)
    records = rng.integers(0, 256, (n, 3073)).astype(np.uint8)
    records[:, 0] = rng.integers(0, 10, n)
    return records


# ---- digits --------------------------------------------------------------------------------------
def test_digits_are_those_of_scikit_learn():
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    theirs = {x.astype(np.uint8).tobytes(): int(y) for x, y in zip(digits.data, digits.target)}
    seen = set()
    for part in (Digits(train=True), Digits(train=False)):
        grey = np.round(part.data.numpy() * (16 / 255)).astype(np.uint8)
        np.testing.assert_array_equal(part.data.numpy(), np.floor(grey * 15.9375 + 0.5))
        for image, label in zip(grey, part.targets.tolist()):
            assert theirs[image.tobytes()] == label
            seen.add(image.tobytes())
    assert len(seen) == len(theirs)


def test_digits():
    train, test = Digits(), Digits(train=False, transform=T.ToTensor())
    assert (len(train), len(test)) == (1437, 360)
    assert train.data.dtype is lamina.uint8 and tuple(train.data.shape) == (1437, 8, 8)
    assert train.targets.dtype is lamina.int64
    assert set(np.bincount(test.targets.numpy()).tolist()) <= {35, 36, 37}
    pixels = train.data.double() / 255
    assert abs(pixels.mean().item() - 0.3055) < 5e-5 and abs(pixels.std().item() - 0.376) < 5e-4
    assert train.classes == list("0123456789") and train.class_to_idx["7"] == 7
    image, label = train[3]
    assert image.dtype is lamina.uint8 and tuple(image.shape) == (1, 8, 8) and type(label) is int
    image, _ = test[-1]
    assert image.dtype is lamina.float32 and 0.9 < image.max().item() <= 1
    assert train[0][1] == train[-1437][1]
    for wrong in (1437, -1438):
        with pytest.raises(
            IndexError, match=f"Digits: index {wrong} is out of range for 1437 images"
        ):
            train[wrong]
    with pytest.raises(TypeError):
        train["0"]
    assert len(list(train)) == 1437  # the end of an iteration
    image.zero_()
    train[0][0].zero_()  # a sample is a copy
    assert train.data[0].any()


def test_a_sample_is_transformed():
    data = Digits(transform=lambda x: x.float() + 1, target_transform=str)
    plain = Digits()
    image, label = data[5]
    np.testing.assert_array_equal(image.numpy(), plain[5][0].numpy().astype(np.float32) + 1)
    assert label == str(plain[5][1])
    assert repr(Digits(False, T.Compose([T.ToTensor()]))) == (
        "Dataset Digits\n    Number of datapoints: 360\n    Split: Test\n    Transform: Compose(\n"
        "                   ToTensor()\n               )"
    )


# ---- MNIST ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("where", ["", "MNIST/raw", "mnist", "MNIST", "raw"])
def test_mnist_reads_idx_files(tmp_path, where, packed):
    train = write_mnist(tmp_path / where, 7, packed=packed)
    test = write_mnist(tmp_path / where, 4, "t10k", 1, packed=packed)
    for part, (images, labels) in ((True, train), (False, test)):
        data = MNIST(tmp_path, train=part)
        np.testing.assert_array_equal(data.data.numpy(), images)
        np.testing.assert_array_equal(data.targets.numpy(), labels)
        assert data.targets.dtype is lamina.int64 and len(data) == len(labels)
        np.testing.assert_array_equal(data[2][0].numpy(), images[2:3])
        assert data[2][1] == labels[2] and data.root == str(tmp_path)
    x, y = next(iter(DataLoader(MNIST(tmp_path, transform=T.ToTensor()), 7)))
    np.testing.assert_array_equal(x.numpy()[:, 0], train[0] / np.float32(255))
    np.testing.assert_array_equal(y.numpy(), train[1])


def test_names_with_a_dot_and_classes(tmp_path):
    write_mnist(tmp_path, packed=False)
    for kind in ("images", "labels"):
        (file,) = tmp_path.glob(f"train-{kind}-*")
        file.rename(file.with_name(file.name.replace("-idx", ".idx")))
    data = MNIST(str(tmp_path))
    assert data.classes[3] == "3 - three" and data.class_to_idx["9 - nine"] == 9


def test_files_are_looked_for_in_order(tmp_path, monkeypatch):
    root, data = tmp_path / "root", tmp_path / "data"
    with pytest.raises(DatasetNotFound) as caught:
        MNIST(root)
    assert isinstance(caught.value, FileNotFoundError) and isinstance(caught.value, RuntimeError)
    text = str(caught.value)
    assert text.startswith("MNIST: found no IDX files (train-images-idx3-ubyte[.gz] and ")
    assert str(root / "MNIST/raw") in text and "set LAMINA_DATA" in text and "download=True" in text
    monkeypatch.setenv("LAMINA_DATA", str(data))
    with pytest.raises(DatasetNotFound, match="t10k-labels-idx1-ubyte") as caught:
        MNIST(root, train=False)
    assert str(data / "mnist") in str(caught.value) and "set LAMINA_DATA" not in str(caught.value)
    write_mnist(data / "mnist", 3)
    assert len(MNIST(root)) == 3
    write_mnist(root / "mnist", 4)
    assert len(MNIST(root)) == 4
    write_mnist(root, 5)
    assert len(MNIST(root)) == 5
    (root / "train-labels-idx1-ubyte.gz").unlink()  # images alone are not enough
    assert len(MNIST(root)) == 4


def test_fashion_mnist_does_not_take_mnist(tmp_path, monkeypatch):
    monkeypatch.setenv("LAMINA_DATA", str(tmp_path))
    write_mnist(tmp_path, 3)
    write_mnist(tmp_path / "mnist", 4)
    with pytest.raises(DatasetNotFound):
        FashionMNIST("nowhere")
    write_mnist(tmp_path / "fashion-mnist", 5)
    assert len(FashionMNIST("nowhere")) == 5 and len(MNIST("nowhere")) == 3
    assert len(FashionMNIST(tmp_path)) == 5  # subfolders first
    assert FashionMNIST(tmp_path).classes[9] == "Ankle boot"


def broken(folder, name, data):
    """An MNIST of which one file is replaced by `data`."""
    write_mnist(folder, packed=False)
    (folder / name).write_bytes(data)
    with pytest.raises(ValueError) as caught:
        MNIST(folder)
    assert not isinstance(caught.value, FileNotFoundError)
    text = str(caught.value)
    assert str(folder / name) in text
    return text


def test_broken_idx_files(tmp_path):
    images, labels = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
    good = idx(np.zeros((7, 5, 4), np.uint8))
    assert (
        "truncated IDX file: shape (7, 5, 4) needs 140 bytes after the header, got 139"
        in broken(tmp_path, images, good[:-1])
    )
    assert "too long IDX file" in broken(tmp_path, images, good + b"x")
    assert "truncated IDX file of 3 bytes" in broken(tmp_path, images, good[:3])
    assert "truncated IDX file of 10 bytes" in broken(tmp_path, images, good[:10])
    assert "truncated IDX file of 0 bytes" in broken(tmp_path, labels, b"")
    text = broken(tmp_path, images, idx(np.zeros(7, np.uint8)))
    assert "its magic number is 0x00000801, expected 0x00000803" in text
    assert "0x00000d01" in broken(tmp_path, labels, idx(np.zeros(7, np.float32), 0xD))
    assert "7 images but" in broken(tmp_path, labels, idx(np.zeros(6, np.uint8)))
    assert "label 10, but MNIST has the classes 0 to 9" in broken(
        tmp_path, labels, idx(np.full(7, 10, np.uint8))
    )
    packed = gzip.compress(good, mtime=0)
    for damaged in (packed[:-9], packed[:12], packed[:15] + b"\xff\xff\xff" + packed[18:]):
        assert "the gzip file is truncated or damaged" in broken(tmp_path, images, damaged)


def test_an_empty_idx_file(tmp_path):
    (tmp_path / "a").write_bytes(idx(np.zeros((0, 28, 28), np.uint8)))
    assert tuple(read_idx(tmp_path / "a", 3).shape) == (0, 28, 28)


# ---- CIFAR-10 ------------------------------------------------------------------------------------
def test_cifar10_reads_the_binary_format(tmp_path):
    first, second, test = (cifar_records(n, n) for n in (5, 3, 4))
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    (folder / "data_batch_1.bin.gz").write_bytes(gzip.compress(first.tobytes()))
    (folder / "data_batch_3.bin").write_bytes(second.tobytes())
    (folder / "test_batch.bin").write_bytes(test.tobytes())
    for train, records in ((True, np.concatenate([first, second])), (False, test)):
        data = CIFAR10(tmp_path, train=train)
        planes = records[:, 1:].reshape(-1, 3, 32, 32)
        np.testing.assert_array_equal(data.data.numpy(), planes.transpose(0, 2, 3, 1))
        assert data.targets == records[:, 0].tolist() and len(data) == len(records)
        np.testing.assert_array_equal(data[1][0].numpy(), planes[1])
        assert data[1][1] == records[1, 0]
        x, y = next(iter(DataLoader(data, batch_size=len(data))))
        np.testing.assert_array_equal(x.numpy(), planes)
        assert y.tolist() == data.targets and y.dtype is lamina.int64
    assert data.classes[3] == "cat" and data.class_to_idx["truck"] == 9


def test_cifar100_reads_fine_labels(tmp_path):
    rng = np.random.default_rng(0)
    records = rng.integers(0, 256, (5, 3074)).astype(np.uint8)
    records[:, 0], records[:, 1] = rng.integers(0, 20, 5), [0, 99, 3, 50, 7]
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    (folder / "train.bin").write_bytes(records.tobytes())
    data = CIFAR100(tmp_path)
    assert data.targets == [0, 99, 3, 50, 7] and len(data.classes) == 100
    assert data.classes[99] == "worm" and data.class_to_idx["apple"] == 0
    np.testing.assert_array_equal(data[1][0].numpy(), records[1, 2:].reshape(3, 32, 32))
    (folder / "test.bin").write_bytes(records.tobytes()[:-1])
    with pytest.raises(ValueError, match=r"truncated CIFAR-100 file: 15369 .* 3074 \(2 labels and"):
        CIFAR100(tmp_path, train=False)
    records[2, 1] = 100
    (folder / "test.bin").write_bytes(records.tobytes())
    with pytest.raises(ValueError, match="label 100 of image 2, but CIFAR100 has the classes 0 to"):
        CIFAR100(tmp_path, train=False)


def test_broken_cifar10_files(tmp_path):
    with pytest.raises(DatasetNotFound, match=r"CIFAR10: found no binary files \(test_batch.bin"):
        CIFAR10(tmp_path, train=False)
    file = tmp_path / "test_batch.bin"
    file.write_bytes(cifar_records(3, 0).tobytes()[:-7])
    with pytest.raises(ValueError, match="test_batch.bin: truncated CIFAR-10 file: 9212 bytes"):
        CIFAR10(tmp_path, train=False)
    records = cifar_records(3, 0)
    records[1, 0] = 11
    file.write_bytes(records.tobytes())
    with pytest.raises(ValueError, match="label 11 of image 1, but CIFAR10 has the classes 0 to 9"):
        CIFAR10(tmp_path, train=False)


# ---- downloads -----------------------------------------------------------------------------------
def served(tmp_path, monkeypatch, change=lambda data: data):
    """MNIST's address becomes a folder of this machine; the sums are those of its files."""
    server = tmp_path / "server"
    write_mnist(server, 6)
    write_mnist(server, 3, "t10k")
    sums = [
        (f.name.removesuffix(".gz"), hashlib.md5(f.read_bytes()).hexdigest())
        for f in sorted(server.iterdir())
    ]
    for f in server.iterdir():
        f.write_bytes(change(f.read_bytes()))
    monkeypatch.setattr(
        MNIST, "mirrors", [(tmp_path / "gone").as_uri() + "/", server.as_uri() + "/"]
    )
    monkeypatch.setattr(MNIST, "resources", sums)
    return server


def test_download(tmp_path, monkeypatch, capsys):
    served(tmp_path, monkeypatch)
    root = tmp_path / "root"
    assert len(MNIST(root, download=True)) == 6
    assert sorted(f.name for f in (root / "MNIST/raw").iterdir()) == [
        "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz",
        "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz",
    ]  # fmt: skip
    assert "MNIST: downloading file:" in capsys.readouterr().err
    assert len(MNIST(root, train=False, download=True)) == 3
    assert capsys.readouterr().err == ""  # they were there


def test_a_download_that_fails_leaves_nothing(tmp_path, monkeypatch):
    served(tmp_path, monkeypatch, lambda data: data[:-1] + b"?")
    with pytest.raises(
        RuntimeError, match="cannot download .*gone.*MD5 sum [0-9a-f]{32}, expected"
    ):
        MNIST(tmp_path / "root", download=True)
    assert list((tmp_path / "root/MNIST/raw").iterdir()) == []


def test_download_of_cifar10(tmp_path, monkeypatch):
    archive = io.BytesIO()
    records = cifar_records(2, 1)
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name in ("cifar-10-batches-bin/data_batch_1.bin", "cifar-10-batches-bin/test_batch.bin",
                     "cifar-10-batches-bin/readme.html", "../../escaped.bin"):  # fmt: skip
            info = tarfile.TarInfo(name)
            info.size = records.nbytes
            tar.addfile(info, io.BytesIO(records.tobytes()))
    file = tmp_path / "cifar-10-binary.tar.gz"
    file.write_bytes(archive.getvalue())
    monkeypatch.setattr(CIFAR10, "url", file.as_uri())
    monkeypatch.setattr(CIFAR10, "md5", hashlib.md5(archive.getvalue()).hexdigest())
    root = tmp_path / "a" / "b"
    root.mkdir(parents=True)
    (root / file.name).write_bytes(b"half of an earlier download")
    data = CIFAR10(root, download=True)
    assert data.targets == records[:, 0].tolist()
    names = sorted(f.name for f in (root / "cifar-10-batches-bin").iterdir())
    assert names == ["data_batch_1.bin", "test_batch.bin"]
    assert not list(tmp_path.rglob("escaped.bin"))


# ---- the real files ------------------------------------------------------------------------------
def available(cls):
    if not REAL:
        return False
    try:
        cls("nowhere", train=False)
        return True
    except DatasetNotFound:
        return False


@pytest.mark.skipif(not available(MNIST), reason="LAMINA_DATA holds no MNIST files")
def test_real_mnist():
    train, test = (MNIST("nowhere", train=t) for t in (True, False))
    assert tuple(train.data.shape) == (60000, 28, 28) and len(test) == 10000
    assert train.targets[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert test.targets[:5].tolist() == [7, 2, 1, 0, 4]
    pixels = train.data.double() / 255
    assert round(pixels.mean().item(), 4) == 0.1307 and round(pixels.std().item(), 4) == 0.3081


@pytest.mark.skipif(not available(CIFAR10), reason="LAMINA_DATA holds no CIFAR-10 files")
def test_real_cifar10():
    test = CIFAR10("nowhere", train=False)
    assert tuple(test.data.shape[1:]) == (32, 32, 3) and len(test.targets) == len(test)
    assert set(test.targets) == set(range(10))
    mean = (test.data.double() / 255).mean((0, 1, 2)).numpy()
    np.testing.assert_allclose(mean, (0.494, 0.485, 0.450), atol=0.01)
