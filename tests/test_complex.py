"""Complex tensors: against NumPy, beside PyTorch (with gradients), what is refused, conversions."""

import copy
import inspect
import io
import pickle

import numpy as np
import pytest

import lamina
from complex_cases import CASES, NO_SECOND, A, B, z

RNG = np.random.default_rng(1)


def arrays(x):
    return np.array(x.detach().numpy())


def close(got, want, tol=1e-9):
    np.testing.assert_allclose(arrays(got), want.detach().resolve_conj().numpy(), tol, tol)


@pytest.mark.parametrize("name", CASES)
def test_beside_pytorch(name):
    """Values, gradients, and gradients of a function of the gradients."""
    torch = pytest.importorskip("torch")
    f, *inputs = CASES[name]
    sides = []
    for m in (lamina, torch):
        x = [m.from_numpy(np.array(a)).requires_grad_() for a in inputs]
        sides.append((m, x, f(m, *x)))
    (_, _, got), (_, _, want) = sides
    assert got.shape == tuple(want.shape) and str(got.dtype)[7:] == str(want.dtype)[6:]
    close(got, want)
    w = RNG.standard_normal(want.shape)
    if want.is_complex():
        w = w + 1j * RNG.standard_normal(want.shape)
    first = [m.autograd.grad(y, x, m.from_numpy(np.array(w)), create_graph=True)
             for m, x, y in sides]  # fmt: skip
    for a, b in zip(*first):
        assert str(a.dtype)[7:] == str(b.dtype)[6:]
        close(a, b)
    if name in NO_SECOND or not all(g.requires_grad for gs in first for g in gs):
        return
    second = [
        m.autograd.grad(sum((g.abs() ** 2).sum() for g in gs), x, allow_unused=True)
        for (m, x, _), gs in zip(sides, first)
    ]
    for a, b in zip(*second):
        if a is not None and b is not None:
            close(a, b, 1e-7)


# ---- every public function: PyTorch's result or an error -----------------------------------------
SKIPPED = {  # uninitialised or random values, machinery
    "empty", "empty_like", "empty_strided", "rand_like", "randn_like", "randint_like", "dropout",
    "alpha_dropout", "feature_alpha_dropout", "dropout1d", "dropout2d", "dropout3d", "bernoulli",
    "poisson", "multinomial", "normal", "manual_seed", "seed", "new_empty", "new", "resize_",
    "resize_as_", "random_", "normal_", "uniform_", "bernoulli_", "exponential_", "geometric_",
    "cauchy_", "log_normal_", "apply_", "map_", "backward", "data_ptr", "storage", "to_sparse",
    "untyped_storage", "requires_grad_", "register_hook", "set_", "numpy", "compile", "bfloat16",
}  # fmt: skip
MACHINE = {n for n in dir(lamina) if n.startswith(("set_", "use_", "get_"))}  # settings
# Defined here, refused by PyTorch: linear over the reals, or built from what is defined.
WIDER = {
    "abs_", "absolute_", "deg2rad", "rad2deg", "deg2rad_", "rad2deg_", "logit", "logit_", "nanmean",
    "nansum", "nan_to_num", "nan_to_num_", "cdist", "pdist", "glu", "pairwise_distance",
    "unique_consecutive", "xlog1py", "silu", "softsign", "is_pinned", "pin_memory",
    "sum_to_size", "new_ones", "new_zeros", "retain_grad", "concat", "concatenate", "row_stack",
    "cdouble", "cfloat", "contiguous", "cpu", "cartesian_prod", "column_stack", "dstack", "flip",
    "hstack", "vstack", "stack", "tile",
    "record_stream", "is_autocast_enabled", "can_cast", "sparse_coo_tensor", "cat",
    "to_dense", "type", "as_tensor", "asarray",
}  # fmt: skip
SPACES = ("", "nn.functional", "linalg", "special", "Tensor")


def space(m, path):
    for part in filter(None, path.split(".")):
        m = getattr(m, part)
    return m


def flat(v):
    return [o for u in v for o in flat(u)] if isinstance(v, (tuple, list)) else [v]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", SPACES)
