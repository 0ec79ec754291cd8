"""The folder of a run: where a new one goes, and the model of an old one."""

from __future__ import annotations

import itertools
import json
import os
import pathlib

from lamina import serialization

from . import models


def holds_model(path: pathlib.Path) -> bool:
    """Whether a run has saved something in the folder."""
    return (path / "best.safetensors").exists() or (path / "last.safetensors").exists()


def check_unstarted(out: pathlib.Path) -> None:
    """FileNotFoundError when a run without last.safetensors has finished epochs: going on would
    train it anew, over its history. (One row may stand there before the first save.)"""
    history = out / "history.csv"
    epochs = len(history.read_text(encoding="utf-8").splitlines()) - 1 if history.exists() else 0
    if epochs >= 2:
        raise FileNotFoundError(
            f"--resume {out}: history.csv tells of {epochs} epochs, but last.safetensors, which "
            "holds their state, is missing; bring it back, or train anew in another folder (--out)"
        )


def new(out: str | None, data: str, model: str) -> pathlib.Path:
    """Where a new run goes: `out`, or runs/DATA-MODEL, runs/DATA-MODEL-2, ... whichever holds no
    model yet. ValueError when `out` holds one."""
    if out is not None:
        path = pathlib.Path(out)
        if path.exists() and not path.is_dir():
            raise ValueError(f"--out {out}: is a file, not a folder")
        if holds_model(path):
            raise ValueError(
                f"--out {out}: already holds a trained model; use another folder, or go on with "
                f"it: lamina train --resume {out}"
            )
        return path
    source = model.rpartition(":")
    model = f"{pathlib.Path(source[0]).stem}-{source[2]}" if source[1] else model
    base = os.path.join("runs", f"{pathlib.Path(data).name}-{model}")
    for i in itertools.count(1):
        path = pathlib.Path(base if i == 1 else f"{base}-{i}")
        if not holds_model(path):
            return path
    raise AssertionError


def config(run: str) -> dict:
    """The configuration of the run in the folder `run`.

    Raises FileNotFoundError when there is none, ValueError when it is broken or of something else.
    """
    path = pathlib.Path(run) / "config.json"
    if not os.path.isdir(run):
        raise FileNotFoundError(f"no run at {run}: no such folder")
    if not path.exists():
        raise FileNotFoundError(f"no run at {run}: it has no config.json")
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not valid JSON: {error}") from error
    missing = {"data", "model", "shape", "classes", "mean", "std"} - set(held)
    if missing:
        raise ValueError(f"{path}: not made by lamina train; it lacks {', '.join(sorted(missing))}")
    return held


def best_model(run: str, held: dict):
    """The run's model with its best weights, in eval mode.

    Raises FileNotFoundError without weights, ValueError where they do not fit the model.
    """
    path = pathlib.Path(run) / "best.safetensors"
    if not path.exists():
        raise FileNotFoundError(f"no trained model at {run}: it has no best.safetensors")
    model = models.build(held["model"], tuple(held["shape"]), len(held["classes"]))
    try:
        model.load_state_dict(serialization.load_file(path))
    except (RuntimeError, KeyError) as error:
        raise ValueError(f"{path}: does not fit the model {held['model']}: {error}") from error
    return model.eval()
