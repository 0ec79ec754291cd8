"""Whole steps, lamina against PyTorch and JAX, in fresh processes that take turns.

    python bench/train.py                          # mlp, lenet, resnet20; 1 and 2 threads
    python bench/train.py --all --threads 2        # every workload of bench/workloads.py
    python bench/train.py --only gpt_small --modes lamina torch torch-compile
    python bench/train.py --all --modes all --jax-python jaxenv/bin/python \\
        --json results.json --resume --budget 600  # again and again, until nothing is left
    python bench/train.py --json results.json --markdown

Modes: lamina (the step compiled by lamina.compile), lamina-eager, lamina-avx2 (compiled, with
LAMINA_ISA=avx2), lamina-high (compiled, set_float32_matmul_precision("high")); torch (eager, as
installed), torch-malloc (with glibc told to keep its memory), torch-fused (fused optimizer),
torch-cl (channels-last), torch-fused-cl (both), torch-compile; jax (bench/jax_models.py, in the
Python named by --jax-python). Every round runs each mode in a process of its own; printed are the
median milliseconds per step, the ratio to lamina's, medians over rounds with the smallest and the
largest, and the peak memory of a process. "Best PyTorch" is the fastest of all torch modes but
torch-malloc. Modes that are not installed are left out; one that fails says why.
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

TORCH = ("torch", "torch-fused", "torch-cl", "torch-fused-cl", "torch-compile")
MODES = ("lamina", "lamina-eager", "lamina-avx2", "lamina-high", *TORCH, "torch-malloc", "jax")
SHORT = ("mlp", "lenet", "resnet20")
IN_JAX = {"mlp", "tiny", "convnet", "lenet", "resnet18", "resnet20", "mobilenet", "lstm", "gru",
          "rnn", "gpt_small", "gpt_medium", "vae"}  # fmt: skip
KEEP = {"MALLOC_MMAP_THRESHOLD_": "2000000000", "MALLOC_TRIM_THRESHOLD_": "8000000000",
        "MALLOC_TOP_PAD_": "268435456"}  # fmt: skip


# ---- one process ---------------------------------------------------------------------------------
def prepare(name: str, mode: str, threads: int):
    """(run, wait, losses): run(i) does step i, wait() for all of them; the first six losses."""
    if mode == "jax":
        import jax
        from jax_models import make

        step, state, data = make(name)
        held = [state]
        out = [None]

        def run(i):
            held[0], out[0] = step(held[0], *data[i % len(data)])
            return out[0]

        return run, lambda: jax.block_until_ready((held, out)), [float(run(i)) for i in range(6)]
    library, _, variant = mode.partition("-")
    t = __import__(library)
    t.set_num_threads(threads)
    t.manual_seed(0)
    if mode == "lamina-high":
        t.set_float32_matmul_precision("high")
    step, batches = WORKLOADS[name](t, fused="fused" in variant or variant == "compile")
    data = [tuple(t.from_numpy(x) for x in batch) for batch in batches]
    if variant.endswith("cl"):
        keep = t.channels_last
        data = [tuple(x.to(memory_format=keep) if x.dim() == 4 else x for x in b) for b in data]
    if getattr(step, "whole", False):
        if mode == "lamina-eager":
            step = functools.partial(step, compile=False)
    elif mode in ("lamina", "lamina-avx2", "lamina-high"):
        step = t.compile(step, fullgraph=True)
    elif mode == "torch-compile":
        step = t.compile(step)

    def run(i):
        return step(*data[i % len(data)])

    return run, lambda: None, [float(run(i).float().sum()) for i in range(6)]


def work(name: str, mode: str, threads: int, seconds: float) -> dict:
    """Runs one workload in this process: milliseconds per step and the first losses."""
    if mode == "jax" and threads == 1:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    run, wait, losses = prepare(name, mode, threads)
    ms = steady(run, wait, seconds)
    return {"ms": ms, "losses": losses, "mb": peak_mb()}


def peak_mb() -> float:
    """The most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def steady(run, wait, seconds: float) -> float:
    """Milliseconds per step, once they are warm."""
    count, took_each, at, spent = 1, [], 6, 0.0
    while spent < seconds or len(took_each) < 5:
        start = time.perf_counter()
        for _ in range(count):
            run(at)
            at += 1
        wait()
        took = time.perf_counter() - start
        spent += took
        took_each.append(took / count)
        if took < 0.02:
            count *= 2
    return statistics.median(took_each[len(took_each) // 2 :]) * 1e3


def measure(name: str, mode: str, threads: int, seconds: float, jax_python: str) -> dict:
    """The same in a fresh process; {"error": its last line} when it fails."""
    env = dict(os.environ)
    if mode == "torch-malloc":
        env.update(KEEP)
    if mode == "lamina-avx2":
        env["LAMINA_ISA"] = "avx2"
    here = str(pathlib.Path(__file__).resolve())
    python = jax_python if mode == "jax" else sys.executable
    return fresh([python, here, "--work", name, mode, str(threads), str(seconds)], env)


def fresh(command, env=None) -> dict:
    """What a process of its own prints last, as JSON; {"error": its last line} when it fails."""
    try:
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, check=False, timeout=600
        )
    except subprocess.TimeoutExpired:
        return {"error": "took more than 600 s"}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no message"])[-1][:200]}
    return json.loads(done.stdout.splitlines()[-1])


# ---- all of them ---------------------------------------------------------------------------------
def installed(modes, jax_python: str) -> list[str]:
    """Those modes that can run here."""
    torch = importlib.util.find_spec("torch") is not None
    if not torch and any(m.startswith("torch") for m in modes):
        print("PyTorch is not installed: its modes are left out")
    if not jax_python and "jax" in modes:
        print("no --jax-python: the mode jax is left out")
    return [m for m in modes if (torch or not m.startswith("torch")) and (jax_python or m != "jax")]


def runs_of(results, name: str, threads: int, mode: str) -> dict:
    """{round: result} of the runs that went well."""
    wanted = (name, threads, mode)
    return {
        r["round"]: r
        for r in results
        if (r["workload"], r["threads"], r["mode"]) == wanted and "ms" in r
    }


def ratio(lamina: dict, other: dict) -> tuple[float, float, float] | None:
    """(median, least, greatest) of other / lamina over the rounds both have."""
    r = [other[i]["ms"] / lamina[i]["ms"] for i in lamina if i in other]
    return (statistics.median(r), min(r), max(r)) if r else None


def median_ms(runs: dict) -> float:
    return statistics.median(r["ms"] for r in runs.values())


def line_of(mode: str, runs: dict, lamina: dict) -> str:
    """Time, memory and ratio of one library's runs beside lamina's."""
    mb = max(r["mb"] for r in runs.values())
    line = f"  {mode:14} {median_ms(runs):10.4f} ms  {mb:6.0f} MB"
    of = ratio(lamina, runs)
    if mode != "lamina" and of:
        line += f"  {of[0]:6.2f}x ({of[1]:.2f} - {of[2]:.2f})"
    return line


def report(results, name: str, threads: int, modes) -> None:
    """A few lines about one workload."""
    print(f"{name}, {threads} thread(s): {WORKLOADS[name].__doc__}")
    lamina = runs_of(results, name, threads, "lamina")
    for mode in modes:
        runs = runs_of(results, name, threads, mode)
        if runs:
            print(line_of(mode, runs, lamina), flush=True)
    for r in results:
        if (r["workload"], r["threads"]) == (name, threads) and "error" in r:
            print(f"  {r['mode']:14} round {r['round']} failed: {r['error']}", flush=True)


def markdown(results) -> None:
    """The table of docs/performance.md from all results, and what failed."""

    def cell(of) -> str:
        return f"{of[0]:.2f} ({of[1]:.2f} - {of[2]:.2f})" if of else ""

    def peak(runs) -> str:
        return f"{max(r['mb'] for r in runs.values()):.0f}" if runs else "-"

    for threads in sorted({r["threads"] for r in results}):
        print(f"\n{threads} thread{'s' * (threads > 1)}:\n")
        print(
            "| workload | lamina, ms | eager | PyTorch, ms | vs PyTorch | vs best PyTorch | which "
            "| vs PyTorch, malloc kept | vs JAX | AVX2, ms | high, ms | MB, lamina / PyTorch |\n"
            "| --- | --: | --: | --: | --: | --: | --- | --: | --: | --: | --: | --: |"
        )
        for name in WORKLOADS:
            of = {mode: runs_of(results, name, threads, mode) for mode in MODES}
            lamina = of["lamina"]
            if not lamina:
                continue
            best = min((m for m in TORCH if of[m]), key=lambda m: median_ms(of[m]), default="")
            ms = {m: f"{median_ms(of[m]):.4g}" if of[m] else "" for m in MODES}
            print(
                f"| {name} | {ms['lamina']} | {ms['lamina-eager']} | {ms['torch']} | "
                f"{cell(ratio(lamina, of['torch']))} | "
                f"{cell(ratio(lamina, of[best])) if best else ''} | {best.removeprefix('torch-')} "
                f"| {cell(ratio(lamina, of['torch-malloc']))} | {cell(ratio(lamina, of['jax']))} "
                f"| {ms['lamina-avx2']} | {ms['lamina-high']} "
                f"| {peak(lamina)} / {peak(of['torch'])} |"
            )
    failed = {(r["workload"], r["mode"], r["error"]) for r in results if "error" in r}
    for name, mode, error in sorted(failed):
        print(f"\n{name}, {mode}: {error}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=sorted(WORKLOADS), action="extend")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--modes", choices=[*MODES, "all"], nargs="+", default=["lamina", "torch"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of measuring per process")
    parser.add_argument("--jax-python", default="", help="a Python that has jax and optax")
    parser.add_argument("--json", type=pathlib.Path, help="add the results to this file")
    parser.add_argument("--resume", action="store_true", help="leave out what the file has")
    parser.add_argument("--budget", type=float, help="start no process after so many seconds")
    parser.add_argument("--markdown", action="store_true", help="print the file's table, and stop")
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        name, mode, threads, seconds = args.work
        print(json.dumps(work(name, mode, int(threads), float(seconds))))
        return
    file = args.json
    results = json.loads(file.read_text()) if file and file.exists() else []
    if args.markdown:
        return markdown(results)
    began = time.monotonic()
    modes = installed(MODES if "all" in args.modes else args.modes, args.jax_python)
    done = {(r["workload"], r["threads"], r["mode"], r["round"]) for r in results}
    for name in args.only or (WORKLOADS if args.all else SHORT):
        mine = [m for m in modes if m != "jax" or name in IN_JAX]
        for threads in args.threads:
            new = []
            for i in range(args.rounds):
                for mode in mine if i % 2 == 0 else mine[::-1]:
                    key = (name, threads, mode, i)
                    if args.resume and key in done:
                        continue
                    if args.budget and time.monotonic() - began > args.budget:
                        print("the time is used up; run again with --resume")
                        return
                    out = measure(name, mode, threads, args.seconds, args.jax_python)
                    new.append(dict(zip(("workload", "threads", "mode", "round"), key)) | out)
                    if file:
                        results.append(new[-1])
                        file.write_text(json.dumps(results))
            if new:
                report(results if file else new, name, threads, mine)


if __name__ == "__main__":
    main()
