"""Gradients of lamina.linalg against central differences."""

import itertools

import numpy as np
import pytest

import lamina

pytest.importorskip("scipy_openblas32")
L = lamina.linalg
RNG = np.random.default_rng(21)


def t(x):
    return lamina.tensor(np.asarray(x), dtype=lamina.float64)


def matrices(shape):
    x = RNG.normal(size=shape)
    return x + 3 * np.eye(shape[-1]) if shape[-1] == shape[-2] else x


def spd(shape):
    x = matrices(shape)
    return x @ x.swapaxes(-1, -2) + np.eye(shape[-1])


def symmetric(f):
    return lambda x: f((x + x.mT) / 2)


GRADIENTS = {
    "inv": (L.inv, (2, 3, 3)),
    "det": (L.det, (2, 3, 3)),
    "slogdet": (lambda x: L.slogdet(x).logabsdet, (2, 3, 3)),
    "pinv_tall": (L.pinv, (4, 3)),
    "pinv_wide": (L.pinv, (3, 4)),
    "qr_tall": (L.qr, (2, 4, 3)),
    "qr_square": (L.qr, (3, 3)),
    "qr_wide": (L.qr, (3, 5)),
    "svdvals": (L.svdvals, (2, 4, 3)),
    "svd_tall": (lambda x: _gauge_free(*L.svd(x, False)), (4, 3)),
    "svd_wide": (lambda x: _gauge_free(*L.svd(x, False)), (3, 5)),
    "nuclear": (lambda x: L.matrix_norm(x, "nuc"), (2, 3, 4)),
    "spectral": (lambda x: L.norm(x, 2), (3, 4)),
    "frobenius": (lambda x: L.norm(x, "fro"), (3, 4)),
    "norm_1": (lambda x: L.matrix_norm(x, 1), (3, 4)),
    "cond": (L.cond, (3, 3)),
    "matrix_power": (lambda x: L.matrix_power(x, 3), (3, 3)),
    "matrix_power_negative": (lambda x: L.matrix_power(x, -2), (3, 3)),
    "matrix_exp": (lambda x: L.matrix_exp(x * 0.4), (2, 3, 3)),
    "eigvals": (lambda x: lamina.view_as_real(L.eigvals(x)).square().sum(-2), (3, 3)),
    "vander": (L.vander, (4,)),
}
SYMMETRIC = {
    "cholesky": L.cholesky,
    "cholesky_upper": lambda x: L.cholesky(x, upper=True),
    "eigvalsh": L.eigvalsh,
    "eigh": lambda x: _from_eigh(*L.eigh(x)),
    "cholesky_inverse": lambda x: lamina.cholesky_inverse(L.cholesky(x)),
    "pinv_hermitian": lambda x: L.pinv(x, hermitian=True),
}


def _gauge_free(U, S, Vh):  # U's and V's columns are known up to a common sign
    return U.square(), S, Vh.square(), U @ Vh


def _from_eigh(w, V):
    return w, V.square(), (V * w.exp().unsqueeze(-2)) @ V.mT


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(name):
    f, shape = GRADIENTS[name]
    x = t(matrices(shape) if len(shape) > 1 else RNG.normal(size=shape)).requires_grad_()
    assert lamina.autograd.gradcheck(f, (x,))


@pytest.mark.parametrize("name", SYMMETRIC)
def test_gradients_of_symmetric_matrices(name):
    f = SYMMETRIC[name]
    assert lamina.autograd.gradcheck(symmetric(f), (t(spd((2, 3, 3))).requires_grad_(),))


def test_gradients_of_systems():
    a, b = t(matrices((2, 3, 3))).requires_grad_(), t(RNG.normal(size=(2, 3, 2))).requires_grad_()
    check = lamina.autograd.gradcheck
    assert check(L.solve, (a, b))
    assert check(lambda a, b: L.solve(a, b.mT, left=False), (a, b))
    for upper, unit in itertools.product((True, False), repeat=2):
        assert check(
            lambda a, b, u=upper, v=unit: L.solve_triangular(a, b, upper=u, unitriangular=v), (a, b)
        )
    for shape in ((5, 3), (3, 5)):
        c = t(matrices(shape)).requires_grad_()
        d = t(RNG.normal(size=(shape[0], 2))).requires_grad_()
        assert check(lambda c, d: L.lstsq(c, d).solution, (c, d))
    assert check(lambda a, b: lamina.cholesky_solve(b, a.tril()), (a, b))


def test_gradient_of_eig():
    # Of quantities that do not depend on the vectors' phase.
    def f(x):
        w, V = L.eig(x)
        return w.real, w.imag.square(), V.abs().square()

    assert lamina.autograd.gradcheck(f, (t(RNG.normal(size=(2, 4, 4))).requires_grad_(),))


@pytest.mark.parametrize("rank", [3, 2, 1])
def test_gradient_of_det_at_singular_matrices(rank):
    a = RNG.normal(size=(4, rank)) @ RNG.normal(size=(rank, 4))
    a[3] = 0  # exactly singular
    x = t(a).requires_grad_()
    L.det(x).backward()
    want = np.array([[(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(a, i, 0), j, 1))
                      for j in range(4)] for i in range(4)])  # fmt: skip
    np.testing.assert_allclose(x.grad.numpy(), want, atol=1e-10)


def test_second_derivatives():
    x = t(matrices((3, 3))).requires_grad_()
    b = t(RNG.normal(size=(3, 2))).requires_grad_()
    check = lamina.autograd.gradgradcheck
    assert check(L.inv, (x,))
    assert check(L.solve, (x, b))
    assert check(L.det, (x,))
    assert check(lambda x: L.slogdet(x).logabsdet, (x,))
    assert check(L.svdvals, (x,))
    s = t(spd((3, 3))).requires_grad_()
    assert check(symmetric(L.cholesky), (s,))
    assert check(symmetric(L.eigvalsh), (s,))


def test_gradients_that_do_not_exist():
    x = lamina.randn(4, 3, requires_grad=True)
    with pytest.raises(NotImplementedError, match="full_matrices=False"):
        L.svd(x).U.sum().backward()
    with pytest.raises(NotImplementedError, match="mode='reduced'"):
        L.qr(x, "complete").Q.sum().backward()
    L.svd(x).S.sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize(
    "f",
    [
        lambda m, a, b: m.linalg.solve(a, b).abs().square().sum(),
        lambda m, a, b: m.linalg.inv(a).imag.square().sum(),
        lambda m, a, b: m.linalg.det(a).real.sum() + 2 * m.linalg.det(a).imag.sum(),
        lambda m, a, b: m.linalg.slogdet(a)[1].sum(),
        lambda m, a, b: m.logdet(a).imag.sum(),
    ],
    ids=["solve", "inv", "det", "slogdet", "logdet"],
)
def test_complex_matrices(f):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    values = [rng.normal(size=s) + 1j * rng.normal(size=s) for s in ((2, 4, 4), (2, 4, 3))]
    found = []
    for m in (lamina, torch):
        a, b = (m.tensor(v, requires_grad=True) for v in values)
        f(m, a, b).backward()
        found.append([x.grad.numpy() for x in (a, b) if x.grad is not None])
    for ours, theirs in zip(*found):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10 * np.abs(theirs).max())
