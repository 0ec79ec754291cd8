"""One row describes one operation to the tests and the benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

DEVICE = "cpu"  # where the rows run (conftest.py)


@dataclass(frozen=True)
class Row:
    """An operation, its float64 reference, and what may be asked of it.

    name: unique.
    fn: ``fn(m, *tensors)`` with m lamina (or torch, for parity); returns a tensor or a tuple.
    ref: the same from float64 (or integer) NumPy arrays, independent of lamina.
    shapes: ``shapes(n)``: the inputs' shapes for size n; n runs over `sizes`.
    domain: values of every input, or a list with one per input: (lo, hi) uniform, "int:K"
        (int64 in [0, K)), "bool", or a callable (rng, shape) -> array.
    tol: float32 bound: max |error| <= tol * max(1, max |reference|). tol64: the same for float64.
    grad, second: the gradient and its gradient are defined everywhere on the domain.
    torch: PyTorch gives the same (a gradient to within torch_tol).
    views: strided inputs are allowed.
    large: the size for the test over numbers of threads (None: skip).
    """

    name: str
    fn: Callable[..., Any]
    ref: Callable[..., Any]
    shapes: Callable[[int], Sequence[tuple[int, ...]]]
    domain: Any = (-2.0, 2.0)
    tol: float = 2e-6
    tol64: float = 1e-12
    sizes: Sequence[int] = (0, 1, 15, 16, 17, 33)
    grad: bool = True
    second: bool = True
    torch: bool = True
    torch_tol: float = 1e-9
    views: bool = True
    large: int | None = 65_537

    def inputs(self, n: int, seed: int = 0) -> list[np.ndarray]:
        """Arrays of the domain for size n: float64 (exact in float32), int64 or bool."""
        rng = np.random.default_rng([seed, n])
        shapes = list(self.shapes(n))
        domains = self.domain if isinstance(self.domain, list) else [self.domain] * len(shapes)
        return [_draw(rng, d, s) for d, s in zip(domains, shapes, strict=True)]


def _draw(rng: np.random.Generator, domain, shape) -> np.ndarray:
    if callable(domain):
        a = np.asarray(domain(rng, shape))
    elif domain == "bool":
        a = rng.random(shape) < 0.5
    elif isinstance(domain, str):
        a = rng.integers(0, int(domain.removeprefix("int:")), shape)
    else:
        a = rng.uniform(*domain, shape)
    return np.asarray(a.astype(np.float32), np.float64) if a.dtype.kind == "f" else a


def every_row() -> list[Row]:
    """The rows of all rows_<stem>.py files beside this one."""
    import importlib
    import pathlib

    found: list[Row] = []
    for path in sorted(pathlib.Path(__file__).parent.glob("rows_*.py")):
        found += importlib.import_module(path.stem).ROWS
    names = [r.name for r in found]
    assert len(set(names)) == len(names), sorted(n for n in names if names.count(n) > 1)
    return found
