"""Callbacks: what happens around the steps of a `Trainer`.

A hook that a class does not define costs nothing: only overridden ones are called.
"""

from __future__ import annotations

import json
import math
import pathlib
from typing import Any

import lamina

from . import checkpoint, choices
from .history import higher_is_better


class Callback:
    """Base of all callbacks; every hook gets the `Trainer`.

    Order of hooks: on_fit_start; per epoch on_epoch_start, per batch on_backward (gradients are
    there, the step is not done) and on_batch_end, then on_epoch_end with the epoch's row;
    on_interrupt after Ctrl-C; on_fit_end. To end a run set ``trainer.stop = "reason"``.

    ``replayable`` says that on_backward consists of operations on tensors only, so that a compiled
    step may hold it; where one callback's does not, the step runs eagerly.
    """

    replayable = False

    def on_fit_start(self, trainer) -> None:
        """Before the first epoch."""

    def on_epoch_start(self, trainer) -> None:
        """Before an epoch; ``trainer.epoch`` epochs are done."""

    def on_backward(self, trainer) -> None:
        """After backward, before the optimizer's step."""

    def on_batch_end(self, trainer) -> None:
        """After a step; ``trainer.batch`` steps of this epoch are done."""

    def on_epoch_end(self, trainer, row: dict) -> None:
        """After an epoch and its validation; `row` is its line in the history."""

    def on_interrupt(self, trainer) -> None:
        """After Ctrl-C, between two steps."""

    def on_fit_end(self, trainer) -> None:
        """After the last epoch, or the interrupted one."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold of this callback: numbers, strings, tensors, dicts."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""


class Monitor(Callback):
    """Follows one column and knows its best value. monitor None: the trainer's choice."""

    def __init__(self, monitor: str | None = None, mode: str = "auto", min_delta: float = 0.0):
        if mode not in ("auto", "min", "max"):
            raise ValueError(
                f"{type(self).__name__}: mode must be 'auto', 'min' or 'max', got {mode!r}"
            )
        self.monitor, self.mode, self.min_delta = monitor, mode, abs(min_delta)
        self.best: float | None = None
        self.best_epoch = 0

    def improved(self, trainer, row: dict) -> bool:
        """Whether `row` is better than all before by more than min_delta; NaN never is."""
        name = self.monitor or trainer.monitor_of(row)
        if name not in row:
            raise ValueError(
                f"{type(self).__name__}: monitor {name!r} is not measured; there are "
                f"{', '.join(k for k in row if k != 'epoch')}"
            )
        value = row[name]
        high = higher_is_better(name) if self.mode == "auto" else self.mode == "max"
        gain = math.inf if self.best is None else (value - self.best) * (1 if high else -1)
        if value != value or not gain > self.min_delta:
            return False
        self.best, self.best_epoch = value, row["epoch"]
        return True

    def state_dict(self):
        """The best value and its epoch."""
        return {"best": self.best, "best_epoch": self.best_epoch}

    def load_state_dict(self, state):
        """Go on from a `state_dict`."""
        self.best, self.best_epoch = state["best"], state["best_epoch"]


class EarlyStopping(Monitor):
    """Stops when `monitor` has not improved by more than `min_delta` for `patience` epochs.

    Args:
        monitor: a column ("val_loss", "val_accuracy", ...); None: the trainer's choice.
        patience: epochs without progress; None: never stop (with restore_best: only remember).
        mode: "min", "max" or "auto" (by the name).
        restore_best: put the best weights back into the model at the end, also after Ctrl-C.
    """

    def __init__(
        self, monitor: str | None = None, patience: int | None = 5, min_delta: float = 0.0,
        mode: str = "auto", restore_best: bool = True,
    ):  # fmt: skip
        super().__init__(monitor, mode, min_delta)
        if patience is not None and (not isinstance(patience, int) or patience < 1):
            raise ValueError(
                f"EarlyStopping: patience must be a positive integer or None, got {patience!r}"
            )
        self.patience, self.restore_best = patience, restore_best
        self.waited = 0
        self.weights: dict | None = None

    def on_epoch_end(self, trainer, row):
        """Counts epochs without progress."""
        if self.improved(trainer, row):
            self.waited = 0
            if self.restore_best:
                state = trainer.model.state_dict()
                self.weights = {k: v.detach().clone() for k, v in state.items()}
            return
        self.waited += 1
        if self.patience is not None and self.waited >= self.patience:
            name = self.monitor or trainer.monitor_of(row)
            trainer.stop = f"{name} has not improved since epoch {self.best_epoch}"

    def on_fit_end(self, trainer):
        """Puts the best weights back."""
        if self.restore_best and self.weights is not None:
            trainer.model.load_state_dict(self.weights)

    def state_dict(self):
        """The best value, how long ago it was, and the best weights."""
        return {**super().state_dict(), "waited": self.waited, "weights": self.weights}

    def load_state_dict(self, state):
        """Go on from a `state_dict`."""
        super().load_state_dict(state)
        self.waited, self.weights = state["waited"], state["weights"]


