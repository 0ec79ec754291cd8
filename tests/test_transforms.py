"""Transforms against NumPy. How whole batches are made is in test_transform_batches.py."""

from __future__ import annotations

import numpy as np
import pytest

import lamina
from lamina.vision import transforms as T
from lamina.vision.transforms import functional as F

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (6, 3, 9, 12)).astype(np.uint8)
MEAN, STD = (0.49, 0.48, 0.44), (0.25, 0.24, 0.26)


def tensor(a):
    return lamina.tensor(a)


def same(t, a):
    a = np.asarray(a)
    assert str(t.dtype) == f"lamina.{a.dtype}", f"{t.dtype}, expected {a.dtype}"
    np.testing.assert_array_equal(t.numpy(), a)


# ---- values --------------------------------------------------------------------------------------
def test_to_tensor():
    want = BYTES.astype(np.float32) / np.float32(255)
    same(T.ToTensor()(tensor(BYTES)), want)
    same(T.ToTensor()(tensor(BYTES[0])), want[0])
    same(T.ToTensor()(BYTES[0].transpose(1, 2, 0)), want[0])  # a NumPy array is (H, W, C)
    same(T.ToTensor()(BYTES[0, 0]), want[0, :1])
    floats = RNG.standard_normal((4, 5, 2))
    same(T.ToTensor()(floats), floats.transpose(2, 0, 1))  # other types keep values and type
    same(F.to_tensor(tensor(BYTES[:, 0])), want[:, 0])
    with pytest.raises(TypeError, match="to_tensor: expected an array .* got list"):
        T.ToTensor()([[1]])
    with pytest.raises(ValueError, match=r"to_tensor: .* got shape \(6, 3, 9, 12\)"):
        T.ToTensor()(BYTES)


def test_to_tensor_takes_what_has_an_array_interface():
    class Picture:
        __array_interface__ = BYTES[0, 0].__array_interface__

    same(T.ToTensor()(Picture()), BYTES[0, :1].astype(np.float32) / np.float32(255))


