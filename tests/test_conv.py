"""Convolution and pooling beyond their rows: random settings, paths, dtypes, indices, errors."""

import numpy as np
import pytest

import lamina
import lamina.nn.functional as F
from rows_conv import np_conv


def settings(rng):
    """A random convolution: shapes of x and w, and its arguments."""
    groups = int(rng.choice([1, 1, 2, 3]))
    C, M = groups * int(rng.integers(1, 6)), groups * int(rng.integers(1, 20))
    KH, KW = (int(v) for v in rng.integers(1, 5, 2))
    stride, dilation = (tuple(int(v) for v in rng.integers(1, 4, 2)) for _ in range(2))
    padding = tuple(int(v) for v in rng.integers(0, 4, 2))
    H = int(rng.integers(1, 18)) + max(0, dilation[0] * (KH - 1) + 1 - 2 * padding[0])
    W = int(rng.integers(1, 40)) + max(0, dilation[1] * (KW - 1) + 1 - 2 * padding[1])
    x, w = (int(rng.integers(1, 4)), C, H, W), (M, C // groups, KH, KW)
    return x, w, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


def reference_gradients(x, w, g, **settings):
    """By linearity: the gradient is the inner product of g with the response to each unit."""
    gx, gw = np.zeros_like(x), np.zeros_like(w)
    M, C, KH, KW = w.shape
    (sh, sw), (ph, pw), (dh, dw) = settings["stride"], settings["padding"], settings["dilation"]
    groups = settings["groups"]
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    gp = np.zeros_like(padded)
    OH, OW = g.shape[2:]
    for o in range(groups):
        ms, cs = slice(o * M // groups, (o + 1) * M // groups), slice(o * C, (o + 1) * C)
        for r in range(KH):
            for s in range(KW):
                at = (slice(None), cs, slice(r * dh, r * dh + (OH - 1) * sh + 1, sh),
                      slice(s * dw, s * dw + (OW - 1) * sw + 1, sw))  # fmt: skip
                gw[ms, :, r, s] = np.einsum("nmhw,nchw->mc", g[:, ms], padded[at])
                gp[at] += np.einsum("nmhw,mc->nchw", g[:, ms], w[ms, :, r, s])
    gx[...] = gp[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]
    return gx, gw


@pytest.mark.parametrize("seed", range(60))
def test_random_settings(seed):
    rng = np.random.default_rng(seed)
    xs, ws, args = settings(rng)
    x, w = rng.standard_normal(xs), rng.standard_normal(ws)
    b = rng.standard_normal(ws[0])
    for dtype, tol in ((lamina.float32, 5e-6), (lamina.float64, 1e-13)):
        lx, lw, lb = (lamina.tensor(t, dtype=dtype, requires_grad=True) for t in (x, w, b))
        y = F.conv2d(lx, lw, lb, **args)
        want = np_conv(x, w, b, **args)
        scale = max(1.0, np.abs(want).max())
        assert np.abs(y.detach().numpy() - want).max() <= tol * scale
        g = rng.standard_normal(want.shape)
        y.backward(lamina.tensor(g, dtype=dtype))
        gx, gw = reference_gradients(x, w, g, **args)
        for got, ref in ((lx.grad, gx), (lw.grad, gw), (lb.grad, g.sum((0, 2, 3)))):
            assert np.abs(got.numpy() - ref).max() <= tol * max(1.0, np.abs(ref).max())


def test_long_signal():
    """One dimension longer than a block."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 8, 70_001)), rng.standard_normal((3, 8, 5))
    lx, lw = (lamina.tensor(t, requires_grad=True) for t in (x, w))
    y = F.conv1d(lx, lw, padding=2, stride=2)
    np.testing.assert_allclose(y.detach().numpy(), np_conv(x, w, stride=2, padding=2), atol=1e-11)
    g = rng.standard_normal(y.shape)
    y.backward(lamina.tensor(g))
    args = {"stride": (1, 2), "padding": (0, 2), "dilation": (1, 1), "groups": 1}
    gx, gw = reference_gradients(x[:, :, None], w[:, :, None], g[:, :, None], **args)
    np.testing.assert_allclose(lx.grad.numpy(), gx[:, :, 0], atol=1e-11)
    np.testing.assert_allclose(lw.grad.numpy(), gw[:, :, 0], atol=1e-9)


def test_bits_do_not_depend_on_the_batch():
    x, w = lamina.randn(5, 7, 12, 16), lamina.randn(9, 7, 3, 3)
    whole = F.conv2d(x, w, padding=1)
    for i in range(5):
        assert F.conv2d(x[i : i + 1], w, padding=1).equal(whole[i : i + 1])


def test_unbatched_and_half():
    x, w, b = lamina.randn(3, 8, 9), lamina.randn(4, 3, 3, 3), lamina.randn(4)
    assert F.conv2d(x, w, b).equal(F.conv2d(x[None], w, b)[0])
    assert F.conv1d(x[0], lamina.randn(2, 8, 3), padding=1).shape == (2, 9)
    for dtype, tol in ((lamina.float16, 2e-3), (lamina.bfloat16, 2e-2)):
        y = F.conv2d(x.to(dtype), w.to(dtype), b.to(dtype))
        assert y.dtype == dtype
        exact = F.conv2d(x.to(dtype).float(), w.to(dtype).float(), b.to(dtype).float())
        assert (y.float() - exact).abs().max() <= tol * exact.abs().max()


ERRORS = [
    (lambda: F.conv2d(lamina.ones(1, 4, 8, 8), lamina.ones(16, 3, 3, 3)), ValueError,
     "conv2d: weight (16, 3, 3, 3) with groups=1 takes an input of 3 channels, input "
     "(1, 4, 8, 8) has 4"),
    (lambda: F.conv2d(lamina.ones(1, 3, 2, 2), lamina.ones(1, 3, 3, 3)), ValueError,
     "conv2d: input (1, 3, 2, 2) with padding (0,) is smaller than the kernel of weight "
     "(1, 3, 3, 3)"),
    (lambda: F.conv2d(lamina.ones(3, 3), lamina.ones(1, 3, 3, 3)), ValueError,
     "conv2d: expected an input (N, C, H, W) or (C, H, W), got shape (3, 3)"),
    (lambda: F.conv1d(lamina.ones(1, 3, 9), lamina.ones(2, 3, 3), lamina.ones(3)), ValueError,
     "conv1d: bias must have shape (2,), one number per output channel, got (3,)"),
    (lambda: F.conv1d(lamina.ones(1, 3, 9), lamina.ones(2, 3, 3), stride=0), ValueError,
     "conv1d: stride must be at least 1, got (0,)"),
    (lambda: F.conv1d(lamina.ones(1, 3, 9), lamina.ones(2, 3, 3), padding="sme"), ValueError,
     "conv1d: padding must be ints, 'same' or 'valid', got 'sme'"),
    (lambda: F.conv1d(lamina.ones(1, 3, 9), lamina.ones(2, 3, 3), stride=2, padding="same"),
     ValueError, "conv1d: padding='same' needs stride 1, got (2,)"),
    (lambda: F.conv2d(lamina.ones(1, 4, 8, 8), lamina.ones(3, 2, 3, 3), groups=2), ValueError,
     "conv2d: the first size of weight (3, 2, 3, 3) must be divisible by groups=2"),
    (lambda: F.conv_transpose2d(lamina.ones(1, 2, 4, 4), lamina.ones(2, 1, 3, 3), stride=2,
                                output_padding=2), ValueError,
     "conv_transpose2d: output_padding (2,) must be smaller than the stride or the dilation, got "
     "stride (2,) and dilation (1,)"),
    (lambda: F.fold(lamina.ones(1, 9, 5), (4, 4), 3), ValueError,
     "fold: an image of (4, 4) has 2 x 2 windows, columns (1, 9, 5) hold 5"),
    (lambda: F.max_pool2d(lamina.ones(1, 1, 2, 2), 3), ValueError,
     "max_pool2d: shape (1, 1, 2, 2) with padding (0,) is smaller than the kernel (3,)"),
    (lambda: F.max_pool2d(lamina.ones(1, 1, 8, 8), 2, padding=2), ValueError,
     "max_pool2d: padding 2 must be at most half of what the kernel covers, 2"),
]  # fmt: skip


@pytest.mark.parametrize("case", ERRORS, ids=lambda c: c[2][:40])
def test_errors(case):
    run, kind, text = case
    with pytest.raises(kind) as error:
        run()
    assert str(error.value) == text


def test_dtypes_must_agree():
    with pytest.raises(TypeError, match="conv2d: input and weight must have one floating dtype"):
        F.conv2d(lamina.ones(1, 3, 8, 8), lamina.ones(1, 3, 3, 3, dtype=lamina.float64))


def test_max_pool_indices():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    x = rng.integers(0, 4, (2, 3, 9, 8)).astype("f")  # many ties
    x[0, 0, 2, 3] = np.nan
    for args in ((2,), (3, 2, 1), (2, 3, 0, 2), (3, 1, 1, 1, True)):
        y, index = F.max_pool2d(lamina.tensor(x), *args, return_indices=True)
        ty, ti = torch.nn.functional.max_pool2d(torch.tensor(x), *args, return_indices=True)
        np.testing.assert_array_equal(y.numpy(), ty.numpy())
        np.testing.assert_array_equal(index.numpy(), ti.numpy())
        assert index.dtype == lamina.int64


def test_gradient_of_ties_goes_where_the_index_says():
    x = lamina.zeros(1, 1, 4, 4, requires_grad=True)
    y, index = F.max_pool2d(x, 2, return_indices=True)
    y.sum().backward()
    want = np.zeros(16)
    want[index.numpy().ravel()] = 1
    np.testing.assert_array_equal(x.grad.numpy().ravel(), want)
    x.grad = None
    F.max_pool2d(x, 2).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy().ravel(), want)


@pytest.mark.parametrize("N, C, K, M", [(5, 3, 4, 7), (64, 32, 7, 33), (1, 1, 1, 1), (0, 3, 4, 7)])
def test_a_kernel_as_large_as_the_image(N, C, K, M):
    """One output per image: a matrix product, its bias in the epilogue."""
    rng = np.random.default_rng(N)
    x, w, b = (rng.standard_normal(s) for s in ((N, C, K, K), (M, C, K, K), (M,)))
    y = F.conv2d(*(lamina.tensor(t) for t in (x, w, b)))
    want = np.einsum("nchw,mchw->nm", x, w) + b
    np.testing.assert_allclose(y.numpy(), want[:, :, None, None], atol=1e-11)
