"""What is installed: import time and weight, the compiled module's needs, environment variables."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

import lamina
from lamina import _core

SO = pathlib.Path(_core.__file__)
PACKAGE = pathlib.Path(lamina.__file__).parent


def python(code: str, **env) -> str:
    """The output of a fresh interpreter."""
    path = os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]))
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": path, **env}, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_import_is_light():
    heavy = python(
        "import sys, lamina\n"
        "print([m for m in ('numpy', 'torch', 'scipy_openblas32', 'multiprocessing', 'argparse')"
        " if m in sys.modules])"
    )
    assert heavy == "[]"


def test_training_does_not_import_numpy():
    used = python(
        "import sys, lamina\n"
        "x = lamina.ones(4, 3, requires_grad=True)\n"
        "(x * 2).sum().backward()\n"
        "print('numpy' in sys.modules)"
    )
    assert used == "False"


@pytest.mark.skipif(not shutil.which("readelf"), reason="needs readelf")
def test_the_module_needs_only_the_system():
    dynamic = subprocess.run(["readelf", "-d", SO], capture_output=True, text=True).stdout
    needed = set(re.findall(r"\(NEEDED\).*\[(.+?)\]", dynamic))
    allowed = r"lib(stdc\+\+|m|gcc_s|c|dl|pthread|rt|asan|ubsan|tsan)\.so|ld-linux"
    assert all(re.match(allowed, n) for n in needed), needed
    paths = re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.+?)\]", dynamic)
    assert not [p for p in paths if p.startswith("/")], paths


def test_no_absolute_paths_inside():
    data = SO.read_bytes()
    home = str(pathlib.Path(__file__).resolve().parent.parent).encode()
    assert home not in data


def test_instruction_set_by_environment():
    code = "from lamina import _core; print(_core.isa())"
    for isa in _core.available_isas():
        assert python(code, LAMINA_ISA=isa) == isa
    assert python(code, LAMINA_ISA="mmx") == _core.available_isas()[0]  # and says why on stderr


def test_threads_by_environment():
    code = "import lamina; print(lamina.get_num_threads())"
    assert python(code, LAMINA_THREADS="3") == "3"
    affine = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); " + code
    assert python(affine, LAMINA_THREADS="") == "1"


def test_threads_survive_fork():
    code = (
        "import os, lamina\n"
        "lamina.set_num_threads(3)\n"
        "x = lamina.ones(1000000)\n"
        "want = x.exp().sum().item()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os._exit(0 if x.exp().sum().item() == want else 1)\n"
        "print(os.waitpid(pid, 0)[1])"
    )
    assert python(code) == "0"


def test_setting_threads():
    before = lamina.get_num_threads()
    try:
        lamina.set_num_threads(2)
        assert lamina.get_num_threads() == 2
        with pytest.raises((ValueError, RuntimeError), match="num_threads"):
            lamina.set_num_threads(0)
    finally:
        lamina.set_num_threads(before)


def test_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+", lamina.__version__)


def test_names_of_stems_imported_later():
    """The table in lamina.ops says what each of those modules lists."""
    for stem, names in lamina.ops._LATER.items():
        assert lamina.ops._stem(stem).__all__ == names.split(), stem
        for name in names.split():
            own = lamina.ops._stem(lamina.ops._STEM_OF[name])
            assert getattr(lamina, name) is getattr(own, name)
            assert name in dir(lamina)