class Checkpoint(Monitor):
    """Keeps ``last.safetensors`` (to resume from) and ``best.safetensors`` (the weights of the best
    epoch) in the folder `out`, and writes ``config.json``. OSError when the disk is full."""

    def __init__(self, out, monitor: str | None = None, mode: str = "auto",
                 config: dict | None = None):  # fmt: skip
        super().__init__(monitor, mode)
        self.out = pathlib.Path(out)
        self.config = config

    @property
    def last(self) -> pathlib.Path:
        """Where the whole state is."""
        return self.out / "last.safetensors"

    @property
    def best_path(self) -> pathlib.Path:
        """Where the best weights are."""
        return self.out / "best.safetensors"

    def on_fit_start(self, trainer):
        """Makes the folder and writes the configuration."""
        self.out.mkdir(parents=True, exist_ok=True)
        config = {**trainer.describe(), **(self.config or {})}
        checkpoint.save_text(self.out / "config.json", json.dumps(config, indent=2) + "\n")

    def on_epoch_end(self, trainer, row):
        """Saves the best weights, where they are, and then the whole state."""
        if self.improved(trainer, row) or not self.best_path.exists():
            known = {k: v for k, v in row.items() if k != "seconds"}  # the same bits every time
            about = {"format": "pt", **known}
            checkpoint.save_weights(trainer.model.state_dict(), self.best_path, about)
        trainer.save_checkpoint(self.last)

    def on_interrupt(self, trainer):
        """Saves the whole state in the middle of an epoch."""
        trainer.save_checkpoint(self.last)
        if not self.best_path.exists():
            about = {"format": "pt", "epoch": trainer.epoch}
            checkpoint.save_weights(trainer.model.state_dict(), self.best_path, about)


class CSVLogger(Callback):
    """Keeps the history in a CSV file, rewritten as a whole after each epoch."""

    def __init__(self, path):
        self.path = pathlib.Path(path)

    def on_epoch_end(self, trainer, row):
        """Writes all rows."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.save_text(self.path, trainer.history.to_csv())


class LRSchedule(Callback):
    """Steps a learning-rate schedule.

    Args:
        schedule: "cosine", "onecycle", "plateau", a scheduler, or a function of the optimizer.
        interval: "batch" or "epoch"; None: as fits the schedule.
        monitor: the column a plateau scheduler follows; None: val_loss, or loss.
    """

    def __init__(self, schedule, interval: str | None = None, monitor: str | None = None):
        if interval not in (None, "batch", "epoch"):
            raise ValueError(f"LRSchedule: interval must be 'batch' or 'epoch', got {interval!r}")
        self.schedule, self.interval, self.monitor = schedule, interval, monitor
        self.scheduler: Any = None
        self._held: dict = {}  # a state loaded before there is a scheduler

    def on_fit_start(self, trainer):
        """Makes the scheduler. "cosine" and "onecycle" span one call of fit: another call starts
        them again from the first learning rate."""
        if self.scheduler is not None and self.schedule not in ("cosine", "onecycle"):
            return
        if self.scheduler is not None or self._held:
            for group in trainer.optimizer.param_groups:
                group["lr"] = group.pop("initial_lr", group["lr"])
        if isinstance(self.schedule, str) and trainer.steps is None:
            raise ValueError(
                f"LRSchedule: {self.schedule!r} needs to know the number of batches; give the data "
                "set a length or pass a scheduler"
            )
        self.scheduler, natural = choices.make_schedule(
            self.schedule, trainer.optimizer, trainer.steps or 1, trainer.last_epoch - trainer.epoch
        )
        self.interval = self.interval or natural
        if self._held and self.schedule not in ("cosine", "onecycle"):
            self.scheduler.load_state_dict(self._held)
        self._held = {}

    def on_batch_end(self, trainer):
        """Steps a schedule by batches."""
        if self.interval == "batch":
            self.scheduler.step()

    def on_epoch_end(self, trainer, row):
        """Steps a schedule by epochs."""
        if self.interval != "epoch":
            return
        if isinstance(self.scheduler, lamina.optim.lr_scheduler.ReduceLROnPlateau):
            name = self.monitor or ("val_loss" if "val_loss" in row else "loss")
            self.scheduler.step(row[name])
        else:
            self.scheduler.step()

    def state_dict(self):
        """The scheduler's state."""
        held = self._held if self.scheduler is None else self.scheduler.state_dict()
        return {"scheduler": held} if held else {}

    def load_state_dict(self, state):
        """Go on from a `state_dict`."""
        if "scheduler" not in state:
            return
        saved = state["scheduler"]
        if self.scheduler is None:
            self._held = saved
            return
        if self.schedule == "onecycle":  # the length of the run is fit's to say
            saved = {k: saved[k] for k in ("last_epoch", "_step_count", "_last_lr")}
        self.scheduler.load_state_dict(saved)


class GradClip(Callback):
    """Scales gradients before each step so that their norm is at most `max_norm`:
    g <- g * min(1, max_norm / ||g||), over all parameters together."""

    replayable = True

    def __init__(self, max_norm: float, norm_type: float = 2.0):
        if not max_norm > 0:
            raise ValueError(f"GradClip: max_norm must be positive, got {max_norm}")
        self.max_norm, self.norm_type = max_norm, norm_type

    def on_backward(self, trainer):
        """Clips."""
        lamina.nn.utils.clip_grad_norm_(trainer.model.parameters(), self.max_norm, self.norm_type)
