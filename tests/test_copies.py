"""Copies of views: what a dense copy of them holds, against NumPy."""

import itertools
import math

import numpy as np
import pytest

import lamina


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.float16, np.bool_])
@pytest.mark.parametrize("shape", [(5, 7), (37, 41), (4, 33, 6), (3, 4, 5, 6), (65, 3), (0, 4)])
def test_copies_of_views(shape, dtype):
    """Every order of the dimensions, backwards, spread and with gaps: planes are transposed."""
    a = (np.random.default_rng(0).standard_normal(shape) * 50).astype(dtype)
    for order in itertools.permutations(range(len(shape))):
        x, want = lamina.from_numpy(a).permute(*order), a.transpose(order)
        np.testing.assert_array_equal(x.contiguous().numpy(), want)
        np.testing.assert_array_equal(x[::2, 1:].contiguous().numpy(), want[::2, 1:])
        np.testing.assert_array_equal(x.flip(-1).numpy(), want[..., ::-1])
        np.testing.assert_array_equal(lamina.empty_like(x).copy_(x).numpy(), want)
        spread = x.unsqueeze(-1).expand(*x.shape, 67).contiguous()
        np.testing.assert_array_equal(spread.numpy(), np.repeat(want[..., None], 67, -1))


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int16, np.uint8, np.complex128])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (16, 16), (17, 65), (130, 31), (0, 3)])
def test_copies_backwards_across(shape, dtype):
    """The source runs backwards along the dimension that is not the result's last."""
    a = (np.random.default_rng(1).standard_normal(shape) * 50).astype(dtype)
    x = lamina.from_numpy(a)
    for dims in ((0,), (1,), (0, 1)):
        got = lamina.empty(shape[::-1], dtype=x.dtype).copy_(x.flip(dims).t())
        np.testing.assert_array_equal(got.numpy(), np.flip(a, dims).T)
        np.testing.assert_array_equal(x.t().flip(dims).numpy(), np.flip(a.T, dims))
    for k in range(-1, 5):
        np.testing.assert_array_equal(x.rot90(k).numpy(), np.rot90(a, k))


def test_long_and_thin_copies():
    """More elements than one piece, more rows than one band, values spread over a run."""
    a = np.random.default_rng(2).standard_normal((3, 40_001)).astype(np.float32)
    x = lamina.from_numpy(a)
    np.testing.assert_array_equal(x.clone().numpy(), a)
    np.testing.assert_array_equal(x[:, 1:].contiguous().numpy(), a[:, 1:])
    np.testing.assert_array_equal(x.t().contiguous().numpy(), a.T)
    np.testing.assert_array_equal(lamina.stack([x, x], -1).numpy(), np.stack([a, a], -1))
    np.testing.assert_array_equal(x.repeat_interleave(3, 1).numpy(), a.repeat(3, 1))
    wide = x[:1, :1].expand(99, 20_001).contiguous().numpy()
    assert wide.shape == (99, 20_001) and (wide == a[0, 0]).all()


MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int64, np.uint8])
@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (1, 1, 17, 33), (2, 2, 3, 130)])
@pytest.mark.parametrize("pads", [(1, 2, 0, 0), (0, 0, 2, 1), (2, 2, 2, 2), (0, 1, 1, 0)])
def test_padding(shape, pads, dtype):
    a = (np.random.default_rng(3).standard_normal(shape) * 50).astype(dtype)
    x = lamina.from_numpy(a)
    width = ((0, 0), (0, 0), pads[2:], pads[:2])
    pad = lamina.nn.functional.pad
    for mode, name in MODES.items():
        np.testing.assert_array_equal(pad(x, pads, mode).numpy(), np.pad(a, width, name))
    want = np.pad(a, width, constant_values=3)
    np.testing.assert_array_equal(pad(x, pads, value=3).numpy(), want)
    across = lamina.from_numpy(np.ascontiguousarray(a.transpose(1, 3, 2, 0))).permute(3, 0, 2, 1)
    np.testing.assert_array_equal(pad(across, pads, value=3).numpy(), want)
    apart = lamina.from_numpy(a.repeat(2, 2))[:, :, ::2]  # dense rows, gaps between them
    np.testing.assert_array_equal(pad(apart, pads, value=3).numpy(), want)


