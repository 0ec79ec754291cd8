"""Races between the threads and blocks of a launch, found on the emulated device (race.cpp).

The small kernels of race_cases.cpp are compiled here. The tests of the backend's own kernels need
``-DLAMINA_CUDA_RACES=ON``: the library lies beside the module, or LAMINA_CUDA_RACES names it.
"""

import os
import pathlib
import shutil
import subprocess

import pytest

import lamina
from other_library import run_pytest

HERE = pathlib.Path(__file__).parent
SOURCES = HERE.parent / "cuda"
LIBRARY = pathlib.Path(
    os.environ.get("LAMINA_CUDA_RACES")
    or pathlib.Path(lamina.__file__).parent / "liblamina_cuda_races.so"
)
built = pytest.mark.skipif(not LIBRARY.exists(), reason="the library that looks for races is not")
pytestmark = pytest.mark.cpu_only


def test_cases(tmp_path):
    """Every kernel with a race is told from the same one without it."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if not compiler or not SOURCES.exists():
        pytest.skip("no C++ compiler, or no sources")
    command = [compiler, "-std=c++20", "-DLAMINA_RACES", "-I", SOURCES / "emulate", "-I", SOURCES,
               "-I", SOURCES.parent / "cpp", "-c"]  # fmt: skip
    objects = []
    for file in [*sorted((SOURCES / "emulate").glob("*.cpp")), HERE / "race_cases.cpp"]:
        objects.append(tmp_path / f"{file.stem}.o")
        watched = ["-O1", "-g1", "-fsanitize=thread"] if file.parent == HERE else ["-O2"]
        subprocess.run([*command, *watched, file, "-o", objects[-1]], check=True)
    subprocess.run([compiler, *objects, "-ldl", "-pthread", "-o", tmp_path / "cases"], check=True)
    done = subprocess.run([tmp_path / "cases"], capture_output=True, text=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert not [line for line in lines if line[1] != line[2]] and done.returncode == 0
    assert sum(wanted == "race" for _, wanted, _ in lines) >= 20 and len(lines) >= 40
    assert "of shared memory" in done.stderr and "of global memory" in done.stderr


@built
def test_kernels():
    """Tensor cores with their asynchronous copies, sorting, normalisation."""
    code, said = run_pytest(LIBRARY, "test_cuda_products.py")
    assert code == 0, said[-4000:]
    rows = ["test_rows.py", "--device", "cuda", "-k"]
    code, said = run_pytest(LIBRARY, *rows, "(sort or norm or softmax) and test_value")
    assert code == 0, said[-4000:]


@built
def test_a_barrier_less():
    lines = (SOURCES / "reduce.h").read_text().splitlines()
    barrier = max(i for i, line in enumerate(lines, 1) if "__syncthreads()" in line)
    code, said = run_pytest(LIBRARY, "test_rows.py", "--device", "cuda", "-k",
                            "batch_norm and test_value",
                            LAMINA_RACES_WITHOUT=f"reduce.h:{barrier}")  # fmt: skip
    assert code != 0 and "a read of shared memory" in said and "group_all" in said, said[-4000:]