def test_to_tensor_gives_the_default_dtype():
    before = lamina.get_default_dtype()
    try:
        lamina.set_default_dtype(lamina.float64)
        same(T.Compose([T.ToTensor()])(tensor(BYTES)), BYTES / 255.0)
        same(T.ToTensor()(tensor(BYTES)), BYTES / 255.0)
    finally:
        lamina.set_default_dtype(before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normalize(dtype):
    x = RNG.random((2, 3, 4, 5)).astype(dtype)
    mean, std = (np.asarray(v, dtype)[:, None, None] for v in (MEAN, STD))
    same(T.Normalize(MEAN, STD)(tensor(x)), (x - mean) / std)
    same(F.normalize(tensor(x[0]), list(MEAN), np.array(STD)), ((x - mean) / std)[0])
    same(T.Normalize(0.5, [2.0])(tensor(x[0])), (x[0] - dtype(0.5)) / dtype(2))
    t = tensor(x)
    assert T.Normalize(MEAN, STD, inplace=True)(t) is t
    same(t, (x - mean) / std)


def test_normalize_passes_gradients():
    x = lamina.rand(3, 4, 4, requires_grad=True)
    T.Normalize(MEAN, STD)(x).sum().backward()
    np.testing.assert_allclose(x.grad[:, 0, 0].numpy(), 1 / np.array(STD), rtol=1e-6)


def test_normalize_errors():
    with pytest.raises(TypeError, match="expected a floating-point image, got lamina.uint8"):
        T.Normalize(MEAN, STD)(tensor(BYTES))
    with pytest.raises(ValueError, match=r"std must not be 0, got \[1, 0\]"):
        T.Normalize([0, 0], [1, 0])
    with pytest.raises(ValueError, match="must be of one length"):
        T.Normalize([0, 0, 0], [1, 1])
    with pytest.raises(ValueError, match=r"mean has 2 values, but the image .* has 3 channels"):
        T.Normalize([0, 0], [1, 1])(lamina.rand(3, 4, 4))


def test_flips():
    for cls, axis in ((T.RandomHorizontalFlip, -1), (T.RandomVerticalFlip, -2)):
        same(cls(p=1)(tensor(BYTES)), np.flip(BYTES, axis))
        same(cls(p=0)(tensor(BYTES)), BYTES)
        same(cls(p=1.0)(tensor(BYTES[0, 0])), np.flip(BYTES[0, 0], axis))
        lamina.manual_seed(0)
        many = cls()(tensor(np.repeat(BYTES[:1], 4000, 0))).numpy()
        flipped = (many == np.flip(BYTES[0], axis)).all((1, 2, 3))
        assert (flipped | (many == BYTES[0]).all((1, 2, 3))).all()
        assert abs(flipped.mean() - 0.5) < 0.03  # 4 standard deviations
        with pytest.raises(ValueError, match="p must be a probability"):
            cls(p=1.5)
    same(F.hflip(tensor(BYTES)), BYTES[..., ::-1])
    same(F.vflip(tensor(BYTES)), BYTES[..., ::-1, :])


NUMPY_MODE = {
    "constant": "constant",
    "edge": "edge",
    "reflect": "reflect",
    "symmetric": "symmetric",
}


@pytest.mark.parametrize("mode", NUMPY_MODE)
@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
def test_pad(mode, kind):
    x = BYTES.astype(kind)
    for padding, (left, top, right, bottom) in ((2, (2, 2, 2, 2)), ((3, 1), (3, 1, 3, 1)),
                                                ((0, 1, 2, 3), (0, 1, 2, 3))):  # fmt: skip
        width = [(0, 0), (0, 0), (top, bottom), (left, right)]
        want = np.pad(x, width, mode, **({"constant_values": 7} if mode == "constant" else {}))
        same(T.Pad(padding, fill=7, padding_mode=mode)(tensor(x)), want)
        same(T.Pad(padding, fill=7, padding_mode=mode)(tensor(x[0])), want[0])
        same(F.pad(tensor(x), padding, 7, mode), want)


def test_pad_with_a_colour_and_negative():
    want = np.stack([np.pad(BYTES[0, c], 1, constant_values=v) for c, v in enumerate((1, 2, 3))])
    same(T.Pad(1, fill=(1, 2, 3))(tensor(BYTES[0])), want)
    same(
        T.Pad((-1, 2, 0, -3))(tensor(BYTES)),
        np.pad(BYTES[..., :-3, 1:], [(0, 0)] * 2 + [(2, 0), (0, 0)]),
    )
    same(F.pad(tensor(BYTES), -2), BYTES[..., 2:-2, 2:-2])
    with pytest.raises(ValueError, match="padding_mode must be one of"):
        T.Pad(1, padding_mode="wrap")
    with pytest.raises(ValueError, match="padding must be 1, 2 or 4 ints"):
        T.Pad((1, 2, 3))
    with pytest.raises(TypeError, match="padding must be ints"):
        T.Pad(1.5)
    with pytest.raises(TypeError, match="fill must be a number"):
        T.Pad(1, fill="black")
    with pytest.raises(ValueError, match="fill has 2 values"):
        T.Pad(1, fill=(1, 2))(tensor(BYTES))
    with pytest.raises(ValueError, match="too wide for mode 'reflect' on an image of 9 x 12"):
        T.Pad(9, padding_mode="reflect")(tensor(BYTES))
    with pytest.raises(ValueError, match="cuts more than the image"):
        T.Pad(-5)(tensor(BYTES))


def test_center_crop():
    same(
        T.CenterCrop((4, 6))(tensor(BYTES)), BYTES[..., 2:6, 3:9]
    )  # round(2.5) = 2, as torchvision
    same(T.CenterCrop(9)(tensor(BYTES)), BYTES[..., 2:11])  # round(1.5) = 2
    same(T.CenterCrop([3])(tensor(BYTES[0])), BYTES[0, :, 3:6, 4:7])
    want = np.pad(BYTES[..., 1:11], [(0, 0)] * 2 + [(1, 2), (0, 0)])
    same(T.CenterCrop((12, 10))(tensor(BYTES)), want)
    same(F.center_crop(tensor(BYTES), (12, 10)), want)
    same(T.CenterCrop((12, 10))(tensor(BYTES.astype(np.float64))), want.astype(np.float64))
    with pytest.raises(ValueError, match="size must be one or two positive ints"):
        T.CenterCrop(0)
    with pytest.raises(TypeError, match="size must be an int"):
        T.CenterCrop(2.5)


def test_crop_reaches_outside():
    same(F.crop(tensor(BYTES), 2, 3, 4, 5), BYTES[..., 2:6, 3:8])
    wide = np.pad(BYTES, [(0, 0)] * 2 + [(20, 20)] * 2)
    for top, left, h, w in (
        (-2, -3, 5, 5),
        (6, 9, 6, 6),
        (-3, -3, 18, 18),
        (15, 20, 3, 3),
        (-9, -9, 4, 4),
    ):
        same(
            F.crop(tensor(BYTES), top, left, h, w),
            wide[..., 20 + top : 20 + top + h, 20 + left : 20 + left + w],
        )


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
def test_random_crop_visits_every_place_alike(kind):
    x = np.arange(4 * 5, dtype=kind).reshape(1, 1, 4, 5)
    lamina.manual_seed(1)
    count = 400 if kind == np.float64 else 4000
    y = T.RandomCrop((3, 4))(tensor(np.repeat(x, count, 0))).numpy()
    at = y[:, 0, 0, 0].astype(int)
    for corner in (0, 1, 5, 6):
        rows, columns = divmod(corner, 5)
        want = x[0, 0, rows : rows + 3, columns : columns + 4]
        assert (y[at == corner] == want).all()
        assert abs((at == corner).mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / count)
    assert np.isin(at, (0, 1, 5, 6)).all()


@pytest.mark.parametrize("mode", NUMPY_MODE)
@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
def test_random_crop_with_a_border(mode, kind):
    x = BYTES[:1].astype(kind)
    fill = {"constant_values": 9} if mode == "constant" else {}
    wide = np.pad(x, [(0, 0)] * 2 + [(2, 2), (3, 3)], mode, **fill)
    windows = np.lib.stride_tricks.sliding_window_view(wide, (3, 8, 11), (1, 2, 3)).reshape(
        -1, 3, 8, 11
    )
    lamina.manual_seed(2)
    crop = T.RandomCrop((8, 11), padding=(3, 2), fill=9, padding_mode=mode)
    for y in crop(tensor(np.repeat(x, 40, 0))).numpy():
        assert (windows == y).all((1, 2, 3)).any()
    y = crop(tensor(x[0])).numpy()
    assert y.dtype == kind and (windows == y).all((1, 2, 3)).any()


def test_random_crop_of_the_whole_image_and_too_small_ones():
    same(T.RandomCrop((9, 12))(tensor(BYTES)), BYTES)
    with pytest.raises(
        ValueError, match=r"crop size \(10, 10\) is larger than the image \(9, 12\)"
    ):
        T.RandomCrop(10)(tensor(BYTES))
    lamina.manual_seed(0)
    for mode in ("constant", "edge"):
        y = T.RandomCrop(11, pad_if_needed=True, padding_mode=mode)(tensor(BYTES))
        assert tuple(y.shape) == (6, 3, 11, 11)
        wide = np.pad(BYTES, [(0, 0)] * 2 + [(2, 2), (0, 0)], mode)
        places = [wide[0, :, i : i + 11, j : j + 11] for i in range(3) for j in range(2)]
        assert any((y[0].numpy() == p).all() for p in places)


def test_grayscale():
    r, g, b = (BYTES[:, c : c + 1].astype(np.float32) for c in range(3))
    want = (np.float32(0.2989) * r + np.float32(0.587) * g + np.float32(0.114) * b).astype(np.uint8)
    got = T.Grayscale()(tensor(BYTES)).numpy()
    assert np.abs(got.astype(int) - want).max() <= 1 and (got == want).mean() > 0.99
    three = T.Grayscale(3)(tensor(BYTES[0])).numpy()
    assert three.shape == (3, 9, 12) and (three == got[0]).all()
    lamina.manual_seed(0)
    y = T.RandomGrayscale(0.5)(tensor(np.repeat(BYTES[:1], 50, 0))).numpy()
    grey = (y == three).all((1, 2, 3))
    assert 10 < grey.sum() < 40 and (y[~grey] == BYTES[0]).all()
    with pytest.raises(ValueError, match="1 or 3 channels"):
        T.Grayscale()(lamina.rand(2, 4, 4))


def test_convert_image_dtype():
    x = tensor(BYTES)
    same(T.ConvertImageDtype(lamina.float32)(x), BYTES.astype(np.float32) / np.float32(255))
    same(F.convert_image_dtype(x, lamina.float64), BYTES / 255.0)
    back = F.convert_image_dtype(F.convert_image_dtype(x, lamina.float32), lamina.uint8)
    same(back, BYTES)
    same(F.convert_image_dtype(x, lamina.int16), BYTES.astype(np.int16) * 128)
    same(F.convert_image_dtype(F.convert_image_dtype(x, lamina.int32), lamina.uint8), BYTES)
    with pytest.raises(RuntimeError, match="too few digits"):
        F.convert_image_dtype(lamina.rand(1, 2, 2), lamina.int32)


# ---- erasing -------------------------------------------------------------------------------------
def test_random_erasing_sets_one_rectangle():
    x = np.ones((300, 3, 16, 20), np.float32)
    lamina.manual_seed(3)
    t = tensor(x)
    y = T.RandomErasing(p=0.5, scale=(0.05, 0.3), value=(4, 5, 6))(t).numpy()
    assert (t.numpy() == 1).all()  # not in place
    erased = 0
    for image in y:
        hit = image[0] == 4
        if not hit.any():
            assert (image == 1).all()
            continue
        erased += 1
        rows, columns = np.flatnonzero(hit.any(1)), np.flatnonzero(hit.any(0))
        h, w = len(rows), len(columns)
        assert hit.sum() == h * w and rows[-1] - rows[0] == h - 1  # a full rectangle
        assert 0.02 < h * w / 320 < 0.36 and 0.2 < h / w < 4.5
        for c, v in enumerate((4, 5, 6)):
            assert (image[c][hit] == v).all() and (image[c][~hit] == 1).all()
    assert abs(erased / 300 - 0.5) < 0.12


def test_random_erasing_with_noise_in_place_and_errors():
    lamina.manual_seed(4)
    x = lamina.zeros(1, 3, 64, 64)
    assert T.RandomErasing(p=1, scale=(0.5, 0.5), value="random", inplace=True)(x).data_ptr() == (
        x.data_ptr()
    )
    noise = x.numpy()[x.numpy() != 0]
    assert len(noise) > 4000 and abs(noise.mean()) < 0.1 and abs(noise.std() - 1) < 0.1
    same(T.RandomErasing(p=0)(tensor(BYTES)), BYTES)
    y = F.erase(tensor(BYTES), 1, 2, 3, 4, 0).numpy()
    assert (y[..., 1:4, 2:6] == 0).all() and (y[..., 4:, :] == BYTES[..., 4:, :]).all()
    for wrong, text in (
        ({"scale": 0.1}, "scale must be a pair"), ({"scale": (0.5, 0.1)}, "scale must be in order"),
        ({"scale": (0.5, 1.5)}, "within"), ({"ratio": (0, 1)}, "ratio must be positive"),
        ({"value": "noise"}, "'random'"), ({"value": None}, "number or numbers"),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError), match=text):
            T.RandomErasing(**wrong)
    with pytest.raises(ValueError, match="value has 2 numbers"):
        T.RandomErasing(p=1, value=(1, 2))(tensor(BYTES))