@pytest.mark.parametrize("cut", [(-1, 2), (-5, 0), (3, -2), (-2, -3), (0, -4)])
def test_padding_that_cuts(cut):
    a = np.random.default_rng(4).standard_normal((3, 5, 5)).astype(np.float32)
    x = lamina.from_numpy(a)
    pad = lamina.nn.functional.pad
    keep = a[..., max(0, -cut[0]) : 5 + min(0, cut[1])]
    width = ((0, 0), (0, 0), (max(0, cut[0]), max(0, cut[1])))
    want = np.pad(keep, width, constant_values=7)
    np.testing.assert_array_equal(pad(x, cut, value=7).numpy(), want)
    turned = pad(x.mT.contiguous(), (0, 0, *cut), value=7)
    np.testing.assert_array_equal(turned.numpy(), want.swapaxes(1, 2))
    assert pad(x, ()).tolist() == x.tolist() and pad(lamina.ones(()), ()).item() == 1
    assert pad(lamina.ones(0, 2), (1, 0)).shape == (0, 3)
    assert pad(lamina.ones(2, 0), (1, 2), value=5).tolist() == [[5.0] * 3] * 2


@pytest.mark.parametrize("step", [1, 2, 3, 7])
@pytest.mark.parametrize("shape", [(7, 33), (1, 5), (40, 3, 2)])
def test_gradients_of_slices(shape, step):
    for dim in range(len(shape)):
        x = lamina.randn(*shape, requires_grad=True)
        part = (slice(None),) * dim + (slice(1 if shape[dim] > 1 else 0, None, step),)
        y = x[part]
        g = lamina.randn(*y.shape)
        y.backward(g)
        want = np.zeros(shape, np.float32)
        want[part] = g.numpy()
        np.testing.assert_array_equal(x.grad.numpy(), want)


@pytest.mark.parametrize("dtype", ["int64", "int32", "int16", "float32", "float64"])
def test_ranges(dtype):
    for start, end, step in ((0, 1, 1), (5, -3, -1), (-7, 3000, 3), (0, 4099, 1), (3, 3, 1)):
        got = lamina.arange(start, end, step, dtype=getattr(lamina, dtype)).numpy()
        np.testing.assert_array_equal(got, np.arange(start, end, step, dtype=dtype))
    got = lamina.arange(0.1, 300, 0.1, dtype=getattr(lamina, dtype)).numpy()
    places = 0.1 + np.arange(got.size) * 0.1 if "float" in dtype else np.arange(got.size) * 0
    np.testing.assert_array_equal(got, places.astype(dtype))


def test_floats_to_halves():
    """Every half, the floats midway between two of them, and what becomes infinite or NaN."""
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    exact = halves[np.isfinite(halves)]
    order = np.sort(exact)
    middle = (order[1:] + order[:-1]) / 2
    beside = [np.nextafter(middle, np.float32(d)) for d in (-np.inf, np.inf)]
    ends = np.float32([65519, 65520, 65536, 1e30, -65520, np.inf, -np.inf, 1e-9, -1e-9])
    values = np.concatenate([exact, middle, *beside, ends])
    with np.errstate(over="ignore"):
        want = values.astype(np.float16)
    got = lamina.from_numpy(values).half().numpy()
    np.testing.assert_array_equal(got.view(np.uint16), want.view(np.uint16))
    some = lamina.tensor([1.0, math.nan, -2.0] * 11).half()
    assert some.isnan().tolist() == [False, True, False] * 11
    assert some[0::3].tolist() == [1.0] * 11 and some[2::3].tolist() == [-2.0] * 11


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int32, np.int8])
def test_pairs(dtype):
    """Two tensors element by element, dense or not."""
    for shape in ((0,), (1,), (17,), (3, 33), (257, 129)):
        a, b = (np.random.default_rng(5).standard_normal((2, *shape)) * 50).astype(dtype)
        x, y = lamina.from_numpy(a), lamina.from_numpy(b)
        want = np.stack([a, b], -1)
        np.testing.assert_array_equal(lamina.stack([x, y], -1).numpy(), want)
        y = lamina.from_numpy(b.T.copy()).permute(*range(len(shape))[::-1])
        np.testing.assert_array_equal(lamina.stack([x, y], -1).numpy(), want)
