"""Whole training steps on the GPU, lamina against PyTorch, in fresh processes that take turns.

    python bench/gpu_train.py --json gpu.json --budget 540     # again and again, until all is there
    python bench/gpu_train.py --only lenet --dtypes bfloat16 --modes lamina torch-graphs
    python bench/gpu_train.py --only accuracy                  # MNIST LeNet to 99 %
    python bench/gpu_train.py --only mlp --modes lamina --rounds 1 --batch 4 --device cpu

Modes: lamina (the step by lamina.compile, one CUDA graph), lamina-eager; torch (eager), torch-cl
(eager, channels-last), torch-fused (eager, fused optimizer), torch-graphs (the step captured by
torch.cuda.graph), torch-compile, torch-reduce (torch.compile with mode="reduce-overhead"). dtypes:
float32, tf32 (allowed for products and convolutions), bfloat16 (autocast, TF32 allowed beside it).
Printed are the median milliseconds per step, the other mode's time / lamina's over the rounds with
the smallest and the largest, and the memory of the device. A step's batch is on the device.

"accuracy" trains LeNet-5 on MNIST, batch 64, until 99 % of the test images are right: seconds from
the start of the process, imports, reading of files, compilation and tests included.
"""

from __future__ import annotations

import argparse
import functools
import json
import pathlib
import statistics
import sys
import time

import numpy as np
import workloads
from networks import lenet5
from train import fresh, line_of, runs_of, steady

WORKLOADS = {**workloads.WORKLOADS, **workloads.LARGE}
MODES = ("lamina", "lamina-eager", "torch", "torch-cl", "torch-fused", "torch-graphs",
         "torch-compile", "torch-reduce")  # fmt: skip
DTYPES = ("float32", "tf32", "bfloat16")
USUAL = {  # the rows without --only: dtypes, and the modes beside lamina's and eager PyTorch
    "mlp": (("tf32", "bfloat16"), ("torch-fused", "torch-graphs")),
    "lenet": (("tf32", "bfloat16"), ("torch-fused", "torch-graphs")),
    "resnet18_b128": (("bfloat16",), ("torch-cl", "torch-compile")),
    "gpt_medium": (("bfloat16",), ("torch-compile", "torch-reduce")),
    "gpt_medium_b64": (("bfloat16",), ("torch-compile", "torch-reduce")),
    "lstm": (("tf32", "bfloat16"), ()),
    "accuracy": (("tf32",), ()),
}


# ---- one process ---------------------------------------------------------------------------------
def library(mode: str, dtype: str, device: str):
    """The library of a mode, with TF32 as the dtype says."""
    t = __import__(mode.partition("-")[0])
    t.manual_seed(0)
    t.backends.cuda.matmul.allow_tf32 = t.backends.cudnn.allow_tf32 = dtype != "float32"
    if dtype == "bfloat16":
        workloads.SETTING.precision = functools.partial(t.autocast, device, dtype=t.bfloat16)
    return t


class Captured:
    """A step of PyTorch as a CUDA graph over inputs of its own."""

    def __init__(self, torch, step, batch):
        self.inputs, self.graph = [x.clone() for x in batch], torch.cuda.CUDAGraph()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step(*self.inputs)
        torch.cuda.current_stream().wait_stream(side)
        with torch.cuda.graph(self.graph):
            self.result = step(*self.inputs)

    def __call__(self, *batch):
        for mine, x in zip(self.inputs, batch):
            mine.copy_(x)
        self.graph.replay()
        return self.result


def faster(t, mode: str, step, batch):
    """The step as the mode runs it."""
    if mode == "lamina":
        return t.compile(step, fullgraph=True)
    if mode == "torch-graphs":
        return Captured(t, step, batch)
    if mode in ("torch-compile", "torch-reduce"):
        return t.compile(step, mode="reduce-overhead" if mode == "torch-reduce" else None)
    return step


def work(name: str, mode: str, dtype: str, device: str, seconds: float, batch: int) -> dict:
    """Runs one workload in this process: milliseconds per step and the first losses."""
    t = library(mode, dtype, device)
    if name == "accuracy":
        return {"losses": [], **to_accuracy(t, mode, device)}
    setting = workloads.SETTING
    setting.batch, setting.channels_last = batch, mode == "torch-cl"
    setting.capturable = mode == "torch-graphs"
    t.set_default_device(device)
    fused = mode in ("torch-fused", "torch-graphs", "torch-compile", "torch-reduce")
    step, batches = WORKLOADS[name](t, fused=fused)
    t.set_default_device(None)  # PyTorch's calls cost more with one
    data = [tuple(t.from_numpy(x).to(device) for x in b) for b in batches]
    if setting.channels_last:
        keep = t.channels_last
        data = [tuple(x.to(memory_format=keep) if x.dim() == 4 else x for x in b) for b in data]
    step = faster(t, mode, step, data[0])

    def run(i):
        return step(*data[i % len(data)])

    losses = [float(run(i).float().sum()) for i in range(6)]
    ms = steady(run, t.cuda.synchronize if device == "cuda" else lambda: None, seconds)
    return {"ms": ms, "losses": losses, "mb": t.cuda.max_memory_allocated() / 2**20}


