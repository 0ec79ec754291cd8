"""Helpers around training; `lamina.utils.data` feeds it."""

from __future__ import annotations

import importlib as _importlib


def __getattr__(name: str):
    if name == "data":
        return _importlib.import_module(".data", __name__)
    raise AttributeError(f"module 'lamina.utils' has no attribute {name!r}")
