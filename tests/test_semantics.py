"""What PyTorch means where it is easy to mean something else: indices, numbers that do not fit,
overwritten and shared tensors, cycles, hooks, division, errors."""

from __future__ import annotations

import gc
import math
import weakref

import numpy as np
import pytest

import lamina
from lamina.nn import functional as F

INF, NAN = math.inf, math.nan


# ---- indices -----------------------------------------------------------------------------------
def test_a_list_of_indices_stands_for_a_tuple():
    x = lamina.arange(6).reshape(2, 3)
    rows, columns = lamina.tensor([0, 1]), lamina.tensor([1, 0])
    for key in ([[0, 1], [1, 0]], [rows, columns], [range(2), [1, 0]], ([0, 1], [1, 0])):
        assert x[key].tolist() == [1, 3]
    assert x[[slice(0, 1), 1]].tolist() == [1]
    assert x[[None, 0]].shape == (1, 3)
    assert x[[[0, 1], 1]].tolist() == [1, 4]
    assert x[[[], []]].shape == (0,)
    assert x[[0, 1]].shape == x[np.array([[0, 1]])][0].shape == (2, 3)
    assert lamina.arange(60)[list(range(40))].shape == (40,)
    x[[[0, 1], [1, 0]]] = 9
    assert x.tolist() == [[0, 9, 2], [9, 4, 5]]


def test_assigned_values_have_the_dtype_of_the_tensor():
    x = lamina.zeros(3)
    with pytest.raises(RuntimeError, match="float32, the values of float64"):
        x[lamina.tensor([0])] = lamina.ones(1, dtype=lamina.float64)
    x[lamina.tensor([0])] = 2
    x[[True, False, True]] = [3.0, 4.0]
    assert x.tolist() == [3, 0, 4]


def test_sums_into_bool_are_one():
    x = lamina.tensor([True, False, True])
    y = x.index_add(0, lamina.tensor([0, 1, 2]), x)
    assert y.dtype is lamina.bool and y.sum().item() == 2
    assert y.view(lamina.uint8).tolist() == [1, 0, 1]


# ---- numbers and dtypes ------------------------------------------------------------------------
def test_numbers_wrap_to_the_integers_they_meet():
    u = lamina.tensor([1, 255], dtype=lamina.uint8)
    assert (u == -1).tolist() == [False, True] and (u < -1).tolist() == [True, False]
    assert (u % -2).tolist() == [1, 1] and (u + 300).tolist() == [45, 43]
    assert u.clamp(min=-1).tolist() == [255, 255]
    b = lamina.tensor([1, 2], dtype=lamina.int8)
    assert (b < lamina.tensor(200)).tolist() == [False, False]


@pytest.mark.parametrize(
    "make",
    [
        lambda: lamina.full((2,), 300, dtype=lamina.uint8),
        lambda: lamina.zeros(2, dtype=lamina.int8).fill_(200),
        lambda: lamina.zeros(2, dtype=lamina.int64).fill_(NAN),
        lambda: lamina.zeros(2, dtype=lamina.int64).fill_(1e30),
        lambda: lamina.zeros(2).fill_(1e300),
        lambda: lamina.tensor([300], dtype=lamina.uint8),
        lambda: lamina.tensor([1, 2**40], dtype=lamina.int32),
        lambda: lamina.tensor([NAN], dtype=lamina.int64),
        lambda: lamina.zeros(2, dtype=lamina.uint8).masked_fill(lamina.ones(2) > 0, 300),
    ],
)
def test_numbers_that_do_not_fit(make):
    with pytest.raises(RuntimeError, match="does not fit into"):
        make()


def test_numbers_that_just_fit():
    assert lamina.full((1,), -255, dtype=lamina.uint8).tolist() == [1]
    assert lamina.tensor([1.7, -1.7], dtype=lamina.int64).tolist() == [1, -1]
    assert lamina.full((1,), -INF).item() == -INF
    assert lamina.full((1,), 2**63 - 1).item() == 2**63 - 1
    with pytest.raises(ValueError, match="64 bits"):
        lamina.tensor([2**63])
    assert lamina.tensor([2**63], dtype=lamina.float64).item() == 2.0**63


def test_numpy_numbers_keep_their_dtype_in_lists():
    assert lamina.tensor([np.float64(1)]).dtype is lamina.float64
    assert lamina.tensor([1, np.float64(1.5)]).dtype is lamina.float64
    assert lamina.tensor([np.float32(1)]).dtype is lamina.float32
    assert lamina.tensor([1.5]).dtype is lamina.float32


