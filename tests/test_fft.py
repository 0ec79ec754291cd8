"""Fourier transforms beside NumPy and PyTorch: every length, shape, norm; gradients; errors."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

import lamina
from lamina import fft

RNG = np.random.default_rng(0)
ONE = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
MANY = ("fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn")


def draw(shape, complex_=True, dtype=np.float64):
    x = RNG.standard_normal(shape)
    if complex_:
        x = x + 1j * RNG.standard_normal(shape)
    return x.astype(np.result_type(dtype, np.complex64) if complex_ else dtype)


def takes_real(name):
    return name.startswith(("rfft", "ihfft"))


def error(got, want):
    """Relative error in units of eps times log2 of the length."""
    eps = np.finfo(got.dtype).eps
    size = np.linalg.norm(want)
    return np.linalg.norm(got - want) / size / eps / max(1, np.log2(want.shape[-1]))


LENGTHS = [*range(1, 41), 49, 64, 97, 100, 121, 127, 128, 169, 243, 257, 343, 500, 512, 1009, 1024,
           2197, 4096, 5000, 10007, 16384, 65536]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft"])
def test_every_length(name, dtype):
    for n in LENGTHS:
        for rows in (1, 3, 20) if n < 3000 else (1,):
            x = draw((rows, n), not takes_real(name), dtype)
            kw = {"n": n} if name == "irfft" else {}
            got = getattr(fft, name)(lamina.from_numpy(x), **kw).numpy()
            want = getattr(np.fft, name)(x.astype(np.result_type(x, np.float64)), **kw)
            assert got.dtype == np.result_type(dtype, want.dtype if name != "irfft" else dtype) or (
                got.dtype == np.complex64
            )
            assert error(got, want) < 2, (n, rows)


@pytest.mark.parametrize("n", [1, 2, 7, 16, 60, 131, 1009])
def test_along_the_first_dimension(n):
    x = draw((n, 2, 21))
    for name in ("fft", "ifft", "irfft"):
        kw = {"n": n} if name == "irfft" else {}
        got = getattr(fft, name)(lamina.from_numpy(x), dim=0, **kw).numpy()
        np.testing.assert_allclose(got, getattr(np.fft, name)(x, axis=0, **kw), atol=1e-12 * n)
    got = fft.rfft(lamina.from_numpy(x.real.copy()), dim=0).numpy()
    np.testing.assert_allclose(got, np.fft.rfft(x.real, axis=0), atol=1e-12 * n)


def test_strided_and_offset_inputs():
    x = draw((6, 5, 8))
    t = lamina.from_numpy(x).permute(2, 0, 1)[1:, ::2]
    a = x.transpose(2, 0, 1)[1:, ::2]
    for dim in range(3):
        np.testing.assert_allclose(fft.fft(t, dim=dim).numpy(), np.fft.fft(a, axis=dim), atol=1e-12)
    r = t.real
    np.testing.assert_allclose(fft.rfft(r).numpy(), np.fft.rfft(a.real), atol=1e-12)


def test_a_row_does_not_depend_on_its_neighbours():
    x = draw((40, 24))
    x[3] = np.nan
    y = fft.fft(lamina.from_numpy(x))
    assert y[3].isnan().all() and y[:3].isfinite().all() and y[4:].isfinite().all()


def test_threads_make_no_difference():
    before = lamina.get_num_threads()
    for shape, dim in (((300, 64), 1), ((500, 48), 0), ((64, 1009), 1), ((3, 4096), 1)):
        x = lamina.from_numpy(draw(shape))
        results = []
        for threads in (1, 2, 3):
            lamina.set_num_threads(threads)
            results.append(fft.fft(x, dim=dim).numpy().tobytes())
        lamina.set_num_threads(before)
        assert results[0] == results[1] == results[2]


def test_lengths_cut_and_padded():
    x = draw((3, 10))
    for n, dim in itertools.product((1, 4, 10, 13), (-1, 0)):
        for name in ("fft", "ifft", "irfft", "hfft"):
            got = getattr(fft, name)(lamina.from_numpy(x), n, dim).numpy()
            np.testing.assert_allclose(got, getattr(np.fft, name)(x, n, dim), atol=1e-12)


def test_integers_and_real_inputs():
    assert fft.fft(lamina.arange(5)).dtype is lamina.complex64
    assert fft.rfft(lamina.arange(5)).dtype is lamina.complex64
    x = draw(9, False)
    np.testing.assert_allclose(fft.fft(lamina.from_numpy(x)).numpy(), np.fft.fft(x), atol=1e-13)
    np.testing.assert_allclose(fft.irfft(lamina.from_numpy(x)).numpy(), np.fft.irfft(x), atol=1e-13)


def test_round_trips():
    x = lamina.from_numpy(draw((4, 15)))
    for norm in (None, "backward", "ortho", "forward"):
        assert fft.ifft(fft.fft(x, norm=norm), norm=norm).allclose(x)
        assert fft.irfft(fft.rfft(x.real, norm=norm), 15, norm=norm).allclose(x.real)
        assert fft.hfft(fft.ihfft(x.real, norm=norm), 15, norm=norm).allclose(x.real)
        assert fft.irfftn(fft.rfftn(x.real, norm=norm), x.shape, norm=norm).allclose(x.real)
        assert fft.ifft2(fft.fft2(x, norm=norm), norm=norm).allclose(x)


def test_frequencies_and_shifts():
    for n in (1, 2, 5, 8):
        np.testing.assert_allclose(fft.fftfreq(n, 0.5).numpy(), np.fft.fftfreq(n, 0.5), rtol=1e-6)
        np.testing.assert_allclose(fft.rfftfreq(n, 2.0).numpy(), np.fft.rfftfreq(n, 2), rtol=1e-6)
    x = draw((4, 5))
    for dim in (None, 0, (0, 1)):
        for name in ("fftshift", "ifftshift"):
            got = getattr(fft, name)(lamina.from_numpy(x), dim).numpy()
            np.testing.assert_array_equal(got, getattr(np.fft, name)(x, dim))


@pytest.mark.parametrize(
    "call, kind, text",
    [
        (lambda: fft.fft(lamina.ones(3), n=0), ValueError, "fft: the number of points must be pos"),
        (lambda: fft.irfft(lamina.ones(1)), ValueError, "irfft: the number of points must be pos"),
        (lambda: fft.fft(lamina.ones(3), norm="x"), ValueError, "norm must be 'backward'"),
        (lambda: fft.fft(lamina.ones(3), dim=1), IndexError, "dim 1 is out of range"),
        (lambda: fft.fft(lamina.tensor(1.0)), lamina.ShapeError, "0-dim"),
        (lambda: fft.rfft(lamina.tensor([1j])), lamina.DTypeError, "rfft: expected a real tensor"),
        (lambda: fft.fft(lamina.ones(3).half()), lamina.DTypeError, "float32 or float64"),
        (lambda: fft.fft2(lamina.ones(3, 3), dim=(0, 0)), lamina.ShapeError, "appears twice"),
        (lambda: fft.fftn(lamina.ones(3, 3), (2,), (0, 1)), ValueError, "s has 1 sizes"),
        (lambda: fft.fft2(lamina.ones(3)), IndexError, "dim -2 is out of range"),
    ],
)
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


def test_imported_when_first_used():
    code = (
        "import sys, lamina; assert 'lamina.fft' not in sys.modules; "
        "lamina.fft.fft(lamina.ones(4)); assert 'lamina.fft' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- beside PyTorch ------------------------------------------------------------------------------
def compare(torch, name, x, *args):
    """Value, gradient, and the gradient's gradient."""
    w = None
    results = []
    for m in (torch, lamina):
        t = m.from_numpy(x.copy()).requires_grad_()
        y = getattr(m.fft, name)(t, *args)
        if w is None:
            w = RNG.standard_normal(y.shape) + (1j * RNG.standard_normal(y.shape)
                                                if y.is_complex() else 0)  # fmt: skip
        g = m.from_numpy(w.copy()).requires_grad_()
        (gx,) = m.autograd.grad(y, t, g, create_graph=True)
        (gg,) = m.autograd.grad(gx.abs().pow(2).sum(), g)
        results.append([v.detach().resolve_conj().numpy() for v in (y, gx, gg)])
    for want, got in zip(*results):
        assert got.shape == want.shape and got.dtype == want.dtype
        np.testing.assert_allclose(got, want, atol=1e-10, rtol=1e-10, err_msg=f"{name} {args}")