def test_random_erasing_gives_its_parameters():
    lamina.manual_seed(6)
    image = lamina.zeros(3, 20, 30)
    i, j, h, w, v = T.RandomErasing.get_params(image, (0.1, 0.2), (0.5, 2.0), [1.0, 2.0, 3.0])
    y = F.erase(image, i, j, h, w, v).numpy()
    assert (y.reshape(3, -1).sum(1) == h * w * np.array([1, 2, 3])).all()
    *_, h, w, v = T.RandomErasing.get_params(image, (0.1, 0.2), (0.5, 2.0))
    assert tuple(v.shape) == (3, h, w)
    assert T.RandomErasing.get_params(image, (9.0, 9.0), (1.0, 1.0))[:4] == (0, 0, 20, 30)


# ---- composition ---------------------------------------------------------------------------------
def test_compose_lambda_and_representation():
    chain = T.Compose([T.ToTensor(), T.Lambda(lambda t: t * 2), T.Normalize(MEAN, STD)])
    x = BYTES[0].astype(np.float32) / np.float32(255) * 2
    mean, std = (np.asarray(v, np.float32)[:, None, None] for v in (MEAN, STD))
    same(chain(tensor(BYTES[0])), (x - mean) / std)
    assert repr(T.Compose([T.ToTensor(), T.RandomCrop(3, 1)])) == (
        "Compose(\n    ToTensor()\n    RandomCrop(size=(3, 3), padding=1)\n)"
    )
    with pytest.raises(TypeError, match="lambd must be callable, got int"):
        T.Lambda(3)
    with pytest.raises(TypeError, match="RandomCrop: expected an image tensor .* got ndarray; put"):
        T.RandomCrop(3)(BYTES[0])
    with pytest.raises(ValueError, match=r"RandomCrop: expected an image .* got shape \(5,\)"):
        T.RandomCrop(3)(lamina.rand(5))