def test_bool_and_bytes():
    u, b = lamina.tensor([1, 0], dtype=lamina.uint8), lamina.tensor([True])
    assert u.any().dtype is u.all().dtype is u.any(0).dtype is lamina.uint8
    assert b.square().dtype is b.clamp(0, 1).dtype is lamina.int64
    mistakes = [lambda: 1 - b, lambda: -b, lambda: b - 1, lambda: b - b, lambda: lamina.ones(1) - b,
                lambda: lamina.ones(1) - True, lambda: lamina.rsub(b, 1)]  # fmt: skip
    for mistake in mistakes:
        with pytest.raises(RuntimeError, match="not defined for bool"):
            mistake()


@pytest.mark.parametrize("dtype", [lamina.int32, lamina.int16, lamina.float32, lamina.bool])
def test_class_numbers_are_int64_or_uint8(dtype):
    x, t = lamina.zeros(1, 2), lamina.zeros(1, dtype=dtype)
    with pytest.raises(RuntimeError, match="target"):
        F.nll_loss(x, t)
    with pytest.raises(RuntimeError, match="target"):
        F.cross_entropy(x, t)
    assert F.nll_loss(x, t.to(lamina.uint8)).item() == 0


def test_rounded_division():
    def trunc(a, b):
        return lamina.div(a, b, rounding_mode="trunc")

    assert trunc(lamina.tensor([3.0, -3.0, INF, 7.0]), 2.0).tolist() == [1, -1, INF, 3]
    assert trunc(lamina.tensor([7, -7, 6, -6]), 2).tolist() == [3, -3, 3, -3]
    assert trunc(lamina.tensor([2**62 + 1]), -1).item() == -(2**62) - 1
    out = lamina.empty(0, dtype=lamina.int64)
    assert lamina.div(lamina.tensor([7]), 2, rounding_mode="floor", out=out) is out
    assert out.tolist() == [3]


def test_clamp_bounds():
    assert lamina.ones(1).clamp(min=NAN).isnan().all()
    assert lamina.tensor([2**53 + 1]).clamp(max=2**53 + 3).item() == 2**53 + 1
    assert lamina.tensor([1, 2]).clamp(0.5, 1.5).tolist() == [1.0, 1.5]
    with pytest.raises(RuntimeError, match="cannot be written"):
        lamina.tensor([1, 2]).clamp_(0.5)


def test_sign_of_what_has_none():
    assert lamina.tensor([NAN, -0.0, -2.0, INF]).sign().tolist() == [0, 0, -1, 1]


def test_isclose_beside_infinity_and_bytes():
    assert lamina.isclose(lamina.tensor([5.0, INF]), lamina.tensor([INF, INF])).tolist() == [
        False, True,
    ]  # fmt: skip
    a, b = (lamina.tensor([v], dtype=lamina.uint8) for v in (1, 2))
    assert not lamina.isclose(a, b).item()


def test_alpha_is_whole_for_integers():
    with pytest.raises(RuntimeError, match="alpha"):
        lamina.tensor([1]).add(1, alpha=1.5)


# ---- in place and out= -------------------------------------------------------------------------
def test_operators_in_place_write_in_place():
    for change, want in (
        (lambda x: x.__ifloordiv__(2), [3, -4]),
        (lambda x: x.__imod__(4), [3, 1]),
        (lambda x: x.__ipow__(2), [49, 49]),
        (lambda x: x.__ilshift__(1), [14, -14]),
        (lambda x: x.__irshift__(1), [3, -4]),
    ):
        x = lamina.tensor([7, -7])
        alias = x.view(2)
        assert change(x) is x and alias.tolist() == want
    y = lamina.tensor([4.0])
    y **= 0.5
    assert y.item() == 2
    z = lamina.tensor([4], dtype=lamina.uint8)
    z **= lamina.tensor([2])
    assert z.dtype is lamina.uint8 and z.item() == 16
    with pytest.raises(RuntimeError):
        z **= 0.5


def test_out_is_resized():
    out = lamina.empty(0)
    assert lamina.add(lamina.ones(2), 1, out=out) is out and out.tolist() == [2, 2]
    assert lamina.cat([out, out], out=lamina.empty(0)).tolist() == [2, 2, 2, 2]
    with pytest.warns(UserWarning, match="resized"):
        lamina.mul(lamina.ones(3), 2, out=out)
    assert out.tolist() == [2, 2, 2]
    with pytest.raises(RuntimeError):
        lamina.sum(lamina.ones(3), 0, out=lamina.zeros((), dtype=lamina.int64))


