"""L-BFGS, Newton, natural gradient, K-FAC, projected gradient."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import lamina
from lamina import nn, optim
from optim_cases import leaf


def rosenbrock(p):
    return 100 * (p[1] - p[0] ** 2) ** 2 + (1 - p[0]) ** 2


def closure_of(optimizer, loss):
    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    return closure


# ---- L-BFGS --------------------------------------------------------------------------------------
def lbfgs(m, start, options, steps, loss):
    params = [m.tensor(s, dtype=m.float64, requires_grad=True) for s in start]
    optimizer = m.optim.LBFGS(params, **options)
    losses = [
        optimizer.step(closure_of(optimizer, lambda: loss(m, *params))).item() for _ in range(steps)
    ]
    return params, optimizer, losses


def two_parameters(m, a, b):
    return rosenbrock(a) + ((b - m.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=m.float64)) ** 4).sum()


LBFGS_CASES = [
    {"line_search_fn": "strong_wolfe"},
    {"line_search_fn": "strong_wolfe", "history_size": 2, "max_iter": 7},
    {"line_search_fn": "strong_wolfe", "lr": 0.3, "max_eval": 9},
    {"lr": 0.05},
    {"lr": 0.1, "max_iter": 3, "history_size": 3},
]


@pytest.mark.parametrize("options", LBFGS_CASES, ids=str)
def test_lbfgs_like_torch(options):
    torch = pytest.importorskip("torch")
    start = [[-1.2, 1.0], [[0.0, 0.5], [1.0, -1.0]]]
    ours, our, a = lbfgs(lamina, start, options, 4, two_parameters)
    theirs, their, b = lbfgs(torch, start, options, 4, two_parameters)
    np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-12)
    for p, q in zip(ours, theirs):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-6)
    assert our.state_dict()["param_groups"] == their.state_dict()["param_groups"]
    state, other = our.state_dict()["state"][0], their.state_dict()["state"][0]
    assert set(other) - set(state) <= {"al"}
    for key in ("func_evals", "n_iter"):
        assert state[key] == other[key], key
    for key in ("d", "prev_flat_grad"):
        assert tuple(state[key].shape) == tuple(other[key].shape)
    assert len(state["old_dirs"]) == len(other["old_dirs"])


def test_lbfgs_finds_the_minimum_and_resumes():
    options = {"line_search_fn": "strong_wolfe", "tolerance_change": 1e-14}
    params, _, _ = lbfgs(lamina, [[-1.2, 1.0]], options, 3, lambda m, p: rosenbrock(p))
    np.testing.assert_allclose(params[0].detach().numpy(), [1, 1], atol=1e-7)

    def run(split):
        p = leaf([-1.2, 1.0], lamina.float64)
        o = optim.LBFGS([p], lr=0.1, max_iter=4)
        for i in range(6):
            if i == split:
                saved = o.state_dict()
                o = optim.LBFGS([p], lr=9.0)
                o.load_state_dict(saved)
            o.step(closure_of(o, lambda: rosenbrock(p)))
        return p.detach().numpy()

    assert run(None).tolist() == run(3).tolist()


def test_lbfgs_refuses():
    p = leaf([1.0])
    with pytest.raises(ValueError, match="parameter groups"):
        optim.LBFGS([{"params": [p]}, {"params": [leaf([1.0])]}])
    with pytest.raises(ValueError, match="strong_wolfe"):
        optim.LBFGS([p], line_search_fn="armijo")
    with pytest.raises(TypeError, match="closure"):
        optim.LBFGS([p]).step()


# ---- Newton and natural gradient -----------------------------------------------------------------
def test_newton_solves_a_quadratic_in_one_step():
    rng = np.random.default_rng(3)
    root = rng.standard_normal((5, 5))
    a, b = root @ root.T + np.eye(5), rng.standard_normal(5)
    p, q = leaf(rng.standard_normal(3), lamina.float64), leaf([[0.5, 1.0]], lamina.float64)
    A, B = lamina.tensor(a), lamina.tensor(b)

    def loss():
        x = lamina.cat([p, q.reshape(-1)])
        return 0.5 * x.dot(A @ x) - B.dot(x)

    optimizer = optim.Newton([p, q])
    optimizer.step(loss)
    got = np.concatenate([p.detach().numpy(), q.detach().numpy().ravel()])
    np.testing.assert_allclose(got, np.linalg.solve(a, b), rtol=1e-10)


def test_newton_damping_and_errors():
    p = leaf([2.0], lamina.float64)
    optim.Newton([p], lr=0.5, damping=1.0).step(lambda: (p**3).sum())  # g = 12, H = 12
    assert p.item() == pytest.approx(2 - 0.5 * 12 / 13)
    with pytest.raises(ValueError, match="1 x 1 matrix is singular; use damping"):
        optim.Newton([p]).step(lambda: p.sum())
    optim.Newton([p], damping=2.0).step(lambda: p.sum())  # a linear loss has no Hessian
    assert p.item() == pytest.approx(2 - 6 / 13 - 0.5)
    with pytest.raises(ValueError, match="closure"):
        optim.Newton([p]).step()
    with pytest.raises(ValueError, match="Invalid damping"):
        optim.Newton([p], damping=-1)


def test_natural_gradient_of_a_normal_distribution():
    """Losses (x - m)^2 / (2 v) + log(v) / 2: F of the mean is 1 / v, so a step of lr 1 from any
    mean goes to the sample mean (the true Fisher matrix given as drawn losses)."""
    rng = np.random.default_rng(0)
    x = lamina.tensor(rng.standard_normal(50) + 3)
    m = leaf(0.25, lamina.float64)
    v = 0.09
    noise = rng.standard_normal(4000)
    noise = lamina.tensor((noise / np.sqrt((noise**2).mean())) * np.sqrt(v))

    def closure():
        drawn = m.detach() + noise
        return (x - m) ** 2 / (2 * v), (drawn - m) ** 2 / (2 * v)

    optim.NaturalGradient([m], damping=0.0).step(closure)
    assert m.item() == pytest.approx(float(x.mean()), rel=1e-9)


def test_natural_gradient_is_the_formula():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((20, 3)), rng.standard_normal(20)
    w = leaf([0.1, -0.2, 0.3], lamina.float64)
    X, Y = lamina.tensor(x), lamina.tensor(y)
    loss = optim.NaturalGradient([w], lr=0.5, damping=0.1).step(lambda: (X @ w - Y) ** 2)
    w0 = np.array([0.1, -0.2, 0.3])
    rows = 2 * (x @ w0 - y)[:, None] * x
    want = w0 - 0.5 * np.linalg.solve(rows.T @ rows / 20 + 0.1 * np.eye(3), rows.mean(0))
    np.testing.assert_allclose(w.detach().numpy(), want, rtol=1e-12)
    assert loss.item() == pytest.approx(((x @ w0 - y) ** 2).mean())
    with pytest.raises(lamina.ShapeError, match="one loss per sample"):
        optim.NaturalGradient([w]).step(lambda: (w * w).sum())


@pytest.mark.parametrize("bias", [True, False])
def test_kfac_is_the_formula(bias):
    rng = np.random.default_rng(2)
    lamina.manual_seed(0)
    layer = nn.Linear(3, 2, bias=bias).double()
    x, t = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
    w = layer.weight.detach().numpy().copy()
    b = layer.bias.detach().numpy().copy() if bias else np.zeros(2)
    lr, damping, decay = 0.3, 0.05, 0.8
    optimizer = optim.KFAC(layer, lr=lr, damping=damping, decay=decay)
    A = G = None
    for step in range(3):
        optimizer.zero_grad()
        ((layer(lamina.tensor(x)) - lamina.tensor(t)) ** 2).sum(1).mean().backward()
        optimizer.step()
        a = np.concatenate([x, np.ones((6, 1))], 1) if bias else x
        g = 2 * (x @ w.T + b - t)
        gradient = g.T @ a / 6
        now = a.T @ a / 6, g.T @ g / 6
        A, G = now if step == 0 else tuple(
            decay * old + (1 - decay) * new for old, new in zip((A, G), now)
        )  # fmt: skip
        pi = np.sqrt((np.trace(A) / len(A)) / (np.trace(G) / len(G)))
        left = np.linalg.inv(G + np.sqrt(damping) / pi * np.eye(2))
        right = np.linalg.inv(A + np.sqrt(damping) * pi * np.eye(len(A)))
        change = lr * left @ gradient @ right
        w = w - change[:, :3]
        b = b - change[:, 3] if bias else b
    np.testing.assert_allclose(layer.weight.detach().numpy(), w, rtol=1e-9)
    if bias:
        np.testing.assert_allclose(layer.bias.detach().numpy(), b, rtol=1e-9)


def test_kfac_learns_faster_than_sgd():
    rng = np.random.default_rng(4)
    x = rng.standard_normal((64, 8)) * np.logspace(0, -2, 8)  # badly scaled inputs
    y = lamina.tensor(np.sin(x.sum(1, keepdims=True) * 3), dtype=lamina.float32)
    x = lamina.tensor(x, dtype=lamina.float32)

    def run(make):
        lamina.manual_seed(1)
        model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
        optimizer = make(model)
        for _ in range(60):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
        return loss.item()

    fast = run(lambda m: optim.KFAC(m, lr=0.3, damping=1e-2))
    slow = min(run(lambda m, lr=lr: optim.SGD(m.parameters(), lr=lr)) for lr in (0.03, 0.1, 0.3))
    assert fast < 0.5 * slow


def test_kfac_steps_other_parameters_and_forgets_its_hooks():
    layer = nn.Sequential(nn.Linear(2, 2), nn.PReLU())
    optimizer = optim.KFAC(layer, lr=0.1)
    before = layer[1].weight.item()
    layer(lamina.tensor([[1.0, -1.0]])).sum().backward()
    slope = layer[1].weight.grad.item()
    optimizer.step()
    assert layer[1].weight.item() == pytest.approx(before - 0.1 * slope)
    optimizer.remove_hooks()
    layer(lamina.ones(1, 2)).sum().backward()
    optimizer.step()  # plain steps now
    assert not layer[0]._forward_hooks


# ---- projections ---------------------------------------------------------------------------------
def test_projections():
    x = lamina.tensor([[3.0, -4.0], [0.3, 0.4]], dtype=lamina.float64)
    assert optim.project_box(x, -1, 0.35).numpy().tolist() == [[0.35, -1], [0.3, 0.35]]
    np.testing.assert_allclose(
        optim.project_ball(x, 1.0, dim=1).numpy(), [[0.6, -0.8], [0.3, 0.4]], rtol=1e-15
    )
    np.testing.assert_allclose(
        optim.project_sphere(x, 2.0, dim=1).numpy(), [[1.2, -1.6], [1.2, 1.6]], rtol=1e-15
    )
    assert optim.project_sphere(lamina.zeros(3)).tolist() == [0, 0, 0]
    assert float(optim.project_ball(x).norm()) == pytest.approx(1)


def test_projection_to_the_simplex_is_the_nearest_point():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((40, 6)) * 2
    y = optim.project_simplex(lamina.tensor(x)).numpy()
    np.testing.assert_allclose(y.sum(1), 1, rtol=1e-12)
    assert y.min() >= 0
    # Nearest: (x - y) . (z - y) <= 0 for every z of the set; enough for its corners.
    gap = x - y
    assert (gap - (gap * y).sum(1, keepdims=True) <= 1e-12).all()
    z = optim.project_simplex(lamina.tensor(x.T), dim=0).numpy()
    np.testing.assert_array_equal(z.T, y)


def test_projected_gradient_solves_with_a_constraint():
    """min x^2 + y^2 with x + y >= 1 and x, y >= 0: at x = y = 1/2 (on the simplex)."""
    p = leaf([0.9, 0.1], lamina.float64)
    optimizer = optim.ProjectedGradient([p], optim.project_simplex, lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        (p * p).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(p.detach().numpy(), [0.5, 0.5], atol=1e-5)
    q = leaf([5.0])
    optimizer = optim.ProjectedGradient(
        [{"params": [q], "projection": partial(optim.project_box, high=1.0)}], None, momentum=0.9
    )
    q.grad = lamina.tensor([0.0])
    optimizer.step()
    assert q.item() == 1.0


# ---- SparseAdam ----------------------------------------------------------------------------------
@pytest.mark.parametrize("maximize", [False, True])
def test_sparse_adam_moves_the_rows_looked_up(maximize):
    start = np.random.default_rng(3).standard_normal((5, 2))
    table = nn.Embedding.from_pretrained(lamina.tensor(start), freeze=False, sparse=True)
    optimizer = optim.SparseAdam(table.parameters(), 0.1, (0.8, 0.9), 1e-3, maximize)
    p, m, v = start.copy(), np.zeros((5, 2)), np.zeros((5, 2))
    for t, rows in enumerate(([1, 3], [1, 1, 4], [3], []), 1):
        loss = optimizer.step(
            closure_of(optimizer, lambda rows=rows: table(lamina.tensor(rows).long()).pow(2).sum())
        )
        g = np.zeros((5, 2))
        for r in rows:
            g[r] += 2 * p[r] * (-1 if maximize else 1)
        assert loss.item() == pytest.approx(sum((p[r] ** 2).sum() for r in rows))
        for r in set(rows):
            m[r] = 0.8 * m[r] + 0.2 * g[r]
            v[r] = 0.9 * v[r] + 0.1 * g[r] ** 2
            p[r] -= 0.1 * (1 - 0.9**t) ** 0.5 / (1 - 0.8**t) * m[r] / (v[r] ** 0.5 + 1e-3)
    np.testing.assert_allclose(table.weight.detach().numpy(), p, atol=1e-14)
    assert (p[[0, 2]] == start[[0, 2]]).all()
    again = optim.SparseAdam(table.parameters())
    again.load_state_dict(optimizer.state_dict())
    assert again.state[table.weight]["step"] == 4 and again.param_groups[0]["lr"] == 0.1


def test_sparse_adam_errors():
    for bad in ({"lr": 0}, {"eps": 0}, {"betas": (1.0, 0.9)}):
        with pytest.raises(ValueError, match="Invalid"):
            optim.SparseAdam([lamina.zeros(1, requires_grad=True)], **bad)
