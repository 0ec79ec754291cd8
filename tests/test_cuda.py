"""The CUDA backend where there is no GPU: its kernels run on the CPU (cuda/emulate/).

The emulated library lies beside the module in development builds, or LAMINA_CUDA_EMULATED names it.
It shows that the kernels' logic is right, not that they are fast or free of races.
"""

import os
import pathlib
import subprocess
import sys

import pytest

import lamina

HERE = pathlib.Path(__file__).parent
LIBRARY = pathlib.Path(
    os.environ.get("LAMINA_CUDA_EMULATED")
    or pathlib.Path(lamina.__file__).parent / "liblamina_cuda_emulated.so"
)
emulated = pytest.mark.skipif(not LIBRARY.exists(), reason="the emulated CUDA device is not built")


def run_pytest(*args, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *args],
        cwd=HERE, env={**os.environ, "LAMINA_CUDA_LIBRARY": str(LIBRARY), **environment},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout.splitlines()[-1]


@emulated
@pytest.mark.parametrize("order", ["forward", "reverse", "shuffled"])
@pytest.mark.parametrize("file", ["device", "layers", "signal"])
def test_device(file, order):
    assert "failed" not in run_pytest(f"test_cuda_{file}.py", LAMINA_EMULATE_ORDER=order)


@emulated
def test_rows():
    summary = run_pytest("test_rows.py", "--device", "cuda", "-k", "test_value",
                         LAMINA_EMULATE_ORDER="reverse")  # fmt: skip
    assert int(summary.split(" passed")[0].split()[-1]) > 200, summary


@pytest.mark.parametrize("library, why", [
    ("no-such-library.so", "LAMINA_CUDA_LIBRARY cannot be opened"),
    (lamina._core.__file__, f"{lamina._core.__file__} is no device library of lamina"),
])  # fmt: skip
def test_a_library_that_does_not_serve(library, why):
    program = (
        "import lamina\n"
        "assert not lamina.cuda.is_available()\n"
        "try: lamina.ones(2).cuda()\n"
        "except lamina.DeviceError as e: print(e)\n"
    )
    env = {**os.environ, "LAMINA_CUDA_LIBRARY": library}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    assert f"cuda is not available ({why}" in done.stdout, done.stderr
