"""autograd.functional, lamina.func and utils.checkpoint."""

import numpy as np
import pytest

import lamina
from lamina import func, nn
from lamina.autograd import functional
from lamina.utils.checkpoint import checkpoint, checkpoint_sequential

RNG = np.random.default_rng(0)
X, Y, V = (RNG.normal(size=(2, 3)) for _ in range(3))


def t(a):
    return lamina.tensor(a)


def near(a, b, atol=1e-12):
    np.testing.assert_allclose(a.detach().numpy(), b, rtol=0, atol=atol)


def cubes(x):
    return (x**3).sum()


def test_jacobian():
    near(functional.jacobian(lambda x: x.square(), t(X[0])), np.diag(2 * X[0]))
    got = functional.jacobian(lambda x, y: (x * y, y.sum()), (t(X), t(Y)))
    near(got[0][0].view(6, 6), np.diag(Y.ravel()))
    near(got[0][1].view(6, 6), np.diag(X.ravel()))
    near(got[1][0], np.zeros((2, 3)))
    near(got[1][1], np.ones((2, 3)))
    with pytest.raises(RuntimeError, match="independent of an input"):
        functional.jacobian(lambda x, y: x * 2, (t(X), t(Y)), strict=True)


def test_hessian():
    near(functional.hessian(cubes, t(X[0])), np.diag(6 * X[0]))
    got = functional.hessian(lambda x, y: (x * x * y).sum(), (t(X[0]), t(Y[0])))
    near(got[0][0], np.diag(2 * Y[0]))
    near(got[0][1], np.diag(2 * X[0]))
    near(got[1][1], np.zeros((3, 3)))
    with pytest.raises(RuntimeError, match="must return a tensor of one element"):
        functional.hessian(lambda x: x * x, t(X))


def test_products():
    value, product = functional.vjp(lambda x: x.exp(), t(X), t(V))
    near(value, np.exp(X))
    near(product, np.exp(X) * V)
    value, product = functional.jvp(lambda x: x.sin(), t(X), t(V))
    near(value, np.sin(X))
    near(product, np.cos(X) * V)
    for f in (functional.hvp, functional.vhp):
        value, product = f(cubes, t(X), t(V))
        near(value, (X**3).sum())
        near(product, 6 * X * V)
    with pytest.raises(RuntimeError, match="v has shapes"):
        functional.vjp(lambda x: x * 2, t(X), t(V[0]))
    with pytest.raises(TypeError, match="expected a Tensor"):
        functional.jvp(cubes, 3.0)


def test_create_graph():
    x = lamina.tensor(X[0], requires_grad=True)
    j = functional.jacobian(lambda a: a**3, x, create_graph=True)
    near(lamina.autograd.grad(j.sum(), x)[0], 6 * X[0])
    assert not functional.jacobian(lambda a: a**3, x).requires_grad


def test_func():
    near(func.grad(cubes)(t(X)), 3 * X**2)
    gradient, value = func.grad_and_value(lambda x, y: (x * y).sum(), argnums=(0, 1))(t(X), t(Y))
    near(gradient[0], Y)
    near(gradient[1], X)
    near(value, (X * Y).sum())
    near(func.grad(func.grad(lambda x: x**4))(t(X[0, 0])), 12 * X[0, 0] ** 2)
    near(func.jacrev(lambda x: x**2)(t(X[0])), np.diag(2 * X[0]))
    near(func.hessian(cubes)(t(X[0])), np.diag(6 * X[0]))
    near(func.jvp(lambda x: x**2, (t(X),), (t(V),))[1], 2 * X * V)
    near(func.vjp(lambda x: x**2, t(X))[1](t(V))[0], 2 * X * V)
    gradient, (value, aux) = func.grad_and_value(lambda x: (cubes(x), x.shape), has_aux=True)(t(X))
    assert aux == (2, 3) and value.dim() == 0
    with pytest.raises(RuntimeError, match="without dimensions"):
        func.grad(lambda x: x)(t(X))


def test_vmap():
    near(func.vmap(lambda x, y: x @ y)(t(X), t(Y)), (X * Y).sum(1))
    near(
        func.vmap(lambda x, y: x * y, in_dims=(1, None), out_dims=1)(t(X), t(Y[:, 0])), X * Y[:, :1]
    )
    near(func.vmap(func.grad(cubes))(t(X)), 3 * X**2)
    with pytest.raises(ValueError, match="one size of the batched dimensions"):
        func.vmap(lambda x, y: x + y)(t(X), t(Y.T))


def test_functional_call():
    layer = nn.Linear(2, 2)
    weight = lamina.eye(2).requires_grad_()
    y = func.functional_call(layer, {"weight": weight, "bias": lamina.zeros(2)}, lamina.ones(1, 2))
    y.sum().backward()
    assert y.tolist() == [[1, 1]] and weight.grad is not None and layer.weight.grad is None
    assert layer.weight is dict(layer.named_parameters())["weight"]
    with pytest.raises(KeyError, match="no parameter"):
        func.functional_call(layer, {"other": weight}, lamina.ones(1, 2))
    models = [nn.Linear(2, 3) for _ in range(4)]
    parameters, buffers = func.stack_module_state(models)
    x = lamina.ones(2)
    y = func.vmap(lambda p, b: func.functional_call(models[0], (p, b), x))(parameters, buffers)
    for row, model in zip(y, models):
        assert lamina.allclose(row, model(x))


# ---- checkpoint ----------------------------------------------------------------------------------
def network():
    lamina.manual_seed(0)
    return nn.Sequential(
        nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2)
    )


@pytest.mark.parametrize("requires_grad", [True, False])
@pytest.mark.parametrize("run", [
    lambda net, x: checkpoint(net, x, use_reentrant=False),
    lambda net, x: checkpoint_sequential(net, 3, x),
])  # fmt: skip
def test_checkpoint_changes_nothing(run, requires_grad):
    results = []
    for call in (lambda net, x: net(x), run):
        net, x = network(), lamina.ones(5, 3, requires_grad=requires_grad)
        lamina.manual_seed(1)
        y = call(net, x)
        after = lamina.rand(1)  # the same numbers are left behind
        y.square().sum().backward()
        grads = [p.grad for p in net.parameters()]
        results.append([y, after, *grads, *([x.grad] if requires_grad else [])])
    for a, b in zip(*results):
        assert lamina.equal(a, b)


def test_checkpoint_of_containers():
    x, y = lamina.ones(2, requires_grad=True), lamina.ones(2, requires_grad=True)
    out = checkpoint(lambda d, scale: {"sum": d["x"] + d["y"], "n": 3, "p": [d["x"] * scale]},
                     {"x": x, "y": y}, scale=2.0)  # fmt: skip
    assert out["n"] == 3
    (out["sum"].sum() + out["p"][0].sum()).backward()
    assert x.grad.tolist() == [3, 3] and y.grad.tolist() == [1, 1]


def test_checkpoint_calls_again_in_backward():
    calls = []
    x = lamina.ones(2, requires_grad=True)
    y = checkpoint(lambda a: calls.append(a.requires_grad) or a * 2, x)
    assert len(calls) == 1
    y.sum().backward()
    assert len(calls) == 2
    with lamina.no_grad():
        checkpoint(lambda a: calls.append(0) or a, x)
    assert len(calls) == 3
