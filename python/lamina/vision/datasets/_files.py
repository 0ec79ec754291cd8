"""Finding, reading and downloading the files of data sets."""

from __future__ import annotations

import gzip
import os
import pathlib
import sys
import zlib
from collections.abc import Iterable, Sequence


class DatasetNotFound(FileNotFoundError, RuntimeError):
    """The files of a data set are in none of the folders searched. A FileNotFoundError, and, as
    torchvision raises in this case, a RuntimeError."""


def folders(root, names: Sequence[str], bare_data: bool = True) -> list[pathlib.Path]:
    """Where files may lie, in order: `root`, its subfolders `names`, then the same in
    $LAMINA_DATA (that folder itself only with `bare_data`)."""
    places = []
    if root is not None:
        base = pathlib.Path(root).expanduser()
        places = [base, *(base / n for n in names)]
    if os.environ.get("LAMINA_DATA"):
        base = pathlib.Path(os.environ["LAMINA_DATA"]).expanduser()
        places += ([base] if bare_data else []) + [base / n for n in names]
    return list(dict.fromkeys(places))


def present(folder: pathlib.Path, names: Iterable[str]) -> pathlib.Path | None:
    """The first of `names` that is a file in `folder`, as it is or with .gz."""
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    return None


def not_found(name: str, files: str, searched: Sequence[pathlib.Path], download: str):
    """The error that says where files were looked for and what to do."""
    places = ", ".join(str(p) for p in searched) or "no folder"
    data = "" if os.environ.get("LAMINA_DATA") else " or set LAMINA_DATA to the folder they lie in"
    return DatasetNotFound(
        f"{name}: found no {files} in {places}; put the files there{data}, or use {download}"
    )


def read(path: pathlib.Path) -> bytes:
    """The contents of a file, unpacked when it is gzipped. Raises ValueError when it is broken."""
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            return gzip.open(file).read() if packed else file.read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"{path}: the gzip file is truncated or damaged ({error}); fetch it again"
        ) from None


def _sum(path: pathlib.Path) -> str:
    """The MD5 sum of a file."""
    import hashlib

    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def download(name: str, urls: Sequence[str], path: pathlib.Path, md5: str) -> None:
    """Downloads a file whose MD5 sum is known from the first of `urls` that answers; nothing
    happens when `path` is that file already.

    The bytes go to a temporary file beside `path`, which takes its place once the sum is right.
    Raises RuntimeError with what went wrong at each address.
    """
    import urllib.error  # here, for they take longer to import than all of this package
    import urllib.request

    if path.is_file() and _sum(path) == md5:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    problems = []
    for url in urls:
        print(f"{name}: downloading {url}", file=sys.stderr)
        try:
            with urllib.request.urlopen(url, timeout=60) as answer, open(temporary, "wb") as file:
                while block := answer.read(1 << 20):
                    file.write(block)
                file.flush()
                os.fsync(file.fileno())
            if (found := _sum(temporary)) == md5:
                os.replace(temporary, path)
                return
            problems.append(f"{url}: MD5 sum {found}, expected {md5}")
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            problems.append(f"{url}: {getattr(error, 'reason', error)}")
        finally:
            temporary.unlink(missing_ok=True)
    raise RuntimeError(f"{name}: cannot download {path.name}: {'; '.join(problems)}")
