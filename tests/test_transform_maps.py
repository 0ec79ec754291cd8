"""Transforms that take values between pixels, against NumPy, closed forms, PyTorch and Pillow."""

from __future__ import annotations

import math

import numpy as np
import pytest

import lamina
from lamina.vision import transforms as T
from lamina.vision.transforms import functional as F
from lamina.vision.transforms._resampling import inverse_matrix

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (2, 3, 9, 12)).astype(np.uint8)


def tensor(a):
    return lamina.tensor(a)


def ramp(h: int, w: int) -> np.ndarray:
    """100 + 3 x + 2 y, (1, h, w)."""
    return 100.0 + 3.0 * np.arange(w) + 2.0 * np.arange(h)[:, None] + np.zeros((1, h, w))


# ---- resize --------------------------------------------------------------------------------------
def test_resize_gives_the_sizes_asked_for():
    x = tensor(BYTES)
    for size, options, want in (
        ((4, 5), {}, (4, 5)), ([4, 5], {}, (4, 5)), (6, {}, (6, 8)), ([18], {}, (18, 24)),
        (7, {}, (7, 9)), (9, {}, (9, 12)), (8, {"max_size": 9}, (7, 9)),
    ):  # fmt: skip
        for img in (x, x[0], x[0, 0]):
            y = F.resize(img, size, **options)
            assert tuple(y.shape) == (*img.shape[:-2], *want) and y.dtype is lamina.uint8
        assert tuple(T.Resize(size, **options)(x).shape[-2:]) == want
        tall = F.resize(x.permute(0, 1, 3, 2), size, **options)
        if isinstance(size, int):
            assert tuple(tall.shape[-2:]) == want[::-1]
    assert F.resize(x, (9, 12)) is x


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic"])
def test_resize_keeps_constants_and_linear_images(mode):
    for antialias in (True, False):
        flat = F.resize(tensor(np.full((1, 9, 7), 77, np.uint8)), (5, 11), mode, None, antialias)
        assert (flat.numpy() == 77).all()
    if mode.startswith("nearest"):
        y = F.resize(tensor(BYTES), (18, 36), mode).numpy()
        np.testing.assert_array_equal(y, BYTES.repeat(2, -2).repeat(3, -1))
    else:  # a linear image stays linear away from the border: place i of the result is 2 i + 0.5
        y = F.resize(tensor(ramp(16, 20)), (8, 10), mode).numpy()
        want = 100 + 3 * (2 * np.arange(10) + 0.5) + 2 * (2 * np.arange(8) + 0.5)[:, None]
        np.testing.assert_allclose(y[0, 2:-2, 2:-2], want[2:-2, 2:-2], rtol=1e-6)


def test_antialiasing_is_the_triangle_filter():
    """Halving: weights (1, 3, 3, 1) / 8 around the middle of two pixels."""
    x = RNG.random((1, 1, 12)).repeat(2, 1)
    y = F.resize(tensor(x), (1, 6)).numpy()[0, 0]
    want = np.convolve(x[0, 0], np.array([1, 3, 3, 1]) / 8, "valid")[1::2]
    np.testing.assert_allclose(y[1:-1], want, rtol=1e-6)
    plain = F.resize(tensor(x), (1, 6), antialias=False).numpy()[0, 0]
    np.testing.assert_allclose(plain, (x[0, 0, ::2] + x[0, 0, 1::2]) / 2, rtol=1e-6)


def test_resize_rounds_clamps_and_passes_gradients():
    x = np.zeros((1, 4, 4), np.uint8)
    x[0, 1:3, 1:3] = 255
    y = F.resize(tensor(x), (9, 9), "bicubic").numpy().astype(int)  # overshoots without a clamp
    assert y.min() == 0 and y.max() == 255
    t = lamina.rand(1, 6, 6, requires_grad=True)
    F.resize(t, (3, 3)).sum().backward()
    assert float(t.grad.sum()) == pytest.approx(9, rel=1e-5)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_resize_is_pytorchs(mode):
    torch = pytest.importorskip("torch")
    x = RNG.random((2, 3, 9, 12)).astype(np.float32)
    for size in ((5, 7), (20, 5), (9, 30)):
        for antialias in (True, False):
            want = torch.nn.functional.interpolate(
                torch.from_numpy(x), size, mode=mode, antialias=antialias
            )
            got = F.resize(tensor(x), size, mode, antialias=antialias)
            np.testing.assert_allclose(got.numpy(), want.numpy(), atol=2e-6)


