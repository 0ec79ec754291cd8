"""Orthogonal weights: their property, starting point, gradients, and PyTorch's numbers."""

import numpy as np
import pytest

import lamina
from lamina import nn
from lamina.nn.utils import parametrize
from lamina.nn.utils.parametrizations import orthogonal

MAPS = ["matrix_exp", "cayley", "householder"]


def deviation(w) -> float:
    q = w.detach().double().numpy()
    q = q if q.shape[-2] >= q.shape[-1] else np.swapaxes(q, -1, -2)
    return np.abs(np.swapaxes(q, -1, -2) @ q - np.eye(q.shape[-1])).max()


@pytest.mark.parametrize("trivial", [True, False])
@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (1, 4)])
@pytest.mark.parametrize("kind", MAPS)
def test_weight_stays_orthogonal_while_it_is_trained(kind, shape, trivial):
    lamina.manual_seed(0)
    layer = orthogonal(nn.Linear(*shape[::-1]).double(), "weight", kind,
                       use_trivialization=trivial)  # fmt: skip
    assert deviation(layer.weight) < 1e-13
    optimizer = lamina.optim.SGD(layer.parameters(), lr=0.1)
    x = lamina.randn(8, shape[1], dtype=lamina.float64)
    losses = []
    for _ in range(20):
        loss = (layer(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert deviation(layer.weight) < 1e-12 and losses[-1] < losses[0]


@pytest.mark.parametrize("kind", MAPS)
def test_assigning_a_weight(kind):
    layer = orthogonal(nn.Linear(4, 6).double(), "weight", kind)
    wanted, _ = lamina.linalg.qr(lamina.randn(6, 4, dtype=lamina.float64))
    layer.weight = wanted
    np.testing.assert_allclose(layer.weight.detach().numpy(), wanted.numpy(), atol=1e-13)
    fixed = orthogonal(nn.Linear(4, 6).double(), "weight", "householder", use_trivialization=False)
    fixed.weight = wanted
    np.testing.assert_allclose(fixed.weight.detach().numpy(), wanted.numpy(), atol=1e-13)
    with pytest.raises(ValueError, match="Expected a matrix or batch of matrices of shape"):
        layer.weight = wanted.t()


def test_batches_of_matrices_and_removal():
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(lamina.randn(3, 5, 2, dtype=lamina.float64))

    for kind in MAPS:
        layer = orthogonal(Layer(), "weight", kind)
        assert deviation(layer.weight) < 1e-13
        kept = layer.weight.detach().clone()
        parametrize.remove_parametrizations(layer, "weight")
        assert lamina.equal(layer.weight, kept) and isinstance(layer.weight, nn.Parameter)


@pytest.mark.parametrize("kind", MAPS)
def test_gradients(kind):
    layer = orthogonal(nn.Linear(3, 4).double(), "weight", kind)
    function = layer.parametrizations.weight[0]
    rng = np.random.default_rng(0)
    x = lamina.tensor(rng.normal(size=(4, 3)) - 3 * np.eye(4, 3)).requires_grad_()
    if kind == "householder":  # the diagonal holds signs, which have no gradient
        with lamina.no_grad():
            x.diagonal().fill_(-1)
        (g,) = lamina.autograd.grad(function(x).square().mul(lamina.arange(3.0)).sum(), x)
        assert g.triu().abs().max().item() == 0 and g.abs().max().item() > 0
    else:
        assert lamina.autograd.gradcheck(function, (x,))


@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6)])
@pytest.mark.parametrize("kind", MAPS)
def test_values_and_gradients_are_pytorchs(kind, shape):
    torch = pytest.importorskip("torch")
    from torch.nn.utils.parametrizations import orthogonal as theirs_of

    rng = np.random.default_rng(2)
    x = rng.normal(size=shape)
    np.fill_diagonal(x, rng.choice([-1.0, 1.0], min(shape)))
    results = []
    for m, made in ((lamina, orthogonal), (torch, theirs_of)):
        layer = made(m.nn.Linear(*shape[::-1]).double(), "weight", kind, use_trivialization=True)
        layer.parametrizations.weight[0].base.copy_(m.eye(max(shape), dtype=m.float64))
        original = layer.parametrizations.weight.original
        original.data.copy_(m.tensor(x))
        w = layer.weight
        (w * m.tensor(np.arange(w.numel(), dtype=float).reshape(shape))).sum().backward()
        assert list(layer.state_dict()) == [
            "bias", "parametrizations.weight.original", "parametrizations.weight.0.base",
        ]  # fmt: skip
        results.append((w.detach().numpy(), original.grad.numpy()))
    for got, want in zip(*results):
        np.testing.assert_allclose(got, want, atol=1e-11)


def test_products_of_reflections():
    rng = np.random.default_rng(1)
    A, tau = rng.normal(size=(2, 6, 4)), rng.normal(size=(2, 3))
    tau[0, 1] = 0  # that reflection is the identity
    want = np.tile(np.eye(6), (2, 1, 1))
    for b in range(2):
        for j in range(3):
            v = np.concatenate([np.zeros(j), [1], A[b, j + 1 :, j]])
            want[b] = want[b] @ (np.eye(6) - tau[b, j] * np.outer(v, v))
    a, t = lamina.tensor(A).requires_grad_(), lamina.tensor(tau).requires_grad_()
    got = lamina.linalg.householder_product(a, t)
    np.testing.assert_allclose(got.detach().numpy(), want[..., :4], atol=1e-13)
    assert lamina.autograd.gradcheck(lamina.linalg.householder_product, (a, t))
    with pytest.raises(lamina.ShapeError, match="expected input"):
        lamina.linalg.householder_product(a.mT, t)


def test_errors():
    with pytest.raises(ValueError, match="Expected a matrix or batch of matrices"):
        orthogonal(nn.Linear(2, 3), "bias")
    with pytest.raises(ValueError, match="Got: exp"):
        orthogonal(nn.Linear(2, 3), orthogonal_map="exp")
    with pytest.raises(ValueError, match="no parameter or buffer with name 'other'"):
        orthogonal(nn.Linear(2, 3), "other")
    layer = orthogonal(nn.Linear(3, 3), use_trivialization=False)
    with pytest.raises(NotImplementedError, match="use_trivialization=False"):
        layer.weight = lamina.eye(3)
