"""Gradients of gradients that go through tensors nobody asked a gradient of."""

import numpy as np
import pytest

import lamina
from lamina.autograd import grad

R = np.random.default_rng(3)
A, B = R.normal(size=(4, 3)), R.normal(size=(2, 3))


def leaf(a):
    return lamina.tensor(a, requires_grad=True)


@pytest.mark.parametrize(
    "made",
    [lambda w: w.t(), lambda w: (w * 1).t(), lambda w: w.T.contiguous(), lambda w: w.permute(1, 0)],
)
def test_a_made_operand_keeps_its_history(made):
    """d/dW sum((dy/dG)^2) for y = sum(G W^T): dy/dG has every row equal to the column sums of W."""
    G, W = leaf(A), leaf(B)
    y = G @ made(W)
    (h,) = grad(y.sum(), G, create_graph=True)
    np.testing.assert_allclose(h.detach().numpy(), np.tile(B.sum(0), (4, 1)), rtol=1e-12)
    (g,) = grad((h**2).sum(), W)
    np.testing.assert_allclose(g.numpy(), np.tile(8 * B.sum(0), (2, 1)), rtol=1e-12)


def test_elementwise_operand():
    x, w = leaf(A), leaf(A + 1)
    scaled = w * 2
    (h,) = grad((x * scaled).sum(), x, create_graph=True)
    (h**2).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), 8 * (A + 1), rtol=1e-12)
    assert x.grad is None


def _laplacian(x, w1, w2):
    """The sum over inputs of d2y/dx_i^2 for y = sum(tanh(x W1^T) W2^T), x (n, d)."""
    y = lamina.tanh(x @ w1.t()) @ w2.t()
    (g,) = grad(y, x, lamina.ones_like(y), create_graph=True)
    total = 0
    for i in range(x.shape[1]):
        (d,) = grad(g[:, i], x, lamina.ones_like(g[:, i]), create_graph=True)
        total = total + d[:, i]
    return total


def test_third_derivatives_through_transposed_weights():
    """Loss of a Laplacian (physics-informed networks, SIREN): weights' gradients by differences."""
    x0, w1, w2 = R.normal(size=(5, 2)), R.normal(size=(6, 2)), R.normal(size=(1, 6))

    def loss(a, b):
        t = np.tanh(x0 @ a.T)
        second = -2 * t * (1 - t * t)  # tanh''
        return ((second * (b * (a * a).sum(1))).sum(1) ** 2).sum()

    a, b = leaf(w1), leaf(w2)
    value = (_laplacian(leaf(x0), a, b) ** 2).sum()
    assert value.item() == pytest.approx(loss(w1, w2), rel=1e-10)
    value.backward()
    step = 1e-6
    for w, t in ((w1, a), (w2, b)):
        for i in np.ndindex(w.shape):
            up, down = w.copy(), w.copy()
            up[i] += step
            down[i] -= step
            pair = (lambda v: (v, w2)) if w is w1 else (lambda v: (w1, v))
            wanted = (loss(*pair(up)) - loss(*pair(down))) / (2 * step)
            assert t.grad.numpy()[i] == pytest.approx(wanted, rel=2e-6, abs=1e-5)


def test_gradient_penalty_of_a_layer_with_computed_weight():
    """The WGAN penalty (Gulrajani et al., 2017) on a weight-normed layer: its g and v learn."""
    layer = lamina.nn.utils.weight_norm(lamina.nn.Linear(3, 1, dtype=lamina.float64))
    x = leaf(A)
    (g,) = grad(layer(x).sum(), x, create_graph=True)
    ((g.norm(dim=1) - 1) ** 2).sum().backward()
    size = layer.weight_g.item()  # |w| = g, so the penalty is 4 (|g| - 1)^2
    assert layer.weight_g.grad.item() == pytest.approx(8 * (size - 1), rel=1e-10)
    assert layer.weight_v.grad.abs().max().item() < 1e-12


def test_only_what_is_asked_is_computed():
    """Nothing reaches inputs that were not asked for, and the graph serves a backward later."""
    x, w = leaf(A), leaf(B)
    y = (x @ (w * 2).t()).sum()
    (g,) = grad(y, x, retain_graph=True)
    assert w.grad is None and x.grad is None and not g.requires_grad
    y.backward()
    np.testing.assert_allclose(w.grad.numpy(), np.tile(2 * A.sum(0), (2, 1)), rtol=1e-12)


