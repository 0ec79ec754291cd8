"""Volumes: what the rows (rows_volume.py) and layers cannot say."""

import re

import numpy as np
import pytest

import lamina
import lamina.nn.functional as F
from lamina import nn

RNG = np.random.default_rng(6)


def t(*shape, dtype="float64"):
    return lamina.tensor(RNG.normal(size=shape).astype(dtype))


def test_a_plane_is_an_image():
    """Volumes of depth 1 are what the two-dimensional functions compute."""
    x, w, b = t(2, 4, 1, 6, 5), t(6, 2, 1, 3, 2), t(6)
    got = F.conv3d(x, w, b, (1, 2, 1), (0, 1, 0), 1, 2)
    want = F.conv2d(x.squeeze(2), w.squeeze(2), b, (2, 1), (1, 0), 1, 2)
    np.testing.assert_allclose(got.squeeze(2).numpy(), want.numpy(), atol=1e-13)
    got = F.conv_transpose3d(x, t(4, 3, 1, 2, 2), None, (1, 2, 2))
    assert got.shape == (2, 3, 1, 12, 10)
    assert lamina.equal(F.max_pool3d(x, (1, 2, 2)).squeeze(2), F.max_pool2d(x.squeeze(2), 2))


def test_transposed_convolution_is_the_transpose():
    """<conv(x), g> = <x, conv_transpose(g)>."""
    x, w = t(2, 3, 5, 6, 7), t(4, 3, 3, 2, 3)
    y = F.conv3d(x, w, None, (2, 1, 2), (1, 0, 1), (1, 2, 1))
    g = lamina.tensor(RNG.normal(size=y.shape))
    back = F.conv_transpose3d(g, w, None, (2, 1, 2), (1, 0, 1), (0, 0, 0), 1, (1, 2, 1))
    assert back.shape == x.shape
    assert (y * g).sum().item() == pytest.approx((x * back).sum().item())


@pytest.mark.parametrize("dtype, tol", [("float16", 2e-3), ("bfloat16", 2e-2)])
def test_half_precision(dtype, tol):
    kind = getattr(lamina, dtype)
    x, w = t(1, 2, 4, 4, 4).to(kind), (t(3, 2, 2, 2, 2) / 4).to(kind)
    leaves = [x.clone().requires_grad_(), w.clone().requires_grad_()]
    y = F.conv3d(*leaves, padding=1)
    exact = F.conv3d(x.double(), w.double(), padding=1)
    assert y.dtype is kind
    np.testing.assert_allclose(y.detach().double().numpy(), exact.numpy(), atol=tol * 4)
    y.sum().backward()
    assert all(v.grad.dtype is kind and v.grad.shape == v.shape for v in leaves)
    z = F.conv_transpose3d(x, w.transpose(0, 1).contiguous(), stride=2)
    assert z.dtype is kind and F.max_pool3d(x, 2).dtype is kind


def test_bits_do_not_depend_on_threads():
    x = t(3, 4, 6, 9, 8, dtype="float32").requires_grad_()
    w = t(5, 4, 3, 3, 3, dtype="float32").requires_grad_()
    threads, results = lamina.get_num_threads(), []
    try:
        for n in (1, 2, 3):
            lamina.set_num_threads(n)
            y = F.avg_pool3d(F.conv3d(x, w, padding=1), 2)
            up = F.conv_transpose3d(y, w, stride=2)
            results.append([y, up, *lamina.autograd.grad(up.square().sum(), (x, w))])
    finally:
        lamina.set_num_threads(threads)
    for other in results[1:]:
        assert all(lamina.equal(a, b) for a, b in zip(results[0], other))


def test_bits_do_not_depend_on_the_batch():
    x, w = t(5, 3, 4, 6, 5, dtype="float32"), t(4, 3, 3, 3, 3, dtype="float32")
    whole = F.conv3d(x, w, padding=1)
    for i in range(5):
        assert lamina.equal(F.conv3d(x[i], w, padding=1), whole[i])


