"""Writes docs/parity.md: how far lamina's and PyTorch's results are from float64 references.

    PYTHONPATH=python python docs/make_parity.py            # every group, 3 minutes
    PYTHONPATH=python python docs/make_parity.py reduce     # one group, on the terminal only
    PYTHONPATH=python python docs/make_parity.py --bad      # print what is beyond the bar

Operations are the rows of tests/rows_*.py at every size, layers those of tests/layer_cases.py with
every batch size, optimizers those of tests/optim_cases.py, each with 24 draws of its inputs. The
error of a draw is the largest difference from the float64 reference over the largest value of the
reference (at least 1e-3: some results are sums that cancel), the worst of all outputs, or of all
gradients. The bar: in float32, float16 and bfloat16 lamina's error is at most 4 times PyTorch's,
where both are the ninth decile of the draws (single ones may cancel, or be chaotic, and then the
two errors have little in common), and PyTorch's counts as the type's epsilon where it is less.
Left out are rows that say why PyTorch differs, types in which it lacks the operation, and draws in
which it orders equal values in its own way.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

import lamina

TESTS = Path(__file__).parents[1] / "tests"
PAGE = Path(__file__).with_name("parity.md")
sys.path.insert(0, str(TESTS))

BAR = 4.0
SEEDS = range(24)
LEAST = 1e-3
EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "bfloat16": 2.0**-7, "float16": 2.0**-10}
Case = tuple[str, str, str]  # name, dtype, size


@dataclass
class Errors:
    """Errors of one case by draw: of lamina and of PyTorch."""

    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)

    def add(self, ours: float, theirs: float) -> None:
        self.ours.append(ours)
        self.theirs.append(theirs)

    def ratio(self, dtype: str) -> float:
        ours, theirs = (sorted(e)[int(0.9 * len(e))] for e in (self.ours, self.theirs))
        return ours / max(theirs, EPS[dtype])


@dataclass
class Result:
    """One group: errors of values and gradients by case, and cases only PyTorch computes."""

    values: dict[Case, Errors]
    grads: dict[Case, Errors]
    refused: dict[Case, str]


def error(got, want: list) -> float:
    """Largest difference over largest value, the worst of all results. Infinite for a wrong shape,
    count, integer, or non-finite number."""
    worst = 0.0
    for g, w in zip(got, want):
        if w is None or g is None:
            continue
        g, w = np.asarray(g), np.asarray(w)
        if g.shape != w.shape:
            return np.inf
        if w.dtype.kind != "f":
            worst = max(worst, 0.0 if np.array_equal(g, w) else np.inf)
            continue
        finite = np.isfinite(w)
        if not np.array_equal(g[~finite].astype(w.dtype), w[~finite], equal_nan=True):
            return np.inf
        if finite.any():
            scale = max(np.abs(w[finite]).max(), LEAST)
            worst = max(worst, float(np.abs(g[finite] - w[finite]).max() / scale))
    return worst if np.isfinite(worst) else np.inf


def as_list(y) -> list:
    return list(y) if isinstance(y, (tuple, list)) else [y]


def array(t) -> np.ndarray | None:
    """A tensor of either library as a NumPy array (floating point as float64)."""
    if t is None:
        return None
    t = t.detach()
    return (t.double() if t.dtype.is_floating_point else t).numpy()


def same_integers(got: list, want: list) -> bool:
    """Whether the results that are not floating point (places, mostly) are equal."""
    return all(
        w.dtype.kind == "f" or np.array_equal(g, w) for g, w in zip(got, map(np.asarray, want))
    )


# ---- operations ----------------------------------------------------------------------------------
def compute(m, row, arrays, dtype: str, us: list | None):
    """The row's outputs from arrays in a library, and the gradients against `us` of the floating
    ones (drawn into `us` when it is empty)."""
    tensors = [
        m.tensor(a, dtype=getattr(m, dtype)) if a.dtype.kind == "f" else m.tensor(a) for a in arrays
    ]
    leaves = [t.requires_grad_(row.grad) for t in tensors if t.dtype.is_floating_point]
    ys = as_list(row.fn(m, *tensors))
    values, grads = [array(y) for y in ys], None
    if row.grad and us is not None:
        ys = [y for y in ys if y.requires_grad]
        if not us:
            rng = np.random.default_rng(8)
            us += [rng.standard_normal(tuple(y.shape)).astype(np.float16).astype(float) for y in ys]
        if ys and leaves:
            seeds = [m.tensor(u, dtype=y.dtype) for u, y in zip(us, ys)]
            grads = [array(g) for g in m.autograd.grad(ys, leaves, seeds, allow_unused=True)]
    return values, grads


def rows_of(stem: str) -> Result:
    """Every row of a stem at every size, in every floating type."""
    result = Result({}, {}, {})
    for row in importlib.import_module(f"rows_{stem}").ROWS:
        if not row.torch:  # the row says why PyTorch differs
            continue
        for n in row.sizes:
            for seed in SEEDS if n else SEEDS[:1]:
                arrays = row.inputs(n, seed=seed)
                for dtype in EPS:
                    compare_row(result, row, n, arrays, dtype)
    return result


def compare_row(result: Result, row, n: int, arrays: list, dtype: str) -> None:
    case = (row.name, dtype, f"n={n}")
    with torch.no_grad():
        arrays = [
            torch.tensor(a).to(getattr(torch, dtype)).double().numpy() if a.dtype.kind == "f" else a
            for a in arrays
        ]
    us: list = []
    exact, want_grads = compute(torch, row, arrays, "float64", us)
    want = as_list(row.ref(*arrays))
    try:
        theirs, their_grads = compute(torch, row, arrays, dtype, us)
    except (RuntimeError, NotImplementedError, TypeError, IndexError):
        return
    if not same_integers(theirs, want) or not same_integers(exact, want):
        return  # another order of equal values, or of what rounding made equal
    try:
        ours, our_grads = compute(lamina, row, arrays, dtype, us)
    except Exception as failure:
        result.refused[case] = f"{type(failure).__name__}: {failure}"
        return
    result.values.setdefault(case, Errors()).add(error(ours, want), error(theirs, want))
    if want_grads is not None and their_grads is not None and our_grads is not None:
        found = error(our_grads, want_grads), error(their_grads, want_grads)
        result.grads.setdefault(case, Errors()).add(*found)


# ---- layers and optimizers -----------------------------------------------------------------------
def layers() -> Result:
    """Every layer in training and evaluation; the reference is PyTorch's in float64."""
    from layer_cases import CASES, draw
    from test_nn_layers import pair, run

    result = Result({}, {}, {})
    for c in CASES:
        kinds = [kind for kind, _ in c.inputs]
        for batch in [*c.batches, *([None] if c.unbatched else [])]:
            for mode in (False, True):
                if mode and c.random:
                    continue
                case = (c.id(), "float32", f"batch {batch}, {'train' if mode else 'eval'}")
                for seed in SEEDS:
                    ours, theirs = pair(c, torch, "float32")
                    reference = c.make(torch)
                    reference.load_state_dict(theirs.double().state_dict())
                    theirs = theirs.float()
                    for layer in (ours, theirs, reference):
                        layer.train(mode)
                    rng = np.random.default_rng(seed)
                    lead = () if batch is None else (batch,)
                    arrays = [draw(kind, lead + shape, rng) for kind, shape in c.inputs]
                    arrays = [
                        a.astype(np.float32).astype(float) if a.dtype.kind == "f" else a
                        for a in arrays
                    ]
                    want = run(torch, reference, arrays, kinds, "float64", seed)
                    if "error" in want:
                        continue
                    got = run(lamina, ours, arrays, kinds, "float32", seed)
                    their = run(torch, theirs, arrays, kinds, "float32", seed)
                    for part, where in (("output", result.values), ("gradient", result.grads)):
                        keys = [k for k in want if k.startswith((part, "state"))]
                        where.setdefault(case, Errors()).add(*(
                            error([x[k] for k in keys], [want[k] for k in keys])
                            for x in (got, their)
                        ))  # fmt: skip
    return result


