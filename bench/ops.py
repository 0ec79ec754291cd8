"""One operation at a time, lamina against PyTorch, in fresh processes that take turns.

    python bench/ops.py                              # every row, lamina and torch, 1 and 2 threads
    python bench/ops.py --only gemm --threads 2 --modes lamina openblas torch
    LAMINA_ISA=avx2 python bench/ops.py

Modes: lamina; torch (eager, as installed); torch-malloc (with glibc told to keep its memory);
torch-fused (the optimizer's fused form); torch-cl (images channels-last); openblas (lamina with
LAMINA_BLAS=openblas); mkl (lamina with LAMINA_BLAS at the library --mkl names, one thread per
piece of the product). Every round runs each mode in a process of its own, which does every row.
Printed per row: lamina's median time, its share of the machine's limit (multiply-adds or memory as
`lamina bench` measures them; memory counts the bytes an operation cannot avoid, so small rows
that stay in the caches pass 100 %), and each other mode's time divided by lamina's: median, with
smallest and largest, over rounds.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import time

from train import KEEP

MODES = ("lamina", "torch", "torch-malloc", "torch-fused", "torch-cl", "openblas", "mkl")
FLOPS, BYTES = "GFLOP/s", "GB/s"
M = 1 << 20


@dataclasses.dataclass
class Row:
    """`make(t)` returns the call to time, `work` is what one call must do, in `unit`; for a mode
    with one of `variants` it is make(t, variant)."""

    name: str
    make: object
    work: float = 0.0
    unit: str = ""
    variants: tuple = ()


IMAGES = ("cl",)


def normal(t, shape, variant=""):
    """A tensor of normal numbers; variant cl: channels last."""
    x = t.randn(*shape)
    return x.to(memory_format=t.channels_last) if variant == "cl" else x


def quiet(t, call):
    """The call with nothing recorded."""

    def run():
        with t.no_grad():
            call()

    return run


# ---- rows ----------------------------------------------------------------------------------------
def gemm(form, m, n, k):
    """C (m, n) = A B; form says which of A and B are stored transposed."""

    def make(t, dtype="float32"):
        a = t.randn(*((m, k) if form[0] == "N" else (k, m))).to(getattr(t, dtype))
        b = t.randn(*((k, n) if form[1] == "N" else (n, k))).to(getattr(t, dtype))
        a, b = (a if form[0] == "N" else a.t()), (b if form[1] == "N" else b.t())
        return quiet(t, lambda: t.mm(a, b))

    return Row(f"gemm {form} {m}x{n}x{k}", make, 2.0 * m * n * k, FLOPS)


def bf16(form, m, n, k):
    row = gemm(form, m, n, k)
    make = row.make
    row.name, row.make = row.name.replace("gemm", "bf16"), lambda t: make(t, "bfloat16")
    return row


def forward(name, shape, f, passes=2.0):
    """f(t, x) of a normal tensor, nothing recorded; `passes` times its bytes move."""

    def make(t, variant=""):
        x = normal(t, shape, variant)
        return quiet(t, lambda: f(t, x))

    return Row(name, make, 4.0 * passes * _count(shape), BYTES, IMAGES if len(shape) == 4 else ())


def both(name, shape, f, passes):
    """Forward and backward of f(t, x, more...), the gradient of the result given."""

    def make(t, variant=""):
        x = normal(t, shape, variant).requires_grad_()
        call = f(t)
        g = normal(t, call(x).shape, variant)

        def run():
            x.grad = None
            call(x).backward(g)

        return run

    name += ", both"
    return Row(name, make, 4.0 * passes * _count(shape), BYTES, IMAGES if len(shape) == 4 else ())


def _count(shape):
    n = 1
    for s in shape:
        n *= s
    return n


def cross_entropy(n, classes):
    def make(t):
        x = t.randn(n, classes, requires_grad=True)
        y = t.randint(0, classes, (n,))

        def call():
            x.grad = None
            t.nn.functional.cross_entropy(x, y).backward()

        return call

    return Row(f"cross-entropy + gradient {n}x{classes}", make, 8.0 * n * classes, BYTES)


def adam(n):
    """p, m and v read and written, g read."""

    def make(t, variant=""):
        p = t.randn(n, requires_grad=True)
        p.grad = t.randn(n)
        return t.optim.Adam([p], **({"fused": True} if variant else {})).step

    return Row(f"adam {n // 1_000_000}M", make, 28.0 * n, BYTES, ("fused",))


def embedding(rows, width, count):
    def make(t):
        table = t.randn(rows, width, requires_grad=True)
        index = t.randint(0, rows, (count,))
        g = t.randn(count, width)

        def call():
            table.grad = None
            t.nn.functional.embedding(index, table).backward(g)

        return call

    return Row(f"embedding {rows}x{width}, {count}, both", make,
               4.0 * width * (rows + 3 * count), BYTES)  # fmt: skip


def batch_norm_add_relu(shape, train):
    """relu(batch_norm(x) + y), as a user writes it; train: with gradients of x and y."""

    def make(t, variant=""):
        F, c = t.nn.functional, shape[1]
        x, y = (normal(t, shape, variant).requires_grad_(train) for _ in range(2))
        w, b = (t.ones(c, requires_grad=train), t.zeros(c, requires_grad=train))
        mean, var, g = t.zeros(c), t.ones(c), normal(t, shape, variant)

        def run():
            return F.relu(F.batch_norm(x, mean, var, w, b, True) + y)

        def step():
            x.grad = y.grad = w.grad = b.grad = None
            run().backward(g)

        return step if train else quiet(t, run)

    name = f"batch norm + add + relu {'x'.join(map(str, shape))}"
    # x and y read, the result written; backward the gradient, x and the result read, 2 written
    return Row(name + (", both" if train else ""), make,
               4.0 * _count(shape) * (8 if train else 3), BYTES, IMAGES)  # fmt: skip


def layer_norm(width):
    def make(t):
        w, b = t.ones(width, requires_grad=True), t.zeros(width, requires_grad=True)

        def call(x):
            w.grad = b.grad = None
            return t.nn.functional.layer_norm(x, (width,), w, b)

        return call

    return make


def small(name, f, recorded):
    """A call of 16 elements: what is left is the call itself."""

    def make(t):
        x, y = t.ones(16, requires_grad=recorded), t.ones(16)
        return lambda: f(x, y)

    return Row(f"16 elements: {name}{', recorded' if recorded else ''}", make)


def fork_join():
    """A region over the threads with nothing to do (lamina only)."""

    def make(t):
        if t.__name__ != "lamina":
            return None
        core = __import__("lamina._core", fromlist=["_core"])
        return lambda: core.multiply_adds(1)

    return Row("fork-join (1 thread: the call alone)", make)


def pool(shape):
    name = f"max-pool 2x2 {'x'.join(map(str, shape))}"
    pooled = lambda t, x: t.nn.functional.max_pool2d(x, 2)  # noqa: E731
    return [forward(name, shape, pooled, 1.25),
            both(name, shape, lambda t: lambda x: pooled(t, x), 2.5)]  # fmt: skip


def rows_of(name, shape, f, passes=(2.0, 5.0)):
    """forward and both for f(t, x)."""
    full = f"{name} {'x'.join(map(str, shape))}"
    return [forward(full, shape, f, passes[0]),
            both(full, shape, lambda t: lambda x: f(t, x), passes[1])]  # fmt: skip


def maths(name, n, size, f=None):
    f = f or (lambda t, x: getattr(t, name)(x))
    return [forward(f"{name} {size}", (n,), f)]


GELU = int(1.5 * M)
ROWS = [
    cross_entropy(8192, 1000), cross_entropy(64, 10),
    *maths("dropout", M, "1M", lambda t, x: t.nn.functional.dropout(x)),
    forward("randn 1M", (M,), lambda t, x: t.randn(M), 1),
    *(row for name in ("exp", "tanh", "erf", "sigmoid", "sin", "cos") for row in
      maths(name, M, "1M")),
    forward("log 1M", (M,), lambda t, x: t.log(x)),
    forward("pow(2.5) 1M", (M,), lambda t, x: t.pow(x, 2.5)),
    forward("pow(x, x) 1M", (M,), lambda t, x: t.pow(x, x)),
    *rows_of("gelu", (GELU,), lambda t, x: t.nn.functional.gelu(x)),
    *rows_of("gelu tanh", (GELU,), lambda t, x: t.nn.functional.gelu(x, approximate="tanh")),
    *rows_of("tanh", (M,), lambda t, x: t.tanh(x))[1:],
    *pool((64, 64, 24, 24)), *pool((32, 64, 32, 32)),
    *(batch_norm_add_relu(shape, train) for shape in ((32, 64, 32, 32), (32, 256, 8, 8))
      for train in (False, True)),
    *rows_of("softmax", (8192, 1000), lambda t, x: t.softmax(x, -1)),
    *rows_of("softmax", (4096, 65), lambda t, x: t.softmax(x, -1)),
    *rows_of("log softmax", (8192, 1000), lambda t, x: t.log_softmax(x, -1)),
    forward("layer norm 1024x384", (1024, 384), lambda t, x: t.nn.functional.layer_norm(x, (384,))),
    both("layer norm 1024x384", (1024, 384), layer_norm(384), 5),
    both("layer norm 8192x1024", (8192, 1024), layer_norm(1024), 5),
    adam(10_000_000),
    embedding(65, 384, 1024), embedding(50_000, 384, 1024),
    forward("sum 16M", (16 * M,), lambda t, x: x.sum(), 1),
    forward("sum of columns 4096x1024", (4096, 1024), lambda t, x: x.sum(0), 1),
    fork_join(),
    *(small(name, f, r) for r in (False, True) for name, f in
      {"a + b": lambda x, y: x + y, "relu": lambda x, y: x.relu()}.items()),
    *(gemm("NN", n, n, n) for n in (32, 64, 128, 256, 512, 1024, 2048)),
    *(gemm(form, n, n, n) for form in ("NT", "TN") for n in (128, 1024)),
    gemm("NT", 64, 256, 784), gemm("NT", 64, 128, 256), gemm("NT", 64, 10, 128),
    gemm("TN", 256, 784, 64), gemm("TN", 128, 256, 64), gemm("TN", 10, 128, 64),
    gemm("NN", 64, 256, 128), gemm("NN", 64, 128, 10),
    gemm("NT", 2048, 1152, 384), gemm("NT", 2048, 1536, 384), gemm("NT", 2048, 384, 1536),
    gemm("TN", 384, 1536, 2048), gemm("NN", 2048, 384, 1536),
    gemm("NT", 32, 1024, 256), gemm("NN", 32, 256, 1024), gemm("TN", 1024, 256, 4096),
    gemm("NT", 4096, 1024, 256), gemm("NN", 64, 1024, 576), gemm("NN", 512, 16, 4608),
    gemm("NN", 4096, 32, 32), gemm("NN", 32, 4096, 64),
    gemm("NT", 1, 1024, 1024), gemm("NN", 1, 1024, 1024), gemm("NN", 1024, 1, 1024),
    gemm("NN", 1, 256, 784), gemm("NT", 1, 256, 784),
    gemm("NT", 2, 1024, 1024), gemm("NT", 4, 1024, 1024), gemm("NN", 4, 1024, 1024),
    gemm("NT", 8, 1024, 1024), gemm("NN", 8, 1024, 1024), gemm("NT", 10000, 10, 128),
    *(bf16("NN", n, n, n) for n in (128, 512, 1024)), bf16("NT", 64, 256, 784),
    bf16("NT", 2048, 1536, 384),
]  # fmt: skip


# ---- measuring -----------------------------------------------------------------------------------
def work(mode: str, threads: int, seconds: float, chosen: list) -> dict:
    """Runs rows in this process: {name: seconds per call}."""
    library, _, variant = mode.partition("-")
    t = __import__("torch" if library == "torch" else "lamina")
    t.set_num_threads(threads)
    times: dict = {}
    for row in chosen:
        t.manual_seed(0)
        if variant in ("fused", "cl"):
            call = row.make(t, variant) if variant in row.variants else None
        else:
            call = row.make(t)
        if call is None:
            continue
        for _ in range(4):
            call()
        count = 1
        while _block(call, count) < seconds / 12 and count < 1 << 20:
            count *= 2
        times[row.name] = statistics.median(_block(call, count) / count for _ in range(9))
    if mode == "lamina":
        from lamina.cli.bench import memory_bandwidth, peak_flops

        times["limits"] = [peak_flops(), memory_bandwidth()]
    return times


def _block(call, count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - start


def measure(mode, threads, options) -> dict:
    env = dict(os.environ)
    if mode == "torch-malloc":
        env.update(KEEP)
    if mode in ("openblas", "mkl"):
        env["LAMINA_BLAS"] = "openblas" if mode == "openblas" else options.mkl
    command = [sys.executable, str(pathlib.Path(__file__).resolve()), "--work", mode,
               str(threads), str(options.seconds)]  # fmt: skip
    for name in options.only or ():
        command += ["--only", name]
    command = shlex.split(options.under) + command
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{mode}: {done.stderr.strip().splitlines()[-1:]}", flush=True)
        return {}
    return json.loads(done.stdout.splitlines()[-1])


def compare(threads: int, chosen: list, options) -> None:
    runs: dict = {mode: [] for mode in options.modes}
    for i in range(options.rounds):
        for mode in options.modes if i % 2 == 0 else reversed(options.modes):
            runs[mode].append(measure(mode, threads, options))
    others = [mode for mode in options.modes if mode != "lamina"]
    limits = [r["limits"] for r in runs["lamina"] if r]
    peak, memory = (statistics.median(x) for x in zip(*limits))
    print(f"\n{threads} thread(s): {peak / 1e9:.0f} GFLOP/s, {memory / 1e9:.0f} GB/s\n")
    print("| operation | time, us | rate | of limit |" + "".join(f" {m} |" for m in others))
    print("| --- | --: | --: | --: |" + " --: |" * len(others))
    for row in chosen:
        mine = [r[row.name] for r in runs["lamina"] if row.name in r]
        middle = statistics.median(mine)
        line = f"| {row.name} | {middle * 1e6:.{1 if middle > 1e-5 else 2}f} |"
        rate = row.work / middle
        share = rate / (peak if row.unit == FLOPS else memory)
        line += f" {rate / 1e9:.1f} {row.unit} | {share:.0%} |" if row.unit else " | |"
        for mode in others:
            pairs = [(a[row.name], b[row.name]) for a, b in zip(runs["lamina"], runs[mode])
                     if row.name in a and row.name in b]  # fmt: skip
            r = sorted(b / a for a, b in pairs)
            line += f" {statistics.median(r):.2f} ({r[0]:.2f} - {r[-1]:.2f}) |" if r else " |"
        print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", help="rows whose name contains this")
    parser.add_argument("--threads", type=int, action="append")
    parser.add_argument("--modes", choices=MODES, nargs="+", default=["lamina", "torch"])
    parser.add_argument("--malloc", action="store_true", help="adds the mode torch-malloc")
    parser.add_argument("--mkl", default="", help="path of libmkl_rt, for the mode mkl")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="of measuring per row, about")
    parser.add_argument("--under", default="", help="a command that runs each process (taskset)")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    chosen = [r for r in ROWS if any(o in r.name for o in options.only or [""])]
    if options.work:
        mode, threads, seconds = options.work
        print(json.dumps(work(mode, int(threads), float(seconds), chosen)))
        return
    if options.malloc:
        options.modes.append("torch-malloc")
    if importlib.util.find_spec("torch") is None:
        print("PyTorch is not installed: lamina alone")
        options.modes = [m for m in options.modes if not m.startswith("torch")]
    for threads in options.threads or (1, 2):
        compare(threads, chosen, options)


if __name__ == "__main__":
    main()
