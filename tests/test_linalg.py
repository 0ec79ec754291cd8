"""lamina.linalg against float64 NumPy: values, batches, empty and strided inputs, and what happens
to matrices that have no factorisation."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

import lamina

pytest.importorskip("scipy_openblas32")
L = lamina.linalg
RNG = np.random.default_rng(12)
SHAPES = [(3, 3), (5, 3), (3, 5), (1, 1), (2, 4, 4), (2, 3, 6, 2), (0, 3, 3), (40, 40)]
SQUARE = [(3, 3), (1, 1), (2, 4, 4), (2, 3, 5, 5), (0, 3, 3), (0, 0), (2, 0, 0), (40, 40)]
TOL = {lamina.float64: 1e-11, lamina.float32: 2e-4}
DTYPES = [lamina.float64, lamina.float32]


def t(x, dtype=lamina.float64):
    return lamina.tensor(np.asarray(x), dtype=dtype)


def close(got, want, tol=1e-11):
    want = np.asarray(want)
    assert tuple(got.shape) == want.shape
    bound = tol * max(1.0, np.abs(want).max(initial=0.0))
    error = np.abs(got.detach().numpy().astype(float) - want).max(initial=0.0)
    assert error <= bound, f"error {error:.3g} > {bound:.3g}"


def matrices(shape, dtype=lamina.float64):
    """Well-conditioned random matrices, as float64 holding values of the dtype."""
    x = RNG.normal(size=shape)
    if shape[-1] == shape[-2]:
        x = x + 3 * np.eye(shape[-1])
    return x.astype(np.float32).astype(float) if dtype is lamina.float32 else x


def spd(shape, dtype=lamina.float64):
    x = matrices(shape, dtype)
    return x @ x.swapaxes(-1, -2) + np.eye(shape[-1])


def transposed(x):
    return np.asarray(x).swapaxes(-1, -2)


@pytest.mark.parametrize("shape, dtype", [*itertools.product(SQUARE, DTYPES)])
def test_square_against_numpy(shape, dtype):
    tol = TOL[dtype]
    a = matrices(shape, dtype)
    b = RNG.normal(size=(*shape[:-1], 2)).astype(np.float32).astype(float)
    A, B = t(a, dtype), t(b, dtype)
    close(L.inv(A), np.linalg.inv(a), tol)
    close(L.solve(A, B), np.linalg.solve(a, b), tol)
    close(L.solve(A, B[..., 0]), np.linalg.solve(a, b)[..., 0], tol)
    close(L.solve(A, B.mT, left=False), transposed(np.linalg.solve(transposed(a), b)), tol)
    close(L.det(A), np.linalg.det(a), tol * 10)
    sign, value = np.linalg.slogdet(a)
    ours = L.slogdet(A)
    close(ours.sign, sign)
    close(ours.logabsdet, value, tol)
    close(lamina.logdet(A @ A), 2 * value, tol)
    s = spd(shape, dtype)
    S = t(s, dtype)
    close(L.cholesky(S), np.linalg.cholesky(s), tol)
    close(L.cholesky(S, upper=True), transposed(np.linalg.cholesky(s)), tol)
    w, V = L.eigh(S)
    close(w, np.linalg.eigvalsh(s), tol)
    close(L.eigvalsh(S, "U"), np.linalg.eigvalsh(s), tol)
    close(V @ (w.unsqueeze(-1) * V.mT), s, tol)
    close(V.mT @ V, np.broadcast_to(np.eye(shape[-1]), shape), tol)
    assert A.dtype is dtype and w.dtype is dtype


@pytest.mark.parametrize("shape, dtype", [*itertools.product(SHAPES + [(0, 3), (3, 0)], DTYPES)])
def test_rectangular_against_numpy(shape, dtype):
    tol = TOL[dtype]
    a = matrices(shape, dtype)
    A, (m, n) = t(a, dtype), shape[-2:]
    k = min(m, n)
    for mode in ("reduced", "complete"):
        Q, R = L.qr(A, mode)
        close(Q @ R, a, tol)
        close(
            Q.mT @ Q, np.broadcast_to(np.eye(Q.shape[-1]), (*shape[:-2], *[Q.shape[-1]] * 2)), tol
        )
        assert (R.tril(-1) == 0).all()
    close(L.qr(A, "r").R, L.qr(A).R.numpy(), tol)
    for full in (True, False):
        U, S, Vh = L.svd(A, full_matrices=full)
        assert U.shape[-1] == (m if full else k) and Vh.shape[-2] == (n if full else k)
        close(S, np.linalg.svd(a, compute_uv=False), tol)
        close(U[..., :k] @ (S.unsqueeze(-1) * Vh[..., :k, :]), a, tol)
        close(
            U.mT @ U, np.broadcast_to(np.eye(U.shape[-1]), (*shape[:-2], *[U.shape[-1]] * 2)), tol
        )
    close(L.svdvals(A), np.linalg.svd(a, compute_uv=False), tol)
    close(L.pinv(A), np.linalg.pinv(a), tol)
    P, Lower, U = L.lu(A)
    close(P @ Lower @ U, a, tol)
    b = RNG.normal(size=(*shape[:-1], 2))
    X = L.lstsq(A, t(b, dtype)).solution
    close(X, np.linalg.pinv(a) @ b, tol)


@pytest.mark.parametrize("shape", [(3, 3), (2, 4, 4), (1, 1), (0, 0), (30, 30)])
def test_eig(shape):
    a = RNG.normal(size=shape)
    w, V = L.eig(t(a))
    assert w.shape == shape[:-1] and V.shape == shape and w.dtype is lamina.complex128
    w, V = w.numpy(), V.numpy()
    np.testing.assert_allclose(a @ V, V * w[..., None, :], atol=1e-11)
    np.testing.assert_allclose((np.abs(V) ** 2).sum(-2), np.ones(w.shape), atol=1e-12)
    values = L.eigvals(t(a)).numpy()
    np.testing.assert_allclose(values, w, atol=1e-11)


def test_triangular_systems():
    a, b = matrices((2, 4, 4)), RNG.normal(size=(2, 4, 3))
    for upper, unit, left in itertools.product((True, False), repeat=3):
        tri = np.triu(a) if upper else np.tril(a)
        if unit:
            tri = tri - tri * np.eye(4) + np.eye(4)
        rhs = b if left else transposed(b)
        want = np.linalg.solve(tri, b) if left else rhs @ np.linalg.inv(tri)
        got = L.solve_triangular(t(a), t(rhs), upper=upper, left=left, unitriangular=unit)
        close(got, want, 1e-10)
    assert L.solve_triangular(t(np.diag([1.0, 0.0])), t(np.ones((2, 1))), upper=True).isinf().any()


def test_strided_inputs_and_broadcasting():
    a = matrices((4, 4, 2, 3))
    A = t(a).permute(2, 3, 1, 0)  # (2, 3, 4, 4), not dense
    want = a.transpose(2, 3, 1, 0)
    close(L.inv(A), np.linalg.inv(want), 1e-10)
    close(L.svdvals(A[:, ::2]), np.linalg.svd(want[:, ::2], compute_uv=False), 1e-10)
    b = RNG.normal(size=(3, 4, 2))
    close(L.solve(A, t(b)), np.linalg.solve(want, b[None]), 1e-10)
    close(L.solve_triangular(A, t(b), upper=True), np.linalg.solve(np.triu(want), b[None]), 1e-10)
    LU, pivots = L.lu_factor(A)
    close(L.lu_solve(LU, pivots, t(b)), np.linalg.solve(want, b[None]), 1e-10)
    close(L.lu_solve(LU, pivots, t(b), adjoint=True),
          np.linalg.solve(transposed(want), b[None]), 1e-10)  # fmt: skip
    close(L.lu_solve(LU, pivots, t(transposed(b)), left=False),
          transposed(b)[None] @ np.linalg.inv(want), 1e-10)  # fmt: skip


# ---- norms, ranks, products --------------------------------------------------------------------
def test_norms():
    a = RNG.normal(size=(2, 3, 4))
    A = t(a)
    for p in (1, -1, 2, -2, np.inf, -np.inf, "fro", "nuc"):
        for keep in (False, True):
            close(L.matrix_norm(A, p, keepdim=keep),
                  np.linalg.norm(a, p, axis=(-2, -1), keepdims=keep))  # fmt: skip
        close(L.norm(A[0], p), np.linalg.norm(a[0], p))
        close(L.matrix_norm(A, p, dim=(2, 0)), np.linalg.norm(a, p, axis=(2, 0)))
    for p in (0, 1, 2, 3.5, np.inf, -np.inf):
        close(L.vector_norm(A, p, dim=1), np.linalg.norm(a, p, axis=1))
        close(L.norm(A[0, 0], p), np.linalg.norm(a[0, 0], p))
    close(L.norm(A), np.linalg.norm(a))
    close(L.vector_norm(A), np.linalg.norm(a))
    s = matrices((2, 4, 4))
    for p in (None, 1, -1, 2, -2, np.inf, -np.inf, "fro", "nuc"):
        close(L.cond(t(s), p), np.linalg.cond(s, p), 1e-9)
    assert L.cond(lamina.ones(2, 2), 1).isinf()
    close(L.cond(A), np.linalg.cond(a), 1e-9)


def test_matrix_rank():
    a = RNG.normal(size=(3, 5, 2)) @ RNG.normal(size=(3, 2, 4))
    assert L.matrix_rank(t(a)).tolist() == [2, 2, 2]
    assert L.matrix_rank(t(a @ transposed(a)), hermitian=True).tolist() == [2, 2, 2]
    assert int(L.matrix_rank(t(np.diag([1.0, 0.1, 0.01])), atol=0.05)) == 2
    assert int(L.matrix_rank(t(np.diag([1.0, 0.1, 0.01])), rtol=0.2)) == 1
    assert int(L.matrix_rank(lamina.zeros(3, 0))) == 0


def test_products():
    xs = [RNG.normal(size=s) for s in ((4, 10), (10, 3), (3, 7), (7, 2))]
    close(L.multi_dot([t(x) for x in xs]), np.linalg.multi_dot(xs))
    close(L.multi_dot([t(xs[0][0]), *map(t, xs[1:3]), t(xs[3][:, 0])]),
          np.linalg.multi_dot([xs[0][0], *xs[1:3], xs[3][:, 0]]))  # fmt: skip
    a = matrices((2, 3, 3))
    for n in (0, 1, 5, -1, -3):
        close(L.matrix_power(t(a), n), np.linalg.matrix_power(a, n), 1e-9)
    u, v = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3))
    close(L.cross(t(u), t(v)), np.cross(u, v))
    close(lamina.cross(t(u.T), t(v.T)), np.cross(u, v).T)
    close(L.vecdot(t(u), t(v)), (u * v).sum(-1))
    close(L.vander(t(u[:, 0]), 4), np.vander(u[:, 0], 4, increasing=True))
    close(L.diagonal(t(a)), np.diagonal(a, 0, -2, -1))
    w, V = np.linalg.eigh(a + transposed(a))
    close(
        L.matrix_exp(t(a + transposed(a)) * 3), (V * np.exp(3 * w)[:, None]) @ transposed(V), 1e-11
    )
    x = RNG.normal(size=(2, 3, 6))
    close(L.tensorinv(t(x), 2), np.linalg.tensorinv(x, 2), 1e-9)
    close(L.tensorsolve(t(x), t(np.ones((2, 3)))), np.linalg.tensorsolve(x, np.ones((2, 3))), 1e-9)


def test_names_of_torch():
    a, s = t(matrices((3, 3))), t(spd((3, 3)))
    assert (a.inverse() == lamina.inverse(a)).all() and (a.det() == lamina.det(a)).all()
    close(lamina.cholesky_inverse(lamina.cholesky(s)), np.linalg.inv(s.numpy()), 1e-10)
    U, S, V = lamina.svd(a)
    close(U @ S.diag() @ V.T, a.numpy())
    assert lamina.svd(a, compute_uv=False).U.abs().sum() == 0
    close(lamina.pinverse(a), np.linalg.inv(a.numpy()), 1e-9)
    X, _ = lamina.triangular_solve(a, s, upper=False, transpose=True)
    close(s.tril().T @ X, a.numpy(), 1e-10)
    assert lamina.logdet(-lamina.eye(3)).isnan() and lamina.logdet(lamina.zeros(2, 2)) == -np.inf
    out = lamina.empty(3, 3, dtype=lamina.float64)
    assert L.inv(a, out=out) is out and (out == a.inverse()).all()
    U, S, Vh = (lamina.empty(*n, dtype=lamina.float64) for n in ((3, 3), (3,), (3, 3)))
    assert L.svd(a, out=(U, S, Vh)).S is S and S.allclose(L.svdvals(a))
    assert L.svd(a)._fields == ("U", "S", "Vh") and L.qr(a)._fields == ("Q", "R")
    assert L.eigh(s)._fields == ("eigenvalues", "eigenvectors")
    assert L.slogdet(a)._fields == ("sign", "logabsdet")


def test_least_squares_results():
    a, b = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 2))
    x, residuals, rank, s = np.linalg.lstsq(a, b)
    r = L.lstsq(t(a), t(b), driver="gelsd")
    close(r.solution, x)
    close(r.residuals, residuals)
    close(r.singular_values, s)
    assert int(r.rank) == rank == 3 and L.lstsq(t(a), t(b)).singular_values.numel() == 0
    close(L.lstsq(t(a), t(b[:, 0])).solution, x[:, 0])
    a[:, 2] = a[:, 0] + a[:, 1]
    r = L.lstsq(t(a), t(b))
    assert int(r.rank) == 2 and r.residuals.numel() == 0
    close(r.solution, np.linalg.pinv(a) @ b, 1e-10)


# ---- failures ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "f, text",
    [
        (lambda: L.inv(lamina.ones(3, 3)), r"inv: the matrix of shape \(3, 3\): singular"),
        (lambda: L.solve(lamina.zeros(2, 2), lamina.ones(2, 1)), "singular: element 1"),
        (lambda: L.inv(lamina.stack([lamina.eye(2), lamina.ones(2, 2)])), r"batch element \(1,\)"),
        (lambda: L.inv(lamina.zeros(2, 3, 2, 2)), r"batch element \(0, 0\)"),
        (lambda: L.cholesky(-lamina.eye(3)), "not positive definite: its leading minor of order 1"),
        (lambda: L.cholesky(lamina.full((2, 2), float("nan"))), "NaN"),
        (lambda: L.svd(lamina.full((2, 2), float("nan"))), "NaN"),
        (lambda: L.eigh(lamina.full((2, 2), float("nan"))), "NaN"),
        (lambda: L.eig(lamina.full((2, 2), float("nan"))), "NaN"),
        (lambda: L.inv_ex(lamina.ones(2, 2), check_errors=True), "singular"),
    ],
)
def test_matrices_without_a_factorisation(f, text):
    with pytest.raises(L.LinAlgError, match=text):
        f()
    assert issubclass(L.LinAlgError, RuntimeError)


def test_failures_without_an_error():
    x = lamina.stack([lamina.eye(2), lamina.ones(2, 2)])
    inverse, info = L.inv_ex(x)
    assert info.tolist() == [0, 2] and info.dtype is lamina.int32 and inverse[1].isnan().all()
    assert L.cholesky_ex(-x).info.tolist() == [1, 1]
    assert L.solve_ex(x, lamina.ones(2)).info.tolist() == [0, 2]
    assert L.det(lamina.ones(2, 2)) == 0 and L.det(lamina.full((2, 2), float("nan"))).isnan()
    assert tuple(map(float, L.slogdet(lamina.ones(2, 2)))) == (0, -np.inf)


@pytest.mark.parametrize(
    "f, error, text",
    [
        (
            lambda: L.inv(lamina.ones(2, 3)),
            lamina.ShapeError,
            r"square matrices, got shape \(2, 3\)",
        ),
        (lambda: L.det(lamina.ones(3)), lamina.ShapeError, r"batch of them, got shape \(3,\)"),
        (lambda: L.inv(lamina.ones(2, 2).long()), lamina.DTypeError, "float32 or float64, got"),
        (lambda: L.solve(lamina.eye(2), lamina.ones(3, 1)), lamina.ShapeError, "rows must agree"),
        (lambda: L.solve(lamina.eye(2), t(np.ones((2, 1)))), lamina.DTypeError, "must agree"),
        (lambda: L.eigh(lamina.eye(2), "X"), ValueError, "UPLO must be 'L' or 'U'"),
        (lambda: L.qr(lamina.eye(2), "full"), RuntimeError, "mode must be"),
        (lambda: L.matrix_norm(lamina.eye(2), 3), ValueError, "ord must be"),
        (lambda: L.multi_dot([lamina.eye(2)]), ValueError, "at least two"),
        (lambda: L.cross(lamina.ones(2), lamina.ones(2)), lamina.ShapeError, "must have size 3"),
        (lambda: L.lstsq(lamina.eye(2), lamina.ones(2, 1), driver="x"), RuntimeError, "driver"),
        (lambda: L.lu_factor(lamina.eye(2), pivot=False), NotImplementedError, "pivot"),
    ],
)
def test_wrong_arguments(f, error, text):
    with pytest.raises(error, match=text):
        f()


def test_results_do_not_depend_on_threads():
    x, before = t(matrices((20, 12, 12))), lamina.get_num_threads()
    results = []
    for n in (1, 3):
        lamina.set_num_threads(n)
        results.append([L.inv(x), *L.svd(x)])
    lamina.set_num_threads(before)
    assert all((a == b).all() for a, b in zip(*results))


def test_missing_library_is_explained():
    code = (
        "import sys; sys.modules['scipy_openblas32'] = None\n"
        "import lamina\n"
        "try: lamina.linalg.inv(lamina.eye(2))\n"
        "except RuntimeError as e: print(e)"
    )
    path = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": path})  # fmt: skip
    assert "inv: the package scipy-openblas32" in done.stdout and "install it" in done.stdout


# ---- complex matrices ----------------------------------------------------------------------------
@pytest.mark.parametrize("shape", SQUARE)
@pytest.mark.parametrize("dtype", [np.complex128, np.complex64])
def test_complex_systems(shape, dtype):
    a = (matrices(shape) + 1j * RNG.normal(size=shape)).astype(dtype)
    b = (RNG.normal(size=(*shape[:-1], 2)) + 1j * RNG.normal(size=(*shape[:-1], 2))).astype(dtype)
    A, B, wide = lamina.tensor(a), lamina.tensor(b), a.astype(np.complex128)
    tol = 1e-11 if dtype == np.complex128 else 2e-4
    sign, size = np.linalg.slogdet(wide)
    pairs = [
        (L.solve(A, B), np.linalg.solve(wide, b)),
        (L.solve(A.mT, B.mT, left=False), np.linalg.solve(wide, b).swapaxes(-1, -2)),
        (L.inv(A), np.linalg.inv(wide)),
        (L.det(A), np.linalg.det(wide)),
        (L.slogdet(A).sign, sign),
        (L.slogdet(A).logabsdet, size),
    ]
    for got, want in pairs:
        assert tuple(got.shape) == want.shape and got.dtype in (A.dtype, A.real.dtype)
        bound = tol * max(1.0, np.abs(want).max(initial=0.0))
        assert np.abs(got.numpy() - want).max(initial=0.0) <= bound


def test_complex_systems_without_a_solution():
    A = lamina.ones(2, 2, dtype=lamina.complex64)
    with pytest.raises(L.LinAlgError, match="inv: .* singular: element 2"):
        L.inv(A)
    assert L.det(A).item() == 0 and L.slogdet(A).logabsdet.item() == -np.inf
    with pytest.raises(lamina.ShapeError, match=r"det: expected square .* \(2, 3\)"):
        L.det(lamina.ones(2, 3, dtype=lamina.complex64))
    mixed = L.solve(2 * lamina.eye(2), lamina.ones(2, dtype=lamina.complex64))
    assert mixed.tolist() == [0.5, 0.5]
