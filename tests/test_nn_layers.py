"""Every layer beside PyTorch's: constructor, printed form, state, values, gradients."""

from __future__ import annotations

import collections
import inspect
import warnings

import numpy as np
import pytest

import lamina
from lamina import nn
from layer_cases import CASES, Case, draw

CONTAINERS = {"Module", "Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict",
              "TransformerEncoder", "TransformerDecoder"}  # fmt: skip
# Not in PyTorch; see test_transformer.py, test_regularize.py and test_loss_extra.py.
OURS = {"AdditiveAttention", "BatchRenorm", "BlurPool2d", "CausalSelfAttention", "ConcreteDropout",
        "DiceLoss", "DropConnect", "FocalLoss", "GhostBatchNorm", "HingeLoss", "JaccardLoss",
        "Maxout", "MultiplicativeAttention", "QuantileLoss", "RotaryPositions",
        "SinusoidalPositions", "StochasticDepth", "VariationalDropout"}  # fmt: skip
LAYERS = sorted(
    name for name, value in vars(nn).items()
    if inspect.isclass(value) and issubclass(value, nn.Module) and not name.startswith("_")
    and name not in OURS
)  # fmt: skip


def test_every_layer_has_a_case():
    lazy = {name for name in LAYERS if name.startswith("Lazy")}  # see test_lazy.py
    elsewhere = {"CTCLoss", "EmbeddingBag", "SyncBatchNorm"}  # tests of their own
    assert {c.layer for c in CASES} == set(LAYERS) - CONTAINERS - RECURRENT - lazy - elsewhere


def signature(function) -> list:
    """(name, kind, default) of each argument; a function as default by its name."""
    return [
        (
            p.name,
            p.kind,
            "required" if p.default is p.empty else getattr(p.default, "__name__", repr(p.default)),
        )
        for p in inspect.signature(function).parameters.values()
    ]


# PyTorch's take (*args, **kwargs) and have internal methods without an underscore: their settings
# are compared in test_recurrent.py.
RECURRENT = {"RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell", "RNNBase", "RNNCellBase"}


@pytest.mark.parametrize("name", sorted(set(LAYERS) - RECURRENT))
def test_constructor_and_forward_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    ours, theirs = getattr(nn, name), getattr(torch.nn, name)
    mine, wanted = signature(ours), signature(theirs)
    if mine:  # PyTorch's layers without settings take (*args, **kwargs) and use none
        assert mine == wanted
    if name not in CONTAINERS:
        assert signature(ours.forward) == signature(theirs.forward)
    public = {n for n, v in vars(theirs).items() if not n.startswith("_") and callable(v)}
    if name != "Module":  # see test_nn_module.py
        assert public <= set(dir(ours))


# ---- values and gradients ------------------------------------------------------------------------
def tensor(m, a: np.ndarray, kind: str, dtype: str):
    """A tensor of a (float arrays in `dtype`; with a gradient unless it is a kind of label)."""
    if a.dtype.kind != "f":
        return m.tensor(a.tolist(), dtype=m.int64).reshape(a.shape)
    t = m.tensor(a.tolist(), dtype=getattr(m, dtype)).reshape(a.shape)
    return t.requires_grad_(kind not in ("sign", "bits"))


def flat(value) -> list:
    return list(value) if isinstance(value, (tuple, list)) else [value]


def run(m, layer, arrays: list, kinds: list, dtype: str, seed: int) -> dict:
    """Outputs, gradients and state after one pass, as float64 arrays; or the error."""
    inputs = [tensor(m, a, kind, dtype) for a, kind in zip(arrays, kinds)]
    # an in-place layer needs an input that is no leaf; integers stay
    fed = [x * 1 if x.requires_grad else x for x in inputs]
    layer.zero_grad()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            outputs = flat(layer(*fed))
        except Exception as error:
            return {"error": error}
    rng, loss = np.random.default_rng(seed), None
    for y in outputs:
        if y.requires_grad:
            w = m.tensor(rng.normal(size=tuple(y.shape)).tolist(), dtype=y.dtype).reshape(y.shape)
            loss = (y * w).sum() if loss is None else loss + (y * w).sum()
    if loss is not None:
        loss.backward()
    found = {f"output {i}": y for i, y in enumerate(outputs)}
    found |= {f"gradient of input {i}": x.grad for i, x in enumerate(inputs)}
    found |= {f"gradient of {n}": p.grad for n, p in layer.named_parameters()}
    found |= {f"state {n}": v for n, v in layer.state_dict().items()}
    return {
        n: None if v is None else np.asarray(v.detach().tolist(), "float64").reshape(v.shape)
        for n, v in found.items()
    }