def optimizers() -> Result:
    """20 steps of every optimizer in float32; the reference is NumPy's in float64."""
    from optim_cases import CASES, reference, train, values

    result = Result({}, {}, {})
    for name, options in CASES:
        start, grads = values()
        params = [torch.tensor(p, dtype=torch.float32, requires_grad=True) for p in start]
        optimizer = getattr(torch.optim, name)(params, **options)
        for row in grads:
            for p, g in zip(params, row):
                p.grad = torch.tensor(g, dtype=p.dtype)
            optimizer.step()
        want = reference(name, options)
        settings = ", ".join(f"{k}={v}" for k, v in options.items())
        found = error(train(name, options)[0], want), error([array(p) for p in params], want)
        result.values[f"{name}({settings})", "float32", "20 steps"] = Errors(*([e] for e in found))
    return result


GROUPS = {path.stem.removeprefix("rows_"): None for path in sorted(TESTS.glob("rows_*.py"))}


def group(name: str) -> Result:
    if name in ("layers", "optimizers"):
        return layers() if name == "layers" else optimizers()
    return rows_of(name)


# ---- the page ------------------------------------------------------------------------------------
def beyond(result: Result) -> Iterator[tuple[str, Case, Errors]]:
    """What is beyond the bar."""
    for what, cases in (("value", result.values), ("gradient", result.grads)):
        for case, e in cases.items():
            if case[1] != "float64" and not e.ratio(case[1]) <= BAR:
                yield what, case, e