def test_resize_errors():
    x = tensor(BYTES)
    with pytest.raises(TypeError, match="resize: size must be an int or"):
        F.resize(x, 2.5)
    with pytest.raises(ValueError, match="one or two positive ints"):
        T.Resize((1, 2, 3))
    with pytest.raises(ValueError, match="max_size needs a size of one int"):
        F.resize(x, (4, 5), max_size=9)
    with pytest.raises(ValueError, match="max_size 8 must be over size 8"):
        F.resize(x, 8, max_size=8)
    with pytest.raises(ValueError, match="tensors know the interpolations .* got 'lanczos'"):
        F.resize(x, 4, T.InterpolationMode.LANCZOS)
    with pytest.raises(ValueError, match="interpolation must be one of .* got 'linear'"):
        T.Resize(3, "linear")
    assert T.Resize(3, 2).interpolation is T.InterpolationMode.BILINEAR  # Pillow's numbers


# ---- affine maps ---------------------------------------------------------------------------------
def forward_map(center, angle, translate, scale, shear):
    """The map of `affine` as a 3 x 3 matrix, put together factor by factor."""
    a, sx, sy = (math.radians(v) for v in (angle, *shear))
    to = np.array([[1, 0, -center[0]], [0, 1, -center[1]], [0, 0, 1]])
    move = np.array([[1, 0, translate[0]], [0, 1, translate[1]], [0, 0, 1]])
    turn = np.array([[math.cos(a), -math.sin(a), 0], [math.sin(a), math.cos(a), 0], [0, 0, 1]])
    along = np.array([[1, -math.tan(sx), 0], [0, 1, 0], [0, 0, 1]])
    down = np.array([[1, 0, 0], [-math.tan(sy), 1, 0], [0, 0, 1]])
    size = np.diag([scale, scale, 1])
    return move @ np.linalg.inv(to) @ turn @ down @ along @ size @ to


@pytest.mark.parametrize("angle", [0, 25, -110])
@pytest.mark.parametrize("shear", [(0.0, 0.0), (12.0, 0.0), (-7.0, 20.0)])
def test_inverse_matrix(angle, shear):
    given = ((3.0, -2.0), angle, (4.0, 1.5), 1.3, shear)
    inverse = np.array(inverse_matrix(*given)).reshape(2, 3)
    product = np.vstack([inverse, [0, 0, 1]]) @ forward_map(*given)
    np.testing.assert_allclose(product, np.eye(3), atol=1e-12)


def test_quarter_turns_and_whole_moves_copy_pixels():
    x = tensor(BYTES[..., :9])  # square
    for mode in ("nearest", "bilinear"):
        for k in (1, 2, 3):
            np.testing.assert_array_equal(
                F.rotate(x, 90 * k, mode).numpy(), np.rot90(BYTES[..., :9], k, (-2, -1))
            )
        y = F.affine(tensor(BYTES), 0, (3, -2), 1.0, 0.0, mode, fill=[9, 8, 7]).numpy()
        want = np.empty_like(BYTES)
        want[...] = np.array([9, 8, 7], np.uint8)[:, None, None]
        want[..., :-2, 3:] = BYTES[..., 2:, :-3]
        np.testing.assert_array_equal(y, want)
    half = F.rotate(tensor(BYTES), 90, expand=True)
    np.testing.assert_array_equal(half.numpy(), np.rot90(BYTES, 1, (-2, -1)))


def test_rotate_about_a_corner_and_its_size():
    y = F.rotate(tensor(BYTES), 90, center=[0, 0], fill=5).numpy()
    assert (y == 5).all()  # turned out of the window
    y = F.rotate(tensor(BYTES), -90, center=[0, 9]).numpy()
    np.testing.assert_array_equal(y[..., :9, :][..., :9], np.zeros_like(y[..., :9]))
    for angle in (30, 45, 200):
        c, s = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
        h, w = F.rotate(tensor(BYTES), angle, expand=True).shape[-2:]
        assert abs(h - (9 * c + 12 * s)) < 2 and abs(w - (9 * s + 12 * c)) < 2


