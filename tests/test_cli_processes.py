"""The command lamina as a process: pipes, Ctrl-C and kill."""

from __future__ import annotations

import contextlib
import pathlib
import signal
import subprocess
import sys
import time

import pytest

import lamina
from lamina import cli, serialization

FAST = ["train", "--model", "mlp", "--epochs", "2"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Runs go into a folder of their own."""
    monkeypatch.chdir(tmp_path)


@contextlib.contextmanager
def lamina_process(*arguments, **options):
    process = subprocess.Popen(
        [sys.executable, "-m", "lamina", *arguments], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, **options,
    )  # fmt: skip
    try:
        with process:
            yield process
    finally:
        process.kill()


def wait_for_epoch(process, n: int) -> list[str]:
    """Reads until the row of epoch `n`."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.split()[:1] == [str(n)]:
            return lines
    raise AssertionError("ended early: " + "".join(lines))


def test_a_reader_that_leaves():
    with lamina_process(*FAST) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 1


LONG_RUN = ["train", "--model", "mlp", "--epochs", "2000", "--out", "run", "--threads", "1"]


def test_ctrl_c_keeps_the_model(capsys):
    with lamina_process(*LONG_RUN) as process:
        wait_for_epoch(process, 2)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(60) == 130
    assert "stopping after this batch; Ctrl-C again stops at once" in rest
    assert "Traceback" not in rest
    assert "go on  lamina train --resume run" in rest and "saved  run: best epoch" in rest
    assert cli.main(["eval", "run"]) == 0
    done = lamina.load("run/last.safetensors")["epoch"]
    assert 2 <= done < 2000
    assert cli.main(["train", "--resume", "run", "--epochs", str(done + 2)]) == 0
    assert lamina.load("run/last.safetensors")["epoch"] == done + 2


def test_ctrl_c_at_any_moment_shows_no_half_file():
    for delay in (0.02, 0.1, 0.2, 0.25, 0.3):
        with lamina_process(*LONG_RUN) as process:
            time.sleep(delay)
            for _ in range(10):  # while it starts, Python itself may lose one
                process.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=5)
                    break
            assert process.returncode in (130, -signal.SIGINT, 1)
        for path in pathlib.Path().glob("run/*.safetensors"):
            lamina.load(path)
            path.unlink()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill", "ctrl-c"])
def test_a_run_stopped_and_resumed_has_the_same_bits(how, capsys):
    command = ["train", "--model", "mlp", "--epochs", "25", "--threads", "1", "--seed", "3"]
    with lamina_process(*command, "--out", "stopped") as process:
        wait_for_epoch(process, 3)
        process.send_signal(how)
        process.stdout.read()
        process.wait(60)
    assert 2 <= lamina.load("stopped/last.safetensors")["epoch"] < 25
    assert cli.main(["train", "--resume", "stopped", "--threads", "1"]) == 0
    assert cli.main([*command, "--out", "whole"]) == 0
    stopped, whole = (pathlib.Path(d) for d in ("stopped", "whole"))
    ours, theirs = (serialization.load_file(d / "last.safetensors") for d in (stopped, whole))
    assert list(ours) == list(theirs)
    for name, t in theirs.items():
        assert t.shape == ours[name].shape and (t == ours[name]).all(), name
    best = "best.safetensors"
    assert (stopped / best).read_bytes() == (whole / best).read_bytes()
    rows = [(d / "history.csv").read_text().splitlines() for d in (stopped, whole)]
    without_seconds = [[row.rpartition(",")[0] for row in part] for part in rows]
    assert without_seconds[0] == without_seconds[1]


def test_a_run_whose_state_is_lost_is_not_trained_over(capsys):
    assert cli.main([*FAST, "--out", "run", "--threads", "1"]) == 0
    pathlib.Path("run/last.safetensors").unlink()
    history = pathlib.Path("run/history.csv").read_bytes()
    assert cli.main(["train", "--resume", "run", "--epochs", "3"]) == 2
    error = capsys.readouterr().err
    assert "history.csv tells of 2 epochs" in error and "last.safetensors" in error
    assert pathlib.Path("run/history.csv").read_bytes() == history


def test_too_many_threads(capsys):
    assert cli.main([*FAST, "--out", "run", "--threads", "1000"]) == 2
    assert "expected 1 to 256 threads, got 1000" in capsys.readouterr().err


def test_an_interrupt_in_the_middle_of_a_print_is_told_at_the_end():
    from lamina.trainer.interrupt import Interrupt

    said = []

    def notify():
        said.append(len(said))
        if len(said) == 1:
            raise RuntimeError("reentrant call")  # what print raises inside print

    with Interrupt(notify) as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt.requested and said == [0]
    assert said == [0, 1]
