"""Recurrent networks and cells: all steps of one layer in one direction are one C++ op.

W is weight_ih or weight_hh, the gates' rows one below another; x the input, h and c the states:

- RNN (Elman, Cognitive Science 14 (1990)): h' = f(W_i x + b_i + W_h h + b_h), f = tanh or relu.
- LSTM (Hochreiter and Schmidhuber, Neural Computation 9 (1997), with the forget gate of Gers et
  al., 2000): rows i, f, g, o; i, f, o = sigmoid(.), g = tanh(.); c' = f c + i g, h' = o tanh(c').
  With projections (Sak et al., 2014): h' = W_hr (o tanh(c')).
- GRU (Cho et al., EMNLP 2014): rows r, z, n; r, z = sigmoid(.),
  n = tanh(W_in x + b_in + r (W_hn h + b_hn)), h' = (1 - z) n + z h. With ``reset_after=False``, the
  paper's own form, n = tanh(W_in x + b_in + W_hn (r h) + b_hn).
"""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from .dropout import dropout as _dropout

__all__ = ["rnn_tanh", "rnn_relu", "lstm", "gru", "rnn_tanh_cell", "rnn_relu_cell", "lstm_cell",
           "gru_cell"]  # fmt: skip

RNN_TANH, RNN_RELU, LSTM, GRU, GRU_RESET_BEFORE = range(5)


def network(cell: int, input: Tensor, batch_sizes, hx, cx, weights, layers: int, dropout: float,
            training: bool):  # fmt: skip
    """A stack of recurrent layers.

    Args:
        cell: RNN_TANH, RNN_RELU, LSTM, GRU or GRU_RESET_BEFORE.
        input: (steps, batch, features), or the rows of a packed sequence with `batch_sizes`.
        hx, cx: (layers * directions, batch, width), or None for zeros.
        weights: for each layer and direction (weight_ih, weight_hh, bias_ih, bias_hh, weight_hr),
            absent ones None. With 2 directions the second runs from the last step to the first.
        dropout: on the results of every layer but the last, while training.
    Returns (results of the last layer, last states like hx, last cell states like cx). In an
    autocast region of the CPU a GRU's state of float32 keeps it, as PyTorch's does: what its
    products read is rounded to the lower type.
    """
    low, layer = None, _core.recurrent_layer
    if cell >= GRU and _core.autocast_anywhere() and input.device.type == "cpu":
        if _core.autocast_enabled(0) and (input if hx is None else hx).dtype == _core.float32:
            low = _core.autocast_dtype(0)
            layer = _as_given
            weights = [tuple(t if t is None else _rounded(t, low) for t in w) for w in weights]
    directions = len(weights) // layers
    h0 = [None] * len(weights) if hx is None else hx.unbind(0)
    c0 = [None] * len(weights) if cx is None else cx.unbind(0)
    hn, cn = [], []
    for k in range(layers):
        if k:
            input = _dropout(input, dropout, training)
        results = []
        if low:
            input = _rounded(input, low)
        for i in range(k * directions, (k + 1) * directions):
            w_ih, w_hh, b_ih, b_hh, w_hr = weights[i]
            y, h, c = layer(cell, input, batch_sizes, h0[i], c0[i], w_ih, w_hh, b_ih, b_hh, w_hr,
                            i > k * directions)  # fmt: skip
            results.append(y)
            hn.append(h)
            cn.append(c)
        input = results[0] if directions == 1 else _core.cat(results, -1)
    last = [hn] if cell != LSTM else [hn, cn]
    last = [t[0].unsqueeze(0) if len(t) == 1 else _core.stack(t, 0) for t in last]
    return input, last[0], last[-1] if cell == LSTM else None


def _rounded(t: Tensor, low) -> Tensor:
    return t.to(low).to(_core.float32)


def _as_given(*args):
    _core.autocast_suspend(True)
    try:
        return _core.recurrent_layer(*args)
    finally:
        _core.autocast_suspend(False)