def test_affine_of_a_linear_image():
    """Bilinear sampling of a linear image gives its values at the places the map comes from."""
    h, w = 21, 24
    inverse = np.array(inverse_matrix((0.0, 0.0), 15.0, (1.0, 2.0), 1.2, (5.0, 0.0))).reshape(2, 3)
    x = np.arange(w) - (w - 1) / 2 + np.zeros((h, 1))
    y = np.arange(h)[:, None] - (h - 1) / 2 + np.zeros((1, w))
    u, v = (row[0] * x + row[1] * y + row[2] for row in inverse)
    want = 100 + 3 * (u + (w - 1) / 2) + 2 * (v + (h - 1) / 2)
    inside = (abs(u) <= (w - 1) / 2) & (abs(v) <= (h - 1) / 2)
    got = F.affine(tensor(ramp(h, w)), 15.0, (1.0, 2.0), 1.2, 5.0, "bilinear").numpy()[0]
    assert inside.sum() > 200
    np.testing.assert_allclose(got[inside], want[inside], rtol=1e-5)


def test_perspective():
    corners = [[0, 0], [11, 0], [11, 8], [0, 8]]
    same = F.perspective(tensor(BYTES), corners, corners).numpy()
    np.testing.assert_array_equal(same, BYTES)
    moved = [[x + 2, y + 1] for x, y in corners]
    y = F.perspective(tensor(BYTES), corners, moved, "nearest").numpy()
    np.testing.assert_array_equal(y[..., 1:, 2:], BYTES[..., :-1, :-2])
    assert (y[..., :1, :] == 0).all() and (y[..., :2] == 0).all()
    with pytest.raises(ValueError, match="no map takes"):
        F.perspective(tensor(BYTES), corners, [[0, 0], [1, 1], [2, 2], [3, 3]])


def test_errors_of_maps():
    x = tensor(BYTES)
    for call, text in (
        (lambda: F.affine(x, 0, [1], 1, 0), "translate must be two numbers"),
        (lambda: F.affine(x, 0, [1, 1], 0, 0), "scale must be positive, got 0"),
        (lambda: F.affine(x, 0, [1, 1], 1, [1, 2, 3]), "shear must have 1 or 2 numbers"),
        (lambda: F.rotate(x, 5, fill=[1, 2]), "fill must be a number or one for each of 3"),
        (lambda: F.rotate(x, 5, "bicubic"), "got 'bicubic'"),
        (lambda: F.rotate(x, 5, center=3), r"center must be \(x, y\)"),
        (lambda: T.RandomRotation(-3), "degrees must not be negative"),
        (lambda: T.RandomRotation((1, 2, 3)), "degrees must be a pair"),
        (lambda: T.RandomAffine(0, translate=(0, 2)), "translate must be shares"),
        (lambda: T.RandomAffine(0, scale=(0, 1)), "scale must be positive"),
        (lambda: T.RandomAffine(0, shear=(1, 2, 3)), "shear must be a pair"),
        (lambda: T.RandomPerspective(2), "distortion_scale must be in"),
        (lambda: T.RandomResizedCrop(3, scale=(1, 0.5)), "positive and in order"),
        (lambda: T.RandomRotation(40, expand=True)(lamina.rand(9, 1, 9, 9)), "differ in size"),
    ):
        with pytest.raises(ValueError, match=text):
            call()


def test_elastic_transform():
    still = lamina.zeros(1, 9, 12, 2)
    np.testing.assert_array_equal(F.elastic_transform(tensor(BYTES), still).numpy(), BYTES)
    moved = still + tensor(np.array([2 * 3 / 12, 2 * -1 / 9], np.float32))  # 3 right, 1 up
    y = F.elastic_transform(tensor(BYTES), moved, "nearest", fill=7).numpy()
    np.testing.assert_array_equal(y[..., 1:, :-3], BYTES[..., :-1, 3:])
    assert (y[..., :1, :] == 7).all() and (y[..., -3:] == 7).all()
    lamina.manual_seed(0)
    d = T.ElasticTransform.get_params([50.0, 50.0], [3.0, 3.0], [40, 60]).numpy()
    assert d.shape == (1, 40, 60, 2) and 0.01 < d[..., 0].std() * 40 / 50 < 0.2
    assert np.abs(np.diff(d, axis=2)).max() < 0.3 * np.abs(d).max()  # smooth
    with pytest.raises(ValueError, match=r"displacement must be \(1, 9, 12, 2\)"):
        F.elastic_transform(tensor(BYTES), lamina.zeros(1, 9, 9, 2))
    with pytest.raises(ValueError, match="alpha must be a pair"):
        T.ElasticTransform([1.0, 2.0, 3.0])