def test_every_function_agrees_or_raises(path):
    torch = pytest.importorskip("torch")
    ours, theirs = space(lamina, path), space(torch, path)
    square = z(4, 4)
    compared = 0
    for name in sorted(n for n in dir(ours) if not n.startswith("_")):
        f, g = getattr(ours, name), getattr(theirs, name, None)
        if g is None or not callable(f) or inspect.isclass(f) or name in SKIPPED | MACHINE:
            continue
        for args in ((A,), (A, B), (square,), (square, 0)):
            results = []
            for m, call in ((lamina, f), (torch, g)):
                given = [m.from_numpy(a.copy()) if isinstance(a, np.ndarray) else a for a in args]
                try:
                    results.append(flat(call(*given)))
                except Exception as error:
                    assert not isinstance(error, (SystemError, RecursionError)), name
                    results.append(None)
            got, want = results
            if got is None:
                continue
            if want is None:  # a complex result of ours must be one that makes sense
                made = [o for o in got if isinstance(o, lamina.Tensor) and o.dtype.is_complex]
                number = len(args) == 2 and isinstance(args[1], int)
                assert not made or name in WIDER or number, name
                continue
            assert len(got) == len(want), name
            for a, b in zip(got, want):
                if not isinstance(a, lamina.Tensor):
                    continue
                b = np.asarray(b.detach().resolve_conj().numpy())
                assert arrays(a).dtype == b.dtype, name
                np.testing.assert_allclose(arrays(a), b, 1e-9, 1e-9, err_msg=name)
                compared += 1
    assert compared > 10 or path == "special"


# ---- numbers, creation, conversion ---------------------------------------------------------------
def test_dtypes_and_promotion():
    c64, c128 = lamina.complex64, lamina.complex128
    assert c64 is lamina.cfloat and c128 is lamina.cdouble
    assert (c64.itemsize, c128.itemsize) == (8, 16)
    assert c64.is_complex and not c64.is_floating_point
    assert c64.to_real() is lamina.float32 and lamina.float64.to_complex() is c128
    one, wide, whole = lamina.ones(2), lamina.ones(2, dtype=lamina.float64), lamina.arange(2)
    for x, want in ((one, c64), (wide, c128), (whole, c64), (one.half(), c64)):
        assert (x * 1j).dtype is (x + lamina.ones(2, dtype=c64)).dtype is want
    assert (lamina.ones(2, dtype=c64) + lamina.tensor(1.0, dtype=lamina.float64)).dtype is c64
    assert (lamina.ones(2, dtype=c64) * wide).dtype is c128
    assert lamina.promote_types(lamina.int64, c64) is c64
    assert lamina.result_type(one, 1j) is c64 and not lamina.can_cast(c64, lamina.float32)
    assert lamina.finfo(c128).eps == lamina.finfo(lamina.float64).eps


def test_creation():
    assert lamina.tensor([1, 2j]).tolist() == [1, 2j]
    assert lamina.tensor([[1.5, True], [2, 1j]]).tolist() == [[1.5, 1], [2, 1j]]
    assert lamina.tensor(np.complex64(1 + 2j)).item() == 1 + 2j
    assert lamina.full((2,), 1j).tolist() == [1j, 1j]
    assert lamina.eye(2, dtype=lamina.cfloat).tolist() == [[1, 0], [0, 1]]
    assert lamina.arange(3, dtype=lamina.cdouble).tolist() == [0, 1, 2]
    assert lamina.linspace(0, 1, 3, dtype=lamina.cfloat).tolist() == [0, 0.5, 1]
    x = lamina.zeros(3, dtype=lamina.cfloat)
    x[0], x[1] = 1j, 2
    x.imag[2] = 7
    assert x.tolist() == [1j, 2, 7j] and x.fill_(3j).tolist() == [3j] * 3
    x.real = 5
    assert x.tolist() == [5 + 3j] * 3 and x.new_full((1,), 2j).tolist() == [2j]
    draw = lamina.randn(20_000, dtype=lamina.cdouble)
    assert abs(draw.abs().square().mean().item() - 1) < 0.05 and abs(draw.mean().item()) < 0.05
    assert lamina.rand_like(draw).dtype is lamina.cdouble


def test_numbers_from_tensors():
    x = lamina.tensor([1 + 2j, 0])
    assert x[0].item() == complex(x[0]) == 1 + 2j and bool(x[0]) and not bool(x[1])
    assert f"{x[0]:.1f}" == "1.0+2.0j" and x.bool().tolist() == [True, False]
    for f in (int, float, lambda t: t.to(lamina.float32), lambda t: lamina.ones(1).add_(t)):
        with pytest.raises(TypeError, match=r"\.real|real one|do not fit"):
            f(x[0])


def test_views_share_memory():
    x = lamina.tensor([[1 + 2j, 3], [4j, 5]])
    pairs = lamina.view_as_real(x)
    assert pairs.shape == (2, 2, 2) and pairs.data_ptr() == x.data_ptr()
    x.T.imag.add_(1)
    assert x.tolist() == [[1 + 3j, 3 + 1j], [5j, 5 + 1j]]
    assert lamina.view_as_complex(pairs[:, 1:]).tolist() == [[3 + 1j], [5 + 1j]]
    assert x.real.stride() == (4, 2) and lamina.ones(2).real.tolist() == [1, 1]
    with pytest.raises(lamina.ShapeError, match="size 2"):
        lamina.view_as_complex(lamina.ones(3))
    with pytest.raises(RuntimeError, match="pairs"):
        lamina.view_as_complex(lamina.ones(2, 3).T)
    with pytest.raises(lamina.DTypeError, match="imag: expected a complex tensor"):
        lamina.ones(2).imag  # noqa: B018
    with pytest.raises(lamina.DTypeError, match="view_as_real: expected a complex tensor"):
        lamina.view_as_real(lamina.ones(2))
    assert x.is_complex() and not x.is_conj() and x.resolve_conj() is x


