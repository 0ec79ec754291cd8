"""nn.utils.prune: which elements go, masks of several prunings, gradients, states, and PyTorch."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import lamina
from lamina import nn
from lamina.nn.utils import prune


def layer(rows=4, columns=6):
    lamina.manual_seed(0)
    return nn.Linear(columns, rows)


def test_l1_takes_the_smallest():
    m = layer()
    before = m.weight.detach().numpy().copy()
    assert prune.l1_unstructured(m, "weight", amount=0.25) is m
    gone = np.argsort(np.abs(before).ravel())[:6]
    expected = before.copy()
    expected.ravel()[gone] = 0
    np.testing.assert_array_equal(m.weight.detach().numpy(), expected)
    assert prune.is_pruned(m) and prune.is_pruned(nn.Sequential(m))
    assert [n for n, _ in m.named_parameters()] == ["bias", "weight_orig"]
    assert set(m.state_dict()) == {"bias", "weight_orig", "weight_mask"}


def test_training_leaves_what_is_gone():
    m = prune.random_unstructured(layer(), "weight", amount=10)
    mask = m.weight_mask.numpy().copy()
    assert mask.sum() == 14
    opt = lamina.optim.SGD(m.parameters(), 0.1)
    for _ in range(3):
        opt.zero_grad()
        m(lamina.ones(2, 6)).square().sum().backward()
        opt.step()
    np.testing.assert_array_equal(m.weight_orig.grad.numpy() != 0, mask != 0)
    m(lamina.ones(2, 6))
    np.testing.assert_array_equal(m.weight.detach().numpy() != 0, mask != 0)
    kept = m.weight.detach().numpy().copy()
    prune.remove(m, "weight")
    assert not prune.is_pruned(m) and set(m.state_dict()) == {"bias", "weight"}
    assert isinstance(m.weight, nn.Parameter) and m.weight.requires_grad
    np.testing.assert_array_equal(m.weight.detach().numpy(), kept)


def test_structured():
    m = layer()
    before = m.weight.detach().numpy().copy()
    prune.ln_structured(m, "weight", amount=2, n=2, dim=0)
    gone = np.argsort(np.linalg.norm(before, axis=1))[:2]
    assert (m.weight_mask.numpy()[gone] == 0).all() and m.weight_mask.numpy().sum() == 12
    prune.ln_structured(m, "weight", amount=1, n=float("inf"), dim=1)
    left = np.setdiff1d(range(4), gone)
    column = np.argmin(np.abs(before[left]).max(0))
    assert (m.weight_mask.numpy()[:, column] == 0).all() and m.weight_mask.numpy().sum() == 10
    prune.random_structured(m, "weight", amount=0.5, dim=0)
    assert m.weight_mask.numpy().sum() == 5


def test_again_takes_from_what_is_left():
    m = layer()
    before = m.weight.detach().numpy()
    order = np.argsort(np.abs(before).ravel())
    prune.l1_unstructured(m, "weight", amount=4)
    prune.l1_unstructured(m, "weight", amount=0.5)
    assert set(np.flatnonzero(m.weight_mask.numpy().ravel() == 0)) == set(order[:14])
    assert len(m._forward_pre_hooks) == 1
    ((hook, _),) = m._forward_pre_hooks.values()
    assert isinstance(hook, prune.PruningContainer) and len(hook) == 2


def test_all_parameters_as_one():
    net = nn.Sequential(layer(), layer(3, 4))
    flat = np.concatenate([m.weight.detach().numpy().ravel() for m in net])
    bound = np.sort(np.abs(flat))[9]
    pairs = [(m, "weight") for m in net]
    prune.global_unstructured(pairs, pruning_method=prune.L1Unstructured, amount=10)
    masks = np.concatenate([m.weight_mask.numpy().ravel() for m in net])
    np.testing.assert_array_equal(masks == 0, np.abs(flat) <= bound)
    prune.global_unstructured(pairs, pruning_method=prune.L1Unstructured, amount=2)
    assert sum(int((m.weight_mask == 0).sum()) for m in net) == 12


def test_copies_and_states():
    m = prune.l1_unstructured(layer(), "weight", amount=5)
    with lamina.no_grad():
        m(lamina.ones(1, 6))  # PyTorch too copies only weights without a history
    other = copy.deepcopy(m)
    fresh = prune.identity(layer(), "weight")
    fresh.load_state_dict(m.state_dict())
    x = lamina.ones(1, 6)
    for n in (other, fresh):
        np.testing.assert_array_equal(n(x).detach().numpy(), m(x).detach().numpy())


def test_refusals():
    with pytest.raises(ValueError, match="between 0.0 and 1.0"):
        prune.l1_unstructured(layer(), "weight", amount=1.5)
    with pytest.raises(ValueError, match="more than the 24"):
        prune.l1_unstructured(layer(), "weight", amount=25)
    with pytest.raises(TypeError, match="an int or a float"):
        prune.l1_unstructured(layer(), "weight", amount="half")
    with pytest.raises(ValueError, match="has to be pruned"):
        prune.remove(layer(), "weight")
    with pytest.raises(ValueError, match="shape"):
        prune.custom_from_mask(layer(), "weight", lamina.ones(2, 2))
    with pytest.raises(IndexError, match="no dimension 2"):
        prune.ln_structured(layer(), "weight", amount=1, n=2, dim=2)
    with pytest.raises(TypeError, match="unstructured"):
        prune.global_unstructured([(layer(), "weight")], prune.LnStructured, amount=1, n=2)


@pytest.mark.parametrize("amount", [0, 1, 5, 0.3, 0.5, 1.0])
def test_as_in_pytorch(amount):
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("torch.nn.utils.prune")
    results = []
    for m, p in ((torch, theirs), (lamina, prune)):
        net = m.nn.Linear(6, 5)
        with m.no_grad():
            values = np.random.default_rng(1).standard_normal((5, 6)).astype(np.float32)
            net.weight.copy_(m.from_numpy(values))
        p.l1_unstructured(net, "weight", amount)
        p.ln_structured(net, "weight", 0.4, 1, dim=1)
        scores = m.from_numpy(np.arange(30, dtype=np.float32).reshape(5, 6))
        p.l1_unstructured(net, "weight", 0.2, importance_scores=scores)
        results.append((net.weight_mask.numpy(), net.weight.detach().numpy()))
    for a, b in zip(*results):
        np.testing.assert_array_equal(a, b)
