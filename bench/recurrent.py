"""Recurrent layers, forward and backward, lamina against PyTorch, interleaved in one process.

    python bench/recurrent.py                              # 2 layers of 256, 128 steps, batch 32
    python bench/recurrent.py --only LSTM --threads 1 --sizes 64 64 28 128 1

Sizes: steps, batch, input, hidden, layers. Each round times one pass of each library on the same
data and weights; printed are the median time of a round, and the median over rounds of (PyTorch's
time / lamina's) with its smallest and largest value. With --cpu the process's own CPU time is
measured instead of the clock, which other programs disturb less (one thread only). Needs PyTorch.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch

import lamina

SIZES = [128, 32, 256, 256, 2]


class Runner:
    """One library's layer, its input and the gradient of its results."""

    def __init__(self, t, kind, sizes, weights=None):
        steps, batch, width, hidden, layers = sizes
        rng = np.random.default_rng(0)
        self.model = getattr(t.nn, kind)(width, hidden, layers)
        if weights is not None:
            self.model.load_state_dict({k: t.tensor(v) for k, v in weights.items()})
        x = rng.standard_normal((steps, batch, width))
        self.x = t.tensor(x, dtype=t.float32).requires_grad_()
        self.g = t.tensor(rng.standard_normal((steps, batch, hidden)), dtype=t.float32)

    def weights(self):
        return {k: v.detach().numpy().copy() for k, v in self.model.state_dict().items()}

    def step(self, clock) -> tuple[float, float]:
        """Seconds forward, seconds backward."""
        start = clock()
        y = self.model(self.x)[0]
        middle = clock()
        y.backward(self.g)
        end = clock()
        for p in (self.x, *self.model.parameters()):
            p.grad = None
        return middle - start, end - middle


def compare(kind: str, sizes, threads: int, rounds: int, clock) -> None:
    lamina.set_num_threads(threads)
    torch.set_num_threads(threads)
    ours = Runner(lamina, kind, sizes)
    runners = [ours, Runner(torch, kind, sizes, ours.weights())]
    times: list = [[], []]
    for r in runners:
        r.step(clock)
    for i in range(rounds):
        for k in (0, 1) if i % 2 == 0 else (1, 0):
            times[k].append(runners[k].step(clock))
    line = f"{kind:5} {threads} thread(s)"
    for name, part in (("forward", 0), ("backward", 1), ("both", None)):
        a, b = ([sum(t) if part is None else t[part] for t in side] for side in times)
        ratios = [q / p for p, q in zip(a, b)]
        line += (
            f"  {name} {statistics.median(a) * 1e3:.2f} / {statistics.median(b) * 1e3:.2f} ms "
            f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} - {max(ratios):.2f})"
        )
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("LSTM", "GRU", "RNN"), action="append")
    parser.add_argument("--threads", type=int, action="append")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--sizes", type=int, nargs=5, default=SIZES)
    parser.add_argument("--cpu", action="store_true", help="measure CPU time")
    args = parser.parse_args()
    clock = time.process_time if args.cpu else time.perf_counter
    print("lamina / PyTorch, ratio; sizes", *args.sizes)
    for kind in args.only or ("LSTM", "GRU", "RNN"):
        for threads in args.threads or (1, 2):
            compare(kind, args.sizes, threads, args.rounds, clock)


if __name__ == "__main__":
    main()
