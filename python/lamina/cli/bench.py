"""``lamina bench``: the machine's limits, and how near kernels and training steps come to them."""

from __future__ import annotations

import importlib.util
import statistics
import time

import lamina
from lamina import _core


def run(options) -> int:
    """Prints one line per row; the exit code."""
    torch = None
    if importlib.util.find_spec("torch") is not None:
        torch = __import__("torch")
        torch.set_num_threads(lamina.get_num_threads())
    threads = lamina.get_num_threads()
    flops, bytes_per_second = peak_flops(), memory_bandwidth()
    print(
        f"lamina {lamina.__version__}, {_core.isa()}, {threads} thread(s): multiply-adds "
        f"{flops / 1e9:.0f} GFLOP/s, memory {bytes_per_second / 1e9:.0f} GB/s (read and write)"
    )
    print(f"{'':34}{'time':>12}{'rate':>15}{'of limit':>10}" + ("   PyTorch" if torch else ""))
    for name, make, work, unit in ROWS:
        if options.only not in name:
            continue
        times = measure(make, [lamina] + ([torch] if torch else []), options.seconds)
        line = f"{name:34}{_time(times[0]):>12}"
        if unit:
            rate = work / times[0]
            limit = flops if unit == "GFLOP/s" else bytes_per_second
            line += f"{rate / 1e9:8.1f} {unit:6}{100 * rate / limit:8.0f} %"
        else:
            line += " " * 25
        if torch:
            ratios = sorted(b / a for a, b in zip(*times[2:]))
            line += f"{statistics.median(ratios):8.2f}x ({ratios[0]:.2f} - {ratios[-1]:.2f})"
        print(line, flush=True)
    return 0


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} us" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"


def peak_flops() -> float:
    """Float32 operations per second of all threads, multiply-adds from registers; the best of 5."""
    best = 0.0
    for _ in range(5):
        start = time.perf_counter()
        done = _core.multiply_adds(2_000_000)
        best = max(best, done / (time.perf_counter() - start))
    return best


def memory_bandwidth() -> float:
    """Bytes per second of ``x.mul_(1)`` over 256 MB, read and written; the best of 5."""
    x = lamina.ones(1 << 26)
    best = 0.0
    for _ in range(5):
        start = time.perf_counter()
        x.mul_(1.0)
        best = max(best, 2 * 4 * x.numel() / (time.perf_counter() - start))
    return best


def measure(make, libraries, seconds: float) -> list:
    """[median of the first, median of the second, blocks of the first, blocks of the second]: each
    library's seconds per call, in blocks taken in turn."""
    calls = []
    for t in libraries:
        t.manual_seed(0)
        calls.append(make(t))
    count = 1
    for call in calls:  # twice recorded, once replayed
        for _ in range(4):
            call()
    while _block(calls[0], count) < seconds / 20 and count < 1 << 20:
        count *= 2
    blocks: list = [[] for _ in calls]
    for i in range(7):
        for k in range(len(calls)) if i % 2 == 0 else reversed(range(len(calls))):
            blocks[k].append(_block(calls[k], count) / count)
    return [statistics.median(blocks[0]), statistics.median(blocks[-1]), *blocks]


