"""Every way of computing a convolution gives the same result, in any batch and on any number of
threads; and what `set_float32_matmul_precision("high")` changes."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import lamina
import lamina.nn.functional as F
from lamina import nn
from rows_conv import np_conv

PROGRAM = """
import sys
import lamina, lamina.nn.functional as F
import numpy as np
sys.path.insert(0, {tests!r})
from test_conv import settings
for seed in range(40):
    rng = np.random.default_rng(seed)
    xs, ws, args = settings(rng)
    if seed % 2:  # channels past a vector, several groups of images, planes of any size
        g, C, M = args["groups"], int(rng.integers(4, 40)), int(rng.integers(4, 40))
        xs, ws = (int(rng.integers(1, 20)), g * C, *xs[2:]), (g * M, C, *ws[2:])
        if seed % 4 == 1:
            ws, args["stride"], args["dilation"] = (*ws[:2], 3, 3), 1, 1
            xs = (*xs[:2], max(xs[2], 3), max(xs[3], 3))
    x, w = (lamina.tensor(rng.standard_normal(s), requires_grad=True) for s in (xs, ws))
    b = lamina.tensor(rng.standard_normal(ws[0]))
    results = []
    for threads in (1, 2, 3):
        lamina.set_num_threads(threads)
        x.grad = w.grad = None
        y = F.conv2d(x, w, b, **args)
        y.backward(lamina.tensor(np.sin(np.arange(y.numel())).reshape(y.shape)))
        results.append([y.detach(), x.grad, w.grad])
    for t, *others in zip(*results):
        assert all(t.equal(o) for o in others), (seed, "bits depend on the number of threads")
    for t in results[0]:
        v = t.numpy().ravel()
        print(v.size, v.sum(), np.abs(v).sum(), v @ np.cos(np.arange(v.size)))
"""


def test_paths_agree():
    """Sums of the results of each path over random shapes, in float64."""
    program = PROGRAM.format(tests=os.path.dirname(__file__))
    runs = {}
    for path in ("im2col", "direct", "lanes", "winograd", ""):
        env = {**os.environ, "LAMINA_CONV": path}
        run = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True,
                             text=True)  # fmt: skip
        assert run.returncode == 0, (path, run.stderr[-600:])
        runs[path] = np.array([line.split() for line in run.stdout.splitlines()], float)
        assert runs[path].shape == (120, 4)
        scale = 1 + np.abs(runs["im2col"][:, 2:3])
        assert np.max(np.abs(runs[path] - runs["im2col"]) / scale) < 1e-12, path


@pytest.mark.parametrize(
    ("C", "M", "H", "stride"), [(20, 33, 12, 1), (20, 33, 9, 2), (32, 16, 5, 2)]
)
def test_bits_do_not_depend_on_the_batch(C, M, H, stride):
    """Where planes have several tiles; smaller ones go by other paths in small batches."""
    x, w = lamina.randn(21, C, H, H), lamina.randn(M, C, 3, 3)
    whole = F.conv2d(x[4:], w, stride=stride, padding=1)
    for n in (5, 12, 17):
        assert F.conv2d(x[4 : 4 + n], w, stride=stride, padding=1).equal(whole[:n])


# (N, C, M, H, W) that Winograd computes by rows of tiles where a vector has 16, 8 or 4 lanes.
ROWS = [(3, 16, 16, 32, 32), (2, 13, 16, 33, 35), (1, 16, 12, 5, 64), (2, 32, 17, 16, 15),
        (2, 25, 32, 7, 31), (3, 8, 8, 6, 33), (2, 16, 11, 4, 18), (2, 4, 3, 9, 40)]  # fmt: skip


@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("shape", ROWS)
@pytest.mark.parametrize("dtype", [lamina.float32, lamina.float64])
def test_rows_of_tiles(shape, padding, dtype, request):
    N, C, M, H, W = shape
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((N, C, H, W)), rng.standard_normal((M, C, 3, 3)) * (2 / 9 / C) ** 0.5
    y = np_conv(x, w, padding=(padding,) * 2)
    g = rng.standard_normal(y.shape)
    dx = np_conv(g, w.swapaxes(0, 1)[:, :, ::-1, ::-1], padding=(2 - padding,) * 2)
    dw = np_conv(x.swapaxes(0, 1), g.swapaxes(0, 1), padding=(padding,) * 2).swapaxes(0, 1)
    before = None
    request.addfinalizer(lambda n=lamina.get_num_threads(): lamina.set_num_threads(n))
    for n in (1, 2, 3):
        lamina.set_num_threads(n)
        lx, lw = (lamina.tensor(v, dtype=dtype, requires_grad=True) for v in (x, w))
        z = F.conv2d(lx, lw, padding=padding)
        z.backward(lamina.tensor(g, dtype=dtype))
        results = [z.detach(), lx.grad, lw.grad]
        assert before is None or all(a.equal(b) for a, b in zip(results, before, strict=True))
        before = results
    limit = 2e-6 if dtype == lamina.float32 else 1e-13
    for name, a, b in zip(("y", "dx", "dw"), results, (y, dx, dw), strict=True):
        assert np.abs(a.numpy() - b).max() < limit * np.abs(b).max(), name


@pytest.fixture
def high():
    lamina.set_float32_matmul_precision("high")
    assert lamina.get_float32_matmul_precision() == "high"
    yield
    lamina.set_float32_matmul_precision("highest")


def errors(N, C, M, H, W, padding=1):
    """Greatest error of y, dx and dw in float32, relative to the greatest value."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((N, C, H, W)), rng.standard_normal((M, C, 3, 3)) * (2 / 9 / C) ** 0.5
    y = np_conv(x, w, padding=(padding, padding))
    g = rng.standard_normal(y.shape)
    found = []
    for dtype in (lamina.float64, lamina.float32):
        lx, lw = (lamina.tensor(v, dtype=dtype, requires_grad=True) for v in (x, w))
        z = F.conv2d(lx, lw, padding=padding)
        z.backward(lamina.tensor(g, dtype=dtype))
        found.append([v.detach().double().numpy() for v in (z, lx.grad, lw.grad)])
    np.testing.assert_allclose(found[0][0], y, atol=1e-11)
    return [np.abs(a - b).max() / np.abs(a).max() for a, b in zip(*found, strict=True)]


