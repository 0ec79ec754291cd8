"""nn.init: bounds, moments, fans, structure and errors of every function."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest

import lamina
from lamina import nn
from lamina.nn import init

SHAPES = [(40, 30), (64, 8, 5), (50, 3, 4, 2)]


def fans(shape) -> tuple[int, int]:
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def draws(function, shape, *args, dtype=lamina.float64, **kwargs) -> np.ndarray:
    lamina.manual_seed(3)
    w = nn.Parameter(lamina.full(shape, float("nan"), dtype=dtype))
    assert function(w, *args, **kwargs) is w
    assert w.requires_grad and w.is_leaf and w.dtype is dtype
    return w.detach().numpy()


def check_uniform(x: np.ndarray, low: float, high: float) -> None:
    assert x.min() >= low and x.max() < high
    width = high - low
    assert x.min() < low + width * 30 / x.size and x.max() > high - width * 30 / x.size
    assert abs(x.mean() - (low + high) / 2) < 5 * width / math.sqrt(12 * x.size)
    assert abs(x.var() / (width**2 / 12) - 1) < 5 / math.sqrt(x.size)


def check_normal(x: np.ndarray, mean: float, std: float) -> None:
    z = (x - mean) / std
    assert abs(z.mean()) < 5 / math.sqrt(x.size)
    assert abs(z.std() - 1) < 5 / math.sqrt(2 * x.size)
    assert abs((z**4).mean() - 3) < 5 * math.sqrt(96 / x.size)  # no other tails
    assert len(np.unique(x)) > 0.99 * x.size


@pytest.mark.parametrize("dtype", [lamina.float32, lamina.float64])
def test_plain_draws(dtype):
    check_uniform(draws(init.uniform_, (2000,), dtype=dtype), 0, 1)
    check_uniform(draws(init.uniform_, (50, 60), -3, 0.5, dtype=dtype), -3, 0.5)
    check_normal(draws(init.normal_, (3001,), dtype=dtype), 0, 1)
    check_normal(draws(init.normal_, (50, 60), 2.0, 0.1, dtype=dtype), 2, 0.1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gain", [1.0, 2.5])
def test_xavier(shape, gain):
    total = sum(fans(shape))
    bound = gain * math.sqrt(6 / total)
    check_uniform(draws(init.xavier_uniform_, shape, gain), -bound, bound)
    check_normal(draws(init.xavier_normal_, shape, gain=gain), 0, gain * math.sqrt(2 / total))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize("a, kind, gain", [
    (0, "leaky_relu", math.sqrt(2)), (2.0, "leaky_relu", math.sqrt(0.4)), (0, "relu", math.sqrt(2)),
    (0, "tanh", 5 / 3), (0, "linear", 1.0), (0, "selu", 0.75),
])  # fmt: skip
def test_kaiming(shape, mode, a, kind, gain):
    std = gain / math.sqrt(fans(shape)[mode == "fan_out"])
    bound = math.sqrt(3) * std
    arguments = {"mode": mode, "nonlinearity": kind}
    check_uniform(draws(init.kaiming_uniform_, shape, a, **arguments), -bound, bound)
    check_normal(draws(init.kaiming_normal_, shape, a, **arguments), 0, std)


def test_gains():
    for name in ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose2d", "sigmoid"):
        assert init.calculate_gain(name) == 1
    assert init.calculate_gain("leaky_relu") == math.sqrt(2 / 1.0001)
    assert init.calculate_gain("leaky_relu", 1) == 1.0
    with pytest.raises(ValueError, match="Unsupported nonlinearity swish"):
        init.calculate_gain("swish")
    for slope in (True, "0.1"):
        with pytest.raises(ValueError, match="not a valid number"):
            init.calculate_gain("leaky_relu", slope)
    torch = pytest.importorskip("torch")
    for name in ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)


@pytest.mark.parametrize("mean, std, a, b", [
    (0.0, 1.0, -2.0, 2.0), (0.5, 0.02, -2.0, 2.0), (1.0, 2.0, 0.0, 1.5), (0.0, 1.0, 0.5, 3.0),
])  # fmt: skip
def test_truncated_normal(mean, std, a, b):
    x = np.sort(draws(init.trunc_normal_, (60, 70), mean, std, a, b).ravel())
    assert x[0] >= a and x[-1] <= b

    def phi(t):
        return 0.5 * (1 + math.erf((t - mean) / std / math.sqrt(2)))

    # Kolmogorov and Smirnov: the distribution function is that of the conditioned normal
    expected = np.array([(phi(t) - phi(a)) / (phi(b) - phi(a)) for t in x])
    assert np.abs(expected - (np.arange(x.size) + 0.5) / x.size).max() < 1.9 / math.sqrt(x.size)


def test_truncated_normal_far_from_its_bounds_warns():
    with pytest.warns(UserWarning, match="mean is more than 2 std from"):
        x = draws(init.trunc_normal_, (50,), 6.0, 1.0, 0.0, 3.0)
    assert x.min() >= 0 and x.max() <= 3


def test_constants():
    assert (draws(init.constant_, (2, 3), 0.3) == 0.3).all()
    assert (draws(init.ones_, (2, 3)) == 1).all() and (draws(init.zeros_, (2, 3)) == 0).all()
    for shape in ((3, 3), (2, 5), (5, 2), (0, 2)):
        np.testing.assert_array_equal(draws(init.eye_, shape), np.eye(*shape))


@pytest.mark.parametrize("dtype, tol", [(lamina.float32, 1e-6), (lamina.float64, 1e-14)])
@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (40, 3), (3, 40), (70, 65), (6, 3, 2, 2)])
def test_orthogonal(shape, dtype, tol):
    w = draws(init.orthogonal_, shape, 1.5, dtype=dtype).astype("float64")
    w = w.reshape(shape[0], -1) / 1.5
    gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(gram, np.eye(len(gram)), rtol=0, atol=tol)


def test_orthogonal_matrices_have_no_preferred_direction():
    lamina.manual_seed(0)
    mean = sum(init.orthogonal_(lamina.empty(3, 3)).numpy() for _ in range(600)) / 600
    assert np.abs(mean).max() < 5 * math.sqrt(1 / 3 / 600)
    assert init.orthogonal_(lamina.empty(0, 3)).shape == (0, 3)


@pytest.mark.parametrize("shape", [(4, 4, 3), (6, 2, 3, 5), (2, 6, 4, 3), (4, 3, 3, 3, 3)])
def test_dirac(shape):
    x = np.random.default_rng(0).normal(size=shape[1])
    for groups in (1, 2):
        w = draws(init.dirac_, shape, groups)
        middle = tuple(k // 2 for k in shape[2:])
        per_group = shape[0] // groups
        same = np.concatenate([np.resize(np.append(x, np.zeros(per_group)), per_group)] * groups)
        assert w.sum() == groups * min(per_group, shape[1])
        np.testing.assert_array_equal(w[(slice(None), slice(None), *middle)] @ x, same)


def test_dirac_convolution_is_the_identity():
    layer = nn.Conv2d(4, 4, 3, padding=1, bias=False, groups=2)
    init.dirac_(layer.weight, 2)
    x = lamina.randn(2, 4, 5, 6)
    assert lamina.equal(layer(x), x)


@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.55, 1.0])
def test_sparse(sparsity):
    w = draws(init.sparse_, (21, 40), sparsity, std=0.5)
    assert ((w == 0).sum(0) == math.ceil(21 * sparsity)).all()
    if 0 < sparsity < 1:
        assert len({tuple(column) for column in (w == 0).T}) > 20  # other rows in each column
        check_normal(w[w != 0], 0, 0.5)


def test_generators_make_draws_repeatable():
    names = ("uniform_", "normal_", "trunc_normal_", "xavier_uniform_", "xavier_normal_",
             "kaiming_uniform_", "kaiming_normal_", "orthogonal_")  # fmt: skip
    for name in names:
        made = [
            getattr(init, name)(lamina.empty(5, 4), generator=lamina.Generator().manual_seed(s))
            for s in (1, 1, 2)
        ]
        assert lamina.equal(made[0], made[1]) and not lamina.equal(made[0], made[2]), name
    a, b = (
        init.sparse_(lamina.empty(9, 4), 0.5, generator=lamina.Generator().manual_seed(1))
        for _ in range(2)
    )
    assert lamina.equal(a, b)


def test_layers_start_in_their_documented_ranges():
    lamina.manual_seed(1)
    for layer, fan in ((nn.Linear(50, 90), 50), (nn.Conv2d(6, 50, 3, groups=2), 27),
                       (nn.Conv1d(9, 70, 4), 36)):  # fmt: skip
        bound = 1 / math.sqrt(fan)
        check_uniform(layer.weight.detach().numpy().astype("float64"), -bound, bound * 1.000001)
        assert abs(layer.bias.detach().numpy()).max() <= bound
        first = layer.weight.detach().clone()
        layer.reset_parameters()
        assert not lamina.equal(first, layer.weight)
    check_normal(nn.Embedding(60, 50).weight.detach().numpy().astype("float64"), 0, 1)


BAD = [
    (lambda m, i: i.xavier_uniform_(m.zeros(3)), ValueError),
    (lambda m, i: i.kaiming_normal_(m.zeros(3)), ValueError),
    (lambda m, i: i.kaiming_uniform_(m.zeros(3, 3), mode="fan"), ValueError),
    (lambda m, i: i.kaiming_uniform_(m.zeros(3, 3), nonlinearity="swish"), ValueError),
    (lambda m, i: i.eye_(m.zeros(3)), ValueError),
    (lambda m, i: i.dirac_(m.zeros(3, 3)), ValueError),
    (lambda m, i: i.dirac_(m.zeros(3, 3, 3), groups=2), ValueError),
    (lambda m, i: i.orthogonal_(m.zeros(3)), ValueError),
    (lambda m, i: i.sparse_(m.zeros(3, 3, 3), 0.5), ValueError),
]  # fmt: skip


@pytest.mark.parametrize("n", range(len(BAD)))
def test_errors(n):
    action, kind = BAD[n]
    with pytest.raises(kind) as e:
        action(lamina, init)
    torch = pytest.importorskip("torch")
    with pytest.raises(kind) as wanted:
        action(torch, torch.nn.init)
    assert str(e.value) == str(wanted.value)


def test_empty_tensors_and_old_names_warn():
    for name in ("kaiming_uniform_", "kaiming_normal_"):
        with pytest.warns(UserWarning, match="Initializing zero-element tensors is a no-op"):
            getattr(init, name)(lamina.empty(0, 3))
    with pytest.warns(FutureWarning, match="`nn.init.normal` is now deprecated in favor of"):
        assert init.normal(lamina.empty(4), std=0.0).tolist() == [0, 0, 0, 0]
    with pytest.raises(AttributeError, match="no attribute 'gauss'"):
        init.gauss  # noqa: B018


def test_names_and_arguments_are_pytorchs():
    torch = pytest.importorskip("torch")
    for name, wanted in vars(torch.nn.init).items():
        if inspect.isfunction(wanted) and not name.startswith("_"):
            ours = getattr(init, name)
            if name.endswith("_") or name == "calculate_gain":
                mine, theirs = (
                    [(p.name, p.default) for p in inspect.signature(f).parameters.values()]
                    for f in (ours, wanted)
                )
                assert mine == theirs, name