def pair(c: Case, torch, dtype: str):
    """The layer in both libraries with the same values."""
    ours, theirs = c.make(lamina), c.make(torch)
    assert repr(ours) == repr(theirs)
    mine, wanted = ours.state_dict(), theirs.state_dict()
    assert {k: tuple(v.shape) for k, v in mine.items()} == {
        k: tuple(v.shape) for k, v in wanted.items()
    }
    assert list(mine) == list(wanted)
    rng = np.random.default_rng(11)
    for (name, p), (other, q) in zip(ours.named_parameters(), theirs.named_parameters()):
        assert name == other
        value = rng.normal(size=tuple(p.shape)) * c.spread
        p.data.copy_(lamina.tensor(value.tolist(), dtype=lamina.float64).reshape(p.shape))
        q.data.copy_(torch.tensor(value.tolist(), dtype=torch.float64).reshape(q.shape))
    return ours.to(getattr(lamina, dtype)), theirs.to(getattr(torch, dtype))


def compare(got: dict, want: dict, tol: float, what: str) -> None:
    if "error" in want:
        assert "error" in got, f"{what}: PyTorch raises {want['error']!r}"
        return
    assert "error" not in got, f"{what}: {got['error']!r}"
    assert set(got) == set(want), what
    for name, w in want.items():
        g = got[name]
        assert (g is None) == (w is None), f"{what}: {name}: {g} for {w}"
        if w is not None:
            assert g.shape == w.shape, f"{what}: {name}"
            bound = tol * max(1.0, np.abs(w[np.isfinite(w)]).max(initial=0))
            np.testing.assert_allclose(g, w, rtol=0, atol=bound, err_msg=f"{what}: {name}")


