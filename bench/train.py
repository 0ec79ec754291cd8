"""Whole steps, lamina against PyTorch, in fresh processes that take turns.

    python bench/train.py                          # mlp, lenet, resnet20; 1 and 2 threads
    python bench/train.py --all --threads 2        # every workload of bench/workloads.py
    python bench/train.py --only gpt_small --modes lamina torch torch-compile

Modes: lamina (the step compiled by lamina.compile), lamina-eager; torch (eager, as installed),
torch-malloc (with glibc told to keep its memory), torch-fused (fused optimizer), torch-cl
(channels-last), torch-compile. Every round runs each mode in a process of its own; printed are the
median milliseconds per step, the ratio to lamina's, medians over rounds with the smallest and the
largest, and the peak memory of a process. Needs PyTorch for its modes; without it lamina's are
shown alone.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

from workloads import WORKLOADS

MODES = ("lamina", "lamina-eager", "torch", "torch-malloc", "torch-fused", "torch-cl",
         "torch-compile")  # fmt: skip
SHORT = ("mlp", "lenet", "resnet20")
KEEP = {"MALLOC_MMAP_THRESHOLD_": "2000000000", "MALLOC_TRIM_THRESHOLD_": "8000000000",
        "MALLOC_TOP_PAD_": "268435456"}  # fmt: skip


def work(name: str, mode: str, threads: int, seconds: float) -> dict:
    """Runs one workload in this process: milliseconds per step and the first losses."""
    library, _, variant = mode.partition("-")
    t = __import__(library)
    t.set_num_threads(threads)
    t.manual_seed(0)
    step, batches = WORKLOADS[name](t, fused=variant in ("fused", "compile"))
    data = [tuple(t.from_numpy(x) for x in batch) for batch in batches]
    if variant == "cl":
        keep = t.channels_last
        data = [tuple(x.to(memory_format=keep) if x.dim() == 4 else x for x in b) for b in data]
    if getattr(step, "whole", False):
        if mode == "lamina-eager":
            step = functools.partial(step, compile=False)
    elif mode in ("lamina", "torch-compile"):
        step = t.compile(step, **({"fullgraph": True} if library == "lamina" else {}))
    losses = [float(step(*data[i % len(data)]).float().sum()) for i in range(6)]
    count, best, at, spent = 1, [], 6, 0.0
    while spent < seconds or len(best) < 5:
        start = time.perf_counter()
        for _ in range(count):
            step(*data[at % len(data)])
            at += 1
        took = time.perf_counter() - start
        spent += took
        best.append(took / count)
        if took < 0.02:
            count *= 2
    last = statistics.median(best[len(best) // 2 :])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"ms": last * 1e3, "losses": losses, "mb": peak}


def measure(name: str, mode: str, threads: int, seconds: float) -> dict | None:
    env = dict(os.environ)
    if mode == "torch-malloc":
        env.update(KEEP)
    here = str(pathlib.Path(__file__).resolve())
    command = [sys.executable, here, "--work", name, mode, str(threads), str(seconds)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{name} {mode}: {done.stderr.strip().splitlines()[-1:]}", flush=True)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def compare(name: str, threads: int, modes, rounds: int, seconds: float) -> None:
    runs: dict = {mode: [] for mode in modes}
    for i in range(rounds):
        for mode in modes if i % 2 == 0 else tuple(reversed(modes)):
            runs[mode].append(measure(name, mode, threads, seconds))
    good = {mode: list(filter(None, r)) for mode, r in runs.items()}
    print(f"{name}, {threads} thread(s): {WORKLOADS[name].__doc__}")
    for mode in modes:
        if not good[mode]:
            continue
        ms = statistics.median(r["ms"] for r in good[mode])
        line = f"  {mode:13} {ms:10.4f} ms  {max(r['mb'] for r in good[mode]):6.0f} MB"
        if mode != "lamina" and good.get("lamina"):
            pairs = zip(runs["lamina"], runs[mode])
            ratios = [b["ms"] / a["ms"] for a, b in pairs if a and b]
            line += f"  {statistics.median(ratios):6.2f}x ({min(ratios):.2f} - {max(ratios):.2f})"
        print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=sorted(WORKLOADS), action="append")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--threads", type=int, action="append")
    parser.add_argument("--modes", choices=MODES, nargs="+", default=["lamina", "torch"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of measuring per process")
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        name, mode, threads, seconds = args.work
        print(json.dumps(work(name, mode, int(threads), float(seconds))))
        return
    modes = args.modes
    if importlib.util.find_spec("torch") is None:
        print("PyTorch is not installed: lamina alone")
        modes = [m for m in modes if not m.startswith("torch")]
    for name in args.only or (WORKLOADS if args.all else SHORT):
        for threads in args.threads or (1, 2):
            compare(name, threads, modes, args.rounds, args.seconds)


if __name__ == "__main__":
    main()
