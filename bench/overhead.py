"""Nanoseconds per operation on 16-element tensors, lamina beside PyTorch, interleaved.

    python bench/overhead.py

What is left when there is nothing to compute: argument conversion, allocation, recording. Each
figure is the best of many short blocks, taken in turn, so that both see the same machine; a block
is a loop over the statement itself, whose own cost is counted in.
"""

from __future__ import annotations

import timeit

import lamina

CASES = {
    "add": "x + y",
    "add, recorded": "r + y",
    "relu": "x.relu()",
    "sum, recorded": "r.sum()",
    "view": "x.view(4, 4)",
    "index": "x[1]",
    "add_": "y.add_(1)",
    "forward and backward": "(r * y).sum().backward()",
}
CALLS = 2000


def main() -> None:
    """Prints one line per case."""
    libraries = [lamina]
    try:
        import torch

        libraries.append(torch)
    except ImportError:
        pass
    print(f"{'ns per call':24}" + "".join(f"{t.__name__:>12}" for t in libraries) + "   ratio")
    for name, statement in CASES.items():
        timers = [
            timeit.Timer(
                statement,
                globals={"x": t.ones(16), "y": t.ones(16), "r": t.ones(16, requires_grad=True)},
            )
            for t in libraries
        ]
        best = [float("inf")] * len(libraries)
        for _ in range(30):
            for i, timer in enumerate(timers):
                best[i] = min(best[i], timer.timeit(CALLS) / CALLS * 1e9)
        ratio = f"{best[1] / best[0]:8.2f}" if len(best) > 1 else ""
        print(f"{name:24}" + "".join(f"{b:12.0f}" for b in best) + ratio)


if __name__ == "__main__":
    main()
