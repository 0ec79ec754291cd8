"""Writes docs/api.md: which names of PyTorch lamina has, for the names real programs use.

    PYTHONPATH=python python docs/make_api.py            # status of the names already on the page
    PYTHONPATH=python python docs/make_api.py NAMES.tsv  # take the names from a table instead
    PYTHONPATH=python python docs/make_api.py --absent   # print what is absent, most used first

The table has a heading and, separated by tabs, a name (torch.x.y or Tensor.x), the number of
repositories that use it, of files, and of uses. The page itself carries names and counts, so
that it can be written again without the table; a test checks that it is current.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

PAGE = Path(__file__).with_name("api.md")

# Names that exist and do nothing here, and why that is right.
NO_OP = {
    "torch.backends": "switches of other libraries' kernels: kept; `allow_tf32` acts on GPUs",
    "torch.jit.script": "returns the model as it is",
    "torch.jit.trace": "returns the model as it is",
    "torch.set_float32_matmul_precision": "on the CPU products are always float32",
    "torch.set_deterministic": "results never depend on threads or runs",
    "torch.nn.DataParallel": "one device: calls the module",
    "torch.nn.parallel.data_parallel": "one device: calls the module",
    "torch.nn.Module.share_memory": "loader workers are threads or forks",
    "torch.distributed.is_available": "False",
    "torch.distributed.is_initialized": "False",
    "torch.distributed.is_mpi_available": "False",
    "torch.distributed.is_nccl_available": "False",
    "torch.accelerator": "there is none",
    "torch.serialization.safe_globals": "loading never runs code",
    "Tensor.pin_memory": "host memory is all there is",
    "Tensor.record_stream": "there are no streams",
    "torch.channels_last": "accepted; the layout stays contiguous",
    "torch.nn.attention.SDPBackend": "one implementation serves all",
    "torch.nn.attention.sdpa_kernel": "one implementation serves all",
}

# Names that raise NotImplementedError, saying what to use.
REFUSED = ("__lamina_refused__",)


def _no_op(name: str) -> bool:
    return any(name == key or name.startswith(key + ".") for key in NO_OP)


def _owners():
    """What stands for the classes whose names cover a family (a method found on any counts)."""
    import lamina
    from lamina import nn, optim

    linear = nn.Linear(1, 1)
    sgd = optim.SGD(linear.parameters(), lr=0.1)
    owners = {
        "Tensor": [lamina.Tensor, lamina.zeros(1), lamina.zeros(1).sort()],
        "torch.nn.Module": [linear, nn.Sequential(), nn.ModuleList(), nn.ModuleDict()],
        "torch.optim.Optimizer": [sgd],
    }
    try:
        owners["torch.optim.lr_scheduler.LRScheduler"] = [
            optim.lr_scheduler.StepLR(sgd, step_size=1)
        ]
        owners["torch.distributions.Distribution"] = [
            importlib.import_module("lamina.distributions").Normal(0.0, 1.0)
        ]
    except ModuleNotFoundError:
        pass
    return owners


def _find(name: str):
    """The object a name stands for in lamina; raises AttributeError."""
    parts = ["lamina", *name.split(".")[1:]]
    found = importlib.import_module("lamina")
    for depth in range(1, len(parts)):
        try:
            found = getattr(found, parts[depth])
        except AttributeError:
            path = ".".join(parts[: depth + 1])
            try:
                found = importlib.import_module(path)
            except ModuleNotFoundError:
                raise AttributeError(path) from None
    return found


def status(name: str, owners) -> str:
    """present, no-op, refused or absent."""
    owner, _, leaf = name.rpartition(".")
    if owner in owners:
        there = any(hasattr(x, leaf) for x in owners[owner])
        return ("no-op" if _no_op(name) else "present") if there else "absent"
    try:
        found = _find(name)
    except AttributeError:
        return "absent"
    if getattr(found, REFUSED[0], False):
        return "refused"
    return "no-op" if _no_op(name) else "present"


def read_table(path: Path) -> list[tuple[str, int, int]]:
    """(name, repositories, uses) of each row of a tab-separated table."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        cells = line.split("\t")
        rows.append((cells[0], int(cells[1]), int(cells[3])))
    return rows


def read_page() -> list[tuple[str, int, int]]:
    """(name, repositories, uses) of each row of the page."""
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.]+)` \| (\d+) \| (\d+) \|", text, re.M)
    return [(name, int(repos), int(uses)) for name, repos, uses in rows]


def _counts(rows, words) -> str:
    total = len(rows)
    by = {word: sum(1 for r in rows if r[3] == word) for word in words}
    uses = sum(r[2] for r in rows)
    covered = sum(r[2] for r in rows if r[3] in ("present", "no-op"))
    share = 100 * covered / max(uses, 1)
    counts = ", ".join(f"{by[w]} {w}" for w in words)
    return f"{total} names: {counts}; {covered} of {uses} uses ({share:.1f} %)"


def write(names) -> str:
    """The text of the page for (name, repositories, uses) rows."""
    owners = _owners()
    rows = [(n, repos, uses, status(n, owners)) for n, repos, uses in names]
    words = ("present", "no-op", "refused", "absent")
    lines = [
        "# PyTorch's names in lamina",
        "",
        "The names that real training programs use, by the number of repositories they were seen",
        "in. `torch.x` is `lamina.x`. Written by `docs/make_api.py`; a test checks that it is",
        "current.",
        "",
        f"- Used by two or more repositories: {_counts([r for r in rows if r[1] >= 2], words)}.",
        f"- All: {_counts(rows, words)}.",
        "",
        "*present*: PyTorch's arguments, defaults and results. *no-op*: exists, and rightly does",
        "nothing (why is below). *refused*: raises NotImplementedError and says what to use.",
        "*absent*: not there.",
        "",
        "| name | repositories | uses | status |",
        "|---|---:|---:|---|",
    ]
    lines += [f"| `{n}` | {repos} | {uses} | {word} |" for n, repos, uses, word in rows]
    lines += ["", "## Why a no-op", ""]
    lines += [f"- {key}: {why}." for key, why in NO_OP.items()]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> None:
    """Writes the page, or lists the absent names."""
    if "--absent" in arguments:
        owners = _owners()
        for name, repos, uses in read_page():
            if (word := status(name, owners)) in ("absent", "refused"):
                print(repos, uses, name, word)
        return
    names = read_table(Path(arguments[0])) if arguments else read_page()
    text = write(names)
    PAGE.write_text(text, encoding="utf-8")
    print(*[line for line in text.splitlines() if line.startswith("- ")][:2], sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
