"""Runs every row: value, gradient, second derivative, views, instruction sets, threads, PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import lamina
import row as rows
from lamina import _core
from row import Row, every_row

try:
    import torch
except ImportError:
    torch = None

ROWS = every_row()
on_cpu = pytest.mark.skipif("__import__('row').DEVICE != 'cpu'", reason="a test of the CPU")


@pytest.fixture(scope="module", autouse=True)
def device():
    """Rows that make tensors of their own make them there too."""
    lamina.set_default_device(rows.DEVICE)
    yield
    lamina.set_default_device("cpu")


def each(rows):
    """One test for each of `rows`."""
    return pytest.mark.parametrize("row", rows, ids=lambda r: r.name)


each_row = each(ROWS)
GRAD_ROWS = [r for r in ROWS if r.grad]
SECOND_ROWS = [r for r in ROWS if r.grad and r.second]


def as_tuple(y):
    return tuple(y) if isinstance(y, (tuple, list)) else (y,)


def lamina_inputs(arrays, dtype, grad=False):
    out = []
    for a in arrays:
        t = lamina.tensor(a, dtype=dtype) if a.dtype.kind == "f" else lamina.tensor(a)
        out.append(t.requires_grad_() if grad and a.dtype.kind == "f" else t)
    return out


def compare(row, got, want, tol, what):
    got, want = as_tuple(got), as_tuple(want)
    assert len(got) == len(want), f"{row.name}: {len(got)} outputs, {len(want)} expected"
    for g, w in zip(got, want):
        g = g.detach().cpu().numpy() if hasattr(g, "detach") else np.asarray(g)
        w = np.asarray(w)
        assert g.shape == w.shape, f"{row.name} {what}: shape {g.shape}, expected {w.shape}"
        if w.dtype.kind != "f":
            np.testing.assert_array_equal(g, w, err_msg=f"{row.name} {what}")
            continue
        finite = np.isfinite(w)
        np.testing.assert_array_equal(np.isnan(g), np.isnan(w), err_msg=f"{row.name} {what}")
        bound = tol * max(1.0, np.abs(w[finite]).max(initial=0.0))
        error = np.abs(g.astype(np.float64) - w)[finite].max(initial=0.0)
        assert error <= bound, f"{row.name} {what}: error {error:.3g} > {bound:.3g}"
        same = ~finite & ~np.isnan(w)
        np.testing.assert_array_equal(g[same], w[same], err_msg=f"{row.name} {what}")


@each_row
def test_value(row: Row):
    for n in row.sizes:
        arrays = row.inputs(n)
        want = row.ref(*arrays)
        y64 = row.fn(lamina, *lamina_inputs(arrays, lamina.float64))
        compare(row, y64, want, row.tol64, f"float64 n={n}")
        y32 = row.fn(lamina, *lamina_inputs(arrays, lamina.float32))
        compare(row, y32, want, row.tol, f"float32 n={n}")
        for y, d in ((y64, lamina.float64), (y32, lamina.float32)):
            for t, w in zip(as_tuple(y), as_tuple(want)):
                if np.asarray(w).dtype.kind == "f":
                    assert t.dtype is d, f"{row.name}: {t.dtype} from {d}"


def strided(a: np.ndarray, kind: str):
    """The array's values in memory surrounded by NaN (or another value), laid out by `kind`."""
    fill = np.nan if a.dtype.kind == "f" else (1 if a.dtype.kind == "b" else 7)
    if kind == "offset":
        room = np.full(a.size + 6, fill, a.dtype)
        room[3 : 3 + a.size] = a.ravel()
        return lambda t: t[3 : 3 + a.size].view(a.shape), room
    if kind == "stepped":
        room = np.full((*a.shape[:-1], 2 * a.shape[-1] + 1), fill, a.dtype)
        room[..., 1::2] = a
        return lambda t: t[..., 1::2], room
    room = np.ascontiguousarray(np.moveaxis(a, -1, 0))  # "moved": last dimension outermost
    return lambda t: t.movedim(0, -1), room


