"""What recurrent layers and cells say about wrong arguments."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import lamina
from lamina import nn


def randn(*shape, seed=0):
    rng = np.random.default_rng([seed, *shape])
    return lamina.tensor(rng.standard_normal(shape), dtype=lamina.float64)


def raises(kind, text, f, *args, **kwargs):
    with pytest.raises(kind) as info:
        f(*args, **kwargs)
    assert text in str(info.value), str(info.value)


def test_layers_say_what_is_wrong():
    lstm, gru = nn.LSTM(3, 5), nn.GRU(3, 5)
    raises(RuntimeError, "input.size(-1) must be equal to input_size. Expected 3, got 4",
           lstm, lamina.zeros(2, 2, 4))  # fmt: skip
    raises(ValueError, "LSTM: Expected input to be 2D or 3D, got 4D instead",
           lstm, lamina.zeros(2, 2, 2, 3))  # fmt: skip
    raises(ValueError, "RNN input dtype (lamina.float64) does not match weight dtype "
           "(lamina.float32). Convert input: input.to(lamina.float32), or convert model: "
           "model.to(lamina.float64)", lstm, randn(2, 2, 3))  # fmt: skip
    x, h = lamina.zeros(4, 2, 3), lamina.zeros(1, 2, 5)
    raises(RuntimeError, "Expected hidden[0] size (1, 2, 5), got [1, 3, 5]",
           lstm, x, (lamina.zeros(1, 3, 5), h))  # fmt: skip
    raises(RuntimeError, "Expected hidden[1] size (1, 2, 5), got [1, 2, 6]",
           lstm, x, (h, lamina.zeros(1, 2, 6)))  # fmt: skip
    raises(RuntimeError, "Expected hidden size (1, 2, 5), got [2, 2, 5]",
           gru, x, lamina.zeros(2, 2, 5))  # fmt: skip
    raises(RuntimeError, "For batched 3-D input, hx should also be 3-D but got 2-D tensor",
           gru, x, h[0])  # fmt: skip
    raises(RuntimeError, "For batched 3-D input, hx and cx should also be 3-D but got (3-D, 2-D) "
           "tensors", lstm, x, (h, h[0]))  # fmt: skip
    raises(RuntimeError, "For unbatched 2-D input, hx should also be 2-D but got 3-D tensor",
           gru, x[0], h)  # fmt: skip
    raises(RuntimeError, "gru: expected sequence length to be larger than 0",
           gru, lamina.zeros(0, 2, 3))  # fmt: skip


def test_cells_say_what_is_wrong():
    cell = nn.LSTMCell(3, 5)
    raises(ValueError, "LSTMCell: Expected input to be 1D or 2D, got 3D instead",
           cell, lamina.zeros(2, 2, 3))  # fmt: skip
    raises(RuntimeError, "input has inconsistent input_size: got 4 expected 3",
           cell, lamina.zeros(2, 4))  # fmt: skip
    raises(RuntimeError, "Input batch size 2 doesn't match hidden0 batch size 4",
           cell, lamina.zeros(2, 3), (lamina.zeros(4, 5),) * 2)  # fmt: skip
    raises(RuntimeError, "hidden1 has inconsistent hidden_size: got 6, expected 5",
           cell, lamina.zeros(2, 3), (lamina.zeros(2, 5), lamina.zeros(2, 6)))  # fmt: skip
    raises(ValueError, "GRUCell: Expected hidden to be 1D or 2D, got 3D instead",
           nn.GRUCell(3, 5), lamina.zeros(2, 3), lamina.zeros(1, 2, 5))  # fmt: skip
    raises(RuntimeError, "Unknown nonlinearity: sin", nn.RNNCell(3, 5, nonlinearity="sin"),
           lamina.zeros(2, 3))  # fmt: skip


def test_constructors_say_what_is_wrong():
    raises(ValueError, "Unknown nonlinearity 'sin'. Select from 'tanh' or 'relu'.",
           nn.RNN, 3, 5, nonlinearity="sin")  # fmt: skip
    raises(ValueError, "proj_size argument is only supported for LSTM, not RNN or GRU",
           nn.GRU, 3, 5, proj_size=2)  # fmt: skip
    raises(ValueError, "proj_size has to be smaller than hidden_size", nn.LSTM, 3, 5, proj_size=5)
    raises(ValueError, "dropout should be a number in range [0, 1]", nn.LSTM, 3, 5, dropout=1.5)
    raises(ValueError, "hidden_size must be greater than zero", nn.LSTM, 3, 0)
    raises(ValueError, "num_layers must be greater than zero", nn.LSTM, 3, 5, 0)
    raises(TypeError, "input_size should be of type int, got: float", nn.LSTM, 3.0, 5)
    raises(TypeError, "bias should be of type bool, got: int", nn.LSTM, 3, 5, 1, 1)
    raises(ValueError, "Unrecognized RNN mode: XYZ", nn.RNNBase, "XYZ", 3, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nn.LSTM(3, 5, 2, dropout=0.5)
