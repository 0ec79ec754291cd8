"""Sparse matrices beside dense ones."""

import numpy as np
import pytest

import lamina
from lamina import sparse

INDICES = [[0, 1, 1, 2, 1], [2, 0, 0, 1, 0]]
DENSE = np.random.default_rng(0).normal(size=(3, 5))


def made(requires_grad=False):
    values = lamina.tensor([1.0, 2.0, -3.0, 0.5, 4.0], dtype=lamina.float64)
    values.requires_grad = requires_grad
    whole = np.zeros((3, 3))
    np.add.at(whole, tuple(INDICES), values.detach().numpy())
    return lamina.sparse_coo_tensor(INDICES, values, (3, 3)), values, whole


def near(a, b):
    np.testing.assert_allclose(a.detach().numpy(), b, rtol=0, atol=1e-12)


def test_conversions():
    s, _, whole = made()
    near(s.to_dense(), whole)
    c = s.coalesce()
    assert c.indices().tolist() == [[0, 1, 2], [2, 0, 1]] and c.values().tolist() == [1.0, 3.0, 0.5]
    assert s._nnz() == 5 and c._nnz() == 3 and c.is_coalesced() and not s.is_coalesced()
    with pytest.raises(RuntimeError, match=r"please call .coalesce\(\) first"):
        s.indices()
    d = lamina.tensor(whole)
    assert not d.is_sparse and d.to_sparse().is_sparse
    near(d.to_sparse().to_dense(), whole)
    near(d.view(1, 3, 3).to_sparse(1).to_dense(), whole[None])
    assert s.float().dtype is lamina.float32 and s.t().shape == (3, 3)
    near(s.t().to_dense(), whole.T)
    assert "nnz=5" in repr(s)
    near(d.to_sparse_coo().to_dense(), whole)


def test_printed():
    s = lamina.sparse.FloatTensor([[0, 1], [2, 0]], [3, 4], lamina.Size([2, 3]))
    assert s.dtype is lamina.float32 and repr(s) == (
        "tensor(indices=tensor([[0, 1],\n"
        "                       [2, 0]]),\n"
        "       values=tensor([3., 4.]),\n"
        "       size=(2, 3), nnz=2, layout=lamina.sparse_coo)"
    )


def test_older_constructors():
    empty = lamina.sparse.DoubleTensor((2, 3))
    assert empty.dtype is lamina.float64 and empty.to_dense().tolist() == [[0.0] * 3] * 2
    with pytest.raises(AttributeError, match="module 'lamina.sparse' has no attribute 'Foo'"):
        lamina.sparse.Foo  # noqa: B018


def test_arithmetic():
    s, _, whole = made()
    x = lamina.tensor(DENSE)
    near(s @ x, whole @ DENSE)
    near(lamina.mm(s, x), whole @ DENSE)
    near(lamina.spmm(s, x), whole @ DENSE)
    near(x.t() @ s, DENSE.T @ whole)
    near(s @ x[:, 0], whole @ DENSE[:, 0])
    near((s @ s).to_dense(), whole @ whole)
    near(lamina.eye(3, dtype=lamina.float64) + s, np.eye(3) + whole)
    near((s + s * 2 - s / 4).to_dense(), whole * 2.75)
    near((s.coalesce() * s).to_dense(), whole * whole)
    near(sparse.sum(s), whole.sum())
    near(s.sum(1).to_dense(), whole.sum(1))
    near(sparse.addmm(x, s, x, beta=2.0), 2 * DENSE + whole @ DENSE)


def test_gradients():
    s, values, whole = made(True)
    x = lamina.tensor(DENSE, requires_grad=True)
    y = sparse.mm(s, x)
    (y * y).sum().backward()
    g = 2 * whole @ DENSE
    near(x.grad, whole.T @ g)
    near(values.grad, (g @ DENSE.T)[tuple(INDICES)])
    near(s.grad.to_dense().sum(), values.grad.sum().item())


def test_softmax_of_kept_elements():
    s = lamina.sparse_coo_tensor([[0, 0, 1], [0, 2, 1]], [1.0, 3.0, 5.0], (2, 3))
    e = np.exp(-2.0)
    want = [[e / (1 + e), 0, 1 / (1 + e)], [0, 1, 0]]
    np.testing.assert_allclose(sparse.softmax(s, 1).to_dense().numpy(), want, atol=1e-6)
    logs = sparse.log_softmax(s, 1).coalesce().values().exp()
    np.testing.assert_allclose(logs.numpy(), [e / (1 + e), 1 / (1 + e), 1], atol=1e-6)


def test_errors():
    with pytest.raises(ValueError, match=r"expected indices \(dims, nnz\)"):
        lamina.sparse_coo_tensor([[0, 1]], [1.0], (2,))
    with pytest.raises(ValueError, match="reach from 0 to 2, its size is 2"):
        lamina.sparse_coo_tensor([[0, 2]], [1.0, 1.0], (2,))
    s, *_ = made()
    with pytest.raises(lamina.ShapeError, match=r"shapes \(3, 3\) and \(4, 2\) do not fit"):
        s @ lamina.zeros(4, 2, dtype=lamina.float64)
    with pytest.raises(lamina.DTypeError, match="convert one"):
        s @ lamina.zeros(3, 2)
    with pytest.raises(TypeError):
        lamina.mm(lamina.zeros(2, 2), "3")


def test_functions_of_values():
    s, _, whole = made()
    for name in ("abs", "sin", "neg", "tanh", "square"):
        near(getattr(s, name)().to_dense(), getattr(lamina, name)(lamina.tensor(whole)).numpy())
    near(s.pow(3).to_dense(), whole**3)
    near((s**2).to_dense(), whole**2)
    near(s.norm(), np.linalg.norm(whole))
    assert s.is_floating_point() and not s.long().is_floating_point()
    with pytest.raises(ValueError, match="positive exponent, got 0"):
        s.pow(0)


def test_a_buffer():
    class Graph(lamina.nn.Module):
        def __init__(self, adjacency):
            super().__init__()
            self.register_buffer("adjacency", adjacency)

    s, _, whole = made()
    graph, other = Graph(s), Graph(lamina.zeros(3, 3).double().to_sparse())
    near(graph.to("cpu").double().adjacency @ lamina.tensor(DENSE), whole @ DENSE)
    assert graph.float().adjacency.dtype is lamina.float32
    other.load_state_dict(Graph(s).state_dict())
    near(other.adjacency.to_dense(), whole)
    with pytest.raises(RuntimeError, match="sparse tensor of shape"):
        other.load_state_dict({"adjacency": lamina.tensor(whole)})