@pytest.mark.parametrize("call", [
    lambda x, out: lamina.max(x, 1, out=out), lambda x, out: lamina.sort(x, 1, out=out),
    lambda x, out: lamina.topk(x, 2, out=out), lambda x, out: lamina.kthvalue(x, 2, out=out),
    lambda x, out: lamina.cummax(x, 1, out=out),
])  # fmt: skip
def test_outs_of_pairs_are_resized(call):
    x = lamina.tensor([[3.0, 1.0, 2.0], [4.0, 6.0, 5.0]])
    out = lamina.empty(0), lamina.empty(0, dtype=lamina.int64)
    got = call(x, out)
    want = call(x, None)
    for g, o, w in zip(got, out, want):
        assert g is o and o.tolist() == w.tolist()


def test_out_of_other_functions_is_resized():
    x = lamina.arange(4.0).reshape(2, 2)
    empty = lamina.empty
    assert lamina.argmax(x, 1, out=empty(0, dtype=lamina.int64)).tolist() == [1, 1]
    assert lamina.addcmul(x, x, x, out=empty(0)).tolist() == (x + x * x).tolist()
    assert lamina.special.entr(x, out=empty(0)).shape == (2, 2)
    assert lamina.rand(3, out=empty(0)).shape == (3,)
    assert lamina.fft.rfftfreq(4, out=empty(0)).tolist() == [0, 0.25, 0.5]
    assert lamina.linalg.inv(lamina.eye(2), out=empty(0)).tolist() == [[1, 0], [0, 1]]


def test_a_tensor_reversed_and_asked():
    assert reversed(lamina.arange(4).reshape(2, 2)).tolist() == [[2, 3], [0, 1]]
    assert reversed(lamina.tensor(1)).item() == 1
    assert lamina.tensor([[1j, 2.0]]).adjoint().tolist() == [[-1j], [2.0]]
    assert lamina.tensor([2]).is_nonzero() and not lamina.is_nonzero(lamina.tensor(0.0))
    with pytest.raises(RuntimeError):
        lamina.ones(2).is_nonzero()


def test_a_list_of_tensors_holds_tensors():
    for join in (lamina.stack, lamina.cat):
        for bad in (None, 1):
            with pytest.raises(TypeError, match="element 1 is not a tensor"):
                join([lamina.ones(2), bad])


# ---- autograd ----------------------------------------------------------------------------------
def test_data_counts_writes_apart():
    x = lamina.zeros(3)
    x.data.add_(1)
    assert x._version == 0
    x.detach().add_(1)
    assert x._version == 1
    w = lamina.ones(3, requires_grad=True)
    y = w.exp()
    y.data[0].zero_()
    y.sum().backward()
    assert w.grad[0].item() == 0
    y = w.exp()
    y.detach().zero_()
    with pytest.raises(RuntimeError, match="modified by an in-place"):
        y.sum().backward()
    d = (w * 2).detach().data
    z = (d * w).sum()
    d.add_(1)
    with pytest.raises(RuntimeError, match="modified by an in-place"):
        z.backward()


@pytest.mark.parametrize("write", ["copy_", "normal_", "uniform_", "zero_", "setitem"])
def test_overwritten_history_gets_zeros(write):
    w, x = lamina.zeros(3, requires_grad=True), lamina.ones(3, requires_grad=True)
    y = w * 1
    if write == "setitem":
        y[:] = x
    elif write == "copy_":
        y.copy_(x)
    else:
        getattr(y, write)()
    y.sum().backward()
    assert w.grad.tolist() == [0, 0, 0]
    assert write not in ("copy_", "setitem") or x.grad.tolist() == [1, 1, 1]


def test_second_derivative_of_logcumsumexp():
    x = lamina.tensor([1.0, -2.0, 3.0, 0.5], dtype=lamina.float64, requires_grad=True)
    for scan in (
        lambda x: lamina.logcumsumexp(x, 0),
        lambda x: lamina.logcumsumexp(x, 0)[:2] * x[1:3],
    ):
        assert lamina.autograd.gradgradcheck(lambda x, f=scan: f(x).square(), (x,))
    low = lamina.tensor([-INF, 0.0, 1.0], dtype=lamina.float64, requires_grad=True)
    (g,) = lamina.autograd.grad(lamina.logcumsumexp(low, 0)[1:].sum(), low, create_graph=True)
    (gg,) = lamina.autograd.grad(g.square().sum(), low)
    assert g.isfinite().all() and gg.isfinite().all()


@pytest.mark.parametrize("dim", [0, 1])
def test_second_derivative_of_cumprod_at_zero(dim):
    x = lamina.tensor([[1.0, 0.0, 3.0], [0.0, 2.0, 0.0]], dtype=lamina.float64, requires_grad=True)
    weights = lamina.arange(1.0, 7.0, dtype=lamina.float64).reshape(2, 3)
    (g,) = lamina.autograd.grad((x.cumprod(dim) * weights).sum(), x, create_graph=True)
    h = 1e-5
    want = np.zeros((2, 3))
    for i in np.ndindex(2, 3):  # of sum g^2, by central differences of the first gradient
        for sign in (1, -1):
            near = x.detach().clone()
            near[i] += sign * h
            near.requires_grad_()
            (n,) = lamina.autograd.grad((near.cumprod(dim) * weights).sum(), near)
            want[i] += sign * n.square().sum().item() / (2 * h)
    (gg,) = lamina.autograd.grad(g.square().sum(), x)
    np.testing.assert_allclose(gg.numpy(), want, atol=1e-5)


