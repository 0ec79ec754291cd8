"""Checkpoints: everything a run needs to go on with the same bits.

``last.safetensors`` holds the nested state of a `Trainer` (weights, optimizer, callbacks with the
schedule, random numbers, position, history); ``best.safetensors`` the weights alone. Files are
written beside their name, flushed to the disk and renamed, so that a run killed at any moment
leaves the previous file or the new one, never half of one.
"""

from __future__ import annotations

import os
import random
import sys

import lamina
from lamina import serialization

FORMAT = 1


def write_text(path, text: str) -> None:
    """Replace the file `path` by `text` in one step. OSError leaves the old file as it was."""
    with serialization.replacing(path) as file:
        file.write(text.encode("utf-8"))


def _saving(write, path) -> None:
    try:
        write()
    except OSError as error:
        kept = "; the file saved before is untouched" if os.path.exists(path) else ""
        reason = error.strerror or str(error)
        raise OSError(
            error.errno, f"cannot save {os.fspath(path)}: {reason}{kept}; free space or use "
            "another folder",
        ) from error  # fmt: skip


def save_text(path, text: str) -> None:
    """`write_text`; the OSError says what was kept."""
    _saving(lambda: write_text(path, text), path)


def save_state(state: dict, path) -> None:
    """Save a nested state dict to `path`. OSError (disk full, no permission) says what was kept."""
    _saving(lambda: lamina.save(state, path), path)


def save_weights(weights: dict, path, about: dict) -> None:
    """Save tensors by name as a plain safetensors file with the metadata `about`."""
    about = {k: str(v) for k, v in about.items()}
    _saving(lambda: serialization.save_file(weights, path, metadata=about), path)


def load_state(path) -> dict:
    """The nested state saved at `path`.

    Raises FileNotFoundError, or ValueError when the file is not a checkpoint of a trainer.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f"no checkpoint at {os.fspath(path)}; train first")
    state = lamina.load(path)
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(f"{os.fspath(path)}: not a trainer's checkpoint of format {FORMAT}")
    return state


# ---- random numbers ------------------------------------------------------------------------------
def random_state(loader=None) -> dict:
    """The states of lamina's default generator, of the loader's own one, of Python's `random`, and
    of NumPy's global one where it has been imported."""
    version, words, gauss = random.getstate()
    state = {
        "lamina": lamina.get_rng_state(),
        "python": {"version": version, "words": lamina.tensor(list(words)), "gauss": gauss},
    }
    generator = getattr(loader, "generator", None)
    if generator is not None:
        state["loader"] = generator.get_state()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        kind, words, position, has_gauss, gauss = numpy_random.get_state()
        if kind == "MT19937":
            state["numpy"] = {
                "words": lamina.tensor([int(w) for w in words]), "position": int(position),
                "has_gauss": int(has_gauss), "gauss": float(gauss),
            }  # fmt: skip
    return state


def set_random_state(state: dict, loader=None) -> None:
    """Put all generators into a state of `random_state`."""
    lamina.set_rng_state(state["lamina"])
    python = state["python"]
    words = tuple(int(w) for w in python["words"].tolist())
    random.setstate((python["version"], words, python["gauss"]))
    generator = getattr(loader, "generator", None)
    if generator is not None and "loader" in state:
        generator.set_state(state["loader"])
    if "numpy" in state:
        import numpy

        held = state["numpy"]
        array = numpy.array(held["words"].tolist(), dtype=numpy.uint32)
        last = (held["position"], held["has_gauss"], held["gauss"])
        numpy.random.set_state(("MT19937", array, *last))
