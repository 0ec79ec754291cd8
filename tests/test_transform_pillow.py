"""Transforms of Pillow images: what they do to tensors, they do to these."""

from __future__ import annotations

import numpy as np
import pytest

import lamina
from lamina.vision import transforms as T
from lamina.vision.transforms import functional as F

Image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (3, 24, 30)).astype(np.uint8)
SMOOTH = (
    128 + 100 * np.sin(np.arange(24)[:, None] / 5 + np.arange(3)[:, None, None])
    * np.cos(np.arange(30) / 6)
).astype(np.uint8)  # fmt: skip


def picture(a, mode=None):
    return F.to_pil_image(lamina.tensor(a), mode)


def array(img) -> np.ndarray:
    return F.pil_to_tensor(img).numpy()


def test_conversions():
    assert picture(BYTES).mode == "RGB" and picture(BYTES).size == (30, 24)
    assert Image.fromarray(BYTES.transpose(1, 2, 0)).tobytes() == picture(BYTES).tobytes()
    assert picture(BYTES[0]).mode == "L" and picture(BYTES[:2]).mode == "LA"
    assert picture(np.concatenate([BYTES, BYTES[:1]])).mode == "RGBA"
    assert picture(BYTES, "HSV").mode == "HSV" and picture(BYTES[0], "P").mode == "P"
    for a in (BYTES, BYTES[:1], BYTES[:2]):
        np.testing.assert_array_equal(array(picture(a)), a)
    np.testing.assert_array_equal(
        array(T.ToPILImage()(BYTES.transpose(1, 2, 0))), BYTES
    )  # an array is (H, W, C)
    floats = lamina.tensor(BYTES).to(lamina.float32) / 255
    assert np.abs(array(T.ToPILImage()(floats)).astype(int) - BYTES).max() <= 1
    for dtype, mode in ((lamina.int32, "I"), (lamina.float32, "F")):
        x = lamina.tensor(RNG.integers(-9, 9, (1, 4, 5))).to(dtype)
        made = F.to_pil_image(x, mode)
        assert made.mode == mode and (F.pil_to_tensor(made) == x).all()
    bits = lamina.tensor(BYTES[0] > 99)
    made = F.to_pil_image(bits, "1")
    assert made.mode == "1" and (F.pil_to_tensor(made)[0] == bits).all()
    np.testing.assert_array_equal(T.ToTensor()(made)[0].numpy(), (BYTES[0] > 99) * np.float32(1))
    np.testing.assert_array_equal(
        T.ToTensor()(picture(BYTES)).numpy(), BYTES.astype(np.float32) / np.float32(255)
    )
    assert T.PILToTensor()(picture(BYTES)).dtype is lamina.uint8
    assert repr(T.ToPILImage("RGB")) == "ToPILImage(mode=RGB)"


def test_conversion_errors():
    with pytest.raises(TypeError, match="pil_to_tensor: expected a Pillow image, got ndarray"):
        F.pil_to_tensor(BYTES)
    with pytest.raises(TypeError, match="to_pil_image: expected a tensor or array, got list"):
        F.to_pil_image([1])
    with pytest.raises(TypeError, match="no images of 5 channels of lamina.uint8"):
        F.to_pil_image(lamina.zeros(5, 3, 3, dtype=lamina.uint8))
    with pytest.raises(ValueError, match="mode must be one of .* got 'L'"):
        F.to_pil_image(lamina.zeros(3, 3, 3), "L")
    with pytest.raises(ValueError, match=r"got shape \(1, 3, 3, 3\)"):
        F.to_pil_image(lamina.zeros(1, 3, 3, 3))
    for refused in (T.Normalize(0.5, 0.5), T.RandomErasing(1), T.ConvertImageDtype()):
        with pytest.raises(TypeError, match="expected an image tensor .* got Image; put ToTensor"):
            refused(picture(BYTES))


# Transforms that move or change bytes exactly alike, from the same draws.
EXACT = [
    T.RandomHorizontalFlip(0.5), T.RandomVerticalFlip(0.5), T.RandomCrop((9, 12), padding=3),
    T.CenterCrop(10), T.CenterCrop((30, 28)), T.Pad((1, 2), fill=(1, 2, 3)),
    T.Pad(2, padding_mode="reflect"), T.RandomInvert(), T.RandomPosterize(3),
    T.RandomSolarize(99), T.RandomEqualize(1), T.GaussianBlur(5), T.Resize((24, 30)),
    T.Resize((48, 60), "nearest"),
]  # fmt: skip