def test_random_apply_choice_and_order():
    lamina.manual_seed(5)
    many = tensor(np.repeat(BYTES[:1], 400, 0))
    turn = T.RandomApply([T.RandomHorizontalFlip(1), T.RandomVerticalFlip(1)], p=0.3)
    flipped = (turn(many).numpy() == BYTES[0, :, ::-1, ::-1]).all((1, 2, 3))
    assert abs(flipped.mean() - 0.3) < 0.1
    choice = T.RandomChoice([T.RandomHorizontalFlip(1), T.RandomHorizontalFlip(0)], p=[3, 1])
    share = (choice(many).numpy() == BYTES[0, :, :, ::-1]).all((1, 2, 3)).mean()
    assert abs(share - 0.75) < 0.1
    seen = {
        float(T.RandomOrder([lambda t: t + 1, lambda t: t * 2])(lamina.zeros(1))) for _ in range(40)
    }
    assert seen == {1.0, 2.0}
    seen = {float(T.RandomApply([lambda t: t + 1])(lamina.zeros(1))) for _ in range(40)}
    assert seen == {0.0, 1.0}
    seen = {
        float(T.RandomChoice([lambda t: t + 1, lambda t: t + 2])(lamina.zeros(1)))
        for _ in range(40)
    }
    assert seen == {1.0, 2.0}
    with pytest.raises(ValueError, match="images of one batch would differ"):
        T.RandomApply([T.CenterCrop(3)])(many)
    with pytest.raises(ValueError, match="p must be 2 non-negative weights"):
        T.RandomChoice([T.ToTensor(), T.ToTensor()], p=[1])
    with pytest.raises(TypeError, match="transforms must be a list"):
        T.RandomApply(T.ToTensor())