def line(name: str, dtype: str, result: Result) -> str:
    """A row of the table: a group in one type."""
    cells = [name, dtype]
    for cases in (result.values, result.grads):
        held = {case: e for case, e in cases.items() if case[1] == dtype}
        if not held:
            cells += ["", "", "", ""]
            continue
        worst = [max(max(getattr(e, of)) for e in held.values()) for of in ("ours", "theirs")]
        cells += [f"{len(held):,}", *(f"{w:.1e}" for w in worst)]
        ratio = max(e.ratio(dtype) for e in held.values())
        cells.append("" if dtype == "float64" else f"{ratio:.2f}")
    return "| " + " | ".join(cells) + " |"


def page(results: dict[str, Result]) -> str:
    """docs/parity.md."""
    bad = [b for r in results.values() for b in beyond(r)]
    cases = [case for r in results.values() for held in (r.values, r.grads) for case in held]
    below = [case for case in cases if case[1] != "float64"]
    lines = [
        "# Parity with PyTorch",
        "",
        "Written by `docs/make_parity.py`; its first lines say how errors are measured.",
        "",
        f"PyTorch {torch.__version__.split('+')[0]}: {len(cases):,} pairs of results (values or "
        "gradients of an operation, layer or optimizer in one type at one size) against float64 "
        f"references, {len(below):,} of them in types below float64. {len(bad)} are beyond the "
        f"bar, an error {BAR:g} times PyTorch's.",
        "",
        "Counts, worst relative errors of the two libraries, and the worst ratio of a case. (Of "
        "gradients PyTorch's in float64 are the reference; its celu and hardsigmoid have float32 "
        "constants, whence 3e-8.)",
        "",
        "| group | type | values | lamina | PyTorch | ratio | gradients | lamina | PyTorch "
        "| ratio |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, result in results.items():
        for dtype in EPS:
            if any(case[1] == dtype for case in result.values):
                lines.append(line(name, dtype, result))
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    chosen = [a for a in arguments if not a.startswith("-")]
    results = {name: group(name) for name in chosen or [*GROUPS, "layers", "optimizers"]}
    bad = 0
    for result in results.values():
        for what, case, e in beyond(result):
            print(f"{what} of {' '.join(case)}: {e.ratio(case[1]):.2f} times PyTorch's")
            bad += 1
        if "--bad" in arguments:
            for case, why in result.refused.items():
                print(f"refused: {' '.join(case)}: {why}")
    if chosen or "--bad" in arguments:
        print(page(results))
    else:
        PAGE.write_text(page(results), encoding="utf-8")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
