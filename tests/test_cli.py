"""The command lamina: train, eval, predict, and their errors."""

from __future__ import annotations

import json
import os
import pathlib
import re

import pytest

import lamina
from lamina import cli, serialization

np = pytest.importorskip("numpy")
FAST = ["--model", "mlp", "--epochs", "2"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Runs go into a folder of their own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> pathlib.Path:
    """The folder of a finished run on the digits."""
    out = tmp_path_factory.mktemp("runs") / "digits"
    assert cli.main(["train", "--model", "mlp", "--epochs", "4", "--out", str(out)]) == 0
    return out


def fails(capsys, *arguments) -> str:
    """The one line of an error; exit code 2."""
    assert cli.main(list(arguments)) == 2
    err = capsys.readouterr().err
    assert err.startswith("lamina: error: ") and err.count("\n") == 1 and "Traceback" not in err
    return err.removeprefix("lamina: error: ").rstrip("\n")


# ---- train ---------------------------------------------------------------------------------------
def test_train_says_what_it_does_and_what_to_do_next(capsys):
    assert cli.main(["train", *FAST]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0] == (
        "data   digits: 1,437 training and 360 held-out images of 1x8x8, 10 classes"
    )
    assert re.match(r"model  mlp: [\d,]+ parameters$", lines[1])
    assert lines[2].startswith("train  Adam, lr 0.001, batch 32, 2 epochs, seed 0, ")
    assert lines[3].split()[:3] == ["epoch", "loss", "accuracy"]
    assert [line.split()[0] for line in lines[4:6]] == ["1", "2"]
    assert lines[6].startswith("saved  runs/digits-mlp: best epoch")
    assert "lamina eval runs/digits-mlp" in out and "lamina predict runs/digits-mlp 0" in out
    assert "\r" not in out
    assert sorted(os.listdir("runs/digits-mlp")) == [
        "best.safetensors", "config.json", "history.csv", "last.safetensors",
    ]  # fmt: skip
    assert cli.main(["train", *FAST]) == 0  # a second run has its own folder
    assert os.path.isdir("runs/digits-mlp-2")


@pytest.mark.parametrize("model", ["cnn", "resnet20"])
def test_every_model_trains(model, capsys):
    assert cli.main(["train", "--model", model, "--epochs", "1", "--batch-size", "256"]) == 0


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop", "adagrad"])
def test_every_optimizer_trains(optimizer, capsys):
    command = ["train", *FAST, "--optimizer", optimizer.upper(), "--batch-size", "64"]
    assert cli.main(command) == 0
    assert json.loads(pathlib.Path("runs/digits-mlp/config.json").read_text())[
        "optimizer_name"
    ] == optimizer  # fmt: skip


def test_the_same_seed_gives_the_same_bits(capsys):
    for out, seed, threads in (("a", "1", "1"), ("b", "1", "2"), ("c", "2", "1")):
        before = lamina.get_num_threads()
        try:
            assert cli.main(
                ["train", *FAST, "--seed", seed, "--out", out, "--threads", threads]
            ) == 0  # fmt: skip
        finally:
            lamina.set_num_threads(before)
    a, b, c = (pathlib.Path(d, "best.safetensors").read_bytes() for d in "abc")
    assert a == b and a != c


def test_a_complete_run_says_so(run, capsys):
    before = (run / "config.json").read_bytes()
    for more in ([], ["--epochs", "2"]):
        assert cli.main(["train", "--resume", str(run), *more]) == 0
        out = capsys.readouterr().out
        assert out.startswith(f"{run} is complete, with 4 epochs; for more: lamina train --resume")
    assert (run / "config.json").read_bytes() == before


# ---- eval and predict ----------------------------------------------------------------------------
def test_eval(run, capsys):
    assert cli.main(["eval", str(run)]) == 0
    out = capsys.readouterr().out
    share, n = re.search(r": ([\d.]+) % of (\d+) held-out images right, loss", out).groups()
    assert n == "360" and float(share) > 60
    rows = (run / "history.csv").read_text().splitlines()
    at = rows[0].split(",").index("val_accuracy")
    assert f"{100 * max(float(r.split(',')[at]) for r in rows[1:]):.2f}" == share


def test_predict(run, capsys, tmp_path):
    assert cli.main(["predict", str(run), "3"]) == 0
    assert re.match(
        r"3: \d \([\d.]+ %\); then \d \([\d.]+ %\), \d \([\d.]+ %\); it is \d$",
        capsys.readouterr().out.strip(),
    )
    images = np.random.default_rng(0).random((3, 8, 8)).astype(np.float32)
    np.save("one.npy", images[0])
    np.save("three.npy", images)
    np.savez("three.npz", images=images)
    assert cli.main(["predict", str(run), "one.npy"]) == 0
    one = capsys.readouterr().out
    assert one.startswith("one.npy: ") and "it is" not in one
    assert cli.main(["predict", str(run), "three.npy"]) == 0
    three = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in three] == [f"three.npy[{i}]" for i in range(3)]
    assert one.split()[1] == three[0].split()[1]
    assert cli.main(["predict", str(run), "three.npz"]) == 0