@pytest.mark.parametrize("name", ONE)
def test_gradients_beside_pytorch(name):
    torch = pytest.importorskip("torch")
    for size, norm, n, dim in itertools.product(
        (2, 5, 8, 17), (None, "ortho", "forward"), (None, 4, 11), (-1, 0)
    ):
        compare(torch, name, draw((3, size), not takes_real(name)), n, dim, norm)


@pytest.mark.parametrize("name", [*MANY, "hfft2", "ihfft2", "hfftn", "ihfftn"])
def test_many_dimensions_beside_pytorch(name):
    torch = pytest.importorskip("torch")
    x = draw((2, 4, 6), not takes_real(name))
    for norm, s, dim in itertools.product(
        (None, "ortho", "forward"), (None, (5, 7), (-1, 3)), ((-2, -1), (1, 0))
    ):
        compare(torch, name, x, s, dim, norm)
    if name.endswith("n"):
        compare(torch, name, x)


@pytest.mark.parametrize(
    "options",
    [{}, {"center": False}, {"normalized": True}, {"onesided": False}, {"pad_mode": "constant"},
     {"win_length": 10, "hop_length": 3}],
)  # fmt: skip
def test_stft_beside_pytorch(options):
    torch = pytest.importorskip("torch")
    for shape in ((60,), (2, 60)):
        x = draw(shape, options.get("onesided") is False)
        got, want = (
            m.stft(m.from_numpy(x), 16, return_complex=True, **options,
                   window=m.hann_window(options.get("win_length", 16), dtype=m.float64))
            for m in (lamina, torch)
        )  # fmt: skip
        np.testing.assert_allclose(got.numpy(), want.numpy(), atol=1e-12)


def test_istft_undoes_stft():
    x = lamina.from_numpy(draw((2, 64), False)).requires_grad_()
    for options in ({}, {"normalized": True}, {"onesided": False}, {"win_length": 12}):
        window = lamina.hamming_window(options.get("win_length", 16), dtype=lamina.float64)
        y = lamina.stft(x, 16, window=window, return_complex=True, **options)
        assert lamina.istft(y, 16, window=window, length=64, **options).allclose(x)
        assert x[0].stft(16, window=window, return_complex=True, **options).istft(
            16, window=window, **options
        ).allclose(x[0])  # fmt: skip
    with pytest.raises(RuntimeError, match="uncovered"):
        y.istft(16, hop_length=8, window=lamina.hann_window(16, dtype=lamina.float64)[:8],
                win_length=8)  # fmt: skip
    with pytest.raises(RuntimeError, match="return_complex must be given"):
        lamina.stft(x, 16)
    assert lamina.autograd.gradcheck(
        lambda x: lamina.view_as_real(lamina.stft(x, 8, return_complex=True)),
        (lamina.from_numpy(draw(20, False)).requires_grad_(),),
    )
