"""The list of models by name, and what their builders share."""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Callable

BUILDERS: dict[str, Callable] = {}


class Weights:
    """Stands for an enumeration of torchvision's trained weights, or one of its members, such as
    ``ResNet18_Weights.DEFAULT``: a name, which no builder takes."""

    def __init__(self, name: str):
        self.name = name

    def __getattr__(self, member: str) -> Weights:
        if member.startswith("_") or not member.isupper():
            raise AttributeError(f"{self.name} has no {member!r}: lamina brings no trained weights")
        return Weights(f"{self.name}.{member}")

    def __repr__(self) -> str:
        return self.name


def builder(make):
    """Registers a function ``name(*, weights=None, progress=True, **kwargs)`` that builds a model.

    lamina brings no trained weights: anything but ``weights=None`` (or torchvision's older
    ``pretrained=False``, also as the first positional argument) raises NotImplementedError.
    `progress` is accepted and does nothing.
    """
    name = make.__name__

    @functools.wraps(make)
    def build(weights=None, progress: bool = True, **kwargs):
        given = kwargs.pop("pretrained", None) or weights
        if given:
            raise NotImplementedError(
                f"{name}: lamina has no trained weights to fetch (asked for {given!r}); use "
                f"weights=None, then model.load_state_dict(lamina.load(path)) with a file of "
                f"torchvision's {name}, whose keys are the same"
            )
        return make(**kwargs)

    BUILDERS[name] = build
    return build


def list_models(module=None, include=None, exclude=None) -> list[str]:
    """The names of all models, sorted.

    Args:
        module: only those defined in this module or package.
        include, exclude: a pattern or patterns (``"resnet*"``) of names to keep, or to leave out.
    """

    def fits(name: str, patterns) -> bool:
        patterns = [patterns] if isinstance(patterns, str) else list(patterns)
        return any(fnmatch.fnmatchcase(name, p) for p in patterns)

    names = [
        name
        for name, build in BUILDERS.items()
        if (module is None or f"{build.__module__}.".startswith(f"{module.__name__}."))
        and (include is None or fits(name, include))
        and (exclude is None or not fits(name, exclude))
    ]
    return sorted(names)


def get_model_builder(name: str) -> Callable:
    """The function that builds a model. Raises ValueError for a name that is none."""
    if name.lower() not in BUILDERS:
        raise ValueError(
            f"get_model_builder: unknown model {name!r}; list_models() gives the {len(BUILDERS)} "
            "names"
        )
    return BUILDERS[name.lower()]


def get_model(name: str, **config):
    """The model of that name: ``get_model("resnet18", num_classes=10)``. Raises ValueError for a
    name that is none."""
    return get_model_builder(name)(**config)
