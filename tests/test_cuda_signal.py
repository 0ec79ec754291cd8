"""Fourier transforms, complex tensors, sampling, CTC and linear algebra on a CUDA device.

Skipped without one, real or emulated. tests/test_cuda.py runs this file on the emulated device.
"""

import numpy as np
import pytest

import lamina
from lamina.nn import functional as F

cuda = lamina.cuda
pytestmark = pytest.mark.skipif(not cuda.is_available(), reason="no CUDA device")


def same(a, b, tol=2e-6):
    a, b = a.detach().cpu().numpy(), b.detach().cpu().numpy()
    np.testing.assert_allclose(a, b, atol=tol * max(1.0, np.abs(b).max(initial=0.0)), rtol=0)


def both(run, *arrays, tol=2e-6):
    """run(*tensors) on the device and on the CPU: results and gradients agree."""
    results = []
    for device in ("cuda", "cpu"):
        xs = [a.detach().to(device) for a in arrays]
        for x in xs:
            x.requires_grad_(x.dtype.is_floating_point or x.dtype.is_complex)
        y = run(*xs)
        assert y.device.type == device
        w = (lamina.arange(y.numel()) % 5 - 2).reshape(y.shape).to(y.device)
        total = (y * w).sum()
        (total.real + total.imag if total.dtype.is_complex else total).backward()
        results.append([y] + [x.grad for x in xs if x.requires_grad])
    for a, b in zip(*results, strict=True):
        same(a, b, tol)


# ---- Fourier transforms -------------------------------------------------------------------------
@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 8, 11, 13, 16, 17, 23, 26, 60, 64, 97, 101, 343, 360,
                               1000, 1024, 1031, 2048, 4096, 4100, 5000, 8192, 6144,
                               9973])  # fmt: skip
def test_lengths(n):
    rng = np.random.default_rng(n)
    z = rng.standard_normal((2, n)) + 1j * rng.standard_normal((2, n))
    scale = np.sqrt(n)
    for dtype, tol in ((np.complex64, 2e-6), (np.complex128, 1e-13)):
        x = lamina.tensor(z.astype(dtype)).cuda()
        same(lamina.fft.fft(x) / scale, lamina.tensor(np.fft.fft(z) / scale), tol)
        same(lamina.fft.ifft(x) * scale, lamina.tensor(np.fft.ifft(z) * scale), tol)
        half = lamina.fft.rfft(x.real.contiguous())
        same(half / scale, lamina.tensor(np.fft.rfft(z.real) / scale), tol)
        back = lamina.fft.irfft(half, n)
        same(back, lamina.tensor(z.real), tol)


@pytest.mark.parametrize("shape, dim", [((3, 8, 5), 1), ((70, 3), 0), ((2, 64, 33), 1),
                                        ((2, 4500, 3), 1), ((1, 263, 20), 1),
                                        ((40, 6), -1)])  # fmt: skip
def test_dimensions(shape, dim):
    rng = np.random.default_rng(1)
    z = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    x = lamina.tensor(z).cuda()
    same(lamina.fft.fft(x, dim=dim), lamina.tensor(np.fft.fft(z, axis=dim)), 1e-13)
    same(lamina.fft.rfft(x.real.contiguous(), dim=dim),
         lamina.tensor(np.fft.rfft(z.real, axis=dim)), 1e-13)  # fmt: skip


def test_two_dimensions_and_gradients():
    x = lamina.randn(3, 12, 10, dtype=lamina.float64)
    both(lambda x: lamina.fft.rfft2(x), x, tol=1e-13)
    both(lambda x: lamina.fft.irfft2(lamina.fft.rfft2(x) * 2.0), x, tol=1e-13)
    both(
        lambda x: lamina.fft.fftshift(lamina.fft.fftn(x.to(lamina.complex128))).abs(), x, tol=1e-12
    )


def test_no_lines():
    z = lamina.zeros(0, 8, dtype=lamina.complex64, device="cuda")
    assert tuple(lamina.fft.fft(z).shape) == (0, 8)


# ---- complex tensors ----------------------------------------------------------------------------
def test_complex_tensors():
    z = lamina.tensor([1 + 2j, -3.5j, 0, 2])
    there = z.cuda()
    assert there.is_cuda and there.dtype is lamina.complex64 and there.tolist() == z.tolist()
    for f in (lambda z: z * 2 + 1j, lambda z: z * z, lambda z: z / (1 + 1j), lambda z: z.conj(),
              lambda z: z.real, lambda z: z.abs(), lambda z: z.exp(), lambda z: z**2,
              lambda z: z.angle(), lambda z: z.sum(), lambda z: lamina.cat([z, z]),
              lambda z: z.to(lamina.complex128), lambda z: z == z, lambda z: lamina.ones_like(z),
              lambda z: z.reshape(2, 2).tril(), lambda z: z.reshape(2, 2) @ z.reshape(2, 2),
              lambda z: z.real.to(lamina.complex64), lambda z: z.reshape(2, 2).t().contiguous(),
              lambda z: lamina.full_like(z, 2 - 1j)):  # fmt: skip
        y, want = f(there), f(z)
        assert y.is_cuda and y.dtype is want.dtype
        same(y, want)
    made = lamina.complex(lamina.ones(2, device="cuda"), lamina.zeros(2, device="cuda"))
    assert made.is_cuda and made.tolist() == [1, 1]
    there[1] = 5
    assert there.tolist() == [1 + 2j, 5, 0, 2]


