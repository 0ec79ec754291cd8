"""Interpolation, pixel and channel shuffles, sampling at points."""

import numpy as np
import pytest

import lamina
import lamina.nn.functional as F
from lamina import nn

RNG = np.random.default_rng(0)


def coordinates(n, m, align, scale=None):
    i = np.arange(m)
    if align:
        return i * ((n - 1) / (m - 1)) if m > 1 else i * 0.0
    return (i + 0.5) * (n / m if scale is None else scale) - 0.5


def linear_matrix(n, m, align, scale=None):
    """(m, n): row i holds the weights of output i."""
    at = np.maximum(coordinates(n, m, align, scale), 0)
    low = np.minimum(np.floor(at).astype(int), n - 1)
    w = np.zeros((m, n))
    for i, (j, a) in enumerate(zip(low, at)):
        part = min(a - j, 1)
        w[i, j] += 1 - part
        w[i, min(j + 1, n - 1)] += part
    return w


def keys(x, a=-0.75):
    x = abs(x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0


def cubic_matrix(n, m, align, scale=None):
    w = np.zeros((m, n))
    for i, at in enumerate(coordinates(n, m, align, scale)):
        for j in range(int(np.floor(at)) - 1, int(np.floor(at)) + 3):
            w[i, min(max(j, 0), n - 1)] += keys(at - j)
    return w


MATRIX = {"linear": linear_matrix, "bilinear": linear_matrix, "trilinear": linear_matrix,
          "bicubic": cubic_matrix}  # fmt: skip


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("size", [1, 3, 7, 12])
@pytest.mark.parametrize("mode", list(MATRIX))
def test_blending(mode, size, align):
    nd = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}[mode]
    x = RNG.normal(size=(2, 3, *(5, 6, 4)[:nd]))
    want = x
    for d in range(nd):
        w = MATRIX[mode](x.shape[2 + d], size, align)
        want = np.moveaxis(np.tensordot(w, want, (1, 2 + d)), 0, 2 + d)
    t = lamina.tensor(x, requires_grad=True)
    y = F.interpolate(t, size=size, mode=mode, align_corners=align)
    np.testing.assert_allclose(y.detach().numpy(), want, rtol=0, atol=1e-12)
    g = RNG.normal(size=want.shape)
    (y * lamina.tensor(g)).sum().backward()  # linear: <g, y> = <gx, x>
    assert abs((t.grad.numpy() * x).sum() - (g * want).sum()) < 1e-10
    single = F.interpolate(lamina.tensor(x, dtype=lamina.float32), size=size, mode=mode,
                           align_corners=align)  # fmt: skip
    assert np.abs(single.numpy() - want).max() < 1e-5


def test_nearest():
    x = lamina.arange(6.0).view(1, 1, 2, 3)
    assert F.interpolate(x, scale_factor=2)[0, 0, 1].tolist() == [0, 0, 1, 1, 2, 2]
    assert F.interpolate(x, size=(1, 2), mode="nearest")[0, 0].tolist() == [[0, 1]]
    assert F.interpolate(x, size=(1, 2), mode="nearest-exact")[0, 0].tolist() == [[3, 5]]
    y = F.interpolate(x.requires_grad_(), scale_factor=(1, 3))
    y.sum().backward()
    assert x.grad.tolist() == [[[[3.0] * 3] * 2]]


def test_sizes():
    x = lamina.zeros(1, 1, 5, 7)
    assert F.interpolate(x, scale_factor=1.5).shape == (1, 1, 7, 10)
    assert F.interpolate(x, size=3, mode="area").shape == (1, 1, 3, 3)
    assert F.interpolate(x, size=x.shape[2:]) is not x
    assert nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)(x).shape[2:] == (10, 14)


def test_interpolate_errors():
    x = lamina.zeros(1, 1, 5, 7)
    with pytest.raises(ValueError, match="either size or scale_factor"):
        F.interpolate(x)
    with pytest.raises(ValueError, match="align_corners option can only be set"):
        F.interpolate(x, size=3, align_corners=True)
    with pytest.raises(NotImplementedError, match="does not fit an input of 4 dimensions"):
        F.interpolate(x, size=3, mode="linear")
    with pytest.raises(lamina.DTypeError, match="expected a floating dtype"):
        F.interpolate(x.long(), size=3)
    with pytest.raises(ValueError, match="one number or 2"):
        F.interpolate(x, size=(3, 3, 3))


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("kw", [{"size": 3}, {"size": (7, 2)}, {"scale_factor": 0.6},
                                {"scale_factor": 1.7},
                                {"scale_factor": 1.7, "recompute_scale_factor": True}])  # fmt: skip
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "area", "bilinear", "bicubic"])
def test_like_torch(mode, kw, antialias):
    torch = pytest.importorskip("torch")
    blends = mode.startswith("bi")
    if antialias and not blends:
        return
    x = RNG.normal(size=(2, 3, 5, 6))
    for align in (False, True) if blends else (None,):
        options = {**kw, "mode": mode, "align_corners": align, "antialias": antialias}
        ours, theirs = lamina.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y, z = F.interpolate(ours, **options), torch.nn.functional.interpolate(theirs, **options)
        np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=0, atol=1e-12)
        (y * y).sum().backward()
        (z * z).sum().backward()
        np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=0, atol=1e-11)


def test_shuffles():
    x = RNG.normal(size=(2, 8, 3, 5))
    t = lamina.tensor(x)
    y = nn.PixelShuffle(2)(t)
    assert y.shape == (2, 2, 6, 10)
    for c, h, w, i, j in np.ndindex(2, 3, 5, 2, 2):
        assert y[0, c, 2 * h + i, 2 * w + j] == x[0, 4 * c + 2 * i + j, h, w]
    assert lamina.equal(nn.PixelUnshuffle(2)(y), t)
    assert nn.ChannelShuffle(4)(t)[0, :, 0, 0].tolist() == x[0, [0, 2, 4, 6, 1, 3, 5, 7], 0,
                                                             0].tolist()  # fmt: skip
    with pytest.raises(RuntimeError, match="not divisible by"):
        F.pixel_shuffle(t, 3)
    with pytest.raises(RuntimeError, match="not divisible by"):
        F.pixel_unshuffle(t, 3)