SHAPES = [(3, 64, 64, 16, 16), (4, 96, 32, 13, 9), (2, 20, 33, 31, 6)]


@pytest.mark.parametrize("shape", SHAPES)
def test_default_precision(shape):
    assert max(errors(*shape)) < 2e-6


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_high_precision(high, shape, padding):
    """F(4x4, 3x3): errors up to about 1.5e-5 of the largest value, and not those of F(2x2, 3x3)."""
    assert 1e-6 < max(errors(*shape, padding=padding)) < 1.5e-5


def test_compiled_steps_follow_the_precision():
    x, w = lamina.randn(2, 32, 16, 16), lamina.randn(32, 32, 3, 3)
    step = lamina.compile(lambda x: F.conv2d(x, w, padding=1))
    with lamina.no_grad():
        for _ in range(4):
            exact = step(x).clone()
        try:
            lamina.set_float32_matmul_precision("high")
            for _ in range(4):
                fast = step(x).clone()
            assert fast.equal(F.conv2d(x, w, padding=1)) and not fast.equal(exact)
        finally:
            lamina.set_float32_matmul_precision("highest")
        assert step(x).equal(exact)


def digits():
    """6,400 images of MNIST for training and 2,000 for testing."""
    root = os.environ.get("LAMINA_DATA", "")
    if not list(pathlib.Path(root).rglob("train-images-idx3-ubyte*")) or not root:
        pytest.skip("LAMINA_DATA has no MNIST")
    from lamina.vision.datasets import MNIST

    sets = []
    for train, n in ((True, 6400), (False, 2000)):
        data = MNIST(root, train=train)
        sets.append((data.data[:n].float()[:, None] / 255, data.targets[:n]))
    return sets


def trained(data, precision):
    """The losses of two epochs, the second with a tenth of the rate, and the accuracy."""
    lamina.set_float32_matmul_precision(precision)
    try:
        lamina.manual_seed(0)
        (x, y), (tx, ty) = data
        layers = [nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        layers += [nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()]
        layers += [nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 49, 10))
        optimizer = lamina.optim.Adam(net.parameters())
        losses = []
        for lr in (1e-3, 1e-4):
            optimizer.param_groups[0]["lr"] = lr
            for i in range(0, len(x), 64):
                loss = F.cross_entropy(net(x[i : i + 64]), y[i : i + 64])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
        net.eval()
        with lamina.no_grad():
            return np.array(losses), float((net(tx).argmax(1) == ty).float().mean())
    finally:
        lamina.set_float32_matmul_precision("highest")


def test_high_precision_converges_on_real_digits():
    data = digits()
    (exact, accuracy), (fast, fast_accuracy) = trained(data, "highest"), trained(data, "high")
    assert accuracy > 0.95 and abs(accuracy - fast_accuracy) < 0.01
    assert not np.array_equal(exact, fast)
    np.testing.assert_allclose(fast[:10], exact[:10], rtol=1e-2)
    assert abs(exact[-20:].mean() - fast[-20:].mean()) < 0.02 * exact[-20:].mean()


def test_an_infinity_stays_where_it_is_read():
    """Outputs that do not read it are as without it; the others are infinite or NaN."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, 32, 32, 32)).astype(np.float32)
    w = lamina.from_numpy(rng.standard_normal((16, 32, 3, 3)).astype(np.float32))
    plain = F.conv2d(lamina.from_numpy(x.copy()), w, padding=1).numpy()
    for row, column in ((5, 5), (6, 9), (0, 31)):
        held, x[0, 3, row, column] = x[0, 3, row, column], np.inf
        y = F.conv2d(lamina.from_numpy(x.copy()), w, padding=1).numpy()
        reads = np.zeros(y.shape, bool)
        reads[0, :, max(row - 1, 0) : row + 2, column - 1 : column + 2] = True
        assert not np.isfinite(y[reads]).any()
        np.testing.assert_array_equal(y[~reads], plain[~reads])
        x[0, 3, row, column] = held
