"""Writes docs/ulp.md: the largest error of every vector function, per instruction set.

    python docs/make_ulp.py            # PyTorch's too, where installed
    python docs/make_ulp.py --check    # fails where an error passes its bound

Errors are in units in the last place of the float32 result, against NumPy in double: every
`--step`th float of all there are (4099: a million, both signs, all exponents), which is the whole
domain. Results below 16 times the smallest normal number are left out: denormals count as 0 here.
The bounds are those of tests/test_math.py.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import pathlib
import sys

import numpy as np

import lamina
from lamina import _core

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import test_math as bounds  # noqa: E402

CHUNK = 1 << 20
HEAD = """# Accuracy of the vector functions

Largest error of float32 results in units in the last place (ULP), against double precision, over
every {step}th float of all there are. *Bound* is what tests/test_math.py holds each instruction set
to. Denormals count as 0. gelu and its gradient are bounded in absolute terms, relative to
max(1, |value|): they decay to 0 as products of numbers that do not. Written by
`python docs/make_ulp.py`.

"""


def references():
    """{name: (reference, bound, how errors count)}."""
    table = {name: (r, b, "ULP") for name, (r, b, _) in bounds.FLOAT32.items()}
    table["pow"] = (None, bounds.POW_BOUND, "ULP")
    gelu = bounds.DECAYING["gelu"][0]
    table["gelu"] = (gelu, bounds.GELU_BOUND, "absolute")
    table["gelu gradient"] = (bounds.gelu_slope, bounds.GELU_SLOPE_BOUND, "absolute")
    return table


def floats(step: int):
    """Every step-th float in chunks."""
    for begin in range(0, 1 << 32, step * CHUNK):
        numbers = np.arange(begin, min(begin + step * CHUNK, 1 << 32), step, dtype=np.uint64)
        yield numbers.astype(np.uint32).view(np.float32)


def powers(x: np.ndarray, seed: int):
    """Bases and exponents: powers that neither overflow nor vanish, for the most part."""
    a = np.abs(x)
    with np.errstate(all="ignore"):
        wide = 85 / np.maximum(np.abs(np.log(a.astype(np.float64))), 1e-3)
    b = np.random.default_rng(seed).uniform(-1, 1, x.size) * np.minimum(wide, 1e6)
    return a, b.astype(np.float32)


def value(t, name: str, x: np.ndarray, y: np.ndarray | None) -> np.ndarray:
    """The function of a library on float32 arrays."""
    F = t.nn.functional
    a = t.from_numpy(x)
    if name == "pow":
        return t.pow(a, t.from_numpy(y)).numpy()
    if name == "gelu gradient":
        a.requires_grad_()
        F.gelu(a).sum().backward()
        return a.grad.numpy()
    f = {"softplus": lambda v: F.softplus(v, 1.0, 1e30), "log_sigmoid": F.logsigmoid,
         "gelu": F.gelu}.get(name) or getattr(t, name)  # fmt: skip
    return f(a).numpy()


def largest(t, name: str, reference, kind: str, step: int) -> float:
    """The largest error of library `t`."""
    worst = 0.0
    with np.errstate(all="ignore"):
        for seed, x in enumerate(floats(step)):
            x = x[np.isfinite(x) & ((np.abs(x) >= np.finfo(np.float32).tiny) | (x == 0))]
            if kind == "absolute":
                x = x[np.abs(x) <= 1e4]
            if not x.size:
                continue
            y = None
            if name == "pow":
                x, y = powers(x, seed)
                want = np.power(x.astype(np.float64), y.astype(np.float64))
            else:
                want = reference(x.astype(np.float64))
            got = value(t, name, x, y)
            if kind == "absolute":
                error = np.abs(got - want) / np.maximum(1, np.abs(want))
            else:
                error = bounds.ulps(got, want, np.float32)[0]
            error = error[np.isfinite(error)]
            worst = max(worst, float(error.max(initial=0)))
    return worst


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--step", type=int, default=4099)
    parser.add_argument("--only", action="append")
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    isas = _core.available_isas()
    columns = [*isas]
    torch = None
    if importlib.util.find_spec("torch") is not None:
        torch = __import__("torch")
        columns.append(f"PyTorch {torch.__version__.split('+')[0]}")
    lines = ["| function | bound | " + " | ".join(columns) + " |",
             "| --- | --: |" + " --: |" * len(columns)]  # fmt: skip
    passed = False
    for name, (reference, bound, kind) in references().items():
        if options.only and name not in options.only:
            continue
        step = options.step * 16 if reference in (bounds.erf, bounds.erfc) else options.step
        errors = []
        for isa in isas:
            _core.select_isa(isa)
            errors.append(largest(lamina, name, reference, kind, step))
        passed |= max(errors) > bound
        if torch:
            errors.append(largest(torch, name, reference, kind, step))
        show = "{:.2f}" if kind == "ULP" else "{:.1e}"
        cells = " | ".join(show.format(e) if math.isfinite(e) else "-" for e in errors)
        lines.append(f"| {name} | {show.format(bound)} | {cells} |")
        print(lines[-1], flush=True)
    if not options.check and not options.only:
        page = HEAD.format(step=options.step) + "\n".join(lines) + "\n"
        (ROOT / "docs" / "ulp.md").write_text(page)
    return int(passed)


if __name__ == "__main__":
    raise SystemExit(main())
