"""Streams, in whose order a device works, and events, that mark points in them."""

from __future__ import annotations

import threading

from .. import _core
from .._types import device as _device
from ._device import _number

_streams = threading.local()  # what is current: the Stream objects themselves, kept alive


class Stream:
    """A queue of work. Raises RuntimeError when there is no device.

    Work given to different streams may run at the same time; memory that a tensor gives back is
    used again on the stream that was current when it was made.
    """

    def __init__(self, device=None, priority=0, *, _handle=None):
        self._index = _number(device, "Stream")
        self._owned = _handle is None
        self.cuda_stream = _core.stream_create(self._index, priority) if _handle is None else 0

    @property
    def device(self):
        """The stream's device."""
        return _device("cuda", self._index)

    def synchronize(self) -> None:
        """Waits for all work given to the stream so far."""
        _core.stream_synchronize(self._index, self.cuda_stream)

    def query(self) -> bool:
        """Whether all work given to the stream so far is done."""
        return _core.stream_idle(self._index, self.cuda_stream)

    def record_event(self, event=None) -> Event:
        """`event` (a new one by default), recorded here."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event) -> None:
        """Work given to the stream from now on waits for `event`."""
        _core.stream_wait(self._index, self.cuda_stream, event._handle_on(self._index))

    def wait_stream(self, stream) -> None:
        """Work given to this stream from now on waits for what `stream` was given so far."""
        self.wait_event(stream.record_event())

    def __eq__(self, other) -> bool:
        return isinstance(other, Stream) and (self._index, self.cuda_stream) == (
            other._index, other.cuda_stream)  # fmt: skip

    def __hash__(self) -> int:
        return hash((self._index, self.cuda_stream))

    def __del__(self):
        if getattr(self, "_owned", False) and getattr(self, "cuda_stream", 0):
            _core.stream_destroy(self._index, self.cuda_stream)


class Event:
    """A point in a stream. Raises RuntimeError when there is no device.

    enable_timing: `elapsed_time` may be asked.
    """

    def __init__(self, enable_timing=False, blocking=False, interprocess=False):
        _number(None, "Event")
        self._timing = enable_timing
        self._index, self.cuda_event = -1, 0

    def _handle_on(self, index: int) -> int:
        if not self.cuda_event:
            self._index, self.cuda_event = index, _core.event_create(index, self._timing)
        return self.cuda_event

    def record(self, stream=None) -> None:
        """Marks the end of what `stream` (the current one by default) was given so far."""
        stream = current_stream() if stream is None else stream
        handle = self._handle_on(stream._index)
        _core.event_record(stream._index, handle, stream.cuda_stream)

    def wait(self, stream=None) -> None:
        """Work given to `stream` from now on waits for the event."""
        (current_stream() if stream is None else stream).wait_event(self)

    def query(self) -> bool:
        """Whether everything before the event is done."""
        return not self.cuda_event or _core.event_done(self._index, self.cuda_event)

    def synchronize(self) -> None:
        """Waits for everything before the event."""
        if self.cuda_event:
            _core.event_synchronize(self._index, self.cuda_event)

    def elapsed_time(self, end_event) -> float:
        """Milliseconds from this event to `end_event`; both with timing, recorded and done."""
        if not (self._timing and end_event._timing):
            raise ValueError("elapsed_time: both events need enable_timing=True")
        if not (self.cuda_event and end_event.cuda_event):
            raise ValueError("elapsed_time: both events must have been recorded")
        return _core.event_elapsed(self._index, self.cuda_event, end_event.cuda_event)

    def __del__(self):
        if getattr(self, "cuda_event", 0):
            _core.event_destroy(self._index, self.cuda_event)


def default_stream(device=None) -> Stream:
    """The stream that is used when no other is made current."""
    return Stream(_number(device, "default_stream"), _handle=0)


def current_stream(device=None) -> Stream:
    """The stream that the device's operations are given to on this thread."""
    index = _number(device, "current_stream")
    return getattr(_streams, "now", {}).get(index) or default_stream(index)


def set_stream(stream) -> None:
    """Gives the operations of this thread on the stream's device to `stream` from now on."""
    if stream is None:
        return
    if not hasattr(_streams, "now"):
        _streams.now = {}
    _streams.now[stream._index] = stream
    _core.stream_use(stream._index, stream.cuda_stream)


class stream:
    """``with cuda.stream(s):`` gives the operations inside to `s`; None does nothing."""

    def __init__(self, stream):
        self.stream = stream

    def __enter__(self):
        if self.stream is not None:
            self.before = current_stream(self.stream._index)
            set_stream(self.stream)
        return self

    def __exit__(self, *_):
        if self.stream is not None:
            set_stream(self.before)
        return False
