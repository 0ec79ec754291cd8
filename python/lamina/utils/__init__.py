"""Helpers around training; `lamina.utils.data` feeds it."""

from __future__ import annotations

import importlib as _importlib

_LAZY = (
    "attacks", "checkpoint", "data", "decomposition", "dlpack", "hooks", "mixing", "model_zoo",
    "tensorboard", "_pytree",
)  # fmt: skip


def __getattr__(name: str):
    if name in _LAZY:
        return _importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module 'lamina.utils' has no attribute {name!r}")
