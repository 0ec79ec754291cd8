"""Rows of the recurrent layers. n is the width of the state, across the vectors' widths.

The references are the loops of the definitions, written step by step and sequence by sequence.
"""

import functools

import numpy as np

from row import Row

T, B, IN = 4, 3, 2
LENGTHS = (4, 2, 1)


def lengths(m):
    return m.tensor(LENGTHS)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step(kind, x, h, c, w, u, b, d, proj=None):
    """(h', c') of one sequence: x (IN,), h (P,), c (H,)."""
    a, r = w @ x + b, u @ h + d
    if kind in ("tanh", "relu"):
        return (np.tanh(a + r) if kind == "tanh" else np.maximum(a + r, 0)), c
    if kind == "lstm":
        i, f, g, o = np.split(a + r, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        return (h if proj is None else proj @ h), c
    n = len(h)
    k = sigmoid((a + r)[: 2 * n])
    reset, z = k[:n], k[n:]
    if kind == "gru":
        cand = np.tanh(a[2 * n :] + reset * r[2 * n :])
    else:  # reset before the product
        cand = np.tanh(a[2 * n :] + u[2 * n :] @ (reset * h) + d[2 * n :])
    return (1 - z) * cand + z * h, c


def reference(kind, reverse, packed, x, w, u, b, d, h0, c0=None, proj=None):
    """(y, hn[, cn]), y (T, B, P) with zeros after a sequence's end."""
    y, hn = np.zeros((T, B, u.shape[1])), h0.copy()
    cn = np.zeros((B, u.shape[0])) if c0 is None else c0.copy()
    for s in range(B):
        order = range(LENGTHS[s] if packed else T)
        for t in reversed(order) if reverse else order:
            hn[s], cn[s] = step(kind, x[t, s], hn[s], cn[s], w, u, b, d, proj)
            y[t, s] = hn[s]
    return (y, hn, cn) if kind == "lstm" else (y, hn)


def layer(kind, reverse, packed, m, x, w, u, b, d, h0, c0=None, proj=None):
    """The same by the framework: one layer; the second direction through a bidirectional one."""
    if m.__name__ == "torch":
        return theirs(kind, reverse, packed, m, x, w, u, b, d, h0, c0, proj)
    from lamina import _core
    from lamina.nn.utils import rnn

    cell = ["tanh", "relu", "lstm", "gru", "before"].index(kind)
    rows, sizes = x, None
    if packed:
        p = rnn.pack_padded_sequence(x, lengths(m))
        rows, sizes = p.data, p.batch_sizes
    y, hn, cn = _core.recurrent_layer(cell, rows, sizes, h0, c0, w, u, b, d, proj, reverse)
    if packed:
        y = rnn.pad_packed_sequence(rnn.PackedSequence(y, sizes))[0]
    return (y, hn, cn) if kind == "lstm" else (y, hn)


def theirs(kind, reverse, packed, m, x, w, u, b, d, h0, c0, proj):
    rnn = m.nn.utils.rnn
    sizes = {"input_size": IN, "hidden_size": w.shape[0] // {"lstm": 4, "gru": 3}.get(kind, 1)}
    module = {
        "tanh": m.nn.RNN, "lstm": m.nn.LSTM, "gru": m.nn.GRU,
        "relu": functools.partial(m.nn.RNN, nonlinearity="relu"),
    }[kind](**sizes, bidirectional=reverse, dtype=x.dtype,
            **({} if proj is None else {"proj_size": proj.shape[0]}))  # fmt: skip
    end = "_l0_reverse" if reverse else "_l0"
    values = {"weight_ih": w, "weight_hh": u, "bias_ih": b, "bias_hh": d}
    if proj is not None:
        values["weight_hr"] = proj
    given = {**dict(module.named_parameters()), **{k + end: v for k, v in values.items()}}
    states = [s if not reverse else m.stack([m.zeros_like(s), s])
              for s in ((h0,) if c0 is None else (h0, c0))]  # fmt: skip
    if not reverse:
        states = [s.unsqueeze(0) for s in states]
    inputs = rnn.pack_padded_sequence(x, lengths(m)) if packed else x
    state = states[0] if c0 is None else tuple(states)
    y, last = m.func.functional_call(module, given, (inputs, state))
    if packed:
        y = rnn.pad_packed_sequence(y)[0]
    y = y[..., -h0.shape[1] :]
    last = last if isinstance(last, tuple) else (last,)
    return (y, *(s[-1] for s in last))


def row(name, kind, reverse=False, packed=False, proj=None, **more):
    gates = {"lstm": 4, "gru": 3, "before": 3}.get(kind, 1)

    def shapes(n):
        p = n if proj is None else proj
        made = [(T, B, IN), (gates * n, IN), (gates * n, p), (gates * n,), (gates * n,), (B, p)]
        if kind == "lstm":
            made.append((B, n))
        return made + ([] if proj is None else [(p, n)])

    return Row(
        name,
        functools.partial(layer, kind, reverse, packed),
        functools.partial(reference, kind, reverse, packed),
        shapes,
        **{
            "domain": (-1, 1), "sizes": (1, 15, 16, 17, 33), "large": 129,
            "tol": 3e-6, **more,
        },
    )  # fmt: skip


# relu: away from its corner (a draw there would make the difference quotient wrong).
ROWS = [
    row("rnn_tanh", "tanh"),
    row("rnn_tanh_reverse_packed", "tanh", reverse=True, packed=True),
    row("rnn_relu", "relu", grad=False),
    row("lstm", "lstm"),
    row("lstm_reverse", "lstm", reverse=True),
    row("lstm_packed", "lstm", packed=True),
    row("lstm_reverse_packed", "lstm", reverse=True, packed=True),
    row("lstm_projected", "lstm", proj=3, sizes=(4, 15, 16, 17, 33)),
    row("lstm_projected_reverse", "lstm", proj=18, reverse=True, packed=True, sizes=(19, 33, 64)),
    row("gru", "gru"),
    row("gru_reverse", "gru", reverse=True),
    row("gru_packed", "gru", packed=True),
    row("gru_reverse_packed", "gru", reverse=True, packed=True),
    row("gru_reset_before", "before", torch=False),
    row("gru_reset_before_packed", "before", torch=False, reverse=True, packed=True),
]
