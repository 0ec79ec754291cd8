"""Microseconds of scaled_dot_product_attention, lamina beside PyTorch, interleaved.

    python bench/attention.py [batch heads length features]

Forward without gradients, and forward with backward, causal and not, on 1 and 2 threads; each
figure is the best of many runs taken in turn, so that both see the same machine. Queries, keys and
values are (batch, length, heads, features) in memory, as a Transformer makes them.
"""

from __future__ import annotations

import sys
import time

import lamina

SHAPES = [(12, 4, 64, 32), (4, 6, 256, 64), (1, 8, 1024, 64)]


def runs(m, shape, causal):
    """(forward, forward and backward) of the library `m`."""
    batch, heads, length, features = shape
    m.manual_seed(0)
    q, k, v, g = (m.randn(batch, length, heads, features).transpose(1, 2) for _ in range(4))
    for t in (q, k, v):
        t.requires_grad_()
    attend = m.nn.functional.scaled_dot_product_attention

    def forward():
        with m.no_grad():
            attend(q, k, v, is_causal=causal)

    def both():
        q.grad = k.grad = v.grad = None
        attend(q, k, v, is_causal=causal).backward(g)

    return forward, both


def best(functions, seconds=1.5) -> list[float]:
    """Microseconds of each, the least of all runs."""
    least = [float("inf")] * len(functions)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for i, f in enumerate(functions):
            start = time.perf_counter()
            f()
            least[i] = min(least[i], 1e6 * (time.perf_counter() - start))
    return least


def main() -> None:
    """Prints one line per shape, mask and number of threads."""
    libraries = [lamina]
    try:
        import torch

        libraries.append(torch)
    except ImportError:
        pass
    shapes = [tuple(map(int, sys.argv[1:5]))] if len(sys.argv) > 4 else SHAPES
    names = [f"{m.__name__} {what}" for what in ("fwd", "fwd+bwd") for m in libraries]
    print(f"{'microseconds':34}" + "".join(f"{n:>16}" for n in names))
    for threads in (1, 2):
        for m in libraries:
            m.set_num_threads(threads)
        for shape in shapes:
            for causal in (False, True):
                pairs = [runs(m, shape, causal) for m in libraries]
                times = best([p[i] for i in (0, 1) for p in pairs])
                name = f"{threads}t {shape}{' causal' if causal else ''}"
                line = f"{name:34}" + "".join(f"{t:16.0f}" for t in times)
                if len(libraries) > 1:
                    line += f"   ratios {times[0] / times[1]:.2f} {times[2] / times[3]:.2f}"
                print(line, flush=True)


if __name__ == "__main__":
    main()