# ---- the graph, looked at ------------------------------------------------------------------------
def test_next_functions():
    a, b = lamina.ones(3, requires_grad=True), lamina.ones(3)
    y = (a * b).sum()
    (pair,) = y.grad_fn.next_functions
    product, index = pair
    assert repr(product) == "<MulBackward0>" and index == 0
    leaf, nothing = product.next_functions
    assert nothing == (None, 0) and leaf[0].variable is a and leaf[0].next_functions == ()
    assert repr(leaf[0]) == "<AccumulateGrad>" and leaf[0] != product
    assert y.grad_fn == y.grad_fn and len({y.grad_fn, y.grad_fn}) == 1
    parts = (a * 2).unbind(0)
    (f, i), (g, j) = (parts[1] + parts[2]).grad_fn.next_functions
    assert f == g and (i, j) == (1, 2)
    with pytest.raises(AttributeError, match="no leaf"):
        product.variable  # noqa: B018
    y.backward()
    assert y.grad_fn.next_functions == ((product, 0),)  # as in PyTorch, the graph can still be seen


def test_all_parameters_are_found_by_walking():
    net = lamina.nn.Sequential(
        lamina.nn.Linear(3, 4), lamina.nn.ReLU(), lamina.nn.BatchNorm1d(4), lamina.nn.Linear(4, 1)
    )
    found, ahead = [], [net(lamina.randn(5, 3)).sum().grad_fn]
    while ahead:
        f = ahead.pop()
        if hasattr(f, "variable"):
            found.append(f.variable)
        ahead += [g for g, _ in f.next_functions if g is not None]
    assert {id(p) for p in found} == {id(p) for p in net.parameters()}


def test_base():
    a = lamina.ones(4, requires_grad=True)
    assert a[1:]._base is a and a.view(2, 2)[0]._base is a and a.detach()._base is None
    assert a._base is None and (a * 2)._base is None and a.clone()._base is None


# ---- backward to chosen leaves, and functions of two results -------------------------------------
def test_gradients_of_chosen_leaves_are_their_own():
    """Each leaf has memory of its own, added to in place."""
    x, y = lamina.ones(3, requires_grad=True), lamina.ones(3, requires_grad=True)
    (x + y).sum().backward(inputs=[x, y])
    held = x.grad
    x.grad.mul_(5)
    assert x.grad.tolist() == [5.0] * 3 and y.grad.tolist() == [1.0] * 3
    (2 * x).sum().backward(inputs=[x])
    assert x.grad is held and held.tolist() == [7.0] * 3


def test_hooks_of_chosen_leaves():
    x, y = lamina.ones(3, requires_grad=True), lamina.ones(3, requires_grad=True)
    seen = []
    x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.tolist()))
    y.register_post_accumulate_grad_hook(lambda t: seen.append("y"))
    (2 * x + y).sum().backward(inputs=[x])
    (2 * x + y).sum().backward(inputs=x)
    assert seen == [[2.0] * 3, [4.0] * 3] and y.grad is None


class Twice(lamina.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2, x * 3

    @staticmethod
    def backward(ctx, g, h):
        return g * 2 + h * 3


def test_a_function_with_a_result_unused(device):
    """Zeros stand for its gradient, on the result's device."""
    x = lamina.ones(3, device=device, requires_grad=True)
    Twice.apply(x)[0].sum().backward()
    assert x.grad.tolist() == [2.0] * 3 and x.grad.device == x.device


def test_a_function_with_a_complex_result():
    class Pair(lamina.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return lamina.complex(x, 2 * x)

        @staticmethod
        def backward(ctx, g):
            return g.real + 2 * g.imag

    x = lamina.ones(3, requires_grad=True)
    y = Pair.apply(x)
    y.abs().square().sum().backward()
    assert y.requires_grad and x.grad.tolist() == [10.0] * 3  # d 5 x^2 / dx


def test_backward_of_inputs_given_twice_or_not_at_all():
    a = lamina.tensor([1.0, 2.0], requires_grad=True)
    (a * 2).sum().backward(inputs=[a, a])
    assert a.grad.tolist() == [2, 2]
    with pytest.raises(RuntimeError, match="^backward: inputs is empty"):
        (a * 2).sum().backward(inputs=[])