def _per_layer(params, has_biases: bool, projected: bool) -> list:
    """Flat parameters as `network` takes them."""
    step = 2 + 2 * bool(has_biases) + projected
    if not params or len(params) % step:
        raise _core.ArgumentError(f"expected a multiple of {step} parameters, got {len(params)}")
    made = []
    for i in range(0, len(params), step):
        w = list(params[i : i + step])
        made.append((w[0], w[1], *(w[2:4] if has_biases else (None, None)),
                     w[-1] if projected else None))  # fmt: skip
    return made


def _run(cell, input, hx, cx, params, has_biases, num_layers, dropout, train, bidirectional,
         batch_first, batch_sizes=None):  # fmt: skip
    projected = cx is not None and hx.shape[-1] != cx.shape[-1]
    weights = _per_layer(params, has_biases, projected)
    if len(weights) != num_layers * (1 + bool(bidirectional)):
        raise _core.ArgumentError(
            f"expected the parameters of {num_layers} layers in {1 + bool(bidirectional)} "
            f"directions, got {len(weights)} sets"
        )
    x = input.transpose(0, 1) if batch_first else input
    y, hn, cn = network(cell, x, batch_sizes, hx, cx, weights, num_layers, dropout, train)
    return y.transpose(0, 1) if batch_first else y, hn, cn


def _plain(cell, input, *args):
    """(y, hn) of a network without cell states, from PyTorch's two argument lists."""
    if isinstance(args[1], Tensor):
        sizes, hx, params, has_biases, layers, dropout, train, bidirectional = args
        return _run(cell, input, hx, None, params, has_biases, layers, dropout, train,
                    bidirectional, False, sizes)[:2]  # fmt: skip
    return _run(cell, input, args[0], None, *args[1:])[:2]


def rnn_tanh(input: Tensor, *args):
    """A tanh network: (y, hn). Arguments: hx, params, has_biases, num_layers, dropout, train,
    bidirectional, batch_first; for packed rows batch_sizes, hx, ..., bidirectional."""
    return _plain(RNN_TANH, input, *args)


def rnn_relu(input: Tensor, *args):
    """A relu network; arguments as `rnn_tanh`."""
    return _plain(RNN_RELU, input, *args)


def gru(input: Tensor, *args):
    """A GRU network; arguments as `rnn_tanh`."""
    return _plain(GRU, input, *args)


def lstm(input: Tensor, *args):
    """An LSTM network: (y, hn, cn); arguments as `rnn_tanh`, with hx the pair (h0, c0)."""
    if isinstance(args[0], Tensor):
        sizes, (hx, cx), params, has_biases, layers, dropout, train, bidirectional = args
        return _run(LSTM, input, hx, cx, params, has_biases, layers, dropout, train,
                    bidirectional, False, sizes)  # fmt: skip
    return _run(LSTM, input, *args[0], *args[1:])


def cell(kind: int, name: str, input: Tensor, hx, cx, w_ih, w_hh, b_ih, b_hh):
    """One step of (batch, features): (h', c'); the shapes' errors name the sizes."""
    if input.shape[-1] != w_ih.shape[1]:
        raise _core.ShapeError(
            f"{name}: input has inconsistent input_size: got {input.shape[-1]} expected "
            f"{w_ih.shape[1]}"
        )
    for label, state in (("hidden0", hx), ("hidden1", cx)):
        if state is None:
            continue
        if state.shape[0] != input.shape[0]:
            raise _core.ShapeError(
                f"{name}: Input batch size {input.shape[0]} doesn't match {label} batch size "
                f"{state.shape[0]}"
            )
        if state.shape[1] != w_hh.shape[1]:
            raise _core.ShapeError(
                f"{name}: {label} has inconsistent hidden_size: got {state.shape[1]}, expected "
                f"{w_hh.shape[1]}"
            )
    if _core.autocast_anywhere() and kind >= LSTM and input.device.type == "cpu":
        if _core.autocast_enabled(0):
            return _mixed_cell(kind, input, hx, cx, w_ih, w_hh, b_ih, b_hh)
    _, h, c = _core.recurrent_layer(kind, input.unsqueeze(0), None, hx, cx, w_ih, w_hh, b_ih, b_hh,
                                    None, False)  # fmt: skip
    return h, c