@pytest.mark.parametrize("transform", EXACT, ids=lambda t: type(t).__name__)
def test_the_same_bytes(transform):
    for seed in range(4):
        lamina.manual_seed(seed)
        want = transform(lamina.tensor(BYTES)).numpy()
        lamina.manual_seed(seed)
        got = transform(picture(BYTES))
        assert isinstance(got, Image.Image) and got.mode == "RGB"
        np.testing.assert_array_equal(array(got), want)


# Those that round or sample in Pillow's own way: a few levels apart, away from the border.
NEAR = [
    (T.Resize(12), 1), (T.Resize((40, 50)), 1), (T.Resize((10, 44), "bicubic"), 1),
    (T.RandomResizedCrop(16), 2), (T.ColorJitter(0.3, 0.3, 0.3), 4), (T.ColorJitter(hue=0.2), 12),
    (T.RandomRotation(40, "bilinear"), 6), (T.RandomAffine(20, (0.1, 0.1), (0.8, 1.2), 10,
                                                           "bilinear"), 6),
    (T.RandomPerspective(0.3, 1.0), 6), (T.RandomAdjustSharpness(1.5, 1.0), 2),
    (T.RandomAutocontrast(1.0), 2), (T.Grayscale(3), 1), (T.RandomGrayscale(1.0), 1),
]  # fmt: skip


@pytest.mark.parametrize("transform, levels", NEAR, ids=lambda v: type(v).__name__)
def test_nearly_the_same_bytes(transform, levels):
    for seed in range(3):
        lamina.manual_seed(seed)
        want = transform(lamina.tensor(SMOOTH)).numpy().astype(int)
        lamina.manual_seed(seed)
        got = array(transform(picture(SMOOTH))).astype(int)
        assert got.shape == want.shape
        inside = np.ones(want.shape, bool)
        if isinstance(transform, (T.RandomRotation, T.RandomAffine, T.RandomPerspective)):
            for make in (lamina.tensor, picture):  # the edge of what lies outside falls otherwise
                lamina.manual_seed(seed)
                white = transform(make(np.full_like(BYTES, 255)))
                inside &= (white.numpy() if make is lamina.tensor else array(white)) == 255
            assert inside.mean() > 0.4
        assert np.abs(got - want)[inside].max() <= levels


def test_functions():
    img = picture(BYTES)
    assert F.get_dimensions(img) == [3, 24, 30] == F.get_dimensions(lamina.tensor(BYTES))
    assert F.get_image_size(img) == [30, 24] and F.get_image_num_channels(img) == 3
    five = F.five_crop(img, 7)
    assert [np.array_equal(array(a), b.numpy()) for a, b in
            zip(five, F.five_crop(lamina.tensor(BYTES), 7))] == [True] * 5  # fmt: skip
    np.testing.assert_array_equal(
        array(F.crop(img, -2, 20, 8, 15)), F.crop(lamina.tensor(BYTES), -2, 20, 8, 15).numpy()
    )
    assert F.to_grayscale(img).mode == "L"
    turned = F.rotate(img, 90, expand=True)
    np.testing.assert_array_equal(array(turned), np.rot90(BYTES, 1, (1, 2)))
    assert F.resize(img, 12, T.InterpolationMode.LANCZOS).size == (15, 12)
    bright = array(F.adjust_gamma(img, 0.5))
    want = F.adjust_gamma(lamina.tensor(BYTES), 0.5).numpy()
    assert np.abs(bright.astype(int) - want).max() <= 1
    with pytest.raises(ValueError, match="hue_factor must be in"):
        F.adjust_hue(img, 2)


def test_augmentations_of_pillow_images():
    lamina.manual_seed(0)
    for transform in (T.RandAugment(), T.TrivialAugmentWide(fill=128), T.AutoAugment(),
                      T.AugMix(fill=3)):  # fmt: skip
        for _ in range(30):
            y = transform(picture(BYTES))
            assert y.mode == "RGB" and y.size == (30, 24)


def test_palettes_stay():
    img = picture(BYTES[0] % 4, "P")
    img.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    for out in (F.pad(img, 2), T.RandomCrop(20)(img), F.hflip(img)):
        assert out.mode == "P" and out.getpalette()[:6] == [0, 0, 0, 255, 0, 0]


def test_a_usual_chain():
    lamina.manual_seed(0)
    chain = T.Compose([
        T.RandomResizedCrop(16), T.RandomHorizontalFlip(), T.ColorJitter(0.1, 0.1, 0.1, 0.1),
        T.RandomApply([T.GaussianBlur(3)], 0.5), T.RandomChoice([T.RandomRotation(5), T.Pad(0)]),
        T.ToTensor(), T.Normalize((0.5,) * 3, (0.5,) * 3), T.RandomErasing(),
    ])  # fmt: skip
    y = chain(picture(BYTES))
    assert tuple(y.shape) == (3, 16, 16) and y.dtype is lamina.float32
