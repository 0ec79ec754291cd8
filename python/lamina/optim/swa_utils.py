"""Averages of the parameters along training, and the schedule that goes with them.

>>> model = lamina.nn.Linear(2, 1)
>>> averaged = lamina.optim.swa_utils.AveragedModel(model)
>>> averaged.update_parameters(model)
>>> int(averaged.n_averaged)
1
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from itertools import chain
from typing import Any

from .. import compiler
from .._core import int64, where
from ..autograd import no_grad
from ..nn.module import Module
from ..nn.normalization import _BatchNorm
from ..ops.creation import tensor
from .lr_scheduler.base import LRScheduler, per_group

__all__ = ["SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn",
           "get_swa_multi_avg_fn", "update_bn"]  # fmt: skip


def _check_decay(decay: float) -> None:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1]")


def get_ema_avg_fn(decay: float = 0.999) -> Callable:
    """a, p, n -> decay * a + (1 - decay) * p: the exponential moving average (Polyak averaging
    with forgetting). ValueError for a decay outside [0, 1]."""
    _check_decay(decay)

    def average(averaged, current, count):
        return averaged.lerp(current, 1 - decay)

    return average


def get_swa_avg_fn() -> Callable:
    """a, p, n -> a + (p - a) / (n + 1): the mean of all (Izmailov et al., 2018)."""

    def average(averaged, current, count):
        return averaged + (current - averaged) / (count + 1)

    return average


def _all_at_once(one: Callable) -> Callable:
    def average(averaged, current, count) -> None:
        with no_grad():
            for a, p in zip(averaged, current):
                if a.dtype.is_floating_point:
                    a.copy_(one(a, p, count))
                else:
                    a.copy_(p)

    return average


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable:
    """`get_ema_avg_fn` on lists, in place; integers are copied."""
    return _all_at_once(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> Callable:
    """`get_swa_avg_fn` on lists, in place; integers are copied."""
    return _all_at_once(get_swa_avg_fn())


class AveragedModel(Module):
    """A copy of a model, ``module``, whose parameters are averages of the model's.

    Call ``update_parameters(model)`` after steps (or epochs); the first call copies.

    Args:
        model: the module; copied. device: of the copy.
        avg_fn: (averaged, current, number averaged) -> new average of one parameter; None: the
            mean (`get_swa_avg_fn`). multi_avg_fn: the same on lists of all, in place.
        use_buffers: average the buffers too; otherwise they are copied.

    The buffer ``n_averaged`` counts. Called like the model. Raises AssertionError for two
    functions.

    Izmailov et al., "Averaging weights leads to wider optima and better generalization" (2018);
    Polyak and Juditsky, "Acceleration of stochastic approximation by averaging" (1992).
    """

    def __init__(self, model: Module, device=None, avg_fn: Callable | None = None,
                 multi_avg_fn: Callable | None = None, use_buffers: bool = False):  # fmt: skip
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, dtype=int64))
        self.avg_fn, self.multi_avg_fn = avg_fn, multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args, **kwargs):
        """The averaged model's result."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the model's parameters into the average."""
        ours, theirs = list(self.module.parameters()), list(model.parameters())
        our_buffers, their_buffers = list(self.module.buffers()), list(model.buffers())
        if self.use_buffers:
            ours, theirs = list(chain(ours, our_buffers)), list(chain(theirs, their_buffers))
        recording = compiler.active is not None  # then the count is not read
        count = 1 if recording else int(self.n_averaged)
        with no_grad():
            a, p = [x.detach() for x in ours], [x.detach() for x in theirs]
            averaged = a if recording else ()
            if count == 0:
                for x, y in zip(a, p):
                    x.copy_(y)
            elif self.avg_fn is not None:
                for x, y in zip(a, p):
                    x.copy_(self.avg_fn(x, y, self.n_averaged))
            else:
                (self.multi_avg_fn or get_swa_multi_avg_fn())(a, p, self.n_averaged)
            for x, y in zip(averaged, p):
                x.copy_(where(self.n_averaged == 0, y, x))
            if not self.use_buffers:
                for x, y in zip(our_buffers, their_buffers):
                    x.detach().copy_(y.detach())
            self.n_averaged += 1


def update_bn(loader, model: Module, device=None) -> None:
    """Compute the running statistics of the model's batch normalisations anew, as plain means
    over one pass of the loader: what an averaged model needs before evaluation.

    loader: gives inputs, or tuples or lists that begin with them. The model's mode is restored.
    """
    layers = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    if not layers:
        return
    momenta = [m.momentum for m in layers]
    was_training = model.training
    model.train()
    try:
        for m in layers:
            m.reset_running_stats()
            m.momentum = None  # a plain mean
        with no_grad():
            for batch in loader:
                x = batch[0] if isinstance(batch, (list, tuple)) else batch
                model(x if device is None else x.to(device))
    finally:
        for m, momentum in zip(layers, momenta):
            m.momentum = momentum
        model.train(was_training)


class SWALR(LRScheduler):
    """Goes from each group's learning rate to swa_lr within anneal_epochs, and stays there:
    lr_t = swa_lr * a(t / anneal_epochs) + lr_0 * (1 - a), a(x) = x or (1 - cos(pi x)) / 2.

    optimizer, last_epoch: see `LRScheduler`. swa_lr: a number, or one per group.
    anneal_strategy: "cos" or "linear". Raises ValueError for other values.
    """

    def __init__(self, optimizer, swa_lr, anneal_epochs: int = 10, anneal_strategy: str = "cos",
                 last_epoch: int = -1):  # fmt: skip
        for value, group in zip(per_group("swa_lr", optimizer, swa_lr), optimizer.param_groups):
            group["swa_lr"] = value
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        """a: how much of the way to swa_lr has been gone at a step."""
        x = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return x if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * x)) / 2

    def get_lr(self) -> list[Any]:
        """The rates one step further on the way from where the present ones came from."""
        self._check_within_step()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        values = []
        for group, lr in zip(self.optimizer.param_groups, self._unchanged()):
            end = group["swa_lr"]
            start = end if before == 1 else (lr - before * end) / (1 - before)
            values.append(end * now + start * (1 - now))
        return values