def test_predict_a_picture(run, capsys):
    image = pytest.importorskip("PIL.Image")
    image.fromarray(np.zeros((20, 20), np.uint8)).save("black.png")
    assert cli.main(["predict", str(run), "black.png"]) == 0
    pathlib.Path("broken.png").write_bytes(b"no picture")
    assert "not a readable image file" in fails(capsys, "predict", str(run), "broken.png")


# ---- data and models of one's own ----------------------------------------------------------------
def folders(root="photos", n=10, shape=(6, 6), levels=(200, 30)):
    """Dark and bright images in two folders."""
    rng = np.random.default_rng(0)
    for kind, level in zip(("bright", "dark"), levels):
        os.makedirs(f"{root}/{kind}")
        for i in range(n):
            np.save(f"{root}/{kind}/{i}.npy", (level + rng.integers(0, 20, shape)).astype(np.uint8))


def test_folders_of_classes(capsys):
    folders()
    assert cli.main(["train", "--data", "photos", "--model", "mlp", "--epochs", "8"]) == 0
    assert (
        "photos: 16 training and 4 held-out images of 1x6x6, 2 classes" in capsys.readouterr().out
    )
    assert cli.main(["eval", "runs/photos-mlp"]) == 0
    assert ": 100.00 % of 4 held-out" in capsys.readouterr().out
    assert cli.main(["predict", "runs/photos-mlp", "photos/dark/0.npy"]) == 0
    assert capsys.readouterr().out.startswith("photos/dark/0.npy: dark (")
    folders("others", levels=(200, 180))  # seen as the training images were, all are bright
    assert cli.main(["eval", "runs/photos-mlp", "--data", "others"]) == 0
    assert ": 50.00 % of 4 held-out" in capsys.readouterr().out


NET = """
from lamina import nn

class Net(nn.Module):
    def __init__(self, shape, classes):
        super().__init__()
        self.body = nn.Linear(shape[1] * shape[2], classes)
    def forward(self, x):
        return self.body(x.flatten(1))

def wide(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, num_classes))

ready = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
number = 3
broken = lambda: nn.Linear(5, 10)
wrong = lambda: 7

class Bad(nn.Module):
    def __init__(self):
        super().__init__()
        self.here = nn.Linear(64, 10)
    def forward(self, x):
        return self.missing(x)
"""


@pytest.mark.parametrize("name", ["Net", "wide", "ready"])
def test_a_model_of_ones_own(name, capsys):
    pathlib.Path("net.py").write_text(NET)
    assert cli.main(["train", "--model", f"net.py:{name}", "--epochs", "1"]) == 0
    os.makedirs("deeper")
    os.chdir("deeper")  # the run remembers where the file is
    assert cli.main(["eval", f"../runs/digits-net-{name}"]) == 0


