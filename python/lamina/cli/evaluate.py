"""``lamina eval``."""

from __future__ import annotations

import pathlib

from lamina import serialization
from lamina.trainer import Trainer

from . import data, folder


def run(options) -> int:
    """Prints loss and accuracy of a run's best model on the held-out images."""
    held = folder.config(options.run)
    model = folder.best_model(options.run, held)
    source = data.load(
        options.data or held["data"], augment=False, pixels=(held["mean"], held["std"])
    )
    if list(source.shape) != held["shape"] or len(source.classes) != len(held["classes"]):
        raise ValueError(
            f"data {source.name}: {len(source.classes)} classes of images {source.shape} do not "
            f"fit the model's {len(held['classes'])} classes of {tuple(held['shape'])}"
        )
    trainer = Trainer(model, "cross_entropy", progress=False, device=options.device)
    result = trainer.evaluate(source.held_out)
    print(f"{options.run}: {100 * result['accuracy']:.2f} % of {len(source.held_out):,} held-out "
          f"images right, loss {result['loss']:.4f}{_epoch(options.run)}")  # fmt: skip
    return 0


def _epoch(run: str) -> str:
    """ " (epoch 9)" from the weights' metadata."""
    about = serialization.load_metadata(pathlib.Path(run) / "best.safetensors")
    return f" (epoch {about['epoch']})" if "epoch" in about else ""