@pytest.mark.filterwarnings(
    "ignore:size_average", "ignore:keyword argument", "ignore:enable_nested"
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("c", CASES, ids=Case.id)
def test_values_gradients_and_state_are_pytorchs(c, dtype):
    torch = pytest.importorskip("torch")
    tol = {"float32": 1e-5, "float64": c.tol}[dtype]
    rng = np.random.default_rng(3)
    ours, theirs = pair(c, torch, dtype)
    kinds = [kind for kind, _ in c.inputs]
    for batch in [*c.batches, *([None] if c.unbatched else [])]:
        lead = () if batch is None else (batch,)
        arrays = [draw(kind, lead + shape, rng) for kind, shape in c.inputs]
        for mode in (False, True, False):  # the last evaluation uses what training left behind
            if mode and c.random:
                continue
            ours.train(mode)
            theirs.train(mode)
            seed = int(rng.integers(1 << 30))
            want = run(torch, theirs, arrays, kinds, dtype, seed)
            got = run(lamina, ours, arrays, kinds, dtype, seed)
            compare(got, want, tol, f"batch {batch}, {'train' if mode else 'eval'}")


def second(m, c: Case, layer, seed: int) -> dict:
    """Gradients of a random combination of the gradients, by input and parameter."""
    rng = np.random.default_rng(3)
    inputs = [tensor(m, draw(kind, (3, *shape), rng), kind, "float64") for kind, shape in c.inputs]
    leaves = {f"input {i}": x for i, x in enumerate(inputs) if x.requires_grad}
    leaves |= dict(layer.named_parameters())
    rng = np.random.default_rng(seed)

    def combined(values, create_graph):
        total = sum(
            (y * m.tensor(rng.normal(size=tuple(y.shape)).tolist(), dtype=y.dtype).reshape(y.shape))
            .sum()
            for y in values if y is not None and y.requires_grad
        )  # fmt: skip
        if not isinstance(total, m.Tensor):
            return [None] * len(leaves)
        return m.autograd.grad(
            total, list(leaves.values()), create_graph=create_graph, allow_unused=True
        )

    outputs = flat(layer(*[x * 1 if x.requires_grad else x for x in inputs]))
    found = combined(combined(outputs, True), False)
    return {  # PyTorch's gradients that are known to be 0 may have no memory
        n: np.zeros(x.shape) if g is None else np.asarray((g + 0).tolist()).reshape(x.shape)
        for g, (n, x) in zip(found, leaves.items())
    }


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("c", [c for c in CASES if not c.random], ids=Case.id)
def test_second_derivatives_are_pytorchs(c):
    torch = pytest.importorskip("torch")
    ours, theirs = pair(c, torch, "float64")
    found = second(lamina, c, ours, 5)
    try:
        wanted = second(torch, c, theirs, 5)
    except RuntimeError as error:
        assert "is not implemented" in str(error)
        return
    for name, w in wanted.items():
        bound = max(1e-10, 10 * c.tol) * max(1.0, np.abs(w).max(initial=0))
        np.testing.assert_allclose(found[name], w, rtol=0, atol=bound, err_msg=name)


ONE_EACH = {c.layer: c for c in reversed(CASES) if not c.random}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("dtype, eps", [("float16", 2.0**-10), ("bfloat16", 2.0**-7)])
# Not the Transformer: rounding moves a ReLU inside it across its kink. Its parts are here.
@pytest.mark.parametrize("name", [n for n in ONE_EACH if not n.startswith("Transformer")])
def test_half_precision_is_close_to_double(name, dtype, eps):
    c, rng = ONE_EACH[name], np.random.default_rng(3)
    lamina.manual_seed(3)
    layer = c.make(lamina).to(getattr(lamina, dtype))
    exact = c.make(lamina)
    exact.load_state_dict(layer.state_dict())
    kinds = [kind for kind, _ in c.inputs]
    arrays = []
    for kind, shape in c.inputs:  # values that the dtype has
        a = draw(kind, (3, *shape), rng)
        arrays.append(a if a.dtype.kind != "f" else
                      tensor(lamina, a, kind, dtype).detach().double().numpy())  # fmt: skip
    found, wanted = (
        run(lamina, m, arrays, kinds, d, 5) for m, d in ((layer, dtype), (exact, "float64"))
    )
    compare(found, wanted, 8 * eps, dtype)
    assert flat(layer(*[tensor(lamina, a, k, dtype) for a, k in zip(arrays, kinds)]))[0].dtype in (
        getattr(lamina, dtype), lamina.int64)  # fmt: skip


# ---- errors name the layer -----------------------------------------------------------------------
WRONG = {
    "Linear": ((5, 3), (2, 4)), "Bilinear": ((3, 4, 5), (2, 3)), "Conv1d": ((3, 4, 3), (2, 5, 9)),
    "Conv2d": ((3, 4, 3), (2, 9, 9)), "BatchNorm1d": ((3,), (2, 4)),
    "BatchNorm2d": ((3,), (2, 3, 4)), "InstanceNorm1d": ((3,), (2,)),
    "InstanceNorm2d": ((3,), (2, 3)), "LayerNorm": ((4,), (2, 5)), "RMSNorm": ((4,), (2, 5)),
    "GroupNorm": ((2, 4), (2, 5)), "MaxPool1d": ((3,), (4,)), "MaxPool2d": ((3,), (4, 5)),
    "AvgPool1d": ((3,), (4,)), "AvgPool2d": ((3,), (4, 5)), "AdaptiveAvgPool1d": ((3,), (4,)),
    "AdaptiveAvgPool2d": ((3,), (4,)), "AdaptiveMaxPool1d": ((3,), (4,)),
    "AdaptiveMaxPool2d": ((3,), (4,)), "ReflectionPad1d": ((2,), (1, 2)),
    "ReflectionPad2d": ((2,), (3, 4)), "CircularPad1d": ((3,), (1, 2)), "PReLU": ((3,), (2, 4)),
    "GLU": ((), (2, 5)), "Softmax2d": ((), (3, 4)),
    "Unflatten": ((1, (2, 3)), (2, 5)), "MaxPool2d ": ((9,), (1, 4, 4)),
    "Conv3d": ((3, 4, 3), (2, 9, 9, 9)), "ConvTranspose3d": ((3, 4, 3), (1, 2, 9, 9, 9)),
    "MaxPool3d": ((3,), (4, 5, 6)), "AvgPool3d": ((9,), (1, 4, 4, 4)),
    "AdaptiveAvgPool3d": ((3,), (4, 5, 6)), "AdaptiveMaxPool3d": ((3,), (4, 5, 6)),
    "BatchNorm3d": ((3,), (2, 3, 4, 4)), "InstanceNorm3d": ((3,), (3, 4, 4)),
    "ReflectionPad3d": ((2,), (3, 4, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_shape_names_the_layer(name):
    args, shape = WRONG[name]
    layer = getattr(nn, name.strip())(*args)
    model = nn.Sequential(collections.OrderedDict(block=nn.ModuleDict({"layer": layer})))
    model.forward = lambda *x: model.block["layer"](*x)
    inputs = [lamina.zeros(shape)] * (2 if name == "Bilinear" else 1)
    with pytest.raises((ValueError, RuntimeError, IndexError)) as e:
        model(*inputs)
    lines = str(e.value).split("\n")
    assert lines[-1] == f"  in module block.layer ({layer!r})"
    sizes = [str(n) for n in shape]
    assert all(n in "\n".join(lines[:-1]) for n in sizes), f"the shape is not named: {lines[0]}"
