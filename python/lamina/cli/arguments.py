"""The options of the command ``lamina``."""

from __future__ import annotations

import argparse
import difflib

DATA = ("digits", "mnist", "fashion-mnist", "cifar10")
MODELS = ("cnn", "mlp", "lenet", "resnet20")
OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop", "adagrad")


class Usage(ValueError):
    """A command line that makes no sense."""


class Parser(argparse.ArgumentParser):
    """Raises `Usage` where argparse would print and exit."""

    def error(self, message):
        """Raises `Usage`."""
        raise Usage(f"{message}; see {self.prog} --help")


def number(kind, least, strict=False):
    """A converter to int or float that checks the lower bound."""
    what = "an integer" if kind is int else "a number"

    def convert(text: str):
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected {what}, got {text!r}") from None
        if not (value > least if strict else value >= least) or value - value != 0:
            bound = f"greater than {least}" if strict else f"at least {least}"
            raise argparse.ArgumentTypeError(f"must be {bound}, got {text}")
        return value

    return convert


def choice(kind: str, names, also: str, passes=lambda text: False):
    """A converter that knows `names` and what else `passes`."""

    def convert(text: str):
        if text.lower() in names:
            return text.lower()
        if passes(text):
            return text
        near = difflib.get_close_matches(text.lower(), names, 1)
        hint = f"did you mean {near[0]}?" if near else f"choose {', '.join(names)}{also}"
        raise argparse.ArgumentTypeError(f"unknown {kind} {text!r}; {hint}")

    return convert


def _is_folder(text: str) -> bool:
    import os

    if os.path.isdir(text):
        return True
    if os.sep in text or text.startswith("."):
        raise argparse.ArgumentTypeError(f"no such folder: {text}")
    return False


def _device(text: str) -> str:
    import lamina

    try:
        lamina.zeros(1, device=text)
    except (RuntimeError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _is_source(text: str) -> bool:
    return ".py:" in text or text.endswith(".py")


TRAIN_EXAMPLE = """examples:
  lamina train
      a small convolutional network on the packaged digits, in a few seconds
  lamina train --data mnist --model mlp --epochs 5
      IDX files found under $LAMINA_DATA or ./data
  lamina train --data photos/ --model net.py:Net --optimizer sgd --lr 0.05 --out runs/photos
      photos/cat/1.npy, photos/dog/7.npy, ...; Net() is an nn.Module
"""


def parse(argv):
    """The options of `argv`. Raises `Usage`; --help and --version print and raise SystemExit."""
    parser = Parser(
        prog="lamina", description="Trains neural networks and uses them.",
        epilog="example: lamina train && lamina eval runs/digits-cnn",
    )  # fmt: skip
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="{train,eval,predict,bench}")
    raw = argparse.RawDescriptionHelpFormatter

    train = commands.add_parser(
        "train", help="train a model", formatter_class=raw, epilog=TRAIN_EXAMPLE,
        description="Trains a model and keeps it in a folder: last.safetensors, best.safetensors, "
        "history.csv\nand config.json. The best epoch is the one with the highest accuracy on the "
        "held-out (test) images.",
    )  # fmt: skip
    train.add_argument(
        "--data", metavar="NAME|DIR", default=None,
        type=choice("data set", DATA, " or a folder", _is_folder),
        help="digits (packaged, default), mnist, fashion-mnist, cifar10, or a folder with IDX "
        "files, CIFAR-10 binary files, or one subfolder of .npy images per class",
    )  # fmt: skip
    train.add_argument(
        "--model",
        metavar="NAME|FILE.py:name",
        default=None,
        type=choice("model", MODELS, " or FILE.py:name", _is_source),
        help="cnn (default), mlp, lenet, resnet20, or a module class or function of your own",
    )
    train.add_argument("--epochs", metavar="N", type=number(int, 1), help="passes over the data")
    train.add_argument("--batch-size", metavar="N", type=number(int, 1), help="images per step")
    train.add_argument(
        "--optimizer", metavar="NAME", type=choice("optimizer", OPTIMIZERS, ""),
        help="adam, adamw, sgd (with momentum 0.9), rmsprop, adagrad",
    )  # fmt: skip
    train.add_argument("--lr", metavar="X", type=number(float, 0, True),
                       help="highest learning rate; it falls to 0 along a cosine")  # fmt: skip
    train.add_argument("--seed", metavar="S", type=number(int, 0),
                       help="of weights, order and dropout (default 0)")  # fmt: skip
    train.add_argument("--out", metavar="DIR", help="folder of the run (default runs/DATA-MODEL)")
    train.add_argument("--resume", metavar="RUN",
                       help="go on with a run that was stopped, with its own options")  # fmt: skip

    evaluate = commands.add_parser(
        "eval", help="measure a trained model", formatter_class=raw,
        epilog="example:\n  lamina eval runs/digits-cnn",
        description="Prints loss and accuracy of a run's best model on its held-out images.",
    )  # fmt: skip
    evaluate.add_argument("run", metavar="RUN", help="the folder of a run")
    evaluate.add_argument("--data", metavar="NAME|DIR", default=None,
                          type=choice("data set", DATA, " or a folder", _is_folder),
                          help="other data of the same kind")  # fmt: skip

    predict = commands.add_parser(
        "predict", help="apply a trained model", formatter_class=raw,
        epilog="examples:\n  lamina predict runs/digits-cnn 0\n  lamina predict runs/mnist-lenet "
        "seven.png",
        description="Prints what a run's best model takes an image for.",
    )  # fmt: skip
    predict.add_argument("run", metavar="RUN", help="the folder of a run")
    predict.add_argument(
        "input",
        metavar="INPUT",
        help="the number of a held-out image, a .npy or .npz file with one image or several, or an "
        "image file (needs Pillow)",
    )
    bench = commands.add_parser(
        "bench", help="measure this machine", formatter_class=raw,
        epilog="examples:\n  lamina bench\n  lamina bench --only matmul --threads 1",
        description="Measures the machine's limits (multiply-adds, memory), then kernels and whole "
        "training\nsteps: their rate, its share of the limit and, where PyTorch is installed, "
        "PyTorch's time\ndivided by lamina's, in turns on the same data.",
    )  # fmt: skip
    bench.add_argument("--only", metavar="WORD", default="",
                       help="rows whose name contains WORD")  # fmt: skip
    bench.add_argument("--seconds", metavar="X", type=number(float, 0, True), default=0.3,
                       help="measuring time per row and library (default 0.3)")  # fmt: skip
    for command in (train, evaluate, predict):
        command.add_argument("--device", metavar="NAME", type=_device,
                             help="cpu (default), or cuda, cuda:1, ... for a GPU")  # fmt: skip
    for command in (train, evaluate, predict, bench):
        command.add_argument("--threads", metavar="N", type=number(int, 1),
                             help="threads; results do not depend on it")  # fmt: skip
        command.add_argument("--traceback", action="store_true",
                             help="show where in the program an error arose")  # fmt: skip
    options = parser.parse_args(argv)
    if options.command is None:
        raise Usage("no command given; choose train, eval or predict, as in: lamina train")
    return options


class _Version(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        import lamina

        print(f"lamina {lamina.__version__}")
        parser.exit()
