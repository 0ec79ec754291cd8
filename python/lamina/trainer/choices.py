"""Losses, optimizers and schedules by name."""

from __future__ import annotations

import difflib
import math

import lamina
from lamina.optim import lr_scheduler as schedules

LOSSES = {
    "cross_entropy": "cross_entropy", "nll": "nll_loss", "mse": "mse_loss", "l1": "l1_loss",
    "smooth_l1": "smooth_l1_loss", "huber": "huber_loss", "bce": "binary_cross_entropy",
    "bce_with_logits": "binary_cross_entropy_with_logits", "kl_div": "kl_div",
}  # fmt: skip
OPTIMIZERS = {
    "sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "adagrad": "Adagrad",
}  # fmt: skip
SCHEDULES = ("cosine", "onecycle", "plateau")


def unknown(kind: str, name: str, names) -> ValueError:
    """The error for a name that is not in `names`, with the nearest one as a hint."""
    near = difflib.get_close_matches(str(name), list(names), 1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; choose {', '.join(names)}"
    return ValueError(f"unknown {kind} {name!r}{hint}")


def loss_function(loss):
    """A function (output, target) -> scalar tensor, from a name, a function or a module.

    Raises ValueError for an unknown name, TypeError for what cannot be called.
    """
    if isinstance(loss, str):
        key = loss.lower().removesuffix("_loss")
        if key not in LOSSES:
            raise unknown("loss", loss, LOSSES)
        return getattr(lamina.nn.functional, LOSSES[key])
    if not callable(loss):
        raise TypeError(f"Trainer: loss must be a name or a function, got {type(loss).__name__}")
    return loss


def make_optimizer(optimizer, model, lr):
    """An Optimizer over the model's parameters, from a name, a class or function of the
    parameters, or an Optimizer (then `lr`, when given, replaces its groups' rates).

    Raises ValueError for an unknown name or a model without trainable parameters.
    """
    if isinstance(optimizer, lamina.optim.Optimizer):
        if lr is not None:
            for group in optimizer.param_groups:
                group["lr"] = lr
        return optimizer
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("Trainer: the model has no trainable parameters")
    options = {} if lr is None else {"lr": lr}
    if isinstance(optimizer, str):
        key = optimizer.lower()
        if key not in OPTIMIZERS:
            raise unknown("optimizer", optimizer, OPTIMIZERS)
        return getattr(lamina.optim, OPTIMIZERS[key])(parameters, **options)
    if not callable(optimizer):
        raise TypeError(
            "Trainer: optimizer must be a name, an Optimizer or a function of the parameters, got "
            f"{type(optimizer).__name__}"
        )
    return optimizer(parameters, **options)


def make_schedule(schedule, optimizer, steps: int, epochs: int):
    """(scheduler, "batch" or "epoch": after what it steps).

    schedule: "cosine" (from lr to 0 over the whole run, every batch), "onecycle" (highest at lr,
    every batch), "plateau" (a tenth after 5 epochs without progress), a scheduler of
    lamina.optim.lr_scheduler, or a function of the optimizer that makes one. steps: batches per
    epoch.
    """
    if isinstance(schedule, str):
        total = max(1, steps * epochs)
        if schedule == "cosine":
            cosine = schedules.LambdaLR(
                optimizer, lambda t: (1 + math.cos(math.pi * min(t, total) / total)) / 2
            )
            return cosine, "batch"
        if schedule == "onecycle":
            rates = [group["lr"] for group in optimizer.param_groups]
            cycles = bool({"momentum", "betas"} & set(optimizer.defaults))
            return schedules.OneCycleLR(
                optimizer, rates, total_steps=total + 1, cycle_momentum=cycles
            ), "batch"
        if schedule == "plateau":
            return schedules.ReduceLROnPlateau(optimizer, patience=5), "epoch"
        raise unknown("scheduler", schedule, SCHEDULES)
    if not hasattr(schedule, "step"):
        schedule = schedule(optimizer)
    each_batch = isinstance(schedule, (schedules.OneCycleLR,))
    return schedule, "batch" if each_batch else "epoch"