def mnist(t, device):
    """Images and labels of both parts, normalised, on the device."""
    from data import MEAN, STD, read

    for part in ("train", "t10k"):
        x = t.from_numpy(read(f"{part}-images-idx3-ubyte")).to(device)
        y = t.from_numpy(read(f"{part}-labels-idx1-ubyte").astype(np.int64)).to(device)
        yield ((x.float() / 255 - MEAN) / STD).unsqueeze(1), y


def to_accuracy(t, mode: str, device: str, wanted=0.99, epochs=10, batch=64) -> dict:
    """Trains until `wanted` of the test images are right: when that was, and after which epoch."""
    (x, y), (test_x, test_y) = mnist(t, device)
    model = lenet5(t).to(device)
    optimizer = t.optim.Adam(model.parameters(), lr=3e-3)
    schedule = t.optim.lr_scheduler.ExponentialLR(optimizer, 0.3)

    def step(images, labels):
        optimizer.zero_grad()
        with workloads.SETTING.precision():
            loss = t.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    step = faster(t, mode, step, (x[:batch], y[:batch]))
    for epoch in range(1, epochs + 1):
        for chosen in t.randperm(len(x), device=device).split(batch):
            if len(chosen) == batch:
                step(x[chosen], y[chosen])
        schedule.step()
        with t.no_grad():
            right = (model(test_x).argmax(1) == test_y).float().mean().item()
        if right >= wanted:
            return {"at": time.time(), "epochs": epoch, "right": right,
                    "mb": t.cuda.max_memory_allocated() / 2**20}  # fmt: skip
    raise RuntimeError(f"{100 * right:.2f} % of the test images after {epochs} epochs")


# ---- all of them ---------------------------------------------------------------------------------
def measure(name: str, mode: str, dtype: str, args) -> dict:
    """The same in a fresh process."""
    here, began = str(pathlib.Path(__file__).resolve()), time.time()
    of = [name, mode, dtype, args.device, str(args.seconds), str(args.batch)]
    out = fresh([sys.executable, here, "--work", *of])
    if "at" in out:
        out["ms"] = (out.pop("at") - began) * 1e3
    return out


def report(results, name: str, dtype: str) -> None:
    print(f"{name}, {dtype}")
    lamina = runs_of(results, name, dtype, "lamina")
    for mode in MODES:
        runs = runs_of(results, name, dtype, mode)
        if not runs:
            continue
        line = line_of(mode, runs, lamina)
        epochs = [r["epochs"] for r in runs.values() if "epochs" in r]
        if epochs:
            line += f"  {statistics.median(epochs):.0f} epochs"
        print(line)
    for r in results:
        if (r["workload"], r["threads"]) == (name, dtype) and "error" in r:
            print(f"  {r['mode']:14} round {r['round']} failed: {r['error']}")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=[*WORKLOADS, "accuracy"], default=[])
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=[])
    parser.add_argument("--modes", nargs="+", choices=MODES, default=[])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of measuring per process")
    parser.add_argument("--batch", type=int, default=0, help="instead of the workload's own")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--json", type=pathlib.Path, help="keep the results; leave out what is in")
    parser.add_argument("--budget", type=float, help="start no process after so many seconds")
    parser.add_argument("--work", nargs=6, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        name, mode, dtype, device, seconds, batch = args.work
        print(json.dumps(work(name, mode, dtype, device, float(seconds), int(batch))))
        return 0
    began, file = time.monotonic(), args.json
    results = json.loads(file.read_text()) if file and file.exists() else []
    done = {(r["workload"], r["threads"], r["mode"], r["round"]) for r in results}
    seen = "import json, torch; print(json.dumps({'cuda': torch.cuda.is_available()}))"
    torch = fresh([sys.executable, "-c", seen]).get("cuda", False) or args.device == "cpu"
    if not torch:
        print("there is no PyTorch with CUDA: its modes are left out")
    for name in args.only or USUAL:
        dtypes, more = USUAL.get(name, (("tf32",), ()))
        modes = args.modes or ("lamina", "lamina-eager", "torch", *more)
        modes = [m for m in modes if torch or not m.startswith("torch")]
        for dtype in args.dtypes or dtypes:
            for i in range(args.rounds):
                for mode in modes if i % 2 == 0 else modes[::-1]:
                    key = (name, dtype, mode, i)
                    if key in done:
                        continue
                    if args.budget and time.monotonic() - began > args.budget:
                        print("the time is used up; run again with the same --json")
                        return 0
                    out = measure(name, mode, dtype, args)
                    results.append(dict(zip(("workload", "threads", "mode", "round"), key)) | out)
                    if file:
                        file.write_text(json.dumps(results))
            report(results, name, dtype)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
