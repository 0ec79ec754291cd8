"""Transforms of the values of pixels, against NumPy and the standard library."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

import lamina
from lamina.vision import transforms as T
from lamina.vision.transforms import functional as F

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (2, 3, 9, 12)).astype(np.uint8)
FLOATS = RNG.random((2, 3, 9, 12)).astype(np.float32)


def tensor(a):
    return lamina.tensor(a)


def grey(x):
    r, g, b = (x[..., c : c + 1, :, :] for c in range(3))
    y = np.float32(0.2989) * r + np.float32(0.587) * g + np.float32(0.114) * b
    return y.astype(x.dtype)


def mixed(x, other, f):
    top = 255 if x.dtype == np.uint8 else 1
    return (f * x.astype(np.float64) + (1 - f) * other).clip(0, top)


def close(got, want, x):
    """Equal to rounding; integers are cut off, so one level below where rounding crosses one."""
    got = got.numpy()
    assert got.dtype == x.dtype and got.shape == want.shape
    if x.dtype == np.uint8:
        assert (np.abs(got - np.trunc(want + 1e-4)) <= 1).all()
        assert (got == np.trunc(want + 1e-4)).mean() > 0.98
    else:
        np.testing.assert_allclose(got, want, atol=2e-6)


@pytest.mark.parametrize("x", [BYTES, FLOATS, FLOATS.astype(np.float64)], ids=["8", "32", "64"])
@pytest.mark.parametrize("f", [0, 0.4, 1, 1.7])
def test_blends(x, f):
    t = tensor(x)
    close(F.adjust_brightness(t, f), mixed(x, 0, f), x)
    mean = grey(x).mean((1, 2, 3), keepdims=True, dtype=np.float64)
    close(F.adjust_contrast(t, f), mixed(x, mean, f), x)
    close(F.adjust_saturation(t, f), mixed(x, grey(x).astype(np.float64), f), x)
    close(F.adjust_contrast(t[0], f), mixed(x, mean, f)[0], x)
    smooth = x.astype(np.float64)
    window = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13
    inside = sum(
        window[i, j] * smooth[..., i : i + 7, j : j + 10] for i in range(3) for j in range(3)
    )
    smooth = smooth.copy()
    smooth[..., 1:-1, 1:-1] = np.round(inside) if x.dtype == np.uint8 else inside
    close(F.adjust_sharpness(t, f), mixed(x, smooth, f), x)
    if f == 1:
        for adjust in (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation):
            np.testing.assert_array_equal(adjust(t, 1).numpy(), x)


@pytest.mark.parametrize("turn", [-0.5, -0.13, 0, 0.3])
def test_adjust_hue_is_colorsys(turn):
    want = np.empty((3, 9, 12))
    for i in range(9):
        for j in range(12):
            h, s, v = colorsys.rgb_to_hsv(*FLOATS[0, :, i, j].astype(float))
            want[:, i, j] = colorsys.hsv_to_rgb((h + turn) % 1, s, v)
    np.testing.assert_allclose(F.adjust_hue(tensor(FLOATS[0]), turn).numpy(), want, atol=2e-6)
    bytes_ = F.adjust_hue(tensor(BYTES), turn).numpy()
    assert bytes_.dtype == np.uint8
    if turn == 0:
        np.testing.assert_array_equal(bytes_, BYTES)
    plain = np.full((3, 2, 2), 90, np.uint8)  # grey has no hue
    np.testing.assert_array_equal(F.adjust_hue(tensor(plain), turn).numpy(), plain)


def test_gamma_invert_posterize_solarize():
    want = np.trunc(255.999 * (1.2 * (BYTES / 255) ** 0.7).clip(0, 1))
    got = F.adjust_gamma(tensor(BYTES), 0.7, 1.2).numpy()
    assert (got == want).mean() > 0.99 and np.abs(got - want).max() <= 1
    np.testing.assert_array_equal(F.invert(tensor(BYTES)).numpy(), 255 - BYTES)
    np.testing.assert_allclose(F.invert(tensor(FLOATS)).numpy(), 1 - FLOATS)
    for bits in range(9):
        mask = 256 - (1 << (8 - bits))
        np.testing.assert_array_equal(F.posterize(tensor(BYTES), bits).numpy(), BYTES & mask)
    want = np.where(BYTES >= 100, 255 - BYTES, BYTES)
    np.testing.assert_array_equal(F.solarize(tensor(BYTES), 100).numpy(), want)


def test_autocontrast_and_equalize():
    x = (BYTES // 4 + 40).astype(np.uint8)
    x[1, 2] = 7  # one value only: stays
    low, high = (f(x.astype(np.float64), axis=(2, 3), keepdims=True) for f in (np.min, np.max))
    span = np.where(high > low, high - low, 1)
    want = np.where(high > low, (x - low) * 255 / span, x)
    close(F.autocontrast(tensor(x)), want, x)
    flat = (np.arange(1024) % 256).reshape(1, 32, 32).astype(np.uint8)  # each level four times
    np.testing.assert_array_equal(F.equalize(tensor(flat)).numpy(), flat)
    narrow = F.equalize(tensor(flat // 8 + 100)).numpy()
    assert narrow.min() == 0 and narrow.max() == 255 and len(np.unique(narrow)) > 20
    np.testing.assert_array_equal(F.equalize(tensor(np.full((1, 4, 4), 9, np.uint8))).numpy(), 9)


@pytest.mark.parametrize("size, sigma", [(3, 0.8), ([5, 3], [1.5, 0.4]), ([3, 7], None)])
def test_gaussian_blur(size, sigma):
    kx, ky = (size, size) if isinstance(size, int) else size
    if sigma is None:
        sx, sy = 0.15 * kx + 0.35, 0.15 * ky + 0.35
    else:
        sx, sy = (sigma, sigma) if isinstance(sigma, float) else sigma

    def weights(k, s):
        w = np.exp(-(((np.arange(k) - k // 2) / s) ** 2) / 2)
        return w / w.sum()

    for x in (BYTES, FLOATS):
        wide = np.pad(x.astype(np.float64), [(0, 0)] * 2 + [(ky // 2,) * 2, (kx // 2,) * 2],
                      "reflect")  # fmt: skip
        windows = np.lib.stride_tricks.sliding_window_view(wide, (ky, kx), (2, 3))
        want = np.einsum("bchwij,i,j->bchw", windows, weights(ky, sy), weights(kx, sx))
        got = F.gaussian_blur(tensor(x), size, sigma).numpy()
        assert got.dtype == x.dtype
        if x.dtype == np.uint8:
            assert np.abs(got - want).max() <= 0.5001
        else:
            np.testing.assert_allclose(got, want, atol=1e-6)


# ---- random ones ---------------------------------------------------------------------------------
def test_color_jitter_changes_only_what_was_asked():
    lamina.manual_seed(0)
    many = tensor(FLOATS[:1].repeat(300, 0) * 0.5)
    y = T.ColorJitter(brightness=0.5)(many).numpy() / (FLOATS[0] * 0.5)
    factors = y.mean((1, 2, 3))
    np.testing.assert_allclose(y, factors[:, None, None, None] * np.ones_like(y), rtol=1e-4)
    assert 0.5 <= factors.min() < 0.53 and 1.47 < factors.max() <= 1.5
    turned = T.ColorJitter(hue=0.2)(many).numpy()
    np.testing.assert_allclose(turned.max(1), many.numpy().max(1), atol=1e-6)  # the same values
    np.testing.assert_array_equal(T.ColorJitter()(many).numpy(), many.numpy())
    order, *factors = T.ColorJitter.get_params(None, (0.5, 1), None, (-0.1, 0.1))
    assert sorted(order.tolist()) == [0, 1, 2, 3] and factors[0] is None
    assert 0.5 <= factors[1] <= 1 and abs(factors[3]) <= 0.1
    assert repr(T.ColorJitter(0.2, hue=0.1)) == (
        "ColorJitter(brightness=(0.8, 1.2), contrast=None, saturation=None, hue=(-0.1, 0.1))"
    )


def test_color_jitter_takes_every_order():
    lamina.manual_seed(0)
    orders = {tuple(T.ColorJitter.get_params(None, None, None, None)[0].tolist())
              for _ in range(400)}  # fmt: skip
    assert len(orders) == 24


def test_augmentations_have_the_papers_ranges():
    wide, rand = T.TrivialAugmentWide().space(40, 50), T.RandAugment().space(331, 662)
    assert len(wide) == len(rand) == 14
    ends = {name: magnitude(1.0) for name, (magnitude, _) in wide.items() if magnitude}
    assert ends == {
        "ShearX": 0.99, "ShearY": 0.99, "TranslateX": 32, "TranslateY": 32, "Rotate": 135,
        "Brightness": 0.99, "Color": 0.99, "Contrast": 0.99, "Sharpness": 0.99, "Posterize": 2,
        "Solarize": 0,
    }  # fmt: skip
    assert rand["TranslateX"][0](1.0) == pytest.approx(300) and rand["Posterize"][0](1.0) == 4
    assert rand["Rotate"][0](0.5) == 15 and rand["Solarize"][0](0.0) == 255
    lamina.manual_seed(0)
    steps = [T.RandAugment(1, 0).arguments(lamina.rand(2).tolist(), 9, 9)[0] for _ in range(500)]
    assert {name for name, _ in steps} == set(rand)
    still = [m for name, m in steps if name in ("Rotate", "ShearX", "Brightness")]
    assert len(still) > 50 and not any(still)  # strength 0
    signs = {m for name, m in (T.RandAugment(1, 30).arguments(lamina.rand(2).tolist(), 9, 9)[0]
                               for _ in range(300)) if name == "Rotate"}  # fmt: skip
    assert signs == {-30.0, 30.0}
    with pytest.raises(ValueError, match="magnitude must be 0 to 30, got 31"):
        T.RandAugment(magnitude=31)


def test_learned_policies():
    """A pair is chosen evenly, each change happens with its probability (tables of the paper)."""
    for policy in T.AutoAugmentPolicy:
        auto = T.AutoAugment(policy)
        assert len(auto.policies) == 25 and all(len(pair) == 2 for pair in auto.policies)
        space = auto.space(331, 662)
        for pair in auto.policies:
            for name, p, strength in pair:
                assert name in space and 0 <= p <= 1
                assert (strength is not None) == (space[name][0] is not None)
    auto = T.AutoAugment()
    assert auto.policies[0] == (("Posterize", 0.4, 8), ("Rotate", 0.6, 9))
    assert auto.space(331, 662)["TranslateX"][0](1.0) == pytest.approx(300)
    lamina.manual_seed(0)
    rows = lamina.rand(4000, 5)
    rows[:, 0] = 0.5 / 25  # the first pair
    found = [auto.arguments(row, 9, 9) for row in rows.tolist()]
    posterized = sum(any(n == "Posterize" for n, _ in f) for f in found) / 4000
    turned = [m for f in found for n, m in f if n == "Rotate"]
    assert posterized == pytest.approx(0.4, abs=0.03) and len(turned) / 4000 == pytest.approx(
        0.6, abs=0.03
    )
    assert set(turned) == {-30.0, 30.0} and ("Posterize", 4) in [c for f in found for c in f]
    with pytest.raises(ValueError, match="policy must be an AutoAugmentPolicy, got 'imagenet'"):
        T.AutoAugment("imagenet")
    assert repr(auto) == "AutoAugment(policy=AutoAugmentPolicy.IMAGENET, fill=None)"


def test_augmix_blends_chains():
    stats = pytest.importorskip("scipy.stats")
    for alpha in (0.4, 1.0, 3.0):
        mix = T.AugMix(alpha=alpha, mixture_width=2, chain_depth=2)
        lamina.manual_seed(1)
        made = [mix.arguments(row, 9, 9) for row in lamina.rand(3000, mix.count).tolist()]
        assert all(keep + sum(w) == pytest.approx(1) for keep, w, _ in made)
        keep = [keep for keep, _, _ in made]  # Beta(alpha, alpha)
        assert stats.kstest(keep, stats.beta(alpha, alpha).cdf).pvalue > 1e-4
        share = [w[0] / sum(w) for _, w, _ in made]
        assert stats.kstest(share, stats.beta(alpha, alpha).cdf).pvalue > 1e-4
        assert all(len(chains) == 2 and len(chains[0]) == 2 for *_, chains in made)
    plain = T.AugMix(all_ops=False)
    assert len(plain.space(9, 9)) == 9 and len(T.AugMix().space(9, 9)) == 13
    lamina.manual_seed(0)
    lengths = {len(c) for _ in range(60)
               for c in plain.arguments(lamina.rand(plain.count).tolist(), 9, 9)[2]}  # fmt: skip
    assert lengths == {1, 2, 3}
    img = lamina.tensor(RNG.integers(0, 256, (3, 12, 10)).astype("uint8"))
    out = T.AugMix(severity=1)(img)
    assert out.dtype is lamina.uint8 and out.shape == img.shape
    kept = plain.one(img, (1.0, [0.0], [[("Invert", 0.0)]]))
    assert lamina.equal(kept, img)
    half = plain.one(img, (0.5, [0.5], [[("Solarize", 0.0)]])).int()  # x and 255 - x
    assert (half == 127).all()
    with pytest.raises(ValueError, match="between 1 and 10, got 11"):
        T.AugMix(severity=11)


def test_linear_transformation():
    matrix, mean = RNG.random((12, 12)), RNG.random(12)
    x = RNG.random((5, 3, 2, 2))
    got = T.LinearTransformation(tensor(matrix), tensor(mean))(tensor(x)).numpy()
    np.testing.assert_allclose(got.reshape(5, 12), (x.reshape(5, 12) - mean) @ matrix)
    with pytest.raises(ValueError, match=r"made for 12 numbers, got images \(3, 4, 4\)"):
        T.LinearTransformation(tensor(matrix), tensor(mean))(lamina.rand(3, 4, 4))
    with pytest.raises(ValueError, match=r"expected a matrix \(D, D\)"):
        T.LinearTransformation(tensor(matrix), tensor(mean[:3]))


def test_errors():
    x = tensor(BYTES)
    for call, text in (
        (lambda: F.adjust_brightness(x, -1), "must not be negative, got -1"),
        (lambda: F.adjust_hue(x, 0.6), r"hue_factor must be in \[-0.5, 0.5\], got 0.6"),
        (lambda: F.adjust_gamma(x, -1), "gamma must not be negative"),
        (lambda: F.invert(lamina.rand(2, 3, 3)), "1 or 3 channels"),
        (lambda: F.posterize(x, 9), "bits must be 0 to 8"),
        (lambda: F.gaussian_blur(x, 4), "odd positive ints, got 4"),
        (lambda: F.gaussian_blur(x, 3, 0.0), "positive numbers"),
        (lambda: T.ColorJitter(hue=0.6), "hue must lie within"),
        (lambda: T.ColorJitter(contrast=(2, 1)), "contrast must lie within"),
        (lambda: T.GaussianBlur(2), "odd positive ints"),
        (lambda: T.GaussianBlur(3, (0, 1)), "sigma must be positive"),
    ):
        with pytest.raises(ValueError, match=text):
            call()
    for call, text in (
        (lambda: F.posterize(tensor(FLOATS), 3), "expected a uint8 image"),
        (lambda: F.equalize(tensor(FLOATS)), "expected a uint8 image"),
        (lambda: F.solarize(x, 256), "threshold 256 is over the largest"),
        (lambda: T.ColorJitter("much"), "brightness must be a number or a pair"),
        (lambda: F.invert([1]), "expected an image tensor"),
    ):
        with pytest.raises(TypeError, match=text):
            call()