def test_text():
    assert repr(lamina.tensor([1 + 2j, 3 - 1.5j])) == "tensor([1.+2.0000j, 3.-1.5000j])"
    assert repr(lamina.tensor(1j)) == "tensor(0.+1.j)"
    text = repr(lamina.tensor([1j], dtype=lamina.cdouble, requires_grad=True))
    assert text == "tensor([0.+1.j], dtype=lamina.complex128, requires_grad=True)"


def test_text_beside_pytorch():
    torch = pytest.importorskip("torch")
    for x in (A, A * 1000, A * 1e-3, z(40, 30), np.array([np.inf + 1j, np.nan, 2])):
        x = x.astype(np.complex64)
        assert repr(lamina.from_numpy(x)) == repr(torch.from_numpy(x))


def test_out_of_and_into_other_forms():
    x = lamina.tensor([1 + 2j, 3], requires_grad=True)
    for y in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        assert y.tolist() == x.tolist() and y.requires_grad
    file = io.BytesIO()
    lamina.save({"a": x.detach(), "b": lamina.full((2, 2), 1j, dtype=lamina.cdouble).T}, file)
    file.seek(0)
    back = lamina.load(file)
    assert back["a"].tolist() == [1 + 2j, 3] and back["b"].dtype is lamina.complex128
    assert lamina.from_dlpack(x.detach()).tolist() == x.tolist()
    array = z(3, 2)
    shared = lamina.from_numpy(array)
    array[0, 0] = 5j
    assert shared[0, 0].item() == 5j and shared.numpy().dtype == np.complex128
    assert (lamina.ones(2) * np.array([1j, 2])).tolist() == [1j, 2]
    for scalar in (np.complex64(1j), np.complex128(1j)):
        assert (scalar * lamina.ones(1)).tolist() == (lamina.ones(1) * scalar).tolist() == [1j]


def test_accurate_functions():
    for dtype, eps in ((np.complex64, 6e-7), (np.complex128, 2e-15)):
        x = (z(4000) * RNG.uniform(0.01, 8, 4000)).astype(dtype)
        t = lamina.from_numpy(x)
        for name in ("exp", "log", "sqrt", "sin", "cos", "sinh", "cosh", "tanh", "tan", "abs"):
            want = getattr(np, name)(x.astype(np.complex128))
            worst = np.abs(getattr(lamina, name)(t).numpy() - want) / np.abs(want)
            assert worst.max() < 10 * eps, (name, dtype, worst.max())
    big = lamina.tensor([3e200 + 4e200j, 1e-200j], dtype=lamina.cdouble)
    np.testing.assert_allclose(big.abs().numpy(), [5e200, 1e-200], rtol=1e-15)
    assert (big / big).tolist() == [1, 1]
    over_zero = (lamina.tensor([1 - 1j, 0.0]) / 0j).numpy()
    assert over_zero[0] == complex(np.inf, -np.inf) and np.isnan(over_zero[1])
    one = lamina.tensor([1.0 + 1e-12j, 30 + 1j, -30 + 1j, 1000 + 1j], dtype=lamina.cdouble)
    np.testing.assert_allclose(one.log().real[0].item(), 5e-25, rtol=1e-6)
    np.testing.assert_allclose(one.tanh().numpy(), np.tanh(one.numpy()), rtol=1e-14)


# ---- autograd ------------------------------------------------------------------------------------
def test_backward():
    x = lamina.tensor([3 + 4j, 1j], requires_grad=True)
    x.abs().sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [0.6 + 0.8j, 1j], rtol=1e-6)
    with pytest.raises(RuntimeError, match="made up only for real outputs, got complex64"):
        (x * 2).sum().backward()
    x.grad = None
    (x * 2j).backward(lamina.tensor([1j, 1]))
    assert x.grad.tolist() == [2, -2j]
    with pytest.raises(lamina.DTypeError, match="a complex gradient"):
        x.abs().backward(lamina.tensor([1j, 1]))
    with pytest.raises(RuntimeError, match="floating point and complex"):
        lamina.tensor([1], requires_grad=True)
    check = lamina.autograd.gradcheck, lamina.autograd.gradgradcheck
    inputs = (lamina.from_numpy(z(3)).requires_grad_(), lamina.from_numpy(z(3)).requires_grad_())
    for f in (lambda a, b: a * b / (a + 2), lambda a, b: (a * b).abs()):
        assert all(c(f, inputs) for c in check)
    with pytest.raises(RuntimeError, match="gradcheck"):
        check[0](lambda a, b: a.detach().conj() * a, inputs)


