"""Files to write in one step, and files to read from."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets


@contextlib.contextmanager
def replacing(path):
    """A binary file to write, which becomes `path` in one step when the block ends.

    It is a file beside `path` (through links, beside what they point to), flushed to the disk and
    renamed, and the folder is flushed after it. When the block or the disk fails the file is
    removed, the old `path` stays, and the error goes on. What is not an ordinary file (a pipe,
    /dev/null) is written to as it is.
    """
    path = os.path.realpath(os.fsdecode(path))
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as file:
            yield file
        return
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(2, "no such folder; create it first", folder)
    beside = os.path.join(folder, f".lamina-{secrets.token_hex(8)}.tmp")
    try:
        with open(beside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(path):
            with contextlib.suppress(OSError):  # not every file system has rights
                os.chmod(beside, os.stat(path).st_mode & 0o7777)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    if os.name == "posix":
        _flush_folder(folder)


def _flush_folder(folder: str) -> None:
    """Makes the renaming last. Where a file system cannot flush a folder, it does so itself."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(handle)


def open_to_write(f):
    """A context with the binary file to write `f` to: `f` itself, or one `replacing` the path."""
    if hasattr(f, "write"):
        if isinstance(f, io.TextIOBase):
            raise TypeError("save: the file is open for text; open it with mode 'wb'")
        return contextlib.nullcontext(f)
    if not isinstance(f, (str, bytes, os.PathLike)):
        raise TypeError(f"save: f must be a path or a binary file, got {type(f).__name__}")
    return replacing(f)


@contextlib.contextmanager
def open_to_read(f):
    """(file, its name for errors, bytes left in it, whether it must end with the data)."""
    if hasattr(f, "read"):
        if isinstance(f, io.TextIOBase):
            raise TypeError("load: the file is open for text; open it with mode 'rb'")
        name = str(getattr(f, "name", None) or f"<{type(f).__name__}>")
        seekable = hasattr(f, "readinto") and hasattr(f, "seekable") and f.seekable()
        file = f if seekable else io.BytesIO(f.read())
        here = file.tell()
        left = file.seek(0, os.SEEK_END) - here
        file.seek(here)
        yield file, name, left, False
        return
    if not isinstance(f, (str, bytes, os.PathLike)):
        raise TypeError(f"load: f must be a path or a binary file, got {type(f).__name__}")
    with open(f, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        yield file, os.fsdecode(f), size, True
