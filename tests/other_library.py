"""Runs tests in a process of their own that opens another CUDA library."""

import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent


def run_pytest(library, *args, **environment):
    """(exit code, what pytest printed) of ``pytest *args`` among these tests."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *args],
        cwd=HERE, env={**os.environ, "LAMINA_CUDA_LIBRARY": str(library), **environment},
        capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr
