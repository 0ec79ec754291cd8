"""``lamina train``."""

from __future__ import annotations

import functools
import os
import pathlib
import sys

import lamina
from lamina.trainer import Trainer, checkpoint

from . import data, folder, models


def run(options) -> int:
    """Trains as the options say; 0 when done, 130 when interrupted."""
    held = folder.config(options.resume) if options.resume else {}
    if options.resume:
        changed = [f"--{o}" for o in ("data", "model", "optimizer", "lr", "seed", "out")
                   if getattr(options, o) is not None]  # fmt: skip
        changed += ["--batch-size"] if options.batch_size is not None else []
        if changed:
            raise ValueError(
                f"--resume goes on with the run's own options; leave out {', '.join(changed)}"
            )
    name = held.get("data") or options.data or "digits"
    model_name = held.get("model") or options.model or "cnn"
    seed = held.get("seed", options.seed) or 0
    given = {k: held.get(k) for k in ("epochs", "batch_size", "scheduler", "lr")}
    given["optimizer"] = held.get("optimizer_name")
    for k in ("epochs", "batch_size", "lr", "optimizer"):
        if getattr(options, k) is not None:
            given[k] = getattr(options, k)
    source = data.load(name)
    if ".py:" in model_name:
        path, _, attribute = model_name.rpartition(":")
        model_name = f"{os.path.abspath(path)}:{attribute}"
    chosen = models.settings(source.kind, model_name, given)
    out = pathlib.Path(options.resume) if options.resume else folder.new(
        options.out, name, model_name)  # fmt: skip

    last = out / "last.safetensors"
    resume = bool(options.resume) and last.exists()
    if options.resume and not resume:
        folder.check_unstarted(out)
    if resume and (done := checkpoint.load_state(last)["epoch"]) >= chosen["epochs"]:
        print(f"{out} is complete, with {done} epochs; for more: lamina train --resume {out} "
              f"--epochs {done + chosen['epochs']}")  # fmt: skip
        return 0
    lamina.manual_seed(seed)
    model = models.build(model_name, source.shape, len(source.classes))
    config = {
        "data": source.name, "model": model_name, "shape": list(source.shape),
        "classes": source.classes, "mean": list(source.mean), "std": list(source.std),
        "optimizer_name": chosen["optimizer"], "lr": chosen["lr"],
        "batch_size": chosen["batch_size"], "scheduler": chosen["scheduler"], "seed": seed,
    }  # fmt: skip
    trainer = Trainer(
        model, "cross_entropy", _optimizer(chosen["optimizer"]), lr=chosen["lr"],
        scheduler=chosen["scheduler"], seed=seed, out=out, config=config, device=options.device,
    )  # fmt: skip
    _introduce(source, model_name, model, trainer, chosen, seed)
    history = trainer.fit(
        source.train, source.held_out, chosen["epochs"], chosen["batch_size"],
        resume=resume,
    )  # fmt: skip
    _conclude(out, source, history)
    return 130 if history.interrupted else 0


def _optimizer(name: str):
    """A function of the parameters and lr."""
    kinds = {"adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "adagrad": "Adagrad"}
    if name == "sgd":
        return functools.partial(lamina.optim.SGD, momentum=0.9, weight_decay=5e-4)
    return getattr(lamina.optim, kinds[name])


def _size(shape) -> str:
    return "x".join(str(n) for n in shape)


def _introduce(source, model_name, model, trainer, chosen, seed) -> None:
    weights = sum(p.numel() for p in model.parameters())
    threads = lamina.get_num_threads()
    where = f"{threads} thread{'s' if threads > 1 else ''}"
    if trainer.device is not None and lamina.device(trainer.device).type == "cuda":
        where = lamina.cuda.get_device_name(trainer.device)
    print(f"data   {source.name}: {len(source.train):,} training and {len(source.held_out):,} "
          f"held-out images of {_size(source.shape)}, {len(source.classes)} classes")  # fmt: skip
    print(f"model  {model_name}: {weights:,} parameters")
    print(f"train  {type(trainer.optimizer).__name__}, lr {chosen['lr']:g}, batch "
          f"{chosen['batch_size']}, {chosen['epochs']} epochs, seed {seed}, "
          f"{where}", flush=True)  # fmt: skip


def _conclude(out, source, history) -> None:
    best = history.best("val_accuracy") if "val_accuracy" in history else None
    if not folder.holds_model(out):
        print("nothing was saved")
        return
    if best is not None:
        print(f"saved  {out}: best epoch {best['epoch']}, {100 * best['val_accuracy']:.2f} % of "
              f"{len(source.held_out):,} held-out images right")  # fmt: skip
    else:
        print(f"saved  {out}")
    if history.interrupted:
        print(f"go on  lamina train --resume {out}")
    print(f"use    lamina eval {out}\n       lamina predict {out} 0")
    sys.stdout.flush()