# ---- random ones ---------------------------------------------------------------------------------
def test_random_resized_crop_has_the_shares_and_shapes_asked_for():
    lamina.manual_seed(0)
    crop = T.RandomResizedCrop(8, scale=(0.2, 0.6), ratio=(0.5, 2.0))
    windows = [crop.get_params(lamina.empty(3, 100, 120), crop.scale, crop.ratio)
               for _ in range(400)]  # fmt: skip
    top, left, h, w = np.array(windows).T
    assert (
        (top >= 0).all()
        and (left >= 0).all()
        and (top + h <= 100).all()
        and (left + w <= 120).all()
    )
    share, shape = h * w / 12000, w / h
    assert 0.19 < share.min() < 0.22 and 0.55 < share.max() < 0.61
    assert abs(share.mean() - 0.4) < 4 * 0.4 / math.sqrt(12 * 400) and 0.48 < shape.min()
    assert shape.max() < 2.1 and abs(np.log(shape).mean()) < 0.1
    assert tuple(crop(tensor(BYTES)).shape) == (2, 3, 8, 8)
    assert tuple(crop(lamina.zeros(0, 3, 9, 9)).shape) == (0, 3, 8, 8)
    long = T.RandomResizedCrop.get_params(lamina.empty(1, 4, 400), (0.9, 1.0), (0.9, 1.1))
    assert long == (0, 198, 4, 4)  # nothing fits: the middle


def test_draws_reach_the_ends_of_their_ranges():
    lamina.manual_seed(1)
    angles = [T.RandomRotation.get_params([-10, 30]) for _ in range(300)]
    assert -10 <= min(angles) < -8 and 28 < max(angles) <= 30
    drawn = [T.RandomAffine.get_params((0, 0), (0.1, 0.5), (0.5, 2), (-5, 5, 0, 3), (100, 40))
             for _ in range(300)]  # fmt: skip
    tx, ty = np.array([d[1] for d in drawn]).T
    assert tx.min() == -10 and tx.max() == 10 and ty.min() == -20 and ty.max() == 20
    assert all(0.5 <= d[2] <= 2 and abs(d[3][0]) <= 5 and 0 <= d[3][1] <= 3 for d in drawn)
    for _ in range(50):
        start, end = T.RandomPerspective.get_params(40, 20, 0.5)
        assert start == [[0, 0], [39, 0], [39, 19], [0, 19]]
        shift = np.abs(np.array(start) - np.array(end))
        assert (shift[:, 0] <= 10).all() and (shift[:, 1] <= 5).all()


def test_images_of_a_batch_differ():
    many = tensor(BYTES[:1].repeat(20, 0))
    for transform in (
        T.RandomRotation(90), T.RandomAffine(0, (0.5, 0.5)), T.RandomPerspective(p=1),
        T.RandomResizedCrop(9), T.ColorJitter(0.5), T.GaussianBlur(3), T.RandomInvert(),
    ):  # fmt: skip
        y = transform(many).numpy()
        assert y.shape[:2] == (20, 3) and (y != y[0]).any()


def test_five_and_ten_crops():
    corners = F.five_crop(tensor(BYTES), 4)
    want = [BYTES[..., :4, :4], BYTES[..., :4, -4:], BYTES[..., -4:, :4], BYTES[..., -4:, -4:],
            BYTES[..., 2:6, 4:8]]  # fmt: skip
    assert all((c.numpy() == w).all() for c, w in zip(corners, want))
    ten = T.TenCrop((4, 4))(tensor(BYTES))
    assert len(ten) == 10 and (ten[5].numpy() == BYTES[..., ::-1][..., :4, :4]).all()
    upside = T.TenCrop(4, vertical_flip=True)(tensor(BYTES))
    assert (upside[5].numpy() == BYTES[..., ::-1, :][..., :4, :4]).all()
    assert len(T.FiveCrop(3)(tensor(BYTES[0]))) == 5
    with pytest.raises(ValueError, match="windows of 10 x 10 do not fit in 9 x 12"):
        F.five_crop(tensor(BYTES), 10)
