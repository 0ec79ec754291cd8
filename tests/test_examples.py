"""Every program in examples/ runs, briefly, and learns something."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent / "examples"

# file: (arguments, environment, files of data it needs, least accuracy printed, in percent)
RUNS: dict = {
    "digits_cnn.py": (["--epochs", "4", "--out", "run"], {}, None, 85),
    "mnist_mlp.py": (["--epochs", "1"], {}, "*idx3-ubyte*", 93),
    "mnist_trainer.py": ([], {"EPOCHS": "1"}, "*idx3-ubyte*", 93),
    "cifar_resnet.py": (["--epochs", "1", "--limit", "256"], {}, "data_batch_*", None),
    "char_gpt.py": (["--steps", "30", "--top-k", "10"], {}, "tinyshakespeare.txt", None),
    "char_lstm.py": (["--steps", "30", "--top-k", "10"], {}, "tinyshakespeare.txt", None),
}


def test_every_example_is_run_and_short():
    files = sorted(EXAMPLES.glob("*.py"))
    assert {f.name for f in files} == set(RUNS)
    for file in files:
        assert len(file.read_text().splitlines()) < 150, file.name


@pytest.mark.parametrize("name", RUNS)
def test_example(name, tmp_path):
    arguments, environment, needs, least = RUNS[name]
    if needs is not None:
        where = os.environ.get("LAMINA_DATA")
        if not where or not any(pathlib.Path(where).rglob(needs)):
            pytest.skip(f"LAMINA_DATA has no {needs}")
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments], cwd=tmp_path, text=True, timeout=300,
        env={**os.environ, **environment}, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    if least is not None:
        assert max(map(float, re.findall(r"([\d.]+) %", done.stdout))) > least, done.stdout
    losses = [float(x) for x in re.findall(r"loss ([\d.]+)", done.stdout)]
    assert losses == [] or losses[-1] < losses[0], done.stdout
    if "--out" in arguments:
        assert (tmp_path / "run" / "best.safetensors").exists()
