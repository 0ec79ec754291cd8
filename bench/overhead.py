"""Nanoseconds per operation on 4-element tensors, lamina beside PyTorch, interleaved.

    python bench/overhead.py

What is left when there is nothing to compute: argument conversion, allocation, recording. Each
figure is the best of many short blocks, taken in turn, so that both see the same machine.
"""

from __future__ import annotations

import time

import lamina

CASES = {
    "add": lambda t, x, y: x + y,
    "add, recorded": lambda t, x, y: x + y,
    "relu": lambda t, x, y: x.relu(),
    "sum, recorded": lambda t, x, y: x.sum(),
    "view": lambda t, x, y: x.view(2, 2),
    "index": lambda t, x, y: x[1],
    "add_": lambda t, x, y: y.add_(1),
    "forward and backward": lambda t, x, y: (x * y).sum().backward(),
}


def block(f, t, x, y, n=2000) -> float:
    start = time.perf_counter_ns()
    for _ in range(n):
        f(t, x, y)
    return (time.perf_counter_ns() - start) / n


def main() -> None:
    """Prints one line per case."""
    libraries = [lamina]
    try:
        import torch

        libraries.append(torch)
    except ImportError:
        pass
    print(f"{'ns per call':24}" + "".join(f"{t.__name__:>12}" for t in libraries) + "   ratio")
    for name, f in CASES.items():
        recorded = "recorded" in name or "backward" in name
        tensors = [(t, t.ones(4, requires_grad=recorded), t.ones(4)) for t in libraries]
        best = [float("inf")] * len(libraries)
        for _ in range(30):
            for i, (t, x, y) in enumerate(tensors):
                best[i] = min(best[i], block(f, t, x, y))
        ratio = f"{best[1] / best[0]:8.2f}" if len(best) > 1 else ""
        print(f"{name:24}" + "".join(f"{b:12.0f}" for b in best) + ratio)


if __name__ == "__main__":
    main()
