"""The command ``lamina``: train, eval, predict, bench.

Exit codes: 0 done, 2 an error of the user's or of the machine's (one line on standard error), 130
interrupted with Ctrl-C (the model is kept).
"""

from __future__ import annotations

import os
import sys

from . import arguments


def main(argv=None) -> int:
    """Runs a command line (``sys.argv[1:]`` when None) and returns the exit code."""
    try:
        options = arguments.parse(sys.argv[1:] if argv is None else list(argv))
    except arguments.Usage as error:
        return _fail(error)
    except SystemExit as done:  # --help and --version
        return int(done.code or 0)
    try:
        code = _run(options)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("\nlamina: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has left, as in `lamina train | head`
        sys.stdout = open(os.devnull, "w")
        return 1
    except Exception as error:
        if options.traceback:
            raise
        return _fail(error)


def _run(options) -> int:
    if options.threads is not None:
        import lamina

        lamina.set_num_threads(options.threads)
    if options.command == "train":
        from .train import run
    elif options.command == "eval":
        from .evaluate import run
    elif options.command == "bench":
        from .bench import run
    else:
        from .predict import run
    return run(options)


def _fail(error: BaseException) -> int:
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        text = f"{error.strerror}{where}"
    else:
        text = str(error)
        if not isinstance(error, (OSError, ValueError, RuntimeError, TypeError, ImportError)):
            text = f"{type(error).__name__}: {text}; --traceback shows where"
    print("lamina: error: " + " ".join(text.split()), file=sys.stderr)
    return 2