@each([r for r in ROWS if r.views])
@pytest.mark.parametrize("kind", ["offset", "stepped", "moved"])
def test_views(row: Row, kind):
    for n in row.sizes[1:]:
        arrays = row.inputs(n)
        tensors = []
        for a in arrays:
            if a.ndim == 0:
                tensors += lamina_inputs([a], lamina.float32)
                continue
            view, room = strided(a, kind)
            t = view(lamina_inputs([room], lamina.float32)[0])
            assert tuple(t.shape) == a.shape
            tensors.append(t)
        compare(row, row.fn(lamina, *tensors), row.ref(*arrays), row.tol, f"{kind} n={n}")


def directional(row, arrays, seed=5):
    """float64: (sum(u * dy along v) by central differences, the same by backward, tensors, us)."""
    rng = np.random.default_rng(seed)
    vs = [rng.standard_normal(a.shape) if a.dtype.kind == "f" else None for a in arrays]
    x = lamina_inputs(arrays, lamina.float64, grad=True)
    ys = [y for y in as_tuple(row.fn(lamina, *x)) if y.dtype.is_floating_point]
    us = [lamina.tensor(rng.standard_normal(tuple(y.shape)), dtype=lamina.float64) for y in ys]
    return vs, x, ys, us


def along(arrays, vs, h):
    return [a if v is None else a + h * v for a, v in zip(arrays, vs)]


def difference(f, arrays, vs):
    """Fourth-order central difference of f along vs."""
    h = 1e-4
    f1, f2 = f(along(arrays, vs, h)) - f(along(arrays, vs, -h)), 0.0
    f2 = f(along(arrays, vs, 2 * h)) - f(along(arrays, vs, -2 * h))
    return (8 * f1 - f2) / (12 * h)


def close(a, b, what, tol=2e-6):
    assert abs(a - b) <= tol * max(1.0, abs(a), abs(b)), f"{what}: {a!r} against {b!r}"


@pytest.mark.parametrize("row", GRAD_ROWS, ids=lambda r: r.name)
def test_gradient(row: Row):
    for n in [n for n in row.sizes if n][:4]:
        arrays = row.inputs(n, seed=1)
        vs, x, ys, us = directional(row, arrays)

        def f(values, us=us):
            y = as_tuple(row.fn(lamina, *lamina_inputs(values, lamina.float64)))
            y = [t.cpu().numpy() for t in y if t.dtype.is_floating_point]
            return sum(float((t * u.cpu().numpy()).sum()) for t, u in zip(y, us))

        leaves = [t for t in x if t.requires_grad]
        grads = lamina.autograd.grad(ys, leaves, us, allow_unused=True)
        wanted = [v for v in vs if v is not None]
        exact = 0.0
        for t, g, v in zip(leaves, grads, wanted):
            if g is not None:
                assert g.shape == t.shape and g.dtype is t.dtype
                exact += float((g.cpu().numpy() * v).sum())
        close(exact, difference(f, arrays, vs), f"{row.name} gradient n={n}")
        low = lamina_inputs(arrays, lamina.float32, grad=True)
        y32 = [y for y in as_tuple(row.fn(lamina, *low)) if y.dtype.is_floating_point]
        g32 = lamina.autograd.grad(
            y32, [t for t in low if t.requires_grad], [u.float() for u in us], allow_unused=True
        )
        for a, b in zip(g32, grads):
            if b is not None:
                compare(row, a, b.cpu().numpy(), 20 * row.tol, f"float32 gradient n={n}")


@pytest.mark.parametrize("row", SECOND_ROWS, ids=lambda r: r.name)
def test_second_derivative(row: Row):
    for n in [n for n in row.sizes if n][1:3]:
        arrays = row.inputs(n, seed=2)
        vs, x, ys, us = directional(row, arrays)

        def slope(tensors, create, us=us, vs=vs):
            """sum over inputs of <gradient, v>."""
            leaves = [t for t in tensors if t.requires_grad]
            y = [t for t in as_tuple(row.fn(lamina, *tensors)) if t.dtype.is_floating_point]
            gs = lamina.autograd.grad(y, leaves, us, create_graph=create, allow_unused=True)
            total = 0.0
            for g, v in zip(gs, [v for v in vs if v is not None]):
                if g is not None:
                    total = total + (g * lamina.tensor(v, dtype=lamina.float64)).sum()
            return total

        total = slope(x, True)
        leaves = [t for t in x if t.requires_grad]
        exact = 0.0
        if isinstance(total, lamina.Tensor) and total.requires_grad:
            for g, v in zip(
                lamina.autograd.grad(total, leaves, allow_unused=True),
                [v for v in vs if v is not None],
            ):
                exact += 0.0 if g is None else float((g.cpu().numpy() * v).sum())

        def f(values, slope=slope):
            return float(slope(lamina_inputs(values, lamina.float64, grad=True), False))

        close(exact, difference(f, arrays, vs), f"{row.name} second derivative n={n}", 1e-5)


