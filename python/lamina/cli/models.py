"""The models of the command line, and with which options they train well.

Each takes the shape of an image (C, H, W) and the number of classes, and gives a module from images
(N, C, H, W) to scores (N, classes).
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import pathlib
import sys

from lamina import nn


def mlp(shape, classes: int):
    """C*H*W-256-128-classes with ReLU and dropout 0.2."""
    C, H, W = shape
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(C * H * W, 256), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(256, 128), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(128, classes),
    )  # fmt: skip


def cnn(shape, classes: int):
    """Two 3x3 convolutions (32, 64) with max pooling, then 128 units with dropout 0.3."""
    C, H, W = shape
    if min(H, W) < 4:
        raise ValueError(f"model cnn: needs images of at least 4x4, got {H}x{W}; use mlp")
    return nn.Sequential(
        nn.Conv2d(C, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * (H // 4) * (W // 4), 128), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(128, classes),
    )  # fmt: skip


def lenet(shape, classes: int):
    """`lamina.vision.models.LeNet5` (LeCun et al., 1998) for images of any size from 12x12 on."""
    C, H, W = shape
    if min(H, W) < 12:
        raise ValueError(f"model lenet: needs images of at least 12x12, got {H}x{W}; use cnn")
    from lamina.vision.models import LeNet5

    return LeNet5(classes, C, (H, W))


def resnet20(shape, classes: int):
    """`lamina.vision.models.resnet20` (He et al., 2016): three stages of three blocks."""
    C, H, W = shape
    if min(H, W) < 4:
        raise ValueError(f"model resnet20: needs images of at least 4x4, got {H}x{W}; use mlp")
    from lamina.vision import models

    return models.resnet20(num_classes=classes, in_channels=C)


MODELS = {"mlp": mlp, "cnn": cnn, "lenet": lenet, "resnet20": resnet20}

# What a run uses where the command line says nothing: (data, model) first, then the model.
DEFAULTS: dict = {
    ("digits", "cnn"): {"epochs": 15, "batch_size": 32, "lr": 2e-3},
    ("digits", "mlp"): {"epochs": 30, "batch_size": 32},
    ("mnist", "mlp"): {"epochs": 5},
    ("mnist", "lenet"): {"epochs": 3, "lr": 2e-3},
    ("cifar10", "cnn"): {"epochs": 10},
    "lenet": {"epochs": 5, "lr": 2e-3},
    "resnet20": {"epochs": 5, "optimizer": "sgd", "lr": 0.1, "scheduler": "onecycle"},
}
GENERAL = {"epochs": 10, "batch_size": 64, "optimizer": "adam", "scheduler": "cosine"}
RATES = {"adam": 1e-3, "adamw": 1e-3, "sgd": 0.05, "rmsprop": 1e-3, "adagrad": 1e-2}


def settings(data: str, model: str, given: dict) -> dict:
    """The options of a run: those `given`, then what suits data and model, then the general."""
    given = {k: v for k, v in given.items() if v is not None}
    usual = {**GENERAL, **DEFAULTS.get(model, {}), **DEFAULTS.get((data, model), {})}
    if given.get("optimizer", usual["optimizer"]) != usual["optimizer"]:
        usual.pop("lr", None)  # another optimizer wants another rate
    result = {**usual, **given}
    result.setdefault("lr", RATES[result["optimizer"]])
    return result


def build(spec: str, shape, classes: int):
    """The module that `spec` names: one of `MODELS`, or FILE.py:name (a module, or a class or
    function that makes one; it gets `shape` and `classes` if it has such arguments).

    Raises FileNotFoundError, ValueError or ImportError, TypeError when it is not an nn.Module.
    """
    if spec in MODELS:
        return MODELS[spec](shape, classes)
    path, _, name = spec.rpartition(":")
    if not path or not path.endswith(".py") or not name:
        raise ValueError(f"model {spec!r}: expected FILE.py:name, as in net.py:Net")
    if not os.path.isfile(path):
        raise FileNotFoundError(f"model {spec!r}: no such file: {path}")
    maker = _from_file(pathlib.Path(path), name)
    if isinstance(maker, nn.Module):
        return maker
    if not callable(maker):
        raise TypeError(f"model {spec!r}: {name} is {type(maker).__name__}, not an nn.Module")
    offered = {"shape": tuple(shape), "classes": classes, "num_classes": classes}
    wanted = inspect.signature(maker).parameters
    model = maker(**{k: v for k, v in offered.items() if k in wanted})
    if not isinstance(model, nn.Module):
        raise TypeError(f"model {spec!r}: {name}() gives {type(model).__name__}, not an nn.Module")
    return model


def _from_file(path: pathlib.Path, name: str):
    module_name = f"lamina_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ImportError(f"{path}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(folder)
    if not hasattr(module, name):
        names = [k for k, v in vars(module).items() if isinstance(v, type) and
                 issubclass(v, nn.Module) and v.__module__ == module_name]  # fmt: skip
        raise ValueError(f"{path} has no {name!r}; its modules: {', '.join(names) or 'none'}")
    return getattr(module, name)
