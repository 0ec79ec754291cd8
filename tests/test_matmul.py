"""Matrix products: shapes, layouts, dtypes, bits, OpenBLAS, errors."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

import lamina
from lamina.nn import functional as F


def draw(*shape, seed=0, dtype=lamina.float64):
    return lamina.tensor(np.random.default_rng(seed).standard_normal(shape), dtype=dtype)


def close(y, ref, tol=1e-12):
    ref = np.asarray(ref)
    assert tuple(y.shape) == ref.shape
    np.testing.assert_allclose(y.numpy(), ref, rtol=0, atol=tol * max(1, abs(ref).max(initial=0)))


# ---- shapes -------------------------------------------------------------------------------------
@pytest.mark.parametrize("a, b", [
    ((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((3,), (5, 3, 4)),
    ((5, 2, 3), (3,)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)),
    ((5, 2, 3), (1, 3, 4)), ((1, 2, 3), (5, 3, 4)), ((6, 1, 2, 3), (5, 3, 4)),
    ((6, 5, 2, 3), (1, 1, 3, 4)), ((2, 1, 3, 1, 2, 3), (4, 1, 5, 3, 2)), ((0, 3), (3, 4)),
    ((2, 3), (3, 0)), ((0, 2, 3), (3, 4)), ((4, 1, 3), (0, 1, 3, 2)),
])  # fmt: skip
def test_operands_broadcast(a, b):
    x, y = draw(*a), draw(*b, seed=1)
    x.requires_grad_()
    y.requires_grad_()
    z = x @ y
    close(z.detach(), x.detach().numpy() @ y.detach().numpy())
    gx, gy = lamina.autograd.grad((z * z).sum(), (x, y))
    assert gx.shape == x.shape and gy.shape == y.shape
    for t, g in ((x, gx), (y, gy)):  # one direction, central difference
        if t.numel() == 0:
            continue
        v = draw(*t.shape, seed=2)
        step = 1e-5
        at = [
            ((t.detach() + s * v) @ y.detach() if t is x else x.detach() @ (t.detach() + s * v))
            for s in (step, -step)
        ]
        slope = ((at[0] * at[0]).sum() - (at[1] * at[1]).sum()).item() / (2 * step)
        assert (g * v).sum().item() == pytest.approx(slope, rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("dtype", [lamina.float32, lamina.float64, lamina.int64, lamina.float16])
def test_nothing_to_sum_gives_zeros(dtype):
    for a, b, shape in (
        ((2, 0), (0, 3), (2, 3)),
        ((0,), (0,), ()),
        ((2, 0), (0,), (2,)),
        ((4, 2, 0), (0, 3), (4, 2, 3)),
    ):
        y = lamina.zeros(a, dtype=dtype) @ lamina.zeros(b, dtype=dtype)
        assert y.dtype is dtype and tuple(y.shape) == shape and (y == 0).all()
    x = lamina.zeros(2, 0, requires_grad=True)
    y = F.linear(x, lamina.zeros(3, 0), lamina.tensor([1.0, 2.0, 3.0]))
    assert y.tolist() == [[1, 2, 3], [1, 2, 3]]
    y.sum().backward()
    assert x.grad.shape == (2, 0)


# ---- layouts ------------------------------------------------------------------------------------
LAYOUTS = {
    "plain": lambda x: x,
    "transposed": lambda x: x.transpose(-1, -2).contiguous().transpose(-1, -2),
    "every second column": lambda x: x.repeat_interleave(2, -1)[..., ::2],
    "every second row": lambda x: x.repeat_interleave(3, -2)[..., ::3, :],
    "both": lambda x: x.repeat_interleave(2, -1).repeat_interleave(2, -2)[..., ::2, ::2],
    "offset": lambda x: F.pad(x, (3, 1, 2, 0))[..., 2:, 3:-1],
    "flipped": lambda x: x.flip(-1).flip(-1),
}


@pytest.mark.parametrize("left", LAYOUTS)
@pytest.mark.parametrize("right", LAYOUTS)
@pytest.mark.parametrize("m, n, k", [(3, 5, 7), (1, 33, 20), (20, 1, 9), (65, 40, 33)])
def test_the_layout_of_operands_changes_no_bit(left, right, m, n, k):
    for batch in ((), (3,)):
        a = draw(*batch, m, k, dtype=lamina.float32)
        b = draw(*batch, k, n, seed=1, dtype=lamina.float32)
        y = LAYOUTS[left](a) @ LAYOUTS[right](b)
        assert y.equal(a @ b)
        close(y.double(), a.double().numpy() @ b.double().numpy(), 1e-6)


def test_expanded_operands():
    row, column = draw(1, 6), draw(4, 1, seed=1)
    a, b = row.expand(5, 6), column.expand(4, 6).transpose(0, 1)
    close(a @ b, np.broadcast_to(row.numpy(), (5, 6)) @ np.broadcast_to(column.numpy(), (4, 6)).T)
    batch = draw(2, 3).expand(7, 2, 3)
    close(batch @ draw(3, 4), batch.numpy() @ draw(3, 4).numpy())
    close(draw(7, 4, 2) @ batch, draw(7, 4, 2).numpy() @ batch.numpy())


def test_a_result_may_replace_an_operand():
    a, b = draw(6, 6), draw(6, 6, seed=1)
    expected = a.numpy() @ b.numpy()
    assert lamina.matmul(a, b, out=a) is a
    close(a, expected)
    c = draw(6, 6, seed=2)
    expected = c.numpy() @ c.numpy().T
    close(lamina.mm(c, c.t(), out=c), expected)


# ---- dtypes -------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["uint8", "int8", "int16", "int32", "int64"])
def test_integers_wrap_around(name):
    dtype = getattr(lamina, name)
    rng = np.random.default_rng(0)
    low = 0 if name == "uint8" else -100
    a, b = rng.integers(low, 100, (5, 70)), rng.integers(low, 100, (70, 3))
    y = lamina.tensor(a, dtype=dtype) @ lamina.tensor(b, dtype=dtype)
    assert y.dtype is dtype
    assert (y.numpy() == (a @ b).astype(name)).all()
    w = lamina.tensor(b.T.copy(), dtype=dtype)
    z = F.linear(lamina.tensor(a, dtype=dtype), w, lamina.tensor([1, 2, 3], dtype=dtype))
    assert (z.numpy() == (a @ b + [1, 2, 3]).astype(name)).all()


def test_large_integers_are_exact():
    a = lamina.tensor([[2**62, 3], [5, -(2**40)]])
    b = lamina.tensor([[4, 1], [2**33, 7]])
    wrapped = [[(2**62 * 4 + 3 * 2**33), 2**62 + 21], [20 - 2**73, 5 - 7 * 2**40]]
    signed = [[(v + 2**63) % 2**64 - 2**63 for v in row] for row in wrapped]
    assert (a @ b).tolist() == signed


@pytest.mark.parametrize("dtype, unit", [(lamina.float16, 2**-11), (lamina.bfloat16, 2**-8)])
def test_half_precision_is_rounded_once(dtype, unit):
    """Computed in float32: one rounding to the half type is all that shows."""
    a, b = draw(9, 300, dtype=dtype), draw(300, 11, seed=1, dtype=dtype)
    exact = a.double().numpy() @ b.double().numpy()
    for y in (a @ b, F.linear(a, b.t())):
        assert y.dtype is dtype
        error = np.abs(y.double().numpy() - exact)
        assert (error <= unit * np.abs(exact) + 300 * 2**-23 * 16).all()
    a.requires_grad_()
    (a @ b).sum().backward()
    assert a.grad.dtype is dtype


def test_special_values_spread_as_in_sums():
    inf, nan = float("inf"), float("nan")
    a = lamina.tensor([[inf, 1.0], [nan, 0.0], [0.0, 2.0]])
    b = lamina.tensor([[0.0, 1.0], [1.0, -inf]])
    y = (a @ b).tolist()
    assert str(y) == "[[nan, nan], [nan, nan], [2.0, -inf]]"


# ---- bits ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [lamina.float32, lamina.float64])
@pytest.mark.parametrize("features, outputs", [(784, 256), (256, 128), (128, 10), (40, 1)])
def test_a_row_has_the_same_bits_in_every_batch(dtype, features, outputs):
    x, w = draw(130, features, dtype=dtype), draw(outputs, features, seed=1, dtype=dtype)
    b = draw(outputs, seed=2, dtype=dtype)
    every = F.linear(x, w, b)
    for rows in (1, 2, 3, 5, 8, 64, 129):
        assert F.linear(x[:rows], w, b).equal(every[:rows])
        assert F.linear(x[-rows:], w, b).equal(every[-rows:])
    assert F.linear(x[7], w, b).equal(every[7])
    assert F.linear(x.reshape(13, 10, features), w, b).reshape(130, outputs).equal(every)
    assert (x @ w.t())[3:40].equal(x[3:40] @ w.t())


def test_bits_do_not_depend_on_threads():
    before = lamina.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            lamina.set_num_threads(threads)
            x, w = draw(200, 500, dtype=lamina.float32), draw(170, 500, dtype=lamina.float32)
            b = draw(9, 40, 50, dtype=lamina.float32)
            results.append((F.linear(x, w), x.t() @ x, b @ b.transpose(1, 2), x[0] @ w.t()))
    finally:
        lamina.set_num_threads(before)
    for other in results[1:]:
        assert all(a.equal(b) for a, b in zip(results[0], other))


OPENBLAS = """
import sys
import numpy as np, lamina
from lamina.nn import functional as F
rng = np.random.default_rng(0)
out = []
for m, n, k in ((1, 1, 1), (64, 256, 784), (5, 1, 9), (1, 50, 30), (33, 7, 0), (100, 90, 80)):
    for dtype in (lamina.float32, lamina.float64):
        a = lamina.tensor(rng.standard_normal((m, k)), dtype=dtype)
        b = lamina.tensor(rng.standard_normal((k, n)), dtype=dtype)
        bias = lamina.tensor(rng.standard_normal(n), dtype=dtype)
        out += [a @ b, a.t().contiguous().t() @ b, a @ b.t().contiguous().t(), b.t() @ a.t(),
                F.linear(a, b.t(), bias),
                lamina.baddbmm(bias, a.expand(2, m, k), b.expand(2, k, n))]