@on_cpu
@each_row
def test_instruction_sets(row: Row):
    before = _core.isa()
    try:
        for isa in _core.available_isas():
            _core.select_isa(isa)
            for n in row.sizes:
                arrays = row.inputs(n, seed=3)
                want = row.ref(*arrays)
                for dtype, tol in ((lamina.float32, row.tol), (lamina.float64, row.tol64)):
                    y = row.fn(lamina, *lamina_inputs(arrays, dtype))
                    compare(row, y, want, tol, f"{isa} {dtype} n={n}")
    finally:
        _core.select_isa(before)


@on_cpu
@each([r for r in ROWS if r.large is not None])
def test_threads_give_equal_bits(row: Row):
    arrays = row.inputs(row.large, seed=4)
    before = lamina.get_num_threads()
    rng = np.random.default_rng(6)
    results = []
    try:
        for threads in (1, 2, 3):
            lamina.set_num_threads(threads)
            x = lamina_inputs(arrays, lamina.float32, grad=row.grad)
            ys = as_tuple(row.fn(lamina, *x))
            bits = [y.detach().numpy().tobytes() for y in ys]
            leaves = [t for t in x if t.requires_grad]
            ys = [y for y in ys if y.requires_grad]
            if leaves and ys:
                if not results:
                    us = [rng.standard_normal(tuple(y.shape)) for y in ys]
                gs = lamina.autograd.grad(
                    ys, leaves, [lamina.tensor(u, dtype=lamina.float32) for u in us],
                    allow_unused=True,
                )  # fmt: skip
                bits += [None if g is None else g.numpy().tobytes() for g in gs]
            results.append(bits)
    finally:
        lamina.set_num_threads(before)
    assert results[0] == results[1], f"{row.name}: 2 threads differ from 1"
    assert results[0] == results[2], f"{row.name}: 3 threads differ from 1"


@on_cpu
@pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
@pytest.mark.filterwarnings("ignore:Using padding='same'")
@each([r for r in ROWS if r.torch])  # the others say why PyTorch differs
def test_pytorch(row: Row):
    for n in row.sizes:
        arrays = row.inputs(n, seed=7)
        x = lamina_inputs(arrays, lamina.float64, grad=row.grad)
        theirs = [torch.tensor(a) for a in arrays]
        for t, a in zip(theirs, arrays):
            t.requires_grad_(row.grad and a.dtype.kind == "f")
        ys, yt = as_tuple(row.fn(lamina, *x)), as_tuple(row.fn(torch, *theirs))
        compare(row, ys, [t.detach().numpy() for t in yt], 10 * row.tol64, f"torch n={n}")
        for a, b in zip(ys, yt):
            assert str(a.dtype) == str(b.dtype).replace("torch", "lamina")
        if not row.grad:
            continue
        rng = np.random.default_rng(8)
        pairs = [(a, b) for a, b in zip(ys, yt) if b.requires_grad]
        us = [rng.standard_normal(tuple(a.shape)) for a, _ in pairs]
        ours = lamina.autograd.grad(
            [a for a, _ in pairs], [t for t in x if t.requires_grad],
            [lamina.tensor(u, dtype=lamina.float64) for u in us], allow_unused=True,
        )  # fmt: skip
        their = torch.autograd.grad(
            [b for _, b in pairs], [t for t in theirs if t.requires_grad],
            [torch.tensor(u) for u in us], allow_unused=True,
        )  # fmt: skip
        for a, b in zip(ours, their):
            assert (a is None) == (b is None), f"{row.name}: one gradient is None"
            if a is not None:
                compare(row, a, b.numpy(), row.torch_tol, f"torch gradient n={n}")
