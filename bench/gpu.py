"""The CUDA backend's kernels on the GPU at hand, beside PyTorch's where it is installed.

    python bench/gpu.py                         # tensors of 256 MiB, products up to 8192
    python bench/gpu.py --only softmax matmul --dtypes bfloat16
    LAMINA_CUBLAS=own python bench/gpu.py --only matmul     # lamina's own tensor-core kernels

What moves memory is shown as a share of the bandwidth that a copy on the device reaches, measured
first by the same clock: the bytes that the operation cannot avoid, over its median time. Products
and convolutions are shown in TFLOP/s; float32 ones twice, exactly and with TF32 allowed. Times are
between two events on the stream around several calls, the median of the rounds (smallest and
largest behind it); PyTorch's column is its time divided by lamina's, of the same rounds taken in
turns.
`--mib 1 --size 64 --rounds 1` runs in seconds anywhere, the emulated device included, where the
figures mean nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics

import lamina

try:
    import torch

    if not torch.cuda.is_available():
        torch = None
except ImportError:
    torch = None


@dataclasses.dataclass
class Row:
    """`make(m, dtype)` returns the call to time, m lamina or torch; `moves` counts how many times
    the tensor's bytes must be moved, `flops` the operations of a product."""

    name: str
    make: object
    moves: float = 0
    flops: float = 0
    dtypes: tuple = ("float32", "bfloat16")


def backward(m, y, *leaves):
    """The gradient of y again and again."""
    g = m.ones_like(y)
    return lambda: m.autograd.grad(y, leaves, g, retain_graph=True)


