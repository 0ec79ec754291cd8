"""Python's multiprocessing, with PyTorch's `spawn`. Tensors are pickled by value."""

from __future__ import annotations

import multiprocessing as _python
from multiprocessing import *  # noqa: F403

_strategy = "file_descriptor"


def spawn(fn, args=(), nprocs=1, join=True, daemon=False, start_method="spawn"):
    """Runs ``fn(i, *args)`` for i < nprocs, each in a new process.

    With join waits for all (raising RuntimeError when one failed) and returns None; otherwise
    returns the processes.
    """
    context = _python.get_context(start_method)
    processes = [context.Process(target=fn, args=(i, *args), daemon=daemon) for i in range(nprocs)]
    for process in processes:
        process.start()
    if not join:
        return processes
    for process in processes:
        process.join()
    failed = [(i, p.exitcode) for i, p in enumerate(processes) if p.exitcode]
    if failed:
        raise RuntimeError(f"spawn: process {failed[0][0]} ended with exit code {failed[0][1]}")
    return None


def set_sharing_strategy(new_strategy: str) -> None:
    """Kept, without effect: tensors are pickled by value."""
    global _strategy
    _strategy = new_strategy


def get_sharing_strategy() -> str:
    """What `set_sharing_strategy` was given."""
    return _strategy


def get_all_sharing_strategies() -> set:
    """The names `set_sharing_strategy` accepts in PyTorch."""
    return {"file_descriptor", "file_system"}