print(lamina.matmul(lamina.tensor([[1, 2]]), lamina.tensor([[3], [4]])).item())
np.savez(sys.argv[1], *(t.numpy() for t in out))
"""


def run_with_blas(library, *args):
    environment = {**os.environ, "LAMINA_BLAS": library}
    environment["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    return subprocess.run(
        [sys.executable, *args], env=environment, capture_output=True, text=True, timeout=120
    )


def test_openblas_agrees(tmp_path):
    pytest.importorskip("scipy_openblas32")
    results = []
    for library in ("own", "openblas"):
        file = tmp_path / f"{library}.npz"
        done = run_with_blas(library, "-c", OPENBLAS, str(file))
        assert done.returncode == 0, done.stderr
        assert done.stdout == "11\n"
        results.append(np.load(file))
    for name in results[0]:
        a, b = results[0][name], results[1][name]
        # Chains of up to 784 products of numbers near 1, in another order.
        tol = 784 * np.finfo(a.dtype).eps
        np.testing.assert_allclose(a, b, rtol=tol, atol=tol)


def test_an_unknown_library_is_refused():
    done = run_with_blas("mkl", "-c", "import lamina; lamina.ones(2, 2) @ lamina.ones(2, 2)")
    assert (
        "matmul: LAMINA_BLAS=mkl is unknown; use own, openblas or the path of a library"
        in done.stderr
    )


# ---- products added to something ----------------------------------------------------------------
@pytest.mark.parametrize("shape", [(4, 5), (5,), (1, 5), (4, 1), (1, 1), ()])
@pytest.mark.parametrize("beta, alpha", [(1, 1), (0, 1), (0.5, -2.0), (1, 0), (0, 0)])
def test_addmm(shape, beta, alpha):
    c, a, b = draw(*shape), draw(4, 3, seed=1), draw(3, 5, seed=2)
    expected = beta * c.numpy() + alpha * (a.numpy() @ b.numpy())
    close(lamina.addmm(c, a, b, beta=beta, alpha=alpha), expected)
    close(c.addmm(a, b, beta=beta, alpha=alpha), expected)
    batched = lamina.baddbmm(c, a.expand(2, 4, 3), b.expand(2, 3, 5), beta=beta, alpha=alpha)
    close(batched, np.broadcast_to(expected, (2, 4, 5)))
    summed = lamina.addbmm(c, a.expand(2, 4, 3), b.expand(2, 3, 5), beta=beta, alpha=alpha)
    close(summed, beta * c.numpy() + 2 * alpha * (a.numpy() @ b.numpy()))


def test_beta_zero_reads_nothing():
    nan = float("nan")
    a, b, v = draw(4, 3), draw(3, 5, seed=1), draw(3, seed=2)
    assert lamina.addmm(lamina.full((4, 5), nan).double(), a, b, beta=0).equal(a @ b)
    assert lamina.addmm(lamina.full((5,), nan).double(), a, b, beta=0).equal(a @ b)
    assert lamina.addmv(lamina.full((4,), nan).double(), a, v, beta=0).equal(a @ v)
    assert lamina.addr(lamina.full((3, 3), nan).double(), v, v, beta=0).equal(lamina.outer(v, v))
    x, y = a.expand(2, 4, 3), b.expand(2, 3, 5)
    assert lamina.baddbmm(lamina.full((2, 4, 5), nan).double(), x, y, beta=0).equal(x @ y)


def test_linear_forms():
    x, w, b = draw(2, 3, 4), draw(5, 4, seed=1), draw(5, seed=2)
    ref = x.numpy() @ w.numpy().T
    close(F.linear(x, w), ref)
    close(F.linear(x, w, None), ref)
    close(F.linear(x, w, b), ref + b.numpy())
    close(F.linear(x[0, 0], w, b), ref[0, 0] + b.numpy())
    close(F.linear(x, w[0]), ref[..., 0])
    close(F.linear(x.transpose(0, 1), w, b), ref.swapaxes(0, 1) + b.numpy())
    close(F.linear(x[:, :2], w[::2], b[::2]), ref[:, :2, ::2] + b.numpy()[::2])


def test_chain_matmul_multiplies_in_the_cheapest_order():
    sizes = (10, 100, 5, 50, 1)
    matrices = [draw(m, n, seed=m) for m, n in zip(sizes, sizes[1:])]
    close(lamina.chain_matmul(*matrices), np.linalg.multi_dot([m.numpy() for m in matrices]))
    assert lamina.chain_matmul(matrices[0]) is matrices[0]


# ---- errors -------------------------------------------------------------------------------------
def zeros(*shape, dtype=lamina.float32):
    return lamina.zeros(shape, dtype=dtype)


SHAPE_ERRORS = [
    (lambda: zeros(2, 3) @ zeros(4, 5),
     "matmul: shapes (2, 3) and (4, 5) cannot be multiplied: the first has 3 columns, the second "
     "4 rows; they must be equal"),
    (lambda: zeros() @ zeros(3),
     "matmul: both operands need a dimension, got () and (3,); use * for scalars"),
    (lambda: zeros(2, 3, 4) @ zeros(3, 4, 5),
     "matmul: the batches of shapes (2, 3, 4) and (3, 4, 5) do not broadcast: sizes 2 and 3 must "
     "be equal or one of them 1"),
    (lambda: lamina.mm(zeros(2), zeros(2, 3)),
     "mm: the first operand must have 2 dimensions, got 1: shape (2,); use matmul for other "
     "numbers"),
    (lambda: lamina.bmm(zeros(2, 3, 4), zeros(3, 4, 5)),
     "bmm: batches of 2 and 3 matrices: shapes (2, 3, 4) and (3, 4, 5); they must be equal "
     "(matmul broadcasts)"),
    (lambda: lamina.bmm(zeros(3, 4), zeros(3, 4, 5)),
     "bmm: the first operand must have 3 dimensions, got 2: shape (3, 4); use matmul for other "
     "numbers"),
    (lambda: lamina.mv(zeros(2, 3), zeros(2)),
     "mv: shapes (2, 3) and (2,) cannot be multiplied: the first has 3 columns, the second 2 "
     "rows; they must be equal"),
    (lambda: lamina.dot(zeros(2), zeros(3)),
     "dot: expected two 1-D tensors of one length, got shapes (2,) and (3,)"),
    (lambda: lamina.inner(zeros(2, 3), zeros(2)),
     "inner: shapes (2, 3) and (2,) have last sizes 3 and 2; they must be equal"),
    (lambda: lamina.addmm(zeros(7, 7), zeros(2, 3), zeros(3, 4)),
     "addmm: input (7, 7) cannot be expanded to the product's shape (2, 4); each of its sizes "
     "must be equal or 1"),
    (lambda: lamina.baddbmm(zeros(1, 1, 2, 4), zeros(5, 2, 3), zeros(5, 3, 4)),
     "baddbmm: input (1, 1, 2, 4) cannot be expanded to the product's shape (5, 2, 4); each of "
     "its sizes must be equal or 1"),
    (lambda: F.linear(zeros(2, 3), zeros(4, 5)),
     "linear: input (2, 3) has 3 features, but weight (4, 5) takes 5; the last sizes of both "
     "must be equal"),
    (lambda: F.linear(zeros(2, 3), zeros(4, 3), zeros(3)),
     "linear: bias (3,) does not fit weight (4, 3); it must have shape (4,)"),
    (lambda: lamina.tensordot(zeros(2, 3), zeros(4, 5)),
     "tensordot: dimensions [0, 1] of shape (2, 3) have sizes [2, 3], dimensions [0, 1] of shape "
     "(4, 5) have [4, 5]; they must be equal"),
]  # fmt: skip
DTYPE_ERRORS = [
    (lambda: zeros(2, 3) @ zeros(3, 4, dtype=lamina.float64),
     "matmul: the operands have different dtypes, (2, 3) float32 and (3, 4) float64; convert one "
     "with .to()"),
    (lambda: zeros(2, 2, dtype=lamina.bool) @ zeros(2, 2, dtype=lamina.bool),
     "matmul: bool tensors have no product, got (2, 2) bool and (2, 2) bool; convert with .to()"),
    (lambda: F.linear(zeros(2, 3), zeros(4, 3, dtype=lamina.int64)),
     "linear: the operands have different dtypes, (2, 3) float32 and (4, 3) int64; convert one "
     "with .to()"),
    (lambda: lamina.addmm(zeros(4, dtype=lamina.float64), zeros(2, 3), zeros(3, 4)),
     "addmm: input (4,) float64 and the product have different dtypes, float64 and float32; "
     "convert one with .to()"),
    (lambda: lamina.addmm(*(zeros(2, 2, dtype=lamina.int64) for _ in range(3)), alpha=0.5),
     "addmm: beta and alpha must be integers for tensors of int64"),
]  # fmt: skip
VALUE_ERRORS = [
    (lambda: lamina.tensordot(zeros(2, 3), zeros(4, 5), 5),
     "tensordot: dims=5 does not fit shapes (2, 3) and (4, 5)"),
]  # fmt: skip


@pytest.mark.parametrize("kind, call, text", [
    *((lamina.ShapeError, *e) for e in SHAPE_ERRORS),
    *((lamina.DTypeError, *e) for e in DTYPE_ERRORS),
    *((ValueError, *e) for e in VALUE_ERRORS),
])  # fmt: skip
def test_errors_name_the_values(kind, call, text):
    with pytest.raises(kind, match=f"^{re.escape(text)}$"):
        call()