def test_gradients_at_zero():
    for name in ("abs", "angle", "sgn"):
        x = lamina.zeros(2, dtype=lamina.cfloat, requires_grad=True)
        y = getattr(lamina, name)(x)
        y.backward(lamina.ones(2))
        assert y.tolist() == [0, 0] and x.grad.tolist() == [0, 0]


@pytest.mark.parametrize(
    "name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adamax", "NAdam", "RAdam", "Rprop"]
)
def test_optimizers_beside_pytorch(name):
    torch = pytest.importorskip("torch")
    ends = []
    for m in (lamina, torch):
        p = m.nn.Parameter(m.tensor([1 + 1j, 2 - 3j], dtype=m.complex128))
        optimizer = getattr(m.optim, name)([p], lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            (p.abs() ** 2 * m.tensor([1.0, 3.0])).sum().backward()
            optimizer.step()
        ends.append(p.detach().numpy())
    np.testing.assert_allclose(*ends, rtol=1e-6)


def test_a_linear_layer():
    layer = lamina.nn.Linear(3, 2, dtype=lamina.cfloat)
    x = lamina.randn(4, 3, dtype=lamina.cfloat)
    y = layer(x)
    want = x.numpy() @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    np.testing.assert_allclose(y.detach().numpy(), want, rtol=1e-5, atol=1e-6)
    y.abs().sum().backward()
    assert layer.weight.grad.dtype is lamina.complex64


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x < 1, lambda x: x.max(), lambda x: x.sort(), lambda x: x.argmax(),
        lambda x: x % 2, lambda x: lamina.relu(x), lambda x: x.softmax(0), lambda x: x.clamp(0, 1),
        lambda x: lamina.nn.functional.mse_loss(x, x), lambda x: x.cumprod(0), lambda x: x.erf(),
        lambda x: lamina.nn.functional.dropout(x), lambda x: lamina.atan2(x, x), lambda x: x & x,
        lambda x: lamina.linalg.cholesky(x * x[:, None]), lambda x: lamina.histc(x), lambda x: ~x,
        lambda x: lamina.nn.functional.layer_norm(x, (2,)), lambda x: lamina.quantile(x, 0.5),
        lambda x: lamina.cosine_similarity(x, x, 0), lambda x: lamina.gcd(x, x),
        lambda x: lamina.nn.functional.conv1d(x.view(1, 1, 2), x.view(1, 1, 2)),
    ],
)  # fmt: skip
def test_refused(f):
    with pytest.raises(lamina.DTypeError):
        f(lamina.tensor([1 + 2j, 3j]))


@pytest.mark.parametrize("n", [0, 1, 7, 8, 15, 16, 17, 33, 4099])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_dense_pairs_are_as_spread_ones(n, dtype, threads):
    """Dense operands are worked on where they lie, others through planes: the same numbers."""
    rng = np.random.default_rng(n)
    a, b = (rng.standard_normal((2, n, 2)) + 1j * rng.standard_normal((2, n, 2))).astype(dtype)
    x, y = lamina.tensor(a), lamina.tensor(b)
    tol = {"rtol": 1e-5 if dtype is np.complex64 else 1e-12}
    calls = {
        "mul": (lambda x, y: x * y, lambda a, b: a * b),
        "div": (lambda x, y: x / y, lambda a, b: a / b),
        "conj": (lambda x, y: x.conj(), lambda a, b: a.conj()),
        "abs": (lambda x, y: x.abs(), lambda a, b: np.abs(a)),
        "exp": (lambda x, y: x.exp(), lambda a, b: np.exp(a)),
        "real factor": (lambda x, y: x * y.real, lambda a, b: a * b.real),
        "row": (lambda x, y: x * y.real[:1], lambda a, b: a * b.real[:1]),
    }
    for name, (f, want) in calls.items():
        dense, spread = f(x, y), f(x.t().contiguous().t(), y)
        np.testing.assert_allclose(dense.numpy(), want(a, b), err_msg=name, **tol)
        np.testing.assert_array_equal(dense.numpy(), spread.numpy(), err_msg=name)


def test_angle_of_real_numbers_has_gradient_zero():
    x = lamina.tensor([-1.0, 0.0, 2.0, float("nan"), float("-inf")], requires_grad=True)
    y = lamina.angle(x)
    expected = [np.pi, 0, 0, np.nan, np.pi]
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-6)
    y.sum().backward()
    assert (x.grad.numpy() == 0).all()
