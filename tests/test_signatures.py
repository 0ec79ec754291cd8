"""Arguments of every function and method that lamina shares with PyTorch: each overload of
PyTorch's operators can be called by position, by name, and with its required arguments only."""

from __future__ import annotations

import inspect
import types

import pytest

import lamina

# Overloads that are left out, by function: why.
LEFT_OUT = {
    "add": "add(x, alpha, y) and add(x, y, alpha): deprecated", "add_": "as add", "sub": "as add",
    "sub_": "as add", "subtract": "as add", "subtract_": "as add", "rsub": "as add",
    "gru": "of packed data: nn.GRU", "lstm": "nn.LSTM", "rnn_tanh": "nn.RNN", "rnn_relu": "nn.RNN",
    "gradient": "spacing's default is 1 or none", "set_": "over parts of a storage",
    "isin": "numbers by the names element and test_element",
    "tensor_split": "indices_or_sections by position", "hsplit": "as tensor_split",
    "vsplit": "as tensor_split", "dsplit": "as tensor_split",
    "repeat_interleave": "of repeats alone, by name", "result_type": "numbers by name",
    "copy_": "the source is src", "record_stream": "there are no streams",
    "where": "Tensor.where(condition)", "to_sparse": "to other layouts",
    "sparse_coo_tensor": "without indices", "bernoulli": "p's default is None",
    "var": "unbiased's default is None", "std": "as var", "var_mean": "as var",
    "std_mean": "as var",
    "rrelu": "the generator", "rrelu_": "as rrelu", "elu_": "scale", "unsafe_split": "its tensor",
    "one_hot": "documented as tensor", "cholesky_inverse": "documented as L",
    "cholesky_solve": "documented as B, L", "lu_solve": "documented as b",
    "triangular_solve": "out=", "tril_indices": "out=", "triu_indices": "out=",
    "bartlett_window": "out=", "blackman_window": "out=", "hamming_window": "out=",
    "hann_window": "out=", "kaiser_window": "out=",
}  # fmt: skip
SPARED = {"dtype", "layout", "device", "pin_memory", "out", "memory_format", "generator",
          "reduction", "padding"}  # fmt: skip


def overloads(torch, name, doc):
    """The schemas of an operator that Python reaches: not TorchScript's numbers and lists, not
    named dimensions; with out= where it is documented."""
    for schema in torch._C._jit_get_schemas_for_operator(f"aten::{name}"):
        names = [a.name for a in schema.arguments]
        if not names or names[0] in ("a", "b", "t", "l", "n", "x", "list"):
            continue
        if any("Dimname" in str(a.type) for a in schema.arguments) or "out_dtype" in names:
            continue
        if names == ["self", "reverse"]:
            continue
        if any(a.is_out for a in schema.arguments) and "out=None" not in doc:
            continue
        yield schema


def wrong(function, schema, method: bool) -> list[str]:
    """What cannot be called."""
    signature = inspect.signature(function)
    called = [(a.name if a.name != "self" else "input", a) for a in schema.arguments]
    writes = any(a.is_out for _, a in called)
    if writes and method:
        return []
    positional = [(n, a) for n, a in called if not a.kwarg_only and not a.is_out]
    keywords: dict = {n: 0 for n, a in called if a.kwarg_only and not a.is_out}
    if writes:
        keywords["out"] = 0
    named = {n: 0 for n, _ in positional if not (method and n == "input")}
    needed = [0 for _, a in positional if not a.has_default_value()]
    needed_names = {n: 0 for n, a in called if a.kwarg_only and not a.has_default_value()}
    found = []
    for how, args, kwargs in (
        ("by position", [0] * len(positional), keywords),
        ("by name", [0] * method, {**named, **keywords}),
        ("as required", needed, {} if writes else needed_names),
    ):
        if writes and how == "as required":
            continue
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            found.append(f"{how}: {error}")
    for n, a in called:
        given = signature.parameters.get(n)
        if given is None or n in SPARED or not a.has_default_value():
            continue
        if given.default is not given.empty and not _same(given.default, a.default_value):
            found.append(f"{n}={given.default!r}, PyTorch's {a.default_value!r}")
    return found


def _same(ours, theirs) -> bool:
    if isinstance(theirs, list) and ours is not None:
        ours = list(ours) if isinstance(ours, (list, tuple)) else [ours] * len(theirs)
    return ours is theirs or ours == theirs or ours is None or theirs is None


