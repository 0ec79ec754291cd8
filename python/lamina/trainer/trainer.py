"""The trainer: fit, evaluate and predict around any module."""

from __future__ import annotations

import copy
import itertools
import pathlib
import time
from typing import Any

import lamina
from lamina import metrics as metrics_of
from lamina import nn

from . import checkpoint, choices, feed
from .applying import Applying
from .callbacks import Callback, Checkpoint, CSVLogger, EarlyStopping, GradClip, LRSchedule
from .history import History
from .interrupt import Interrupt
from .progress import Progress
from .step import step_of

CLASSIFYING = {"cross_entropy", "nll_loss", "CrossEntropyLoss", "NLLLoss"}


class NonFiniteLoss(RuntimeError):
    """The loss, or a weight, became NaN or infinite."""


class Trainer:
    """Trains, evaluates and applies a model.

    Args:
        model: an nn.Module; batches are (inputs..., target) and ``model(*inputs)`` is called.
        loss: "cross_entropy", "mse", "l1", "smooth_l1", "huber", "nll", "bce", "bce_with_logits",
            "kl_div", or any function or module (output, target) -> scalar.
        optimizer: "sgd", "adam", "adamw", "rmsprop", "adagrad" with PyTorch's defaults, an
            Optimizer, or a class or function of the parameters.
        metrics: names ("accuracy", "top5") or `lamina.metrics.Metric`s; None: accuracy where the
            loss is a classifier's, else none.
        lr: learning rate; None: the optimizer's default.
        device: where model and batches are moved; None: left where they are.
        seed: of the order of the batches, and of lamina's generator when training begins.
        callbacks: more `Callback`s.
        scheduler: see `LRSchedule`.
        clip_grad_norm: see `GradClip`.
        out: folder for ``last.safetensors``, ``best.safetensors``, ``history.csv`` and
            ``config.json``; None: nothing is written.
        monitor: the column that decides what is best; None: validation's first metric, or its
            loss, or the training's.
        restore_best: put the best weights back at the end of `fit`.
        progress: print rows, and a live line on a terminal.
        config: what else ``config.json`` should hold.
        compile: replay the step from a plan (see `lamina.compile`): the same bits, sooner. A step
            that cannot be replayed says so once and runs eagerly, as one with callbacks that look
            at gradients does.

    Raises ValueError for unknown names and TypeError for arguments of the wrong kind.

    >>> x = lamina.linspace(-1, 1, 64).reshape(64, 1)
    >>> y = (x.flatten() > 0).long()
    >>> trainer = Trainer(nn.Linear(1, 2), "cross_entropy", "adam", lr=0.1, progress=False)
    >>> history = trainer.fit((x, y), epochs=30)
    >>> trainer.evaluate((x, y))["accuracy"] > 0.9
    True
    """

    def __init__(
        self, model, loss: Any = "cross_entropy", optimizer: Any = "adam", metrics: Any = None, *,
        lr: float | None = None, device=None, seed: int | None = None, callbacks=(),
        scheduler=None, clip_grad_norm: float | None = None, out=None, monitor: str | None = None,
        restore_best: bool = False, progress: bool = True, config: dict | None = None,
        compile: bool = True,
    ):  # fmt: skip
        if not isinstance(model, nn.Module):
            raise TypeError(f"Trainer: model must be an nn.Module, got {type(model).__name__}")
        self.model = model if device is None else model.to(device)
        self.device, self.seed, self.monitor = device, seed, monitor
        self.loss = choices.loss_function(loss)
        self.optimizer = choices.make_optimizer(optimizer, model, lr)
        if metrics is None:
            kind = getattr(self.loss, "__name__", type(self.loss).__name__)
            metrics = ("accuracy",) if kind in CLASSIFYING else ()
        elif isinstance(metrics, (str, metrics_of.Metric)):
            metrics = (metrics,)
        self.metrics = [metrics_of.get(m) for m in metrics]
        self.train_loss = metrics_of.Mean("loss")
        self.history = History()
        self.epoch = self.last_epoch = 0  # epochs done; where `fit` ends
        self.batch = 0  # steps done of the present epoch
        self.steps: int | None = None  # batches per epoch, where that is known
        self.stop: str | None = None  # a callback's reason to end the run
        self._generator = lamina.Generator()
        self._generator.manual_seed(lamina.initial_seed() if seed is None else seed)
        self._batches: Any = None
        self.compile = compile
        self.compiled: Any = None  # the replayed step
        self._epoch_start: dict = {}  # random numbers at the start of the present epoch
        self.out = None if out is None else pathlib.Path(out)
        self.callbacks: list[Callback] = list(callbacks)
        if scheduler is not None:
            scheduled = isinstance(scheduler, LRSchedule)
            self.callbacks.append(scheduler if scheduled else LRSchedule(scheduler))
        if clip_grad_norm is not None:
            self.callbacks.append(GradClip(clip_grad_norm))
        if restore_best and not any(isinstance(c, EarlyStopping) for c in self.callbacks):
            self.callbacks.append(EarlyStopping(patience=None))
        if self.out is not None:
            self.callbacks += [
                CSVLogger(self.out / "history.csv"),
                Checkpoint(self.out, monitor, config=config),
            ]
        if progress:
            self.callbacks.append(Progress())

    # ---- training ----------------------------------------------------------------------------
    def fit(
        self,
        train,
        valid=None,
        epochs: int = 1,
        batch_size: int = 64,
        *,
        shuffle: bool = True,
        num_workers: int = 0,
        drop_last: bool = False,
        resume: Any = False,
    ) -> History:
        """Trains for `epochs` more epochs and returns the history.

        Args:
            train, valid: a Dataset, a DataLoader (used as it is), or a tuple (x, y) of tensors or
                arrays. valid is evaluated after each epoch.
            resume: True or a path: first take over ``last.safetensors`` (of `out`), then train
                until `epochs` epochs are done in all. The result has the same bits as that of a
                run that was never stopped.

        The first Ctrl-C ends training after the present batch: the checkpoint is saved, the best
        weights are put back where that was asked, and the history returned has
        ``interrupted=True``. The second raises KeyboardInterrupt at once.

        Raises ValueError for empty data, `NonFiniteLoss` when the loss is NaN or infinite.
        """
        if not isinstance(epochs, int) or epochs < 1:
            raise ValueError(f"fit: epochs must be a positive integer, got {epochs!r}")
        batches = feed.loader(train, "fit", batch_size, shuffle, self._generator, num_workers,
                              drop_last)  # fmt: skip
        held_out = None if valid is None else self._loader(valid, "fit: valid", batch_size)
        self._batches, self.steps, self.stop = batches, feed.count(batches), None
        if not resume and self.batch:  # what an interrupted epoch left
            self.batch = 0
        if self.seed is not None and not self.epoch:
            lamina.manual_seed(self.seed)
        self.last_epoch = epochs if resume else self.epoch + epochs
        self.history.interrupted, self.history.stopped = False, None
        self._call("on_fit_start", self)
        if resume:
            self.load_checkpoint(self._last_path() if resume is True else resume)
            self.last_epoch = epochs
        try:
            with Interrupt(self._say_stopping) as self._interrupt:
                while self.epoch < self.last_epoch and not self._stopping():
                    self._train_epoch(batches)
                    if not self._interrupt.requested:
                        self._end_epoch(held_out)
        except KeyboardInterrupt:
            if self._interrupt.requested:
                raise
            self.history.interrupted = True
        if self._interrupt.requested:
            self.history.interrupted = True
            if self.batch:
                self._check_weights()
                self._call("on_interrupt", self)
        self.history.stopped = self.stop
        self._call("on_fit_end", self)
        return self.history

    def _train_epoch(self, batches) -> None:
        step, mean, on_batch_end = step_of(self), self.train_loss, self._hooks("on_batch_end")
        self.model.train()
        self._clock = time.perf_counter()
        position = self._position(batches)
        self._call("on_epoch_start", self)
        for batch in position:
            inputs, target = self._moved(feed.split(batch, "fit"))
            loss, output = step(*inputs, target)
            self.batch += 1
            mean.update(loss, len(target))
            for metric in self.metrics:
                metric.update(output, target)
            if mean.first_bad is not None:
                break
            for hook in on_batch_end:
                hook(self)
            if self._interrupt.requested or self.stop:
                break
        self._check_loss()

    def _position(self, batches):
        """The epoch's batches: all, or those after where an interrupted run stopped."""
        if not self.batch:
            self._epoch_start = checkpoint.random_state(batches)
            for metric in (self.train_loss, *self.metrics):
                metric.reset()
            return iter(batches)
        now = checkpoint.random_state()
        checkpoint.set_random_state(self._epoch_start, batches)
        rest = iter(batches)
        for _ in itertools.islice(
            rest, self.batch
        ):  # draws the order, and passes over what is done
            pass
        checkpoint.set_random_state(now)
        return rest

    def _end_epoch(self, held_out) -> None:
        """Validates, writes the epoch's row and calls the callbacks."""
        if not self.train_loss.seen and not self.train_loss.weight:
            raise ValueError("fit: the training data gave no batches")
        self._check_weights()
        row = {"epoch": self.epoch + 1, "loss": self.train_loss.compute()}
        row.update((m.name, m.compute()) for m in self.metrics)
        if held_out is not None:
            measured = self._measure(held_out, "fit: valid", self._interrupt)
            if self._interrupt.requested:
                return
            row.update((f"val_{name}", value) for name, value in measured.items())
        row = {k: v for k, v in row.items() if isinstance(v, (int, float))}
        row["lr"] = float(self.optimizer.param_groups[0]["lr"])
        row["seconds"] = time.perf_counter() - self._clock
        self.epoch, self.batch = self.epoch + 1, 0
        self.history.append(row)
        self._call("on_epoch_end", self, row)

    def _check_loss(self) -> None:
        self.train_loss.read()
        at = self.train_loss.first_bad
        if at is not None:
            self._not_finite(f"the loss is {self.train_loss.bad_value}", f"batch {at + 1}")

    def _check_weights(self) -> None:
        for name, weight in self.model.named_parameters():
            if weight.dtype.is_floating_point and not bool(lamina.isfinite(weight.detach()).all()):
                self._not_finite(f"weight {name!r} is not finite", f"after batch {self.batch}")

    def _not_finite(self, what: str, where: str) -> None:
        kept = "no checkpoint was kept"
        if self.out is not None and self._last_path().exists():
            kept = f"the last good checkpoint is kept: {self._last_path()} (epoch {self.epoch})"
        raise NonFiniteLoss(
            f"fit: {what} in epoch {self.epoch + 1}, {where} "
            f"(lr {self.optimizer.param_groups[0]['lr']:g}); {kept}. Try a smaller lr or "
            "clip_grad_norm, and look for NaN in the data"
        )

    def _stopping(self) -> bool:
        return self._interrupt.requested or self.stop is not None

    def _say(self, text: str) -> None:
        if any(isinstance(c, Progress) for c in self.callbacks):
            print(text, flush=True)

    def _say_stopping(self) -> None:
        if any(isinstance(c, Progress) for c in self.callbacks):
            print("\nstopping after this batch; Ctrl-C again stops at once", flush=True)

    # ---- use -----------------------------------------------------------------------------------
    def evaluate(self, data, batch_size: int = 256, *, num_workers: int = 0) -> dict[str, Any]:
        """The mean loss and the metrics over `data`: {"loss": ..., "accuracy": ...}.

        data as in `fit`. The model is in eval mode meanwhile, and the default generator is left as
        it was. Raises ValueError for empty data.
        """
        return self._measure(self._loader(data, "evaluate", batch_size, num_workers), "evaluate")

    def _measure(self, batches, name: str, interrupt: Interrupt | None = None) -> dict[str, Any]:
        mean = metrics_of.Mean("loss")
        metrics = [copy.copy(m) for m in self.metrics]
        for metric in metrics:
            metric.reset()
        with Applying(self.model):
            for batch in batches:
                inputs, target = self._moved(feed.split(batch, name))
                output = self.model(*inputs)
                mean.update(self.loss(output, target), len(target))
                for metric in metrics:
                    metric.update(output, target)
                if interrupt is not None and interrupt.requested:
                    break
        return {"loss": mean.compute(), **{m.name: m.compute() for m in metrics}}

    def predict(self, data, batch_size: int = 256, *, num_workers: int = 0):
        """The model's outputs for all of `data`, joined along dimension 0.

        data: inputs as one tensor or array, or as in `fit` (targets are left out). Raises
        ValueError for empty data.
        """
        batches = self._loader(data, "predict", batch_size, num_workers)
        outputs = []
        with Applying(self.model):
            for batch in batches:
                parts = batch if isinstance(batch, (tuple, list)) else (batch,)
                inputs = parts[:-1] if len(parts) > 1 else parts
                outputs.append(self.model(*self._moved((inputs, None))[0]))
        return lamina.cat(outputs)

    def _loader(self, data, name, batch_size, num_workers=0):
        generator = lamina.Generator()
        generator.manual_seed(0)  # nothing is shuffled; keeps the default generator out of it
        return feed.loader(data, name, batch_size, False, generator, num_workers)

    def _moved(self, batch):
        """(inputs, target) on the trainer's device."""
        if self.device is None:
            return batch
        inputs, target = batch

        def move(x):  # from page-locked memory without waiting
            return x.to(self.device, non_blocking=True) if isinstance(x, lamina.Tensor) else x

        return [move(x) for x in inputs], move(target)

    # ---- callbacks -----------------------------------------------------------------------------
    def _hooks(self, name: str) -> list:
        """The methods `name` of the callbacks that define it."""
        base = getattr(Callback, name)
        own = [c for c in self.callbacks if getattr(type(c), name, base) is not base]
        return [getattr(c, name) for c in own]

    def _call(self, name: str, *args) -> None:
        for hook in self._hooks(name):
            hook(*args)

    def monitor_of(self, row: dict) -> str:
        """The column that decides what is best: the trainer's `monitor`, or the first metric of
        the validation, or its loss, or the same of the training."""
        names = [m.name for m in self.metrics] + ["loss"]
        ordered = [f"val_{n}" for n in names] + names
        return self.monitor or next(n for n in ordered if n in row)

    # ---- checkpoints ---------------------------------------------------------------------------
    def _last_path(self) -> pathlib.Path:
        if self.out is None:
            raise ValueError("fit: resume=True needs a trainer with out=...; or pass a path")
        return self.out / "last.safetensors"

    def state_dict(self) -> dict[str, Any]:
        """All that decides how training goes on, as nested dicts of tensors and plain values."""
        state: dict[str, Any] = {
            "format": checkpoint.FORMAT, "lamina": lamina.__version__, "epoch": self.epoch,
            "batch": self.batch, "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "callbacks": {k: c.state_dict() for k, c in self._named_callbacks()},
            "history": self.history.rows,
            "random": checkpoint.random_state(self),
        }  # fmt: skip
        if self.batch:  # in the middle of an epoch
            state["epoch_start"] = self._epoch_start
            state["meters"] = [m.state_dict() for m in (self.train_loss, *self.metrics)]
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict` of a trainer made with the same arguments."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, callback in self._named_callbacks():
            if name in state["callbacks"]:
                callback.load_state_dict(state["callbacks"][name])
        self.history.rows = [dict(r) for r in state["history"]]
        self.epoch, self.batch = state["epoch"], state["batch"]
        if self.batch:
            self._epoch_start = state["epoch_start"]
            for meter, held in zip((self.train_loss, *self.metrics), state["meters"]):
                meter.load_state_dict(held)
        checkpoint.set_random_state(state["random"], self)

    def _named_callbacks(self):
        names = [type(c).__name__ for c in self.callbacks]
        return [(f"{n}.{names[:i].count(n)}", c)
                for i, (n, c) in enumerate(zip(names, self.callbacks))]  # fmt: skip

    @property
    def generator(self):
        """Where the order of the batches comes from: the loader's own generator, where `fit` was
        given a loader, else the trainer's."""
        return getattr(self._batches, "generator", None) or self._generator

    def save_checkpoint(self, path) -> None:
        """Saves `state_dict` to `path` in one step. OSError when the disk is full; the file that
        was there before is then untouched."""
        checkpoint.save_state(self.state_dict(), path)

    def load_checkpoint(self, path) -> None:
        """Takes over a file of `save_checkpoint`. FileNotFoundError, or ValueError for another
        kind of file."""
        self.load_state_dict(checkpoint.load_state(path))

    def describe(self) -> dict[str, Any]:
        """What ``config.json`` says of the trainer."""
        groups = self.optimizer.param_groups
        plain = (int, float, str, bool, type(None), tuple, list)
        return {
            "lamina": lamina.__version__,
            "network": type(self.model).__name__,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "loss": getattr(self.loss, "__name__", type(self.loss).__name__),
            "optimizer": type(self.optimizer).__name__,
            "optimizer_options": {
                k: v for k, v in groups[0].items() if isinstance(v, plain) and k != "params"
            },
            "metrics": [m.name for m in self.metrics],
            "seed": self.seed,
            "epochs": self.last_epoch,
        }
