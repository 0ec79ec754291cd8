"""Wall-clock time of a region under PyTorch's profiler names."""

from __future__ import annotations

import enum
import time


class ProfilerActivity(enum.Enum):
    """What could be recorded; only CPU has events here."""

    CPU = 0
    CUDA = 2
    XPU = 3


class ProfilerAction(enum.Enum):
    """What a schedule asks for at a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


def schedule(*, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0,
             skip_first_wait: int = 0):  # fmt: skip
    """A function from a step's number to its `ProfilerAction`: wait, warm up, record, again."""

    def action(step: int) -> ProfilerAction:
        step -= skip_first
        length = wait + warmup + active
        if step < 0 or (repeat and step >= repeat * length):
            return ProfilerAction.NONE
        at = step % length
        if at < wait:
            return ProfilerAction.NONE
        if at < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD_AND_SAVE if at == length - 1 else ProfilerAction.RECORD

    return action


def tensorboard_trace_handler(dir_name, worker_name=None, use_gzip=False):
    """A handler that does nothing: no trace is kept."""
    return lambda profiler: None


class profile:
    """``with profile() as p: ...``: the time the region took, and of each `step`.

    on_trace_ready is called with the profiler at the end of each active phase of `schedule` (at
    the end without one). The other arguments are accepted, without effect.
    """

    def __init__(self, *, activities=None, schedule=None, on_trace_ready=None, **_):
        self._schedule, self._ready = schedule, on_trace_ready
        self.step_num = 0
        self.times: list[float] = []
        self._began = self._step_began = 0.0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self) -> None:
        """Begins."""
        self._began = self._step_began = time.perf_counter()

    def stop(self) -> None:
        """Ends."""
        self.times.append(time.perf_counter() - self._step_began)
        if self._ready is not None and self._schedule is None:
            self._ready(self)

    def step(self) -> None:
        """Ends one step and begins the next."""
        now = time.perf_counter()
        self.times.append(now - self._step_began)
        self._step_began = now
        if self._schedule is not None and self._ready is not None:
            if self._schedule(self.step_num) is ProfilerAction.RECORD_AND_SAVE:
                self._ready(self)
        self.step_num += 1

    def key_averages(self, *args, **kwargs):
        """A table with one line: the steps' mean time."""
        return self

    def table(self, *args, **kwargs) -> str:
        """The table as text."""
        mean = sum(self.times) / len(self.times) if self.times else 0.0
        return f"{len(self.times)} steps, {mean * 1e3:.3f} ms each"


class record_function:
    """``with record_function("name"):`` does nothing."""

    def __init__(self, name: str, args=None):
        self.name = name

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False
