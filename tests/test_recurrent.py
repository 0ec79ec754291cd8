"""Recurrent layers and cells: PyTorch's results for every combination of options, states carried
between chunks, and what the source texts say. The formulas' own rows: rows_recurrent.py."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import lamina
from lamina import nn
from lamina.nn.utils import rnn as packing

KINDS = ["RNN", "LSTM", "GRU"]


def array(t):
    return t.detach().numpy()


def randn(*shape, seed=0):
    rng = np.random.default_rng([seed, *shape])
    return lamina.tensor(rng.standard_normal(shape), dtype=lamina.float64)


def as_tuple(state):
    return state if isinstance(state, tuple) else (state,)


def initial(kind, *shape):
    h = randn(*shape, seed=1)
    return (h, randn(*shape, seed=2)) if kind == "LSTM" else h


# ---- PyTorch -------------------------------------------------------------------------------------
OPTIONS = list(itertools.product(KINDS, (1, 2), (False, True), (False, True), (False, True)))


def pair(torch, kind, **options):
    """A torch module and ours with its weights, float64."""
    theirs = getattr(torch.nn, kind)(3, 5, dtype=torch.float64, **options)
    ours = getattr(nn, kind)(3, 5, dtype=lamina.float64, **options)
    state = {k: lamina.tensor(v.numpy()) for k, v in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict(state)
    return theirs, ours


def same(torch, theirs, ours, x, states, call=None):
    """Results and every gradient agree; x and states are ours."""
    call = call or (lambda m, x, s: m(x, s) if s is not None else m(x))
    tx = torch.tensor(x.numpy(), requires_grad=True)
    ts = None if states is None else tuple(
        torch.tensor(s.numpy(), requires_grad=True) for s in states
    )  # fmt: skip
    x = x.clone().requires_grad_()
    s = None if states is None else tuple(t.clone().requires_grad_() for t in states)

    def flat(result):
        y, last = result
        return [y, *as_tuple(last)]

    def given(states):
        return states if states is None or len(states) > 1 else states[0]

    want, got = flat(call(theirs, tx, given(ts))), flat(call(ours, x, given(s)))
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(array(a), array(b), rtol=0, atol=1e-13)
    u = [np.random.default_rng(i).standard_normal(tuple(b.shape)) for i, b in enumerate(want)]
    gt = torch.autograd.grad(
        want, [tx, *(ts or ()), *theirs.parameters()], [torch.tensor(a) for a in u]
    )
    go = lamina.autograd.grad(
        got, [x, *(s or ()), *ours.parameters()], [lamina.tensor(a) for a in u]
    )
    for a, b in zip(go, gt, strict=True):
        np.testing.assert_allclose(array(a), array(b), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind,layers,bidirectional,batch_first,bias", OPTIONS)
def test_options_agree_with_pytorch(kind, layers, bidirectional, batch_first, bias):
    torch = pytest.importorskip("torch")
    options = {"num_layers": layers, "bidirectional": bidirectional, "batch_first": batch_first,
               "bias": bias}  # fmt: skip
    theirs, ours = pair(torch, kind, **options)
    assert repr(ours) == repr(theirs)
    n = layers * (1 + bidirectional)
    x = randn(2, 4, 3) if batch_first else randn(4, 2, 3)
    states = as_tuple(initial(kind, n, 2, 5))
    same(torch, theirs, ours, x, states)
    same(torch, theirs, ours, x, None)
    same(torch, theirs, ours, randn(4, 3), tuple(s[:, 0] for s in states))  # without a batch
    sizes = [1, 4, 3]
    x3 = randn(3, 4, 3) if batch_first else randn(4, 3, 3)
    states = as_tuple(initial(kind, n, 3, 5))

    def packed(m, x, s):
        rnn = m.__class__.__module__.startswith("torch") and torch.nn.utils.rnn or packing
        p = rnn.pack_padded_sequence(x, sizes, batch_first, enforce_sorted=False)
        y, last = m(p, s) if s is not None else m(p)
        y, n = rnn.pad_packed_sequence(y, batch_first)
        assert n.tolist() == sizes
        return y, last

    same(torch, theirs, ours, x3, states, packed)
    same(torch, theirs, ours, x3, None, packed)


@pytest.mark.parametrize("bidirectional,layers", [(False, 1), (True, 2)])
def test_projections_agree_with_pytorch(bidirectional, layers):
    torch = pytest.importorskip("torch")
    theirs, ours = pair(torch, "LSTM", proj_size=2, bidirectional=bidirectional, num_layers=layers)
    assert repr(ours) == repr(theirs)
    n = layers * (1 + bidirectional)
    same(torch, theirs, ours, randn(4, 2, 3), (randn(n, 2, 2), randn(n, 2, 5)))
    same(torch, theirs, ours, randn(4, 2, 3), None)


def test_relu_agrees_with_pytorch():
    torch = pytest.importorskip("torch")
    theirs, ours = pair(torch, "RNN", nonlinearity="relu", num_layers=2)
    same(torch, theirs, ours, randn(4, 2, 3), (randn(2, 2, 5),))
    assert nn.RNN(3, 5, 2, "relu", False).nonlinearity == "relu"


@pytest.mark.parametrize("kind", KINDS)
def test_state_dict_goes_both_ways(kind):
    torch = pytest.importorskip("torch")
    ours = getattr(nn, kind)(3, 5, 2, bidirectional=True)
    theirs = getattr(torch.nn, kind)(3, 5, 2, bidirectional=True)
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    x = randn(4, 2, 3).float()
    np.testing.assert_allclose(
        array(ours(x)[0]), array(theirs(torch.tensor(x.numpy()))[0]), rtol=0, atol=2e-6
    )


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("bias", [True, False])
def test_cells_agree_with_pytorch(kind, bias):
    torch = pytest.importorskip("torch")
    theirs, ours = pair(torch, kind, bias=bias)
    assert repr(ours) == repr(theirs)
    states = as_tuple(initial(kind[:-4], 4, 5))
    for x, s in ((randn(4, 3), states), (randn(4, 3), None), (randn(3), [t[0] for t in states])):
        s = None if s is None else tuple(s)

        def call(m, x, s):
            y = as_tuple(m(x, s) if s is not None else m(x))
            return y[0], y

        same(torch, theirs, ours, x, s, call)


def test_functions_agree_with_pytorch():
    torch = pytest.importorskip("torch")
    x, h, c = randn(4, 2, 3), randn(1, 2, 5, seed=1), randn(1, 2, 5, seed=2)
    sizes = {"lstm": 20, "gru": 15, "rnn_tanh": 5, "rnn_relu": 5}
    for name, rows in sizes.items():
        w = [randn(rows, 3), randn(rows, 5), randn(rows, seed=3), randn(rows, seed=4)]
        hx = (h, c) if name == "lstm" else h
        flags = (True, 1, 0.0, True, False)
        p = packing.pack_padded_sequence(x, [4, 2])
        rows_of = [(hx, w, *flags, False), (hx, w, *flags)]
        for first, rest in (((x,), rows_of[0]), (tuple(p[:2]), rows_of[1])):
            got = getattr(lamina, name)(*first, *rest)

            def convert(a):
                if isinstance(a, (tuple, list)):
                    return type(a)(convert(b) for b in a)
                return torch.tensor(a.numpy()) if isinstance(a, lamina.Tensor) else a

            want = getattr(torch, name)(*convert(first), *convert(rest))
            for a, b in zip(got, want, strict=True):
                np.testing.assert_allclose(array(a), array(b), rtol=0, atol=1e-13)
        cell = getattr(lamina, name + "_cell")(x[0], (h[0], c[0]) if name == "lstm" else h[0], *w)
        layer = getattr(lamina, name)(x[:1], hx, w, *flags, False)
        assert (array(as_tuple(cell)[0]) == array(layer[1][0])).all()


# ---- what lamina promises by itself --------------------------------------------------------------
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [lamina.float32, lamina.float64])
def test_a_cell_is_one_step_of_the_layer(kind, dtype):
    """Step by step through the cell: the layer's results, bit for bit."""
    layer = getattr(nn, kind)(3, 37, dtype=dtype)
    cell = getattr(nn, kind + "Cell")(3, 37, dtype=dtype)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    x = randn(6, 5, 3).to(dtype)
    with lamina.no_grad():
        want, _ = layer(x)
        state = None
        for t in range(6):
            state = cell(x[t], state)
            assert (array(as_tuple(state)[0]) == array(want[t])).all()


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_with_the_state_carried_are_the_whole(kind):
    layer = getattr(nn, kind)(3, 5, 2)
    x = randn(6, 2, 3).float()
    whole, last = layer(x)
    a, state = layer(x[:4])
    b, state = layer(x[4:], state)
    assert (array(lamina.cat([a, b])) == array(whole)).all()
    for s, t in zip(as_tuple(state), as_tuple(last)):
        assert (array(s) == array(t)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_backpropagation_stops_at_detach(kind):
    """DL101 10.2.3, algorithm 5: the state is carried from chunk to chunk, its history is not:
    the gradient is the sum over chunks of the gradient with the state as a constant."""
    layer = getattr(nn, kind)(3, 5, dtype=lamina.float64)
    x = randn(6, 2, 3)
    state = None
    for t in (0, 2, 4):
        y, state = layer(x[t : t + 2], state)
        y.sum().backward()
        state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
    got = {n: array(p.grad).copy() for n, p in layer.named_parameters()}
    layer.zero_grad()
    state = None
    for t in (0, 2, 4):  # the same with constants made from numbers
        y, _ = layer(x[t : t + 2], state)
        y.sum().backward()
        _, last = layer(x[: t + 2])
        last = as_tuple(last)
        state = tuple(lamina.tensor(s.detach().numpy()) for s in last)
        state = state if len(state) > 1 else state[0]
    for n, p in layer.named_parameters():
        np.testing.assert_allclose(got[n], array(p.grad), rtol=0, atol=1e-12)


def test_only_wanted_gradients_are_made():
    layer = nn.LSTM(3, 5)
    for p in layer.parameters():
        p.requires_grad_(False)
    layer.weight_hh_l0.requires_grad_()
    layer(randn(4, 2, 3).float())[0].sum().backward()
    assert layer.weight_hh_l0.grad is not None and layer.weight_ih_l0.grad is None


def test_a_batch_of_none_and_a_graph_used_twice():
    layer = nn.GRU(3, 5)
    y, h = layer(lamina.zeros(4, 0, 3))
    assert y.shape == (4, 0, 5) and h.shape == (1, 0, 5)
    y.sum().backward()
    assert (array(layer.weight_ih_l0.grad) == 0).all()
    layer.zero_grad()
    loss = layer(lamina.ones(4, 2, 3))[0].sum()
    loss.backward(retain_graph=True)
    first = array(layer.weight_hh_l0.grad).copy()
    loss.backward()
    assert (array(layer.weight_hh_l0.grad) == 2 * first).all()


def test_results_changed_in_place_are_noticed():
    layer = nn.LSTM(3, 5)
    y, _ = layer(lamina.ones(4, 2, 3))
    y.mul_(2)
    with pytest.raises(RuntimeError, match="in.?place"):
        y.sum().backward()


def test_dropout_acts_between_layers_only():
    lamina.manual_seed(0)
    with pytest.warns(UserWarning, match="non-zero dropout expects num_layers greater than 1"):
        one = nn.GRU(3, 5, dropout=0.5)
    x = randn(4, 2, 3).float()
    assert (array(one(x)[0]) == array(one(x)[0])).all()
    two = nn.GRU(3, 5, 2, dropout=0.5)
    assert not (array(two(x)[0]) == array(two(x)[0])).all()
    two.eval()
    plain = nn.GRU(3, 5, 2)
    plain.load_state_dict(two.state_dict())
    assert (array(two(x)[0]) == array(plain(x)[0])).all()
    all_gone = nn.GRU(3, 5, 2, dropout=1.0)  # the second layer reads zeros
    y = all_gone(x)[0]
    assert np.ptp(array(y), axis=1).max() == 0


@pytest.mark.parametrize("dtype", [lamina.float16, lamina.bfloat16])
def test_halves_compute_in_float32(dtype):
    layer = nn.LSTM(3, 5).to(dtype)
    x = randn(4, 2, 3).to(dtype)
    y, (h, c) = layer(x)
    assert y.dtype is dtype and h.dtype is dtype and c.dtype is dtype
    single = nn.LSTM(3, 5)
    single.load_state_dict({k: v.float() for k, v in layer.state_dict().items()})
    want = single(x.float())[0].to(dtype)
    assert (array(y.float()) == array(want.float())).all()
    y.float().sum().backward()
    assert layer.weight_ih_l0.grad.dtype is dtype


def test_sequences_do_not_meet():
    """A sequence's bits do not depend on which others are in the batch."""
    layer = nn.LSTM(3, 70)
    x = randn(5, 67, 3).float()
    with lamina.no_grad():
        whole = array(layer(x)[0])
        for b in (0, 31, 66):
            assert (array(layer(x[:, b : b + 1].contiguous())[0])[:, 0] == whole[:, b]).all()


def test_parameters_begin_within_their_bounds():
    lamina.manual_seed(1)
    for layer in (nn.LSTM(8, 16, 2, proj_size=4), nn.GRUCell(8, 16)):
        for p in layer.parameters():
            assert 0.2 < np.abs(array(p)).max() <= 0.25
    assert nn.LSTM(3, 5).flatten_parameters() is None
    assert [len(w) for w in nn.LSTM(3, 5, 2, proj_size=2).all_weights] == [5, 5]
    assert len(nn.GRU(3, 5, bias=False)._flat_weights) == 2


def test_a_weight_may_be_replaced_by_a_tensor():
    layer = nn.GRU(3, 5)
    raw = layer.weight_hh_l0
    del layer._parameters["weight_hh_l0"]
    layer.weight_hh_l0 = raw * 0.5
    layer(lamina.ones(4, 2, 3), lamina.ones(1, 2, 5))[0].sum().backward()
    assert raw.grad is not None


# ---- teaching texts (their names: test_texts.py) -------------------------------------------------
def test_textbook_gru():
    """DL101 10.4.1, equations 10.13-10.16: reset before the product, z weights the candidate,
    no biases. Ours with reset_after=False and the rows of z negated."""
    H, IN = 4, 3
    rng = np.random.default_rng(3)
    wr, wz, wh = (rng.standard_normal((H, IN)) for _ in range(3))
    ur, uz, uh = (rng.standard_normal((H, H)) for _ in range(3))
    x, h = rng.standard_normal((5, IN)), np.zeros(H)
    layer = nn.GRU(IN, H, bias=False, reset_after=False, dtype=lamina.float64)
    with lamina.no_grad():
        layer.weight_ih_l0.copy_(lamina.tensor(np.concatenate([wr, -wz, wh])))
        layer.weight_hh_l0.copy_(lamina.tensor(np.concatenate([ur, -uz, uh])))
    y, _ = layer(lamina.tensor(x))
    for t in range(5):
        r = 1 / (1 + np.exp(-(wr @ x[t] + ur @ h)))
        z = 1 / (1 + np.exp(-(wz @ x[t] + uz @ h)))
        h = (1 - z) * h + z * np.tanh(wh @ x[t] + uh @ (r * h))
        np.testing.assert_allclose(array(y[t]), h, rtol=0, atol=1e-14)
    assert repr(layer) == "GRU(3, 4, bias=False, reset_after=False)"
    cell = nn.GRUCell(IN, H, bias=False, reset_after=False, dtype=lamina.float64)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    assert (array(cell(lamina.tensor(x[:1]))) == array(y[0])).all()


def test_textbook_lstm():
    """Notes and DL101 (10.3.1, equations 10.7-10.12): one matrix per gate on [h, x], gates in the
    order f, i, candidate, o, one bias per gate. Ours with rows moved and the second bias 0."""
    H, IN = 4, 3
    rng = np.random.default_rng(4)
    w = {k: rng.standard_normal((H, H + IN)) for k in "figo"}
    b = {k: rng.standard_normal(H) for k in "figo"}
    layer = nn.LSTM(IN, H, dtype=lamina.float64)
    with lamina.no_grad():
        layer.weight_hh_l0.copy_(lamina.tensor(np.concatenate([w[k][:, :H] for k in "ifgo"])))
        layer.weight_ih_l0.copy_(lamina.tensor(np.concatenate([w[k][:, H:] for k in "ifgo"])))
        layer.bias_ih_l0.copy_(lamina.tensor(np.concatenate([b[k] for k in "ifgo"])))
        layer.bias_hh_l0.zero_()
    x, h, c = rng.standard_normal((5, IN)), np.zeros(H), np.zeros(H)
    y, _ = layer(lamina.tensor(x))
    for t in range(5):
        a = {k: w[k] @ np.concatenate([h, x[t]]) + b[k] for k in "figo"}
        f, i, o = (1 / (1 + np.exp(-a[k])) for k in "fio")
        c = f * c + i * np.tanh(a["g"])
        h = o * np.tanh(c)
        np.testing.assert_allclose(array(y[t]), h, rtol=0, atol=1e-14)


def test_bidirectional_results_stand_side_by_side():
    """DL101 10.6.1, equation 10.24: h_t = [forward; backward]."""
    both, one = nn.RNN(3, 5, bidirectional=True), nn.RNN(3, 5)
    x = randn(6, 2, 3).float()
    y = both(x)[0]
    for end, part, xs in (("", y[..., :5], x), ("_reverse", y[..., 5:].flip(0), x.flip(0))):
        one.load_state_dict({k: both.state_dict()[k + end] for k in one.state_dict()})
        assert (array(one(xs)[0]) == array(part)).all()


@pytest.mark.parametrize("kind", ["RNN", "relu", "LSTM", "GRU", "before", "projected"])
def test_a_recorded_gradient_is_the_same(kind):
    """With create_graph the gradient is composed of differentiable ops: same numbers."""
    kinds = {"relu": (nn.RNN, {"nonlinearity": "relu"}), "before": (nn.GRU, {"reset_after": False}),
             "projected": (nn.LSTM, {"proj_size": 2})}  # fmt: skip
    make, options = kinds.get(kind) or (getattr(nn, kind), {})
    layer = make(3, 5, 2, bidirectional=True, dtype=lamina.float64, **options)
    x = randn(4, 3, 3).requires_grad_()
    wanted = [x, *layer.parameters()]
    for given in (x, packing.pack_padded_sequence(x, [1, 4, 2], enforce_sorted=False)):
        y, last = layer(given)
        y = y.data if isinstance(y, tuple) else y
        loss = (y * y).sum() + sum((s * s).sum() for s in as_tuple(last))
        a = lamina.autograd.grad(loss, wanted, retain_graph=True)
        b = lamina.autograd.grad(loss, wanted, create_graph=True)
        for s, t in zip(a, b, strict=True):
            np.testing.assert_allclose(array(s), array(t), rtol=0, atol=1e-13)
            assert t.requires_grad
