"""Computed weights: parametrize, weight norm, spectral norm, in both of PyTorch's forms."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest

import lamina
from lamina import nn
from lamina.nn.utils import parametrize

LAYERS = {
    "linear": lambda m: m.nn.Linear(5, 3),
    "conv": lambda m: m.nn.Conv2d(2, 3, 3),
}


def draws(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def set_weights(m, layer):
    """The same numbers in every parameter and buffer of layers of both libraries."""
    with m.no_grad():
        for i, (_, p) in enumerate([*layer.named_parameters(), *layer.named_buffers()]):
            p.copy_(m.tensor(draws(tuple(p.shape), i).tolist(), dtype=p.dtype))
    return layer


def run(m, layer, x, passes=3):
    """Outputs, gradients and state after some passes in training and one in evaluation."""
    for _ in range(passes):
        layer.zero_grad()
        y = layer(m.tensor(x.tolist(), dtype=m.float64))
        (y * y).sum().backward()
    found = {k: v.grad.numpy() for k, v in layer.named_parameters()}
    layer.eval()
    found["y"] = y.detach().numpy()
    found["e"] = layer(m.tensor(x.tolist(), dtype=m.float64)).detach().numpy()
    return found | {"state " + k: v.detach().numpy() for k, v in layer.state_dict().items()}


def both(make, x, passes=3):
    ours = run(lamina, set_weights(lamina, make(lamina).double()), x, passes)
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        theirs = run(torch, set_weights(torch, make(torch).double()), x, passes)
    assert list(ours) == list(theirs)
    for k, v in theirs.items():
        np.testing.assert_allclose(ours[k], v, rtol=1e-10, atol=1e-12, err_msg=k)


@pytest.mark.parametrize("dim", [0, 1, -1, None])
@pytest.mark.parametrize("kind", sorted(LAYERS))
@pytest.mark.parametrize("form", ["utils", "parametrizations"])
def test_weight_norm_like_torch(form, kind, dim):
    def make(m):
        module = m.nn.utils if form == "utils" else m.nn.utils.parametrizations
        return module.weight_norm(LAYERS[kind](m), dim=dim)

    both(make, draws((4, 5) if kind == "linear" else (2, 2, 5, 5), 9))


@pytest.mark.parametrize("options", [{}, {"n_power_iterations": 3}, {"dim": 1}], ids=str)
@pytest.mark.parametrize("kind", sorted(LAYERS))
@pytest.mark.parametrize("form", ["utils", "parametrizations"])
def test_spectral_norm_like_torch(form, kind, options):
    def make(m):
        module = m.nn.utils if form == "utils" else m.nn.utils.parametrizations
        return module.spectral_norm(LAYERS[kind](m), **options)

    both(make, draws((4, 5) if kind == "linear" else (2, 2, 5, 5), 9))


@pytest.mark.parametrize("form", ["utils", "parametrizations"])
def test_weight_norm_is_the_formula(form):
    layer = nn.Linear(3, 2)
    w = layer.weight.detach().numpy().copy()
    make = nn.utils.weight_norm if form == "utils" else nn.utils.parametrizations.weight_norm
    make(layer)
    np.testing.assert_allclose(layer.weight.detach().numpy(), w, rtol=1e-6)  # at first the same
    g = layer.weight_g if form == "utils" else layer.parametrizations.weight.original0
    assert tuple(g.shape) == (2, 1)
    with lamina.no_grad():
        g.copy_(lamina.tensor([[2.0], [3.0]]))
    layer(lamina.zeros(1, 3))
    norms = np.linalg.norm(layer.weight.detach().numpy(), axis=1)
    np.testing.assert_allclose(norms, [2, 3], rtol=1e-6)
    if form == "utils":
        nn.utils.remove_weight_norm(layer)
    else:
        parametrize.remove_parametrizations(layer, "weight")
    assert [k for k, _ in layer.named_parameters()] == ["bias", "weight"]
    assert type(layer) is nn.Linear
    np.testing.assert_allclose(np.linalg.norm(layer.weight.detach().numpy(), axis=1), [2, 3], 1e-6)


@pytest.mark.parametrize("form", ["utils", "parametrizations"])
def test_spectral_norm_gives_the_largest_singular_value_one(form):
    """The singular value, not the eigenvalue a text names (002 section 2.6.7)."""
    lamina.manual_seed(0)
    layer = nn.Linear(6, 4)
    with lamina.no_grad():
        layer.weight.copy_(lamina.tensor(draws((4, 6)), dtype=lamina.float32))
    make = nn.utils.spectral_norm if form == "utils" else nn.utils.parametrizations.spectral_norm
    make(layer)
    for _ in range(100):
        layer(lamina.zeros(1, 6))
    s = np.linalg.svd(layer.weight.detach().numpy(), compute_uv=False)
    assert s[0] == pytest.approx(1, rel=1e-4)
    before = layer.weight.detach().numpy().copy()
    layer.eval()
    layer(lamina.zeros(1, 6))
    np.testing.assert_allclose(layer.weight.detach().numpy(), before, rtol=1e-5)  # u, v rest
    if form == "utils":
        nn.utils.remove_spectral_norm(layer)
        assert sorted(k for k, _ in layer.named_parameters()) == ["bias", "weight"]
        assert not list(layer.buffers())


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).t()

    def right_inverse(self, x):
        return x.triu()


class Double(nn.Module):
    def forward(self, x):
        return 2 * x

    def right_inverse(self, x):
        return x / 2


def test_parametrize_assign_train_remove():
    layer = nn.Linear(3, 3)
    original = layer.weight
    assert parametrize.register_parametrization(layer, "weight", Symmetric()) is layer
    assert parametrize.is_parametrized(layer) and parametrize.is_parametrized(layer, "weight")
    assert not parametrize.is_parametrized(layer, "bias")
    w = layer.weight
    assert bool((w == w.t()).all()) and isinstance(layer, nn.Linear)
    assert set(dict(layer.named_parameters())) == {"bias", "parametrizations.weight.original"}
    assert parametrize.type_before_parametrizations(layer) is nn.Linear
    layer.weight = lamina.ones(3, 3)
    assert layer.parametrizations.weight.original.tolist() == [[1, 1, 1], [0, 1, 1], [0, 0, 1]]
    assert layer.weight.tolist() == [[1.0] * 3] * 3
    layer(lamina.ones(1, 3)).sum().backward()
    assert layer.parametrizations.weight.original.grad.tolist() == [[1, 2, 2], [0, 1, 2], [0, 0, 1]]

    parametrize.register_parametrization(layer, "weight", Double())  # applied to the result
    assert layer.weight.tolist() == [[2.0] * 3] * 3
    twin = copy.deepcopy(layer)
    parametrize.remove_parametrizations(layer, "weight")
    assert layer.weight.tolist() == [[2.0] * 3] * 3 and type(layer) is nn.Linear
    assert "weight" in dict(layer.named_parameters()) and isinstance(layer.weight, nn.Parameter)
    assert twin.weight.tolist() == [[2.0] * 3] * 3  # a copy keeps its own
    twin.weight = lamina.full((3, 3), 6.0)
    assert twin.parametrizations.weight.original[0].tolist() == [3, 3, 3]
    assert layer.weight.tolist() == [[2.0] * 3] * 3
    assert original is not None


def test_parametrize_leave_the_original_cache_and_transfer():
    layer = nn.Linear(2, 2)
    w = layer.weight.detach().clone()
    parametrize.register_parametrization(layer, "weight", Double())
    assert layer.weight.tolist() == w.tolist()  # the original was halved
    with parametrize.cached():
        assert layer.weight is layer.weight
    assert layer.weight is not layer.weight
    other = parametrize.transfer_parametrizations_and_params(layer, nn.Linear(2, 2))
    assert other.weight.tolist() == layer.weight.tolist()
    state = layer.state_dict()
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    np.testing.assert_array_equal(layer.weight.detach().numpy(), w.numpy() / 2)
    fresh = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Double())
    fresh.load_state_dict(state)
    assert fresh.weight.tolist() == w.tolist()


def test_new_weight_norm_loads_files_of_the_old():
    old = nn.utils.weight_norm(nn.Linear(3, 2))
    new = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    new.load_state_dict(old.state_dict())
    np.testing.assert_allclose(new.weight.detach().numpy(), old.weight.detach().numpy(), rtol=1e-6)


def test_errors():
    layer = nn.Linear(3, 2)

    class Narrow(nn.Module):
        def forward(self, x):
            return x[:1]

    with pytest.raises(ValueError, match="may not change the dtype or shape"):
        parametrize.register_parametrization(layer, "weight", Narrow())
    assert [k for k, _ in layer.named_parameters()] == ["weight", "bias"]  # nothing happened
    parametrize.register_parametrization(layer, "weight", Narrow(), unsafe=True)
    assert tuple(layer.weight.shape) == (1, 3)
    with pytest.raises(RuntimeError, match="right_inverse"):
        layer.weight = lamina.zeros(1, 3)
    with pytest.raises(ValueError, match="with name 'size'"):
        parametrize.register_parametrization(layer, "size", Double())
    with pytest.raises(ValueError, match="parametrization on bias"):
        parametrize.remove_parametrizations(layer, "bias")
    w = nn.utils.weight_norm(nn.Linear(3, 2))
    with pytest.raises(RuntimeError, match="two weight_norm"):
        nn.utils.weight_norm(w)
    with pytest.raises(ValueError, match="not found"):
        nn.utils.remove_weight_norm(nn.Linear(3, 2))
    with pytest.raises(ValueError, match="positive"):
        nn.utils.spectral_norm(nn.Linear(3, 2), n_power_iterations=0)