def memory_rows(mib):
    def tensor(m, dtype, columns=1024, grad=False):
        of = getattr(m, dtype)
        n = (mib << 20) // (2 if dtype in ("bfloat16", "float16") else 4)
        x = m.randn(n // columns, columns, device="cuda").to(of)
        return x.requires_grad_() if grad else x

    def unary(f, **kw):
        return lambda m, d: (lambda x: lambda: f(m, x))(tensor(m, d, **kw))

    def pair(f):
        return lambda m, d: (lambda x, y: lambda: f(m, x, y))(tensor(m, d), tensor(m, d))

    def vjp(f, **kw):
        def make(m, dtype):
            x = tensor(m, dtype, grad=True, **kw)
            w = m.ones(x.shape[1], device="cuda").to(x.dtype).requires_grad_()
            y = f(m, x, w)
            return backward(m, y, x, *((w,) if "weight" in f.__code__.co_varnames else ()))

        return make

    def images(m, dtype):
        x = tensor(m, dtype)
        return x.view(-1, 64, 32, 32) if x.numel() % 65536 == 0 else x.view(-1, 4, 16, 16)

    def batch_norm(m, dtype):
        x = images(m, dtype)
        w = m.ones(x.shape[1], device="cuda")
        return lambda: m.nn.functional.batch_norm(x, None, None, w, w, True)

    def labels(m, x):
        return m.arange(x.shape[0], device="cuda") % x.shape[1]

    def loss(m, dtype):
        x = tensor(m, dtype)
        t = labels(m, x)
        return lambda: m.nn.functional.cross_entropy(x, t)

    def loss_grad(m, dtype):
        x = tensor(m, dtype, grad=True)
        return backward(m, m.nn.functional.cross_entropy(x, labels(m, x)), x)

    def adamw(m, dtype):
        x = tensor(m, dtype)
        p = [m.nn.Parameter(t) for t in x.chunk(8)]
        for t in p:
            t.grad = m.ones_like(t)
        step = m.optim.AdamW(p, **({"fused": True} if m is torch else {}))
        return step.step

    return [
        Row("add", pair(lambda m, x, y: x + y), 3),
        Row("add a row", unary(lambda m, x: x + x[0]), 2),
        Row("gelu", unary(lambda m, x: m.nn.functional.gelu(x)), 2),
        Row("cast to half", unary(lambda m, x: x.to(m.bfloat16)), 1.5, dtypes=("float32",)),
        Row("dropout", unary(lambda m, x: m.nn.functional.dropout(x, 0.1)), 2),
        Row("sum", unary(lambda m, x: x.sum()), 1),
        Row("sum of rows", unary(lambda m, x: x.sum(1)), 1),
        Row("sum of columns", unary(lambda m, x: x.sum(0)), 1),
        Row("amax of rows", unary(lambda m, x: x.amax(1)), 1),
        Row("var of rows", unary(lambda m, x: x.var(1)), 1),
        Row("softmax", unary(lambda m, x: m.softmax(x, -1)), 2),
        Row("softmax long rows", unary(lambda m, x: m.softmax(x, -1), columns=32768), 2),
        Row("softmax backward", vjp(lambda m, x, w: m.softmax(x, -1)), 3),
        Row("layer_norm", unary(lambda m, x: m.nn.functional.layer_norm(x, x.shape[1:])), 2),
        Row("layer_norm backward",
            vjp(lambda m, x, weight: m.nn.functional.layer_norm(x, x.shape[1:], weight)), 3),
        Row("rms_norm", unary(lambda m, x: m.nn.functional.rms_norm(x, x.shape[1:])), 2),
        Row("batch_norm", batch_norm, 3),
        Row("cross_entropy", loss, 1),
        Row("cross_entropy backward", loss_grad, 2),
        Row("adamw", adamw, 7, dtypes=("float32",)),
    ]  # fmt: skip


PRODUCTS = ("float32", "tf32", "bfloat16", "float16")


def product_rows(size):
    def matmul(m_, n, k, transposed=False):
        def make(m, dtype):
            of = getattr(m, dtype)
            a = m.randn(m_, k, device="cuda").to(of)
            b = m.randn(n, k, device="cuda").to(of).t() if transposed else None
            b = m.randn(k, n, device="cuda").to(of) if b is None else b
            return lambda: a @ b

        return make

    def conv(m, dtype):
        of = getattr(m, dtype)
        x = m.randn(max(size // 32, 1), 64, 32, 32, device="cuda").to(of)
        w = m.randn(64, 64, 3, 3, device="cuda").to(of)
        return lambda: m.nn.functional.conv2d(x, w, None, 1, 1)

    cubes = [s for s in (size // 8, size // 4, size // 2, size) if s]
    rows = [Row(f"matmul {s}", matmul(s, s, s), flops=2 * s**3, dtypes=PRODUCTS) for s in cubes]
    rows += [
        Row(f"matmul {size} x w^T", matmul(size, size, size, True), flops=2 * size**3,
            dtypes=PRODUCTS),
        Row("matmul few rows", matmul(16, size, size), flops=32 * size**2, dtypes=PRODUCTS),
        Row("matmul many k", matmul(128, 128, 16 * size), flops=2**19 * size, dtypes=PRODUCTS),
        Row("conv2d 3x3", conv, flops=2 * max(size // 32, 1) * 64 * 1024 * 576, dtypes=PRODUCTS),
    ]  # fmt: skip
    return rows


def milliseconds(m, call, repeats):
    """One round's time of a call."""
    start, end = (m.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(repeats):
        call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / repeats


def measure(frameworks, make, rounds, seconds=0.05):
    """Each framework's times of a call, rounds taken in turns."""
    calls, repeats, times = [], [], [[] for _ in frameworks]
    for m in frameworks:
        call = make(m)
        call()
        once = max(milliseconds(m, call, 1), 1e-3)
        calls.append(call)
        repeats.append(1 if rounds == 1 else max(1, min(100, int(seconds * 1e3 / once))))
    for _ in range(rounds):
        for m, call, n, list_ in zip(frameworks, calls, repeats, times):
            list_.append(milliseconds(m, call, n))
    return times


def copy_of(mib):
    def make(m):
        x = m.ones(mib << 18, device="cuda")
        y = m.empty_like(x)
        return lambda: y.copy_(x)

    return make


def allow_tf32(m, allowed):
    m.backends.cuda.matmul.allow_tf32 = m.backends.cudnn.allow_tf32 = allowed


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mib", type=int, default=256, help="size of the tensors that are moved")
    parser.add_argument("--size", type=int, default=8192, help="of the largest product")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", nargs="*", default=[], help="rows whose names begin so")
    parser.add_argument("--dtypes", nargs="*", default=[])
    args = parser.parse_args(argv)
    if not lamina.cuda.is_available():
        parser.exit(1, "bench/gpu.py: there is no CUDA device\n")
    with lamina.no_grad():
        (copies,) = measure([lamina], copy_of(args.mib), args.rounds)
    bandwidth = 2 * (args.mib << 20) / statistics.median(copies) / 1e6
    print(f"{lamina.cuda.get_device_name()}: a copy moves {bandwidth:.0f} GB/s")
    print(f"{'row':28s} {'dtype':9s} {'ms':>9s}  {'(least, most)':18s} {'':>16s}  torch / lamina")
    frameworks = [lamina] + ([torch] if torch else [])
    for row in memory_rows(args.mib) + product_rows(args.size):
        if args.only and not row.name.startswith(tuple(args.only)):
            continue
        for dtype in row.dtypes:
            if args.dtypes and dtype not in args.dtypes:
                continue
            for m in frameworks:
                allow_tf32(m, dtype == "tf32")
            of = "float32" if dtype == "tf32" else dtype
            times = measure(frameworks, lambda m: row.make(m, of), args.rounds)  # noqa: B023
            ms = statistics.median(times[0])
            if row.flops:
                figure = f"{row.flops / ms / 1e9:9.2f} TFLOP/s"
            else:
                share = row.moves * (args.mib << 20) / ms / 1e6 / bandwidth
                figure = f"{100 * share:7.1f} % of copy"
            ratio = [b / a for a, b in zip(times[0], times[-1])] if torch else []
            beside = (
                f"{statistics.median(ratio):5.2f} ({min(ratio):.2f}, {max(ratio):.2f})"
                if ratio
                else "-"
            )
            print(f"{row.name:28s} {dtype:9s} {ms:9.3f}  ({min(times[0]):.3f}, {max(times[0]):.3f})"
                  f"    {figure:>16s}  {beside}", flush=True)  # fmt: skip
            for m in frameworks:
                m.cuda.empty_cache()
                allow_tf32(m, False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
