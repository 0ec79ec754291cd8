"""Images in folders, made-up images, image files, grids of images."""

from __future__ import annotations

import io as streams
import pathlib
import struct
import zlib

import numpy as np
import pytest

import lamina
from lamina.utils.data import DataLoader
from lamina.vision import datasets, io, transforms, utils

RNG = np.random.default_rng(0)


def bytes_of(*shape) -> np.ndarray:
    return RNG.integers(0, 256, shape).astype(np.uint8)


def write_ppm(path, image):
    """(C, H, W) with one or three channels."""
    c, h, w = image.shape
    head = f"P{5 if c == 1 else 6}\n# made by a test\n{w} {h}\n255\n".encode()
    path.write_bytes(head + image.transpose(1, 2, 0).tobytes())


def unpack_png(data: bytes) -> np.ndarray:
    """The image (C, H, W) of a PNG file whose rows are not filtered; checks all checksums."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, parts = 8, {}
    while at < len(data):
        n = struct.unpack_from(">I", data, at)[0]
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + n]
        assert struct.unpack_from(">I", data, at + 8 + n)[0] == zlib.crc32(kind + body)
        parts[kind] = body
        at += 12 + n
    assert list(parts) == [b"IHDR", b"IDAT", b"IEND"] and at == len(data)
    w, h, depth, colour, *rest = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    assert depth == 8 and rest == [0, 0, 0]
    c = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    rows = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(h, 1 + w * c)
    assert (rows[:, 0] == 0).all()
    return rows[:, 1:].reshape(h, w, c).transpose(2, 0, 1)


# ---- files ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png(channels, tmp_path):
    x = bytes_of(channels, 5, 7)
    data = io.encode_png(lamina.tensor(x))
    assert data.dtype is lamina.uint8 and data.ndim == 1
    np.testing.assert_array_equal(unpack_png(data.numpy().tobytes()), x)
    io.write_png(lamina.tensor(x), tmp_path / "a.png", 9)
    np.testing.assert_array_equal(unpack_png((tmp_path / "a.png").read_bytes()), x)
    assert [f.name for f in tmp_path.iterdir()] == ["a.png"]
    pytest.importorskip("PIL")
    np.testing.assert_array_equal(io.read_image(tmp_path / "a.png").numpy(), x)


def test_read_image(tmp_path):
    colour, grey = bytes_of(3, 4, 5), bytes_of(1, 4, 5)
    write_ppm(tmp_path / "colour.ppm", colour)
    write_ppm(tmp_path / "grey.pgm", grey)
    np.testing.assert_array_equal(io.read_image(str(tmp_path / "colour.ppm")).numpy(), colour)
    np.testing.assert_array_equal(io.read_image(tmp_path / "grey.pgm").numpy(), grey)
    for name, array in (("hw", grey[0]), ("hwc", colour.transpose(1, 2, 0)), ("chw", colour)):
        np.save(tmp_path / f"{name}.npy", array)
        got = io.read_image(tmp_path / f"{name}.npy").numpy()
        np.testing.assert_array_equal(got, grey if name == "hw" else colour)
    modes = io.ImageReadMode
    for mode, channels in (
        (modes.GRAY, 1),
        (modes.GRAY_ALPHA, 2),
        (modes.RGB, 3),
        ("RGB_ALPHA", 4),
    ):
        for name in ("colour.ppm", "grey.pgm"):
            got = io.read_image(tmp_path / name, mode).numpy()
            assert got.shape == (channels, 4, 5)
            if channels in (2, 4):
                assert (got[-1] == 255).all()
    assert (io.read_image(tmp_path / "grey.pgm", modes.RGB).numpy() == grey).all()
    data = io.read_file(tmp_path / "grey.pgm")
    io.write_file(tmp_path / "copy.pgm", data)
    assert (tmp_path / "copy.pgm").read_bytes() == (tmp_path / "grey.pgm").read_bytes()


def test_broken_image_files(tmp_path):
    file = tmp_path / "a.ppm"
    write_ppm(file, bytes_of(3, 4, 5))
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match="a.ppm: truncated: 5 x 4 pixels of 3 channels need 60"):
        io.read_image(file)
    for text in (b"P6 5 4 65535 ", b"P6 5", b"P6 x"):
        file.write_bytes(text)
        with pytest.raises(ValueError, match="not a binary PGM or PPM file"):
            io.read_image(file)
    np.save(tmp_path / "a.npy", np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"a.npy: expected bytes .* got float64 \(3, 3\)"):
        io.read_image(tmp_path / "a.npy")
    with pytest.raises(FileNotFoundError):
        io.read_image(tmp_path / "none.png")
    with pytest.raises(
        TypeError, match="encode_png: expected a uint8 tensor .* got lamina.float32"
    ):
        io.encode_png(lamina.rand(3, 4, 4))
    with pytest.raises(ValueError, match=r"of 1 to 4 channels, got shape \(5, 2, 2\)"):
        io.encode_png(lamina.zeros(5, 2, 2, dtype=lamina.uint8))
    with pytest.raises(ValueError, match="compression_level must be 0 to 9, got 10"):
        io.encode_png(lamina.zeros(1, 2, 2, dtype=lamina.uint8), 10)


# ---- grids ---------------------------------------------------------------------------------------
def test_make_grid():
    x = RNG.random((5, 3, 2, 4)).astype(np.float32)
    grid = utils.make_grid(lamina.tensor(x), nrow=3, padding=1, pad_value=0.5).numpy()
    assert grid.shape == (3, 2 * 3 + 1, 3 * 5 + 1)
    want = np.full_like(grid, 0.5)
    for k in range(5):
        top, left = k // 3 * 3 + 1, k % 3 * 5 + 1
        want[:, top : top + 2, left : left + 4] = x[k]
    np.testing.assert_array_equal(grid, want)
    again = utils.make_grid([lamina.tensor(image) for image in x], 3, 1, pad_value=0.5)
    np.testing.assert_array_equal(again.numpy(), want)
    grey = utils.make_grid(lamina.tensor(x[:, :1]))  # 5 in a row, three channels
    assert tuple(grey.shape) == (3, 6, 5 * 6 + 2) and (grey[0] == grey[2]).all()
    for single in (x[0, 0], x[0, :1], x[:1, :1]):
        got = utils.make_grid(lamina.tensor(single)).numpy()
        np.testing.assert_array_equal(got, x[0, [0, 0, 0]])
    assert utils.make_grid(lamina.zeros(3, 1, 4, 4, dtype=lamina.uint8)).dtype is lamina.uint8


def test_make_grid_stretches_values():
    x = (RNG.random((4, 3, 2, 2)) * 6 - 2).astype(np.float32)
    t = lamina.tensor(x)
    plain = utils.make_grid(t, padding=0, nrow=4, normalize=True).numpy()
    want = ((x - x.min()) / (x.max() - x.min())).transpose(1, 2, 0, 3).reshape(3, 2, 8)
    np.testing.assert_allclose(plain, want, rtol=1e-5, atol=1e-6)
    ranged = utils.make_grid(t, padding=0, nrow=4, normalize=True, value_range=(-1, 1)).numpy()
    want = ((x.clip(-1, 1) + 1) / 2).transpose(1, 2, 0, 3).reshape(3, 2, 8)
    np.testing.assert_allclose(ranged, want, rtol=1e-5, atol=1e-6)
    each = utils.make_grid(t, padding=0, nrow=4, normalize=True, scale_each=True).numpy()
    for k in range(4):
        part = each[:, :, 2 * k : 2 * k + 2]
        assert part.min() == 0 and part.max() == pytest.approx(1)
    assert (t.numpy() == x).all()
    with pytest.raises(TypeError, match=r"value_range must be a tuple \(low, high\), got \[0, 1\]"):
        utils.make_grid(t, normalize=True, value_range=[0, 1])
    with pytest.raises(TypeError, match="expected a tensor or a list, got ndarray"):
        utils.make_grid(x)
    with pytest.raises(ValueError, match=r"expected a batch .* got \(2,\)"):
        utils.make_grid(lamina.zeros(2))


def test_save_image(tmp_path):
    x = RNG.random((4, 1, 6, 5)).astype(np.float32) * 1.2 - 0.1
    t = lamina.tensor(x)
    utils.save_image(t, tmp_path / "a.png", nrow=2)
    want = np.clip(utils.make_grid(t, nrow=2).numpy() * 255 + 0.5, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(unpack_png((tmp_path / "a.png").read_bytes()), want)
    utils.save_image(t, str(tmp_path / "a.ppm"), nrow=2)
    np.testing.assert_array_equal(io.read_image(tmp_path / "a.ppm").numpy(), want)
    stream = streams.BytesIO()
    utils.save_image(t, stream, format="png", nrow=2)
    np.testing.assert_array_equal(unpack_png(stream.getvalue()), want)
    with pytest.raises(ValueError, match="no format given"):
        utils.save_image(t, tmp_path / "name")
    with pytest.raises(ValueError, match="no format given"):
        utils.save_image(t, streams.BytesIO())
    image = pytest.importorskip("PIL.Image")
    with image.open(tmp_path / "a.png") as opened:
        np.testing.assert_array_equal(np.asarray(opened).transpose(2, 0, 1), want)
    utils.save_image(t, tmp_path / "a.jpg")
    with image.open(tmp_path / "a.jpg") as opened:
        assert opened.format == "JPEG"


# ---- data sets -----------------------------------------------------------------------------------
@pytest.fixture
def pets(tmp_path):
    """Two classes, three images, one of them deeper, and files that are none."""
    images = {"cat/b.ppm": bytes_of(3, 4, 6), "cat/deep/a.pgm": bytes_of(1, 4, 6),
              "dog/x.npy": bytes_of(3, 4, 6)}  # fmt: skip
    for name, image in images.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, image) if name.endswith("npy") else write_ppm(path, image)
    (tmp_path / "dog" / "notes.txt").write_text("no image")
    (tmp_path / "list.txt").write_text("no class")
    return tmp_path, images


def test_image_folder(pets):
    root, images = pets
    data = datasets.ImageFolder(root)
    assert data.classes == ["cat", "dog"] and data.class_to_idx == {"cat": 0, "dog": 1}
    assert data.samples == data.imgs == [(str(root / n), int("dog" in n)) for n in images]
    assert data.targets == [0, 0, 1] and len(data) == 3
    for i, image in enumerate(images.values()):
        x, label = data[i]
        assert x.dtype is lamina.uint8 and label == data.targets[i]
        np.testing.assert_array_equal(x.numpy(), np.broadcast_to(image, (3, 4, 6)))
    small = transforms.Compose([transforms.Resize((2, 2)), transforms.ToTensor()])
    data = datasets.ImageFolder(root, small, target_transform=lambda label: -label)
    x, y = next(iter(DataLoader(data, batch_size=3)))
    assert tuple(x.shape) == (3, 3, 2, 2) and y.tolist() == [0, 0, -1]
    assert "Number of datapoints: 3" in repr(data) and "Classes: 2" in repr(data)


def test_choice_of_files(pets):
    root, _ = pets
    texts = datasets.DatasetFolder(
        root, lambda path: pathlib.Path(path).read_text(), (".txt",), allow_empty=True
    )
    assert len(texts) == 1 and texts[0] == ("no image", 1)
    data = datasets.ImageFolder(root, is_valid_file=lambda p: p.endswith((".npy", ".pgm")))
    assert data.targets == [0, 1]
    with pytest.raises(
        FileNotFoundError, match=r"no valid file \(endings .txt\) for the classes cat"
    ):
        datasets.DatasetFolder(root, open, (".txt",))
    with pytest.raises(FileNotFoundError, match="found no class folder in"):
        datasets.ImageFolder(root / "dog")
    with pytest.raises(ValueError, match="give either extensions or is_valid_file"):
        datasets.DatasetFolder(root, open)


def test_image_folder_with_pillow(tmp_path):
    pytest.importorskip("PIL")
    from lamina.vision.datasets.folder import pil_loader

    x = bytes_of(3, 5, 4)
    (tmp_path / "one").mkdir()
    io.write_png(lamina.tensor(x), tmp_path / "one" / "a.PNG")
    np.testing.assert_array_equal(datasets.ImageFolder(tmp_path)[0][0].numpy(), x)
    data = datasets.ImageFolder(tmp_path, transforms.PILToTensor(), loader=pil_loader)
    np.testing.assert_array_equal(data[0][0].numpy(), x)


def test_fake_data():
    data = datasets.FakeData(20, (3, 8, 6), num_classes=4)
    x, label = data[3]
    assert len(data) == 20 and tuple(x.shape) == (3, 8, 6) and x.dtype is lamina.uint8
    assert 0 <= label < 4 and isinstance(label, int)
    assert (data[3][0] == x).all() and not (data[4][0] == x).all()
    moved = datasets.FakeData(20, (3, 8, 6), num_classes=4, random_offset=1)
    assert (moved[2][0] == x).all() and moved[2][1] == label
    state = lamina.get_rng_state().numpy().copy()
    data[5]
    assert (lamina.get_rng_state().numpy() == state).all()  # other draws are not disturbed
    batch, labels = next(iter(DataLoader(datasets.FakeData(
        9, (1, 4, 4), transform=transforms.ToTensor()), batch_size=9)))  # fmt: skip
    assert tuple(batch.shape) == (9, 1, 4, 4) and float(batch.max()) <= 1
    with pytest.raises(IndexError, match="index 20 is out of range for 20 images"):
        data[20]
    assert "3, 8, 6" in repr(data)