def test_places_of_maxima():
    """The first of equal elements in row-major order wins, and NaN before all."""
    x = lamina.tensor(RNG.integers(0, 3, (2, 2, 4, 5, 6)).astype("float32"))
    for run in (lambda v: F.max_pool3d(v, 2, 2, return_indices=True),
                lambda v: F.adaptive_max_pool3d(v, (2, 2, 3), True)):  # fmt: skip
        y, at = run(x)
        assert at.dtype is lamina.int64 and lamina.equal(
            x.flatten(2).gather(2, at.flatten(2)).reshape(y.shape), y
        )
    y, at = F.max_pool3d(x, 2, 2, return_indices=True)
    cells = x.numpy()[:, :, :4, :4, :6].reshape(2, 2, 2, 2, 2, 2, 3, 2)
    cells = cells.transpose(0, 1, 2, 4, 6, 3, 5, 7).reshape(2, 2, 2, 2, 3, 8)
    first = cells.argmax(-1)  # the first maximum of a window
    d, h, w = np.indices((2, 2, 3))
    want = (2 * d + first // 4) * 30 + (2 * h + first // 2 % 2) * 6 + 2 * w + first % 2
    assert at.tolist() == want.tolist()
    x[0, 0, 1, 1, 1] = float("nan")
    y, at = F.max_pool3d(x, 2, return_indices=True)
    assert y[0, 0, 0, 0, 0].isnan() and at[0, 0, 0, 0, 0].item() == 30 + 6 + 1


def test_unpooling_undoes_pooling():
    for nd in (1, 2, 3):
        x = t(2, 3, *(6, 4, 8)[:nd])
        pool, unpool = (getattr(nn, f"{k}{nd}d") for k in ("MaxPool", "MaxUnpool"))
        y, at = pool(2, return_indices=True)(x)
        back = unpool(2)(y, at)
        assert back.shape == x.shape
        kept = back != 0
        assert lamina.equal(back[kept], x[kept]) and kept.sum().item() == y.numel()
        odd = t(1, 1, *(7, 5, 9)[:nd])
        y, at = pool(2, return_indices=True)(odd)
        assert unpool(2)(y, at, output_size=odd.shape).shape == odd.shape
        leaf = y.clone().requires_grad_()
        assert lamina.autograd.gradcheck(
            lambda v, i=at, u=unpool, s=odd.shape: u(2)(v, i, output_size=s), (leaf,)
        )


def test_random_windows():
    """Windows stay inside, steps differ by at most one, and samples are drawn anew."""
    from lamina.ops.pool_volume import _starts

    for u in (0.0, 0.3, 0.99):
        at = _starts(25, 9, 3, u)
        steps = {b - a for a, b in zip(at[:-1], at[1:-1])}
        assert at[0] == 0 and at[-1] == 22 and steps <= {2, 3}
    layer = nn.FractionalMaxPool2d(2, output_ratio=0.6, return_indices=True)
    x = t(2, 3, 20, 20)
    lamina.manual_seed(0)
    (y, at), (other, _) = layer(x), layer(x)
    assert y.shape == (2, 3, 12, 12) and not lamina.equal(y, other)
    assert lamina.equal(x.flatten(2).gather(2, at.flatten(2)).reshape(y.shape), y)
    assert layer(x[0])[0].shape == (3, 12, 12)


X, W = lamina.zeros(1, 4, 5, 5, 5), lamina.zeros(6, 4, 3, 3, 3)
ERRORS = {
    "conv3d: expected an input (N, C, D, H, W) or (C, D, H, W), got shape (4, 5, 5)":
        lambda: F.conv3d(X[0, :, 0], W),
    "conv3d: weight (6, 4, 3, 3, 3) with groups=1 takes an input of 4 channels, input "
    "(1, 3, 5, 5, 5) has 3": lambda: F.conv3d(X[:, :3], W),
    "conv3d: input (1, 4, 5, 5, 5) with padding (0,) is smaller than the kernel of weight "
    "(6, 4, 3, 3, 3) with its dilation": lambda: F.conv3d(X, W, dilation=3),
    "conv3d: stride must be one int or 3, got (1, 2)": lambda: F.conv3d(X, W, stride=(1, 2)),
    "conv3d: padding='same' needs stride 1, got (2,)":
        lambda: F.conv3d(X, W, padding="same", stride=2),
    "conv3d: bias must have shape (6,), one number per output channel, got (4,)":
        lambda: F.conv3d(X, W, lamina.zeros(4)),
    "conv_transpose3d: weight (6, 4, 3, 3, 3) takes an input of 6 channels, input "
    "(1, 4, 5, 5, 5) has 4": lambda: F.conv_transpose3d(X, W),
    "conv_transpose3d: output_padding (2,) must be smaller than the stride or the dilation":
        lambda: F.conv_transpose3d(X, W.transpose(0, 1), output_padding=2),
    "max_pool3d: padding 2 must be at most half of what the kernel covers, 3":
        lambda: F.max_pool3d(X, 3, padding=2),
    "avg_pool3d: shape (1, 4, 5, 5, 5) with padding (0, 0, 0) is smaller than the kernel":
        lambda: F.avg_pool3d(X, 6),
    "avg_pool3d: divisor_override must not be 0": lambda: F.avg_pool3d(X, 2, divisor_override=0),
    "adaptive_avg_pool3d: expected (C, D, H, W) or (N, C, D, H, W), got shape (5, 5)":
        lambda: F.adaptive_avg_pool3d(X[0, 0, 0], 2),
    "max_unpool2d: an index lies outside [0, 16)":
        lambda: F.max_unpool2d(X[0, :, 0, :2, :2], lamina.full((4, 2, 2), 16), 2),
    "max_unpool1d: invalid output_size (9,): a size must be between":
        lambda: F.max_unpool1d(X[0, 0, 0], lamina.zeros(5, 5).long(), 1, output_size=(9,)),
    "fractional_max_pool2d: output size (5, 5) with kernel (2, 2) does not fit":
        lambda: F.fractional_max_pool2d(X[0, :, 0], 2, 5),
}  # fmt: skip


@pytest.mark.parametrize("text", ERRORS)
def test_errors(text):
    with pytest.raises((ValueError, RuntimeError, IndexError), match=re.escape(text)):
        ERRORS[text]()


def test_dtypes_must_agree():
    with pytest.raises(lamina.DTypeError, match="conv3d: input and weight must have one floating"):
        F.conv3d(X.double(), W)
    with pytest.raises(lamina.DTypeError, match="max_pool3d: expected a floating dtype"):
        F.max_pool3d(X.long(), 2)
