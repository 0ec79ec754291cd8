"""Ctrl-C during training: the first one asks to stop after the batch, the second stops at once."""

from __future__ import annotations

import contextlib
import signal
import threading


class Interrupt:
    """A context in which the first SIGINT only sets `requested`.

    Outside the main thread Python does not let handlers be set, and nothing changes. The handler
    that was there before is put back at the end.
    """

    def __init__(self, notify=None):
        self.requested = False
        self._notify = notify

    def __enter__(self) -> Interrupt:
        self._before = None
        if threading.current_thread() is threading.main_thread():
            self._before = signal.getsignal(signal.SIGINT)
            if self._before is signal.SIG_IGN:  # started in the background: stay deaf
                self._before = None
            else:
                signal.signal(signal.SIGINT, self._handle)
        return self

    def _handle(self, number, frame) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        self._say()

    def _say(self) -> None:
        if self._notify is not None:
            with contextlib.suppress(RuntimeError):  # in the middle of a print: said at the end
                self._notify()
                self._notify = None

    def __exit__(self, *exc) -> None:
        if self.requested:
            self._say()
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
