"""The tape: backward, grad, modes, in-place writes, views, hooks, Function, gradcheck."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest

import lamina
from lamina.autograd import Function, grad, gradcheck, gradgradcheck

f64 = lamina.float64


def leaf(*values, dtype=f64):
    return lamina.tensor(values, dtype=dtype, requires_grad=True)


# ---- backward ------------------------------------------------------------------------------------
def test_gradients_add_up_over_uses_and_calls():
    x = leaf(2.0, 3.0)
    y = x * x + x
    y.sum().backward()
    assert x.grad.tolist() == [5, 7]
    (x * 10).sum().backward()
    assert x.grad.tolist() == [15, 17]


def test_diamond_and_long_chain():
    x = leaf(1.0)
    a = x * 2
    (a * 3 + a * 4).sum().backward()
    assert x.grad.item() == 14
    y = z = lamina.tensor(1.0, dtype=f64, requires_grad=True)
    for _ in range(20_000):  # no recursion, neither in backward nor when it is thrown away
        y = y + 1
    y.backward()
    assert z.grad.item() == 1
    del y


def test_graph_is_freed():
    x = leaf(1.0)
    big = lamina.ones(1000, dtype=f64) * x
    ref = weakref.ref(big)
    y = (big * big).sum()
    del big
    y.backward()
    del y
    gc.collect()
    assert ref() is None


def test_backward_twice_needs_retain_graph():
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8
    with pytest.raises(RuntimeError, match="second time.*retain_graph"):
        y.backward()


def test_backward_needs_a_scalar_or_a_gradient():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="one-element outputs, got shape .2,."):
        (x * 2).backward()
    (x * 2).backward(lamina.tensor([1.0, 10.0], dtype=f64))
    assert x.grad.tolist() == [2, 20]
    with pytest.raises(RuntimeError, match="shape"):
        (x * 2).backward(lamina.ones(3, dtype=f64))
    with pytest.raises(RuntimeError, match="does not require grad"):
        lamina.ones(1).backward()


def test_grad_leaves_grad_alone():
    x, y = leaf(2.0), leaf(5.0)
    gx, gy = grad((x * y).sum(), (x, y))
    assert (gx.item(), gy.item()) == (5, 2) and x.grad is None
    with pytest.raises(RuntimeError, match="allow_unused"):
        grad((x * 2).sum(), (x, y))
    assert grad((x * 2).sum(), (x, y), allow_unused=True)[1] is None
    assert grad((x * 2).sum(), y, allow_unused=True, materialize_grads=True)[0].item() == 0


def test_gradient_of_an_intermediate():
    x = leaf(3.0)
    y = x * x
    z = (y * y).sum()
    assert grad(z, y, retain_graph=True)[0].item() == 18
    y.retain_grad()
    z.backward()
    assert y.grad.item() == 18 and x.grad.item() == 108


def test_higher_derivatives():
    x = leaf(0.7)
    y = lamina.sin(x)
    derivatives = []
    for _ in range(4):
        (y,) = grad(y.sum(), x, create_graph=True)
        derivatives.append(y.item())
    np.testing.assert_allclose(
        derivatives, [np.cos(0.7), -np.sin(0.7), -np.cos(0.7), np.sin(0.7)], rtol=1e-12
    )


def test_integer_and_detached_tensors_do_not_track():
    x = leaf(1.0, 2.0)
    assert not (x > 1).requires_grad
    assert not x.detach().requires_grad
    assert not x.long().requires_grad
    with pytest.raises(RuntimeError, match="floating point"):
        lamina.tensor([1], requires_grad=True)


# ---- modes ---------------------------------------------------------------------------------------
def test_no_grad_and_enable_grad():
    x = leaf(1.0)
    with lamina.no_grad():
        assert not (x * 2).requires_grad
        with lamina.enable_grad():
            assert (x * 2).requires_grad
        with lamina.set_grad_enabled(True):
            assert lamina.is_grad_enabled()

        @lamina.enable_grad()
        def inside():
            return (x * 2).requires_grad

        assert inside()
    assert (x * 2).requires_grad

    @lamina.no_grad()
    def outside():
        return (x * 2).requires_grad

    assert not outside()
    with lamina.inference_mode():
        assert not (x * 2).requires_grad


def test_modes_are_per_thread():
    seen = []
    with lamina.no_grad():
        t = threading.Thread(target=lambda: seen.append(lamina.is_grad_enabled()))
        t.start()
        t.join()
    assert seen == [True]


# ---- in place ------------------------------------------------------------------------------------
def test_in_place_replaces_the_history():
    x = leaf(1.0, 2.0)
    y = x * 2
    y.mul_(3)
    y += 1
    y.sum().backward()
    assert x.grad.tolist() == [6, 6]


@pytest.mark.parametrize("write, slope", [
    (lambda y: y.pow_(3), lambda x: 3 * (2 * x) ** 2),
    (lambda y: y.sin_(), lambda x: np.cos(2 * x)),
    (lambda y: lamina.nn.functional.silu(y, inplace=True),
     lambda x: (1 + 2 * x / (1 + np.exp(2 * x))) / (1 + np.exp(-2 * x))),
    (lambda y: y[1:].log_(), lambda x: np.array([1.0, *(1 / (2 * x[1:]))])),
])  # fmt: skip
def test_in_place_keeps_the_value_its_own_gradient_needs(write, slope):
    x = lamina.tensor([0.5, 1.5, 2.0], dtype=lamina.float64, requires_grad=True)
    y = x * 2
    write(y)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * slope(x.detach().numpy()), rtol=1e-13)


def test_hooks_and_retained_gradients():
    x = lamina.ones(2, requires_grad=True)
    y = x * 3
    y.retain_grad()
    y.register_hook(lambda g: g + 1)
    y.sum().backward()
    assert y.grad.tolist() == [2, 2] and x.grad.tolist() == [6, 6]


def test_saved_tensor_changed_in_place():
    x = leaf(1.0, 2.0)
    y = lamina.exp(x)
    y.add_(1)
    with pytest.raises(RuntimeError, match="exp.*in.?place"):
        y.sum().backward()


def test_writing_into_a_leaf():
    x = leaf(1.0)
    with pytest.raises(RuntimeError, match="leaf"):
        x.add_(1)
    with lamina.no_grad():
        x.add_(1)
    assert x.item() == 2
    x.data.mul_(5)
    assert x.item() == 10


def test_assignment_into_views():
    x = leaf(1.0, 2.0, 3.0)
    y = lamina.zeros(3, dtype=f64)
    y[0] = x[0] * 2
    y[1:] = x[1:] * 3
    y.sum().backward()
    assert x.grad.tolist() == [2, 3, 3]


def test_rows_written_one_by_one():
    x = leaf(2.0)
    out = lamina.zeros(4, 3, dtype=f64)
    for t in range(4):
        out[t] = x * t
    out.sum().backward()
    assert x.grad.item() == 18


def test_in_place_on_a_view_reaches_the_base_and_other_views():
    x = leaf(1.0, 2.0, 3.0, 4.0)
    y = x * 1
    a, b = y[:2], y[1:3]
    a.mul_(10)
    assert b.tolist() == [20, 3]
    (y * lamina.tensor([1.0, 2, 3, 4], dtype=f64)).sum().backward(retain_graph=True)
    assert x.grad.tolist() == [10, 20, 3, 4]
    x.grad = None
    b.sum().backward()
    assert x.grad.tolist() == [0, 10, 1, 0]


def test_masked_fill_and_copy():
    x = leaf(1.0, 2.0, 3.0)
    y = x * 2
    y.masked_fill_(y > 3, 0)
    y.sum().backward()
    assert x.grad.tolist() == [2, 0, 0]
    z = lamina.empty(3, dtype=f64)
    z.copy_(x * 5)
    z.sum().backward()
    assert x.grad.tolist() == [7, 5, 5]


# ---- hooks ---------------------------------------------------------------------------------------
def test_hooks_see_and_change_gradients():
    x = leaf(1.0)
    seen = []
    y = x * 2
    handle = y.register_hook(lambda g: seen.append(g.item()) or g * 10)
    x.register_hook(lambda g: g + 1)
    (y * 3).sum().backward(retain_graph=True)
    assert seen == [3] and x.grad.item() == 61
    handle.remove()
    x.grad = None
    (y * 3).sum().backward()
    assert seen == [3] and x.grad.item() == 7


# ---- Function ------------------------------------------------------------------------------------
class Cube(Function):
    @staticmethod
    def forward(ctx, x, scale):
        ctx.save_for_backward(x)
        ctx.scale = scale
        return x * x * x * scale

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x * x * ctx.scale, None


def test_function():
    x = leaf(2.0)
    y = Cube.apply(x, 5.0)
    assert y.item() == 40
    (g,) = grad(y.sum(), x, create_graph=True)
    assert g.item() == 60
    (h,) = grad(g.sum(), x)
    assert h.item() == 60
    assert gradcheck(lambda t: Cube.apply(t, 2.0), (leaf(0.3, 1.2),))


def test_functions_are_let_go_after_backward():
    class Exp(Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0]

    def once():
        y = Exp.apply(leaf(*range(100)) * 1)
        y.sum().backward()
        with pytest.raises(RuntimeError, match="second time"):
            y.sum().backward()
        gc.collect()
        return lamina._core.memory_stats()["in_use"]

    assert once() == once() == once()


class SplitSum(Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.set_materialize_grads(False)
        return a + b, a - b

    @staticmethod
    def backward(ctx, ga, gb):
        zero = 0
        ga = zero if ga is None else ga
        gb = zero if gb is None else gb
        return ga + gb, ga - gb


def test_function_with_two_outputs():
    a, b = leaf(1.0), leaf(2.0)
    s, d = SplitSum.apply(a, b)
    (s * 3).sum().backward()
    assert (a.grad.item(), b.grad.item()) == (3, 3)
    s, d = SplitSum.apply(a, b)
    (d * 2 + s).sum().backward()
    assert (a.grad.item(), b.grad.item()) == (6, 2)


class Wrong(Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g, g


def test_function_with_the_wrong_number_of_gradients():
    with pytest.raises(RuntimeError, match="2 gradients.*1"):
        Wrong.apply(leaf(1.0)).sum().backward()


def test_errors_in_backward_reach_the_caller():
    class Bad(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        Bad.apply(leaf(1.0)).sum().backward()


# ---- checks --------------------------------------------------------------------------------------
def test_gradcheck_finds_a_wrong_rule():
    class Off(Function):
        @staticmethod
        def forward(ctx, x):
            return x * x

        @staticmethod
        def backward(ctx, g):
            return g

    assert gradcheck(lambda x: x * x, (leaf(0.5, 2.0),))
    assert not gradcheck(Off.apply, (leaf(0.5, 2.0),), raise_exception=False)
    with pytest.raises(RuntimeError, match="gradcheck"):
        gradcheck(Off.apply, (leaf(0.5, 2.0),))
    assert gradgradcheck(lambda x: x * x * x, (leaf(0.5, 2.0),))


def test_broadcast_gradients_have_the_operands_shape():
    a = lamina.ones(3, 1, dtype=f64, requires_grad=True)
    b = lamina.ones(4, dtype=f64, requires_grad=True)
    c = lamina.tensor(2.0, dtype=f64, requires_grad=True)
    (a * b * c).sum().backward()
    assert a.grad.tolist() == [[8]] * 3
    assert b.grad.tolist() == [6] * 4
    assert c.grad.item() == 12


def test_mixed_dtypes_give_gradients_of_each_dtype():
    a = lamina.ones(2, requires_grad=True)
    b = lamina.ones(2, dtype=f64, requires_grad=True)
    (a * b).sum().backward()
    assert a.grad.dtype is lamina.float32 and b.grad.dtype is f64


def test_backward_from_several_threads():
    xs = [leaf(float(i)) for i in range(8)]
    errors = []

    def work(x):
        try:
            for _ in range(200):
                (x * x).sum().backward()
        except Exception as e:  # noqa: BLE001
            errors.append(e)

    threads = [threading.Thread(target=work, args=(x,)) for x in xs]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors
    assert [x.grad.item() for x in xs] == [400.0 * i for i in range(8)]
