"""Rows of sampling at points, element by element by its definition."""

import importlib
from itertools import product

import numpy as np

from row import Row


def functional(m):
    name = "torch" if m.__name__ == "torch" else "lamina"
    return importlib.import_module(f"{name}.nn.functional")


def reflect(at, low, high):
    """Back and forth between low and high."""
    if low == high:
        return low
    at = (at - low) % (2 * (high - low))
    return low + min(at, 2 * (high - low) - at)


def inside(at, n, padding, align):
    if padding == "reflection":
        at = reflect(at, 0, n - 1) if align else reflect(at, -0.5, n - 0.5)
    return at if padding == "zeros" else min(max(at, 0), n - 1)


def cubic(t, a=-0.75):
    t = abs(t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0


def np_sample(x, grid, mode="bilinear", padding="zeros", align=False):
    """For every point the weighted elements around it, zeros outside."""
    sizes = x.shape[2:]
    y = np.zeros((*x.shape[:2], *grid.shape[1:-1]))
    for n, *p in np.ndindex(*grid.shape[:-1]):
        taps = []  # per dimension, first to last: (index, weight); the grid's order is the reverse
        for size, u in zip(sizes, grid[(n, *p)][::-1]):
            at = (u + 1) / 2 * (size - 1) if align else ((u + 1) * size - 1) / 2
            if mode == "bicubic":
                low = int(np.floor(at))
                near = [(inside(i, size, padding, align), cubic(at - i))
                        for i in range(low - 1, low + 3)]  # fmt: skip
            else:
                at = inside(at, size, padding, align)
                low = int(np.floor(at))
                near = [(low, 1 - (at - low)), (low + 1, at - low)]
                if mode == "nearest":
                    near = [(int(np.rint(at)), 1.0)]
            taps.append([(int(i), w) for i, w in near if 0 <= i < size])
        for corner in product(*taps):
            place, weights = zip(*corner)
            y[(n, slice(None), *p)] += np.prod(weights) * x[(n, slice(None), *place)]
    return y


def points(sizes, nd):
    """Draws of points around and outside [-1, 1], none near an edge between elements, where the
    derivative jumps."""

    def draw(rng, shape):
        p = rng.uniform(-1.6, 1.6, shape)
        for d in range(nd):
            size = sizes[nd - 1 - d]
            for at in ((p[..., d] + 1) / 2 * (size - 1), ((p[..., d] + 1) * size - 1) / 2):
                close = np.abs(at * 2 - np.rint(at * 2)) < 0.05
                p[..., d] += np.where(close, 0.11 / size, 0)
        return p

    return draw


def row(name, sizes, mode, padding, align):
    nd = len(sizes)
    out = (3, 2, 2)[:nd]
    return Row(
        name,
        lambda m, x, g: functional(m).grid_sample(x, g, mode, padding, align),
        lambda x, g: np_sample(x, g, mode, padding, align),
        lambda n: [(n, 2, *sizes), (n, *out, nd)],
        domain=[(-2, 2), points(sizes, nd)],
        sizes=(0, 1, 3), tol=2e-5, second=False,
    )  # fmt: skip


ROWS = [
    row("grid_sample", (5, 4), "bilinear", "zeros", False),
    row("grid_sample_border", (4, 6), "bilinear", "border", True),
    row("grid_sample_reflection", (5, 3), "bilinear", "reflection", False),
    row("grid_sample_reflection_aligned", (3, 5), "bilinear", "reflection", True),
    row("grid_sample_nearest", (5, 4), "nearest", "zeros", True),
    row("grid_sample_bicubic", (6, 5), "bicubic", "zeros", False),
    row("grid_sample_volume", (3, 4, 5), "bilinear", "zeros", True),
    row("grid_sample_volume_reflection", (3, 2, 4), "bilinear", "reflection", False),
    row("grid_sample_volume_nearest", (3, 2, 4), "nearest", "border", False),
]