def test_hooks_of_a_leaf_see_the_sum_once():
    seen = []
    x = lamina.ones(2, requires_grad=True)
    x.register_hook(lambda g: seen.append(g.tolist()))
    (x * 2 + x * 3).sum().backward()
    assert seen == [[5, 5]] and x.grad.tolist() == [5, 5]
    (g,) = lamina.autograd.grad((x * 2 + x).sum(), x)
    assert seen == [[5, 5], [3, 3]] and g.tolist() == [3, 3]


def test_post_accumulate_grad_hooks():
    seen = []
    x = lamina.ones(2, requires_grad=True)
    handle = x.register_post_accumulate_grad_hook(lambda p: seen.append((p is x, p.grad.tolist())))
    (x * 3).sum().backward()
    lamina.autograd.grad((x * 3).sum(), x)
    handle.remove()
    (x * 3).sum().backward()
    assert seen == [(True, [3, 3])] and x.grad.tolist() == [6, 6]
    p = lamina.nn.Parameter(lamina.ones(2))
    optimizer = lamina.optim.SGD([p], lr=0.1)

    def step(_):
        optimizer.step()
        optimizer.zero_grad()

    p.register_post_accumulate_grad_hook(step)
    (p * 2).sum().backward()
    assert p.grad is None and p.tolist() == pytest.approx([0.8, 0.8])
    with pytest.raises(RuntimeError, match="leaf"):
        (x * 2).register_post_accumulate_grad_hook(print)
    with pytest.raises(RuntimeError, match="require"):
        lamina.ones(1).retain_grad()


# ---- memory ------------------------------------------------------------------------------------
class Held:
    """Something a weak reference can watch."""


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("attribute", [False, True])
@pytest.mark.parametrize("backward", [False, True])
def test_functions_are_freed(saved, attribute, backward):
    class Twice(lamina.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.held = Held()
            refs.append(weakref.ref(ctx.held))
            y = x * 2
            if saved:
                ctx.save_for_backward(x, y)
            if attribute:
                ctx.y = y
            return y

        @staticmethod
        def backward(ctx, g):
            assert not saved or (ctx.saved_tensors[1] == ctx.saved_tensors[0] * 2).all()
            return g * 2

    refs = []
    gc.collect()
    gc.disable()
    try:
        x = lamina.ones(2, requires_grad=True)
        y = Twice.apply(x)
        if backward:
            y.sum().backward()
        del x, y
        assert attribute or refs[0]() is None  # at once: there is no cycle
        gc.collect()
        assert refs[0]() is None
    finally:
        gc.enable()


def test_a_saved_output_keeps_its_history():
    class Cube(lamina.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x * x * x
            ctx.save_for_backward(x, y)
            return y

        @staticmethod
        def backward(ctx, g):
            x, y = ctx.saved_tensors
            return g * 3 * y / x

    x = lamina.tensor(2.0, dtype=lamina.float64, requires_grad=True)
    (g,) = lamina.autograd.grad(Cube.apply(x), x, create_graph=True)
    (gg,) = lamina.autograd.grad(g, x)
    assert g.item() == 12 and gg.item() == 12
    y = Cube.apply(x)
    y.mul_(2)
    with pytest.raises(RuntimeError, match="modified"):
        y.backward()


@pytest.mark.parametrize("kind", ["register_full_backward_hook", "register_full_backward_pre_hook"])
@pytest.mark.parametrize("backward", [False, True])
def test_modules_with_backward_hooks_are_freed(kind, backward):
    gc.collect()
    layer = lamina.nn.Linear(2, 2)
    getattr(layer, kind)(lambda module, *grads: None)
    ref = weakref.ref(layer)
    y = layer(lamina.ones(1, 2, requires_grad=True))
    if backward:
        y.sum().backward()
    del layer, y
    gc.collect()
    assert ref() is None


@pytest.mark.parametrize("indexing", ["ij", "xy"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_meshgrid(indexing, n):
    lines = [np.arange(k + 2) for k in range(n)]
    got = lamina.meshgrid(*map(lamina.from_numpy, lines), indexing=indexing)
    for g, w in zip(got, np.meshgrid(*lines, indexing=indexing)):
        np.testing.assert_array_equal(g.numpy(), w)