def test_errors_of_a_model_of_ones_own(capsys):
    pathlib.Path("net.py").write_text(NET)
    pathlib.Path("syntax.py").write_text("def (:\n")
    for model, message in [
        ("net.py:Other", "net.py has no 'Other'; its modules: Net, Bad"),
        ("net.py:number", "model 'net.py:number': number is int, not an nn.Module"),
        ("net.py:wrong", "model 'net.py:wrong': wrong() gives int, not an nn.Module"),
        ("none.py:Net", "model 'none.py:Net': no such file: none.py"),
        ("net.py", "model 'net.py': expected FILE.py:name, as in net.py:Net"),
        ("net.py:", "model 'net.py:': expected FILE.py:name, as in net.py:Net"),
    ]:
        assert fails(capsys, "train", "--model", model).replace(os.getcwd() + "/", "") == message
    assert "SyntaxError" in fails(capsys, "train", "--model", "syntax.py:Net")
    assert "linear: input" in fails(capsys, "train", "--model", "net.py:broken")
    error = fails(capsys, "train", "--model", "net.py:Bad")
    assert "missing" in error and "--traceback" in error
    with pytest.raises(AttributeError):
        cli.main(["train", "--model", "net.py:Bad", "--traceback"])


# ---- errors --------------------------------------------------------------------------------------
@pytest.mark.parametrize("arguments, message", [
    ([], "no command given; choose train, eval or predict, as in: lamina train"),
    (["trian"], "argument {train,eval,predict,bench}: invalid choice: 'trian' (choose from "
                "'train', 'eval', 'predict', 'bench'); see lamina --help"),
    (["train", "--data", "digts"], "argument --data: unknown data set 'digts'; did you mean digits?"
                                   "; see lamina train --help"),
    (["train", "--data", "./none"], "argument --data: no such folder: ./none; see lamina train "
                                    "--help"),
    (["train", "--model", "xyz"], "argument --model: unknown model 'xyz'; choose cnn, mlp, lenet, "
                                  "resnet20 or FILE.py:name; see lamina train --help"),
    (["train", "--epochs", "0"], "argument --epochs: must be at least 1, got 0; see lamina train "
                                 "--help"),
    (["train", "--epochs", "many"], "argument --epochs: expected an integer, got 'many'; see "
                                    "lamina train --help"),
    (["train", "--lr", "-1"], "argument --lr: must be greater than 0, got -1; see lamina train "
                              "--help"),
    (["train", "--lr", "nan"], "argument --lr: must be greater than 0, got nan; see lamina train "
                               "--help"),
    (["train", "--optimizer", "adan"], "argument --optimizer: unknown optimizer 'adan'; did you "
                                       "mean adam?; see lamina train --help"),
    (["train", "--colour"], "unrecognized arguments: --colour; see lamina --help"),
    (["train", "--model", "lenet"],
     "model lenet: needs images of at least 12x12, got 8x8; use cnn"),
    (["train", "--resume", "nowhere"], "no run at nowhere: no such folder"),
    (["eval", "nowhere"], "no run at nowhere: no such folder"),
    (["eval", "."], "no run at .: it has no config.json"),
    (["eval"], "the following arguments are required: RUN; see lamina eval --help"),
    (["predict", "nowhere", "0"], "no run at nowhere: no such folder"),
])  # fmt: skip
def test_errors(arguments, message, capsys):
    got = fails(capsys, *arguments)
    got = got.replace("choose from train, eval, predict", "choose from 'train', 'eval', 'predict'")
    assert got == message


