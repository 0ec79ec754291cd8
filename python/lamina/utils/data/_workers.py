"""Worker processes of a loader.

Batch i is made by worker i mod n and read from that worker's own queue, so batches come in the
order of the sampler whatever the workers' speed. A worker sends its exceptions with their
traceback; a worker that dies is noticed through its sentinel.
"""

from __future__ import annotations

import os
import queue
import random
import signal
import sys
import traceback
import warnings
from multiprocessing import connection, reduction
from typing import Any, NamedTuple

import lamina

from .._memory import from_bytes, raw


class WorkerInfo(NamedTuple):
    """What a worker process knows about itself (see `get_worker_info`)."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker process its `WorkerInfo` (id, num_workers, seed, dataset); elsewhere None."""
    return _info


class _KeyText(str):
    """KeyError prints the repr of its argument: this one's is readable."""

    def __repr__(self):
        return str(self)


class Failure:
    """An exception of a worker, as text."""

    def __init__(self, where: str):
        self.type = sys.exc_info()[0]
        self.where = where
        self.text = traceback.format_exc()

    def reraise(self):
        """Raises the same type with the worker's traceback in its text (RuntimeError where the
        type cannot be made from one string)."""
        message = f"Caught {self.type.__name__} {self.where}.\nOriginal {self.text}"
        if issubclass(self.type, KeyError):
            message = _KeyText(message)
        try:
            error = self.type(message)
        except Exception:
            error = RuntimeError(message)
        raise error from None


class End:
    """A worker's stream (IterableDataset) has ended."""


def _rebuild(data, dtype, shape):
    return from_bytes(data, getattr(lamina, dtype), shape)


def _reduce(t):
    t = t.detach().contiguous()
    return _rebuild, (bytes(raw(t)), str(t.dtype).rpartition(".")[2], tuple(t.shape))


# Tensors go through the pipes as their bytes: no shared memory that a killed process could leave.
reduction.ForkingPickler.register(lamina.Tensor, _reduce)


def _pack(epoch, result, worker_id) -> bytes:
    """(epoch, result) as bytes; what cannot be pickled becomes a Failure that says so."""
    try:
        return bytes(reduction.ForkingPickler.dumps((epoch, result)))
    except Exception:
        failure = Failure(f"in DataLoader worker process {worker_id}, sending a batch")
        if isinstance(result, Failure):  # the type of its exception is local to the worker
            failure.text, failure.where = result.text, result.where
        failure.type = RuntimeError
        return bytes(reduction.ForkingPickler.dumps((epoch, failure)))


def run(dataset, fetcher, tasks, results, seed, worker_id, num_workers, init_fn) -> None:
    """The life of a worker: `fetcher` makes batches until the task None or the parent's death."""
    global _info
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    parent = os.getppid()
    failure = None
    try:
        lamina.set_num_threads(1)
        random.seed(seed)
        lamina.manual_seed(seed)
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed(seed & 0xFFFFFFFF)
        _info = WorkerInfo(worker_id, num_workers, seed, dataset)
        if init_fn is not None:
            init_fn(worker_id)
    except Exception:
        failure = Failure(f"in DataLoader worker process {worker_id}")
    while os.getppid() == parent:
        try:
            task = tasks.get(timeout=5)
        except queue.Empty:
            continue
        if task is None:
            break
        epoch, work = task
        result: Any = failure
        if failure is None:
            try:
                result = fetcher.start(work) if epoch is None else fetcher.fetch(*work)
            except Exception:
                result = Failure(f"in DataLoader worker process {worker_id}")
                if epoch is None:
                    failure = result
        if epoch is not None:
            results.put(_pack(epoch, result, worker_id))
    results.cancel_join_thread()
    results.close()


def _reason(code) -> str:
    """What an exit code stands for, where it is a signal."""
    if code is None or code >= 0:
        return ""
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return ""
    return f" ({name}" + (": out of memory?)" if name == "SIGKILL" else ")")


class Pool:
    """The workers of one loader."""

    def __init__(self, loader, fetcher, base_seed: int):
        context = loader._context()
        self.timeout = loader.timeout
        self.epoch = 0
        self.processes, self.tasks, self.results = [], [], []
        n = loader.num_workers
        for i in range(n):
            tasks, results = context.Queue(), context.Queue()
            args = (loader.dataset, fetcher, tasks, results, base_seed + i, i, n,
                    loader.worker_init_fn)  # fmt: skip
            process = context.Process(target=run, args=args, daemon=True)
            with warnings.catch_warnings():  # lamina's threads are made again after a fork
                warnings.filterwarnings("ignore", ".*multi-threaded.*fork", DeprecationWarning)
                process.start()
            results._writer.close()  # so that a worker killed while it writes ends the pipe
            self.processes.append(process)
            self.tasks.append(tasks)
            self.results.append(results)

    def start(self, base_seed: int) -> None:
        """Begins an epoch; results of earlier ones that were left unread are thrown away."""
        self.epoch += 1
        for tasks in self.tasks:
            tasks.put((None, base_seed))

    def give(self, worker: int, work) -> None:
        self.tasks[worker].put((self.epoch, work))

    def take(self, worker: int):
        """The next result of `worker`; raises when it failed, died or took too long."""
        process, results = self.processes[worker], self.results[worker]
        while True:
            ready = connection.wait(
                [results._reader, process.sentinel], self.timeout if self.timeout > 0 else None
            )
            if not ready:
                raise RuntimeError(
                    f"DataLoader: worker {worker} (pid {process.pid}) gave no batch for "
                    f"{self.timeout} seconds; raise timeout, or use more workers"
                )
            try:
                if results._reader not in ready:
                    raise EOFError
                epoch, result = reduction.ForkingPickler.loads(results.get())
            except (EOFError, ConnectionError):
                process.join(timeout=1)
                raise RuntimeError(
                    f"DataLoader: worker {worker} (pid {process.pid}) exited unexpectedly with "
                    f"code {process.exitcode}{_reason(process.exitcode)}; use num_workers=0 to see "
                    "the error itself"
                ) from None
            if epoch != self.epoch:
                continue
            if isinstance(result, Failure):
                result.reraise()
            return result

    def stop(self) -> None:
        for process, tasks in zip(self.processes, self.tasks):
            if process.is_alive():
                tasks.put(None)
        for process in self.processes:
            process.join(timeout=1)
            if process.is_alive():
                process.terminate()
                process.join(timeout=5)
        for q in self.tasks + self.results:
            q.cancel_join_thread()
            q.close()
        self.processes = []
