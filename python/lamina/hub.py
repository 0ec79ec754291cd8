"""Loading published weights from files that are already on this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlparse

from ._refuse import refused

HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")  # in a file's name: the first digits of its SHA-256
_directory: str | None = None


def set_dir(d) -> None:
    """Sets where files are looked for."""
    global _directory
    _directory = os.fspath(d)


def get_dir() -> str:
    """Where files are looked for: what `set_dir` set, else ``LAMINA_HOME``/hub, else
    ~/.cache/lamina/hub."""
    if _directory is not None:
        return _directory
    home = os.environ.get("LAMINA_HOME", os.path.join("~", ".cache", "lamina"))
    return os.path.join(os.path.expanduser(home), "hub")


def _get_torch_home() -> str:
    """The directory that holds `get_dir`."""
    return os.path.dirname(get_dir())


def load_state_dict_from_url(url, model_dir=None, map_location=None, progress=True,
                             check_hash=False, file_name=None, weights_only=True):  # fmt: skip
    """The weights in the file that `url` names, from `model_dir` (default: checkpoints below
    `get_dir`). Nothing is downloaded.

    Raises FileNotFoundError, with the place the file belongs, when it is not there.
    """
    from .serialization import load

    folder = Path(model_dir or os.path.join(get_dir(), "checkpoints"))
    path = folder / (file_name or os.path.basename(urlparse(url).path))
    if not path.exists():
        raise FileNotFoundError(
            f"load_state_dict_from_url: {path} does not exist, and nothing is downloaded; fetch "
            f"{url} and put it there"
        )
    return load(path, map_location=map_location)


load = refused("hub.load", "import the model's Python code", "Running code from repositories")
download_url_to_file = refused("hub.download_url_to_file", "download it with another program")
