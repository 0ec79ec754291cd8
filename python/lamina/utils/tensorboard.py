"""TensorBoard's SummaryWriter, from the optional package `tensorboard` or `tensorboardX`."""

from __future__ import annotations

import importlib


def _writer():
    for package in ("tensorboardX",):
        try:
            return importlib.import_module(package).SummaryWriter
        except ModuleNotFoundError:
            continue
    raise ModuleNotFoundError(
        "lamina.utils.tensorboard: the package tensorboardX is not installed; pip install "
        "tensorboardX, or log with lamina.Trainer"
    )


SummaryWriter = _writer()