def test_errors_of_a_run(run, capsys):
    where = str(run)
    assert fails(capsys, "train", *FAST, "--out", where) == (
        f"--out {where}: already holds a trained model; use another folder, or go on with it: "
        f"lamina train --resume {where}"
    )
    assert fails(capsys, "train", "--resume", where, "--lr", "1", "--batch-size", "3") == (
        "--resume goes on with the run's own options; leave out --lr, --batch-size"
    )
    assert fails(capsys, "predict", where, "360") == (
        "image 360: the held-out images are numbered 0 to 359"
    )
    assert fails(capsys, "predict", where, "-1") != ""
    assert fails(capsys, "predict", where, "none.npy") == (
        "none.npy: neither the number of a held-out image nor a file"
    )
    np.save("wide.npy", np.zeros((8, 9), np.float32))
    assert fails(capsys, "predict", where, "wide.npy") == (
        "wide.npy: images of shape (1, 8, 9), but the model was trained on (1, 8, 8); expected "
        "(H, W), (C, H, W) or (N, C, H, W)"
    )
    np.save("objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    assert fails(capsys, "predict", where, "objects.npy").startswith("objects.npy: ")
    pathlib.Path("text.npy").write_text("hello")
    assert fails(capsys, "predict", where, "text.npy").startswith("text.npy: ")
    folders()
    assert "do not fit the model's 10 classes" in fails(capsys, "eval", where, "--data", "photos")


def copy_of(run, name="copy") -> pathlib.Path:
    target = pathlib.Path(name)
    target.mkdir()
    for path in run.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def test_damaged_runs(run, capsys):
    copy = copy_of(run)
    best = copy / "best.safetensors"
    best.write_bytes(best.read_bytes()[:-10])
    error = fails(capsys, "eval", "copy")
    assert "copy/best.safetensors: it is cut off" in error
    best.write_bytes(b"PK\x03\x04" + b"\xff" * 100)
    assert "it is a zip archive or a pickle, as .pt" in fails(capsys, "eval", "copy")
    serialization.save_file({"other.weight": lamina.ones(3)}, best)
    error = fails(capsys, "eval", "copy")
    assert error.startswith("copy/best.safetensors: does not fit the model mlp: ")
    best.unlink()
    assert fails(capsys, "predict", "copy", "0") == (
        "no trained model at copy: it has no best.safetensors"
    )
    (copy / "last.safetensors").write_bytes(b"x" * 30)
    assert "copy/last.safetensors" in fails(capsys, "train", "--resume", "copy")
    lamina.save({"other": 1}, copy / "last.safetensors")
    assert "not a trainer's checkpoint" in fails(capsys, "train", "--resume", "copy")
    (copy / "config.json").write_text("{")
    assert fails(capsys, "eval", "copy").startswith("copy/config.json: not valid JSON")
    (copy / "config.json").write_text("{}")
    assert fails(capsys, "eval", "copy") == (
        "copy/config.json: not made by lamina train; it lacks classes, data, mean, model, shape, "
        "std"
    )


def test_broken_data(capsys):
    os.makedirs("empty")
    assert "found neither IDX files" in fails(capsys, "train", "--data", "empty")
    folders("few", n=3)
    assert "every fifth is held out" in fails(capsys, "train", "--data", "few")
    folders("odd")
    np.save("odd/dark/3.npy", np.zeros((2, 2)))
    error = fails(capsys, "train", "--data", "odd")
    assert "3.npy: image of shape (1, 2, 2), expected (1, 6, 6)" in error
    os.makedirs("idx")
    pathlib.Path("idx/train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03")
    fails(capsys, "train", "--data", "idx")


def test_mnist_that_is_not_there(capsys, monkeypatch):
    monkeypatch.setenv("LAMINA_DATA", os.getcwd())
    assert "mnist" in fails(capsys, "train", "--data", "mnist")


def test_a_folder_one_cannot_write_to(capsys):
    pathlib.Path("file").write_text("x")
    assert fails(capsys, "train", *FAST, "--out", "file") == "--out file: is a file, not a folder"
    assert "file" in fails(capsys, "train", *FAST, "--out", "file/run")
    os.makedirs("closed")
    os.chmod("closed", 0o500)
    if os.access("closed", os.W_OK):
        pytest.skip("this user may write everywhere")
    assert "ermission denied" in fails(capsys, "train", *FAST, "--out", "closed/run")


def test_a_disk_that_is_full(capsys, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    error = fails(capsys, "train", *FAST, "--out", "run")
    assert "cannot save run/" in error and "No space left on device" in error


# ---- help ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("command", ["", "train", "eval", "predict"])
def test_help_has_an_example(command, capsys):
    assert cli.main([*command.split(), "--help"]) == 0
    out = capsys.readouterr().out
    assert "example" in out and f"lamina {command}".strip() in out
    assert all(len(line) <= 100 for line in out.splitlines())


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"lamina {lamina.__version__}\n"


def test_the_examples_of_help_and_readme_are_understood(capsys, monkeypatch):
    """Every `lamina ...` line there parses."""
    from lamina.cli import arguments

    os.makedirs("photos")
    os.makedirs("DIR")
    readme = (pathlib.Path(__file__).parent.parent / "README.md").read_text()
    for command in ("train", "eval", "predict"):
        cli.main([command, "--help"])
    text = readme + capsys.readouterr().out
    lines = re.findall(r"^ *lamina ((?:train|eval|predict)\b[^#\n]*)", text, re.M)
    assert len(lines) >= 8
    for line in lines:
        arguments.parse(line.replace("[", "").split())
