"""Matrices kept by rows or columns: forms, products, gradients, PyTorch's indices."""

import numpy as np
import pytest

import lamina
from lamina import sparse

RNG = np.random.default_rng(4)
WHOLE = np.where(RNG.random((5, 7)) < 0.4, RNG.normal(size=(5, 7)), 0.0)
WHOLE[3] = 0  # a row without values
DENSE = RNG.normal(size=(7, 3))


def made():
    return lamina.tensor(WHOLE).to_sparse_csr()


def near(got, want):
    np.testing.assert_allclose(got.detach().numpy(), want, atol=1e-14)


def test_forms():
    s, kept = made(), np.nonzero(WHOLE)
    assert s.shape == (5, 7) and s._nnz() == len(kept[0]) and s.layout is lamina.sparse_csr
    assert s.is_sparse_csr and s.dtype is lamina.float64 and s.size(1) == 7 and s.dim() == 2
    starts = np.concatenate([[0], np.cumsum((WHOLE != 0).sum(1))])
    assert s.crow_indices().tolist() == starts.tolist()
    assert s.col_indices().tolist() == kept[1].tolist()
    near(s.values(), WHOLE[kept])
    near(s.to_dense(), WHOLE)
    near(s.to_sparse().to_dense(), WHOLE)
    near(s.t().to_dense(), WHOLE.T)
    assert s.t().layout is lamina.sparse_csc and s.t().ccol_indices().tolist() == starts.tolist()
    c = s.to_sparse_csc()
    assert c.layout is lamina.sparse_csc and not c.is_sparse_csr
    assert c.row_indices().tolist() == np.nonzero(WHOLE.T)[1].tolist()
    near(c.to_dense(), WHOLE)
    near(c.to_sparse_csr().to_dense(), WHOLE)
    near(lamina.tensor(WHOLE).to_sparse(layout=lamina.sparse_csr).to_dense(), WHOLE)
    near(s.to_sparse(layout=lamina.sparse_csc).to_dense(), WHOLE)
    near(lamina.zeros(2, 3, dtype=lamina.float64).to_sparse_csr().to_dense(), np.zeros((2, 3)))


def test_made_from_parts():
    s = lamina.sparse_csr_tensor([0, 2, 2, 3], [0, 2, 1], [1.0, 2.0, 3.0])
    assert s.to_dense().tolist() == [[1, 0, 2], [0, 0, 0], [0, 3, 0]]
    c = lamina.sparse_csc_tensor([0, 1, 3], [2, 0, 1], [1, 2, 3], (4, 2), dtype=lamina.float32)
    assert c.to_dense().tolist() == [[0, 2], [0, 3], [1, 0], [0, 0]]
    for parts, text in [
        (([0, 2], [0, 1], [1.0]), "as many values as places"),
        (([0, 1], [3], [1.0], (1, 3)), "reach from 3 to 3, the size is 3"),
        (([0, 2, 1], [0], [1.0]), "must rise from 0 to the number of values, 1"),
        (([0, 1], [0], [1.0], (2, 2)), "does not fit 1 rows"),
    ]:
        with pytest.raises(ValueError, match=text):
            lamina.sparse_csr_tensor(*parts)
    with pytest.raises(RuntimeError, match="kept by columns"):
        s.ccol_indices()


def test_products_and_arithmetic():
    s, x = made(), lamina.tensor(DENSE)
    near(s @ x, WHOLE @ DENSE)
    near(s.matmul(x[:, 0]), WHOLE @ DENSE[:, 0])
    near(sparse.mm(x.t(), s.t()), DENSE.T @ WHOLE.T)
    near(x.t() @ s.t(), DENSE.T @ WHOLE.T)
    product = s @ s.t()
    assert product.is_sparse_csr
    near(product.to_dense(), WHOLE @ WHOLE.T)
    near((s + s * 2).to_dense(), 3 * WHOLE)
    near((s * lamina.full((5, 7), 2.0, dtype=lamina.float64)).to_dense(), 2 * WHOLE)
    near((-s / 4).to_dense(), -WHOLE / 4)
    near(s.sum(), WHOLE.sum())
    near(s.sum(1).to_dense(), WHOLE.sum(1))
    near(sparse.addmm(lamina.ones(5, 3, dtype=lamina.float64), s, x), 1 + WHOLE @ DENSE)
    with pytest.raises(lamina.ShapeError, match="do not fit"):
        s @ lamina.zeros(5, 2, dtype=lamina.float64)


def test_gradients():
    s, x = made().requires_grad_(), lamina.tensor(DENSE).requires_grad_()
    w = RNG.normal(size=(5, 3))
    (s @ x * lamina.tensor(w)).sum().backward()
    near(x.grad, WHOLE.T @ w)
    assert s.grad.is_sparse_csr
    near(s.grad.to_dense(), (w @ DENSE.T) * (WHOLE != 0))
    values = s.values().detach().clone().requires_grad_()

    def product(v, d):
        return lamina.sparse_csr_tensor(s.crow_indices(), s.col_indices(), v, (5, 7)) @ d

    x = x.detach().requires_grad_()
    assert lamina.autograd.gradcheck(product, (values, x))
    assert lamina.autograd.gradgradcheck(product, (values, x))


def test_sampled_products_and_diagonals():
    s, a, b = made(), RNG.normal(size=(5, 4)), RNG.normal(size=(4, 7))
    got = sparse.sampled_addmm(s, lamina.tensor(a), lamina.tensor(b), beta=0.5, alpha=2.0)
    near(got.to_dense(), (0.5 * WHOLE + 2 * a @ b) * (WHOLE != 0))
    table = lamina.arange(9.0).reshape(3, 3)
    d = sparse.spdiags(table, lamina.tensor([0, -1, 2]), (3, 3))
    assert d.to_dense().tolist() == [[0, 0, 8], [3, 1, 0], [0, 4, 2]]
    with pytest.raises(ValueError, match="3 different offsets"):
        sparse.spdiags(table, lamina.tensor([0, 0, 2]), (3, 3))


@pytest.mark.filterwarnings("ignore:Sparse")
def test_indices_are_pytorchs():
    torch = pytest.importorskip("torch")
    ours, theirs = made(), torch.tensor(WHOLE).to_sparse_csr()
    for name in ("crow_indices", "col_indices", "values"):
        assert getattr(ours, name)().tolist() == getattr(theirs, name)().tolist()
    ours, theirs = ours.to_sparse_csc(), theirs.to_sparse_csc()
    for name in ("ccol_indices", "row_indices", "values"):
        assert getattr(ours, name)().tolist() == getattr(theirs, name)().tolist()
    table, steps = RNG.normal(size=(3, 4)), [0, -2, 1]
    got = sparse.spdiags(lamina.tensor(table), lamina.tensor(steps), (5, 4))
    want = torch.sparse.spdiags(torch.tensor(table), torch.tensor(steps), (5, 4))
    near(got.to_dense(), want.to_dense().numpy())