# ---- sampling -----------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_grid_sample(mode, padding):
    x = lamina.randn(2, 3, 6, 7, dtype=lamina.float64)
    grid = lamina.rand(2, 40, 9, 2, dtype=lamina.float64) * 3 - 1.5
    for align in (False, True):

        def run(x, grid, align=align):
            return F.grid_sample(x, grid, mode, padding, align)

        both(run, x, grid, tol=1e-12)
    volume, points = lamina.randn(1, 2, 4, 5, 3), lamina.rand(1, 2, 3, 4, 3) * 2.4 - 1.2
    both(lambda x, grid: F.grid_sample(x, grid, mode, padding, False), volume, points, tol=5e-6)


def test_grid_sample_where_many_points_meet():
    x = lamina.randn(1, 2, 3, 3, dtype=lamina.float64)
    grid = lamina.zeros(1, 30, 30, 2, dtype=lamina.float64)
    both(lambda x: F.grid_sample(x, grid.to(x.device), align_corners=True), x, tol=1e-12)


@pytest.mark.parametrize("mode, options", [
    ("nearest", {}), ("nearest-exact", {}), ("bilinear", {}), ("bilinear", {"align_corners": True}),
    ("bicubic", {}), ("bilinear", {"antialias": True}), ("bicubic", {"antialias": True}),
    ("area", {}),
])  # fmt: skip
def test_interpolate(mode, options):
    x = lamina.randn(2, 3, 9, 12)
    for size in ((18, 5), (4, 30), (1, 1)):
        both(lambda x, size=size: F.interpolate(x, size, mode=mode, **options), x, tol=5e-6)


# ---- CTC ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [lamina.float32, lamina.float64])
def test_ctc(dtype):
    lamina.manual_seed(1)
    frames, labels = lamina.tensor([30, 12, 1, 5, 0]), lamina.tensor([10, 12, 0, 4, 0])
    targets = lamina.randint(1, 4, (5, 12))  # labels repeat
    targets[3, :4] = 2  # more frames are needed than there are
    logits = lamina.randn(30, 5, 6, dtype=dtype)

    def run(x):
        p = F.log_softmax(x, -1)
        return F.ctc_loss(p, targets.to(x.device), frames, labels, reduction="none",
                          zero_infinity=True)  # fmt: skip

    both(run, logits, tol=1e-11 if dtype is lamina.float64 else 2e-5)


def test_ctc_of_long_targets():
    lamina.manual_seed(2)
    targets = lamina.randint(1, 5, (2, 700))

    def run(x):
        p = F.log_softmax(x, -1)
        n = lamina.tensor([900, 880])
        return F.ctc_loss(p, targets.to(x.device), n, lamina.tensor([600, 400]))

    both(run, lamina.randn(900, 2, 5, dtype=lamina.float64), tol=1e-9)


def test_ctc_rows_and_room_share_a_block():
    """Three rows of 1535 doubles and what sums them are more than the 48 kB of a block."""
    targets = lamina.tensor([[1, 2] * 383])
    both(lambda x: F.ctc_loss(x, targets.to(x.device), [768], [766]),
         lamina.rand(768, 1, 3, dtype=lamina.float64).log(), tol=1e-9)  # fmt: skip


def test_ctc_reports_wrong_labels():
    p = F.log_softmax(lamina.randn(6, 1, 4, device="cuda"), -1)
    loss = F.ctc_loss(p, lamina.tensor([[1, 9]], device="cuda"), [6], [2])
    with pytest.raises(IndexError, match="ctc_loss: label 9 is out of range for 4 classes"):
        loss.item()


# ---- linear algebra -----------------------------------------------------------------------------
def test_linear_algebra():
    lamina.manual_seed(3)
    a = lamina.randn(2, 4, 4, dtype=lamina.float64)
    b = lamina.randn(2, 4, 3, dtype=lamina.float64)
    L = lamina.linalg
    spd = a @ a.transpose(1, 2) + 4 * lamina.eye(4, dtype=lamina.float64)
    both(lambda a: L.cholesky(a @ a.mT + 4 * lamina.eye(4, dtype=a.dtype, device=a.device)), a,
         tol=1e-11)  # fmt: skip
    both(L.solve, a, b, tol=1e-9)
    both(L.inv, a, tol=1e-9)
    both(L.det, a, tol=1e-10)
    both(lambda a: L.slogdet(a)[1], a, tol=1e-10)
    both(lambda a: L.qr(a)[1].abs(), a, tol=1e-9)
    both(lambda a: L.svd(a).S, a, tol=1e-9)
    both(lambda a: L.eigvalsh(a), spd, tol=1e-9)
    both(lambda a: L.pinv(a), b, tol=1e-9)
    for y in (*L.eigh(spd.cuda()), *L.lu_factor(a.cuda()), *L.eig(a.cuda())):
        assert y.is_cuda


def test_linear_algebra_errors_come_at_once():
    singular = lamina.zeros(2, 2, device="cuda")
    with pytest.raises(lamina.linalg.LinAlgError, match="singular"):
        lamina.linalg.inv(singular)
    with pytest.raises(lamina.linalg.LinAlgError):
        lamina.linalg.cholesky(-lamina.eye(3, device="cuda"))
