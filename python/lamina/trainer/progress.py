"""Progress: a live line on a terminal, and one aligned row per epoch everywhere."""

from __future__ import annotations

import shutil
import sys
import time

from .callbacks import Callback


def percent_columns(metrics) -> set[str]:
    """The columns that are shares."""
    return {p + m.name for m in metrics if m.percent for p in ("", "val_")}


def show(name: str, value, percents) -> str:
    """A number as a row shows it."""
    if value is None:
        return "-"
    if name == "epoch":
        return str(value)
    if name == "seconds":
        return f"{value:.1f} s"
    if name in percents:
        return f"{100 * value:.2f} %"
    if name == "lr":
        return f"{value:.3g}"
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.3e}"


def clock(seconds: float) -> str:
    """Seconds as 0:07, 12:30 or 1:02:03."""
    s = int(seconds + 0.5)
    return f"{s // 3600}:{s // 60 % 60:02}:{s % 60:02}" if s >= 3600 else f"{s // 60}:{s % 60:02}"


class Progress(Callback):
    """Prints the course of a run.

    Args:
        file: where to; standard output when None.
        live: redraw one line during an epoch; None: only when `file` is a terminal.
        every: least seconds between two drawings of the live line.
    """

    WIDTH = 9
    BAR = 20

    def __init__(self, file=None, live: bool | None = None, every: float = 0.1):
        self.file, self.live, self.every = file, live, every
        self._columns: list[str] = []
        self._drawn = 0  # characters of the live line on the screen

    def on_fit_start(self, trainer):
        """Looks whether there is a terminal."""
        self._out = self.file or sys.stdout
        live = self.live
        self._live = self._out.isatty() if live is None else live
        self._columns, self._drawn = [], 0

    def on_epoch_start(self, trainer):
        """Starts the clock."""
        self._start = self._next = time.perf_counter()
        self._first, self._samples = trainer.batch, trainer.train_loss.weight

    def on_batch_end(self, trainer):
        """Draws the live line, at most every `every` seconds."""
        if not self._live:
            return
        now = time.perf_counter()
        if now < self._next:
            return
        self._next = now + self.every
        self._draw(self._line(trainer, now - self._start))

    def _line(self, trainer, seconds: float) -> str:
        done, steps = trainer.batch, trainer.steps
        trainer.train_loss.read()
        parts = [f"epoch {trainer.epoch + 1}/{trainer.last_epoch}"]
        parts.append(f"{done}/{steps}" if steps else f"batch {done}")
        percents = percent_columns(trainer.metrics)
        parts.append(f"loss {show('loss', trainer.train_loss.compute(), percents)}")
        for metric in trainer.metrics:
            value = metric.compute()
            if isinstance(value, float):
                parts.append(f"{metric.name} {show(metric.name, value, percents)}")
        seconds = max(seconds, 1e-9)
        parts.append(f"{(trainer.train_loss.weight - self._samples) / seconds:,.0f} samples/s")
        if steps and done > self._first:
            left = (steps - done) + steps * (trainer.last_epoch - trainer.epoch - 1)
            parts.append(f"ETA {clock(left * seconds / (done - self._first))}")
        room = min(self.BAR, self._width_of_terminal() - len("  ".join(parts)) - len("[] "))
        if steps and room >= 4:  # the bar is what a narrow terminal goes without
            parts[1] = f"[{('=' * (room * done // steps)).ljust(room)}] {parts[1]}"
        return "  ".join(parts)

    def _width_of_terminal(self) -> int:
        return max(20, shutil.get_terminal_size().columns - 1)

    def _draw(self, line: str) -> None:
        line = line[: self._width_of_terminal()]
        self._out.write("\r" + line.ljust(self._drawn))
        self._out.flush()
        self._drawn = len(line)

    def _clear(self) -> None:
        if self._drawn:
            self._out.write("\r" + " " * self._drawn + "\r")
            self._drawn = 0

    def on_epoch_end(self, trainer, row):
        """Prints the epoch's row, under a header the first time."""
        self._clear()
        percents = percent_columns(trainer.metrics)
        shown = {k: v for k, v in row.items() if v is None or isinstance(v, (int, float))}
        if list(shown) != self._columns:
            self._columns = list(shown)
            print("  ".join(k.rjust(self._width(k)) for k in shown), file=self._out)
        cells = [show(k, v, percents).rjust(self._width(k)) for k, v in shown.items()]
        print("  ".join(cells), file=self._out, flush=True)

    def _width(self, name: str) -> int:
        return 5 if name == "epoch" else max(self.WIDTH, len(name))

    def on_interrupt(self, trainer):
        """Leaves the live line where it is."""
        self._finish_line()
        where = f"epoch {trainer.epoch + 1}, batch {trainer.batch}"
        print(f"interrupted in {where}", file=self._out, flush=True)

    def on_fit_end(self, trainer):
        """Says why a run ended early."""
        self._finish_line()
        if trainer.history.stopped:
            print(f"stopped early: {trainer.history.stopped}", file=self._out, flush=True)

    def _finish_line(self) -> None:
        if self._drawn:
            self._out.write("\n")
            self._drawn = 0