@pytest.mark.parametrize("where", ["", "Tensor", "nn.functional", "special"])
def test_every_overload_can_be_called(where):
    torch = pytest.importorskip("torch")
    theirs, ours = torch, lamina
    for part in where.split(".") if where else ():
        theirs, ours = getattr(theirs, part), getattr(ours, part)
    prefix = "special_" if where == "special" else ""
    count, found = 0, []
    for name in dir(theirs):
        original, function = getattr(theirs, name), getattr(ours, name, None)
        if name.startswith("_") or name in LEFT_OUT or not callable(function):
            continue
        if inspect.isclass(original) or isinstance(original, types.FunctionType):
            continue
        try:
            inspect.signature(function)
        except ValueError:  # Tensor.numel and others of C, without arguments
            continue
        for schema in overloads(torch, prefix + name, original.__doc__ or ""):
            count += 1
            found += [f"{name}: {w}" for w in wrong(function, schema, where == "Tensor")]
    assert count > 20
    assert not found, "\n".join(found)


def test_arguments_by_name():
    x = lamina.arange(end=6).view(size=(2, 3))
    assert x.permute(dims=(1, 0)).tolist() == x.t().tolist() == [[0, 3], [1, 4], [2, 5]]
    assert x.flip(dims=(1,)).tolist() == lamina.flip(x, dims=[1]).tolist() == [[2, 1, 0], [5, 4, 3]]
    assert x.reshape(shape=(3, 2)).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert x.repeat(repeats=(1, 2)).shape == x.tile(dims=(1, 2)).shape == (2, 6)
    assert x[:1].expand(size=(4, 3)).shape == (4, 3)
    assert x.float().view(dtype=lamina.int32).dtype is lamina.int32
    assert x.float().sum_to_size(size=(1, 3)).tolist() == [[3, 5, 7]]
    assert lamina.repeat_interleave(lamina.tensor([1, 0, 2])).tolist() == [0, 2, 2]
    assert lamina.randint_like(x, high=1).tolist() == [[0] * 3] * 2
    assert lamina.tensor([1.25]).round_(decimals=1).item() == pytest.approx(1.2)


def test_out_is_written():
    for make, want in (
        (lambda out: lamina.zeros(2, out=out), [0, 0]),
        (lambda out: lamina.ones((3,), out=out), [1, 1, 1]),
        (lambda out: lamina.arange(2.0, out=out), [0, 1]),
        (lambda out: lamina.linspace(0, 1, 3, out=out), [0, 0.5, 1]),
        (lambda out: lamina.full((2,), 7.0, out=out), [7, 7]),
    ):
        out = lamina.empty(0)
        assert make(out) is out and out.tolist() == want
    x, two = lamina.tensor([3.0, 1.0, 2.0]), lamina.zeros(2)
    assert lamina.diff(x, out=two).tolist() == two.tolist() == [-2, 1]
    values, places = lamina.empty(()), lamina.zeros((), dtype=lamina.int64)
    lamina.median(x, 0, out=(values, places))
    assert (values.item(), places.item()) == (2, 2)
    spots = lamina.empty(0, dtype=lamina.int64)
    lamina.nonzero(x > 1, out=spots)
    assert spots.tolist() == [[0], [2]]
    with pytest.raises(TypeError, match="zeros: got an unexpected keyword argument 'dtyp'"):
        lamina.zeros(2, dtyp=lamina.int32)


def test_functions_that_exist_twice():
    weight, ids = lamina.arange(6.0).view(3, 2), lamina.tensor([2, 0])
    assert lamina.embedding(weight, ids).tolist() == [[4, 5], [0, 1]]
    assert lamina.nn.functional.embedding(ids, weight).tolist() == [[4, 5], [0, 1]]
    assert lamina.dropout(weight, p=0.5, train=False) is weight
    assert lamina.layer_norm(weight, (2,), cudnn_enable=False).shape == (3, 2)


def test_functions_with_more_results():
    func, x = lamina.func, lamina.tensor([1.0, 2.0])

    def squares(t):
        return t * t, t.sum()

    jacobian, more = func.jacrev(squares, has_aux=True)(x)
    assert jacobian.tolist() == [[2, 0], [0, 4]] and more.item() == 3
    assert func.jacfwd(squares, has_aux=True)(x)[0].tolist() == jacobian.tolist()
    value, product, more = func.vjp(squares, x, has_aux=True)
    assert value.tolist() == [1, 4] and product(lamina.ones(2))[0].tolist() == [2, 4]
    value, tangent, more = func.jvp(squares, (x,), (lamina.ones(2),), has_aux=True)
    assert tangent.tolist() == [2, 4] and more.item() == 3
