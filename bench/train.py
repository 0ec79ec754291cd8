"""Whole training steps, lamina against PyTorch eager (its defaults), interleaved in one process.

    python bench/train.py                        # all workloads, 1 and 2 threads
    python bench/train.py --only mlp --threads 2 --rounds 7

Each round times a block of steps of each library in turn, on the same data from the same initial
weights; the ratio is the median over rounds of (PyTorch's time / lamina's time), printed with its
smallest and largest value. Needs PyTorch; without it lamina's steps per second alone are shown.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

import lamina


def mlp(t):
    """784-256-128-10, ReLU, dropout 0.2; Adam 1e-3; batch 64."""
    nn = t.nn
    model = nn.Sequential(
        nn.Linear(784, 256), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(256, 128), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(128, 10),
    )  # fmt: skip
    return model, t.optim.Adam(model.parameters(), lr=1e-3), (64, 784), 10


def lenet(t):
    """LeNet-5 on 28x28: 6 and 16 5x5 filters, max pooling, 120-84-10; SGD momentum; batch 64."""
    nn = t.nn
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    return model, t.optim.SGD(model.parameters(), lr=0.01, momentum=0.9), (64, 1, 28, 28), 10


def resnet20(t, batch=128):
    """ResNet-20 for CIFAR: three stages of basic blocks; SGD momentum, weight decay; batch 128."""
    nn, relu = t.nn, t.nn.functional.relu

    class Block(nn.Module):
        def __init__(self, cin, cout, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(cout)
            self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(cout)
            self.shortcut = nn.Sequential()
            if stride != 1 or cin != cout:
                self.shortcut = nn.Sequential(
                    nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout)
                )

        def forward(self, x):
            y = relu(self.bn1(self.conv1(x)))
            return relu(self.bn2(self.conv2(y)) + self.shortcut(x))

    layers, cin = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()], 16
    for cout, stride in ((16, 1), (32, 2), (64, 2)):
        for i in range(3):
            layers.append(Block(cin, cout, stride if i == 0 else 1))
            cin = cout
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    optimizer = t.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    return model, optimizer, (batch, 3, 32, 32), 10


WORKLOADS = {"mlp": (mlp, 60), "lenet": (lenet, 12), "resnet20": (resnet20, 1)}


class Runner:
    """One library's copy of a workload."""

    def __init__(self, library, make, weights=None):
        self.t = library
        self.model, self.optimizer, shape, classes = make(library)
        if weights is not None:
            state = {k: library.from_numpy(v.copy()) for k, v in weights.items()}
            self.model.load_state_dict(state)
        rng = np.random.default_rng(0)
        self.batches = [
            (
                library.from_numpy(rng.standard_normal(shape, dtype=np.float32)),
                library.from_numpy(rng.integers(0, classes, shape[0])),
            )
            for _ in range(8)
        ]
        self.at = 0

    def weights(self):
        return {k: v.detach().numpy().copy() for k, v in self.model.state_dict().items()}

    def steps(self, n: int) -> float:
        """Seconds per step over n steps."""
        cross_entropy = self.t.nn.functional.cross_entropy
        start = time.perf_counter()
        for _ in range(n):
            x, y = self.batches[self.at % len(self.batches)]
            self.at += 1
            self.optimizer.zero_grad()
            loss = cross_entropy(self.model(x), y)
            loss.backward()
            self.optimizer.step()
        self.loss = loss.item()
        return (time.perf_counter() - start) / n


def compare(name: str, threads: int, rounds: int, torch) -> None:
    make, steps = WORKLOADS[name]
    lamina.set_num_threads(threads)
    ours = Runner(lamina, make)
    theirs = None
    if torch is not None:
        torch.set_num_threads(threads)
        theirs = Runner(torch, make, ours.weights())
    runners = [r for r in (ours, theirs) if r is not None]
    for r in runners:
        r.steps(max(2, steps // 4))
    times: dict = {id(r): [] for r in runners}
    for i in range(rounds):
        for r in runners if i % 2 == 0 else reversed(runners):
            times[id(r)].append(r.steps(steps))
    mine = times[id(ours)]
    line = f"{name:10} {threads} thread(s)  lamina {statistics.median(mine) * 1e3:9.3f} ms/step"
    if theirs is not None:
        other = times[id(theirs)]
        ratios = [b / a for a, b in zip(mine, other)]
        line += (
            f"  torch {statistics.median(other) * 1e3:9.3f} ms/step  ratio "
            f"{statistics.median(ratios):5.2f}x ({min(ratios):.2f} - {max(ratios):.2f})"
        )
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=sorted(WORKLOADS), action="append")
    parser.add_argument("--threads", type=int, action="append")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    try:
        import torch
    except ModuleNotFoundError:
        torch = None
        print("PyTorch is not installed: lamina alone")
    for name in args.only or WORKLOADS:
        for threads in args.threads or (1, 2):
            compare(name, threads, args.rounds, torch)


if __name__ == "__main__":
    main()