def _block(call, count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - start


# ---- kernels -------------------------------------------------------------------------------------
def _quiet(function):
    """A row of plain calls, nothing recorded."""

    def make(t):
        call = function(t)

        def quiet():
            with t.no_grad():
                call()

        return quiet

    return make


def matmul(m, k, n):
    """x (m, k) times w^T, w (n, k)."""

    def make(t):
        x, w = t.randn(m, k), t.randn(n, k)
        return lambda: t.nn.functional.linear(x, w)

    return _quiet(make), 2.0 * m * k * n, "GFLOP/s"


def convolution(n, c, size, m, kernel, stride=1):
    """A padded convolution, its arithmetic counted as a direct one's."""

    def make(t):
        x, w = t.randn(n, c, size, size), t.randn(m, c, kernel, kernel)
        return lambda: t.nn.functional.conv2d(x, w, None, stride, kernel // 2)

    return _quiet(make), 2.0 * n * m * (size // stride) ** 2 * c * kernel**2, "GFLOP/s"


def elementwise(function, n, passes):
    """A function of n elements that moves `passes` times their bytes."""

    def make(t):
        x = t.randn(n)
        return lambda: function(t, x)

    return _quiet(make), 4.0 * n * passes, "GB/s"


def rows(function, shape, passes):
    """The same over the rows of a matrix."""

    def make(t):
        x = t.randn(*shape)
        return lambda: function(t, x)

    return _quiet(make), 4.0 * shape[0] * shape[1] * passes, "GB/s"


def cross_entropy(n, classes):
    """Loss and gradient of n rows."""

    def make(t):
        x = t.randn(n, classes, requires_grad=True)
        y = t.randint(0, classes, (n,))

        def call():
            x.grad = None
            t.nn.functional.cross_entropy(x, y).backward()

        return call

    return make, 4.0 * n * classes * 2, "GB/s"


def adam_step(n):
    """One step of Adam over n parameters: p, m, v read and written, g read."""

    def make(t):
        p = t.randn(n, requires_grad=True)
        p.grad = t.randn(n)
        return t.optim.Adam([p]).step

    return make, 4.0 * n * 7, "GB/s"


# ---- whole steps ---------------------------------------------------------------------------------
def _training(network, shape):
    def make(t):
        model = network(t.nn)
        optimizer = t.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        x, y = t.randn(*shape), t.randint(0, 10, (shape[0],))

        def step(x, y):
            optimizer.zero_grad()
            loss = t.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss.detach()

        if t is lamina:
            step = lamina.compile(step, fullgraph=True)
        return lambda: step(x, y)

    return make, 0.0, ""


def _mlp(nn):
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(),
                         nn.Linear(128, 10))  # fmt: skip


def _tiny(nn):
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))


def _lenet(nn):
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84),
        nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def _convnet(nn):
    layers, width = [], 3
    for out in (32, 64, 128):
        layers += [nn.Conv2d(width, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(),
                   nn.Conv2d(out, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(),
                   nn.MaxPool2d(2)]  # fmt: skip
        width = out
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 16, 10))


_M = 1 << 20
ROWS = [
    ("matmul 64 x 784 x 256", *matmul(64, 784, 256)),
    ("matmul 512 x 512 x 512", *matmul(512, 512, 512)),
    ("matmul 2048 x 2048 x 2048", *matmul(2048, 2048, 2048)),
    ("convolution 32x64x32x32, 3x3", *convolution(32, 64, 32, 64, 3)),
    ("convolution 32x128x16x16, 3x3 /2", *convolution(32, 128, 16, 256, 3, 2)),
    ("convolution 32x128x16x16, 1x1", *convolution(32, 128, 16, 128, 1)),
    ("add, 16 M", *elementwise(lambda t, x: x + x, 16 * _M, 2)),
    ("exp, 1 M", *elementwise(lambda t, x: x.exp(), _M, 2)),
    ("tanh, 1 M", *elementwise(lambda t, x: x.tanh(), _M, 2)),
    ("gelu, 1 M", *elementwise(lambda t, x: t.nn.functional.gelu(x), _M, 2)),
    ("dropout, 1 M", *elementwise(lambda t, x: t.nn.functional.dropout(x), _M, 2)),
    ("randn, 1 M", *elementwise(lambda t, x: t.randn(x.shape), _M, 1)),
    ("sum, 16 M", *elementwise(lambda t, x: x.sum(), 16 * _M, 1)),
    ("softmax 8192 x 1000", *rows(lambda t, x: x.softmax(1), (8192, 1000), 2)),
    ("layer norm 1024 x 384",
     *rows(lambda t, x: t.nn.functional.layer_norm(x, (384,)), (1024, 384), 2)),
    ("cross entropy 8192 x 1000, gradient", *cross_entropy(8192, 1000)),
    ("Adam step, 10 M", *adam_step(10_000_000)),
    ("step: 16-32-10, batch 1", *_training(_tiny, (1, 16))),
    ("step: 784-256-128-10, batch 64", *_training(_mlp, (64, 784))),
    ("step: LeNet-5, batch 64", *_training(_lenet, (64, 1, 28, 28))),
    ("step: 6 convolutions, batch 32", *_training(_convnet, (32, 3, 32, 32))),
]  # fmt: skip