def _mixed_cell(kind: int, input: Tensor, hx, cx, w_ih, w_hh, b_ih, b_hh):
    """An LSTM's or GRU's step in an autocast region of the CPU, as PyTorch's: products and gates in
    the lower type, while states of a wider type keep it."""
    if hx is None:
        hx = input.new_zeros((input.shape[0], w_hh.shape[1]))
        cx = hx if kind == LSTM else None
    a = _core.linear(input, w_ih, b_ih)
    if kind == LSTM:
        i, f, g, o = (a + _core.linear(hx, w_hh, b_hh)).chunk(4, -1)
        c = f.sigmoid() * cx + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c
    a_r, a_z, a_n = a.chunk(3, -1)
    if kind == GRU:
        r, z, b = _core.linear(hx, w_hh, b_hh).chunk(3, -1)
        n = (a_n + (a_r + r).sigmoid() * b).tanh()
    else:
        width = hx.shape[-1]
        parts = (0, 2 * width), (2 * width, width)
        gates, new = (
            (w_hh.narrow(0, *p), None if b_hh is None else b_hh.narrow(0, *p)) for p in parts
        )
        r, z = _core.linear(hx, *gates).chunk(2, -1)
        n = (a_n + _core.linear((a_r + r).sigmoid() * hx, *new)).tanh()
    return (hx - n) * (a_z + z).sigmoid() + n, None


def _one_cell(kind, name, input, hx, w_ih, w_hh, b_ih, b_hh):
    alone = input.dim() == 1
    x, h = (input.unsqueeze(0), hx.unsqueeze(0)) if alone else (input, hx)
    y = cell(kind, name, x, h, None, w_ih, w_hh, b_ih, b_hh)[0]
    return y.squeeze(0) if alone else y


def rnn_tanh_cell(input: Tensor, hx: Tensor, w_ih, w_hh, b_ih=None, b_hh=None) -> Tensor:
    """h' of one tanh step. input: (batch, features) or (features,); hx: (batch, hidden) or
    (hidden,). Raises ShapeError for sizes that do not fit."""
    return _one_cell(RNN_TANH, "rnn_tanh_cell", input, hx, w_ih, w_hh, b_ih, b_hh)


def rnn_relu_cell(input: Tensor, hx: Tensor, w_ih, w_hh, b_ih=None, b_hh=None) -> Tensor:
    """h' of one relu step; arguments as `rnn_tanh_cell`."""
    return _one_cell(RNN_RELU, "rnn_relu_cell", input, hx, w_ih, w_hh, b_ih, b_hh)


def gru_cell(input: Tensor, hx: Tensor, w_ih, w_hh, b_ih=None, b_hh=None) -> Tensor:
    """h' of one GRU step; arguments as `rnn_tanh_cell`."""
    return _one_cell(GRU, "gru_cell", input, hx, w_ih, w_hh, b_ih, b_hh)


def lstm_cell(input: Tensor, hx, w_ih, w_hh, b_ih=None, b_hh=None) -> tuple[Tensor, Tensor]:
    """(h', c') of one LSTM step; hx: the pair (h, c); other arguments as `rnn_tanh_cell`."""
    h, c = hx
    if input.dim() > 1:
        return cell(LSTM, "lstm_cell", input, h, c, w_ih, w_hh, b_ih, b_hh)
    h, c = cell(LSTM, "lstm_cell", input.unsqueeze(0), h.unsqueeze(0), c.unsqueeze(0), w_ih, w_hh,
                b_ih, b_hh)  # fmt: skip
    return h.squeeze(0), c.squeeze(0)
