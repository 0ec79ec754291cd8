"""Recurrent layers and cells (formulas: `lamina.ops.recurrent`)."""

from __future__ import annotations

import math
import numbers
import warnings

from .. import _core
from .._core import Tensor
from ..ops import recurrent as _ops
from . import init
from .linear import _new
from .module import Module

__all__ = ["RNNBase", "RNN", "LSTM", "GRU", "RNNCellBase", "RNNCell", "LSTMCell", "GRUCell"]

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}
_CELLS = {"LSTM": _ops.LSTM, "GRU": _ops.GRU, "RNN_TANH": _ops.RNN_TANH, "RNN_RELU": _ops.RNN_RELU}


def _check_sizes(mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size):
    if (
        not isinstance(dropout, numbers.Number)
        or isinstance(dropout, bool)
        or not 0 <= float(dropout) <= 1  # type: ignore[arg-type]
    ):
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element "
            "being zeroed"
        )
    if float(dropout) > 0 and num_layers == 1:  # type: ignore[arg-type]
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout "
            f"expects num_layers greater than 1, but got dropout={dropout} and "
            f"num_layers={num_layers}",
            stacklevel=4,
        )
    for name, value, kind in (("bias", bias, bool), ("batch_first", batch_first, bool),
                              ("input_size", input_size, int),
                              ("hidden_size", hidden_size, int)):  # fmt: skip
        if not isinstance(value, kind):
            raise TypeError(
                f"{name} should be of type {kind.__name__}, got: {type(value).__name__}"
            )
    for name, value in (("input_size", input_size), ("hidden_size", hidden_size),
                        ("num_layers", num_layers)):  # fmt: skip
        if value <= 0:
            raise ValueError(f"{name} must be greater than zero")
    if proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if proj_size >= hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")
    if mode not in _GATES:
        raise ValueError(f"Unrecognized RNN mode: {mode}")


class RNNBase(Module):
    """What `RNN`, `LSTM` and `GRU` share: parameters, checks, and the run over layers.

    Parameters of layer k (``_reverse`` behind the name for the second direction), G = gates times
    hidden_size, P = proj_size or hidden_size: weight_ih_l{k} (G, input) with input = input_size in
    layer 0 and directions * P later, weight_hh_l{k} (G, P), bias_ih_l{k} and bias_hh_l{k} (G,),
    weight_hr_l{k} (proj_size, hidden_size). All uniform on (-u, u), u = 1 / sqrt(hidden_size).

    Raises ValueError and TypeError for sizes and switches that are out of range.
    """

    def __init__(
        self, mode, input_size, hidden_size, num_layers=1, bias=True, batch_first=False,
        dropout=0.0, bidirectional=False, proj_size=0, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        _check_sizes(mode, input_size, hidden_size, num_layers, bias, batch_first, dropout,
                     proj_size)  # fmt: skip
        self.mode, self.input_size, self.hidden_size = mode, input_size, hidden_size
        self.num_layers, self.bias, self.batch_first = num_layers, bias, batch_first
        self.dropout, self.bidirectional = float(dropout), bidirectional
        self.proj_size = proj_size
        self._cell = _CELLS[mode]
        rows, width = _GATES[mode] * hidden_size, proj_size or hidden_size
        directions = 2 if bidirectional else 1
        names = []
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else width * directions
            for direction in range(directions):
                end = f"_l{layer}" + ("_reverse" if direction else "")
                shapes = {"weight_ih": (rows, inputs), "weight_hh": (rows, width)}
                if bias:
                    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                for name, shape in shapes.items():
                    setattr(self, name + end, _new(*shape, device=device, dtype=dtype))
                names.append([name + end for name in shapes])
        self._all_weights = names
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        bound = 1 / math.sqrt(self.hidden_size)
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing: weights are packed for the CPU's matrix product on every call."""

    @property
    def all_weights(self) -> list:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights_names(self) -> list:
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self) -> list:
        return [getattr(self, name) for name in self._flat_weights_names]

    def _weights(self) -> list:
        """As `network` takes them; a parameter may have been replaced by a tensor."""
        own, made = self._parameters, []
        for names in self._all_weights:
            w = [own[n] if n in own else getattr(self, n) for n in names]
            biases = w[2:4] if self.bias else (None, None)
            made.append((w[0], w[1], *biases, w[-1] if self.proj_size else None))
        return made

    def _check_input(self, input: Tensor, weight: Tensor, packed: bool) -> None:
        region = _core.autocast_enabled(input.device.type == "cuda")  # its rule converts
        if input.dtype != weight.dtype and not region:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). "
                f"Convert input: input.to({weight.dtype}), or convert model: "
                f"model.to({input.dtype})"
            )
        dims = 2 if packed else 3
        if input.dim() != dims:
            raise _core.ShapeError(f"input must have {dims} dimensions, got {input.dim()}")
        if input.shape[-1] != self.input_size:
            raise _core.ShapeError(
                "input.size(-1) must be equal to input_size. Expected "
                f"{self.input_size}, got {input.shape[-1]}"
            )

    def _check_state(self, state, batch: int, width: int, what: str) -> None:
        expected = (self.num_layers * (1 + bool(self.bidirectional)), batch, width)
        if tuple(state.shape) != expected:
            raise _core.ShapeError(f"Expected {what} size {expected}, got {list(state.shape)}")

    def _run(self, input, states):
        """(output, last states): states a tuple of initial ones, or None for zeros."""
        order = None
        from .utils.rnn import PackedSequence  # nn.utils is large

        packed = isinstance(input, PackedSequence)
        if packed:
            x, batch_sizes, order, back = input
            alone, batch = False, int(batch_sizes[0])
            if states is not None and order is not None:
                states = tuple(s.index_select(1, order) for s in states)
        else:
            x, batch_sizes = input, None
            if x.dim() not in (2, 3):
                kind = type(self).__name__
                raise _core.ShapeError(
                    f"{kind}: Expected input to be 2D or 3D, got {x.dim()}D instead"
                )
            alone = x.dim() == 2
            if states is not None:
                states = self._batched(states, alone)
            if alone:
                x = x.unsqueeze(1)
            elif self.batch_first:
                x = x.transpose(0, 1)
            batch = x.shape[1]
        weights = self._weights()
        self._check_input(x, weights[0][0], packed)
        if states is not None:
            widths = [self.proj_size or self.hidden_size, self.hidden_size]
            for i, s in enumerate(states):
                what = "hidden" if len(states) == 1 else f"hidden[{i}]"
                self._check_state(s, batch, widths[i], what)
        hx, cx = (*(states or ()), None, None)[:2]
        y, hn, cn = _ops.network(self._cell, x, batch_sizes, hx, cx, weights, self.num_layers,
                                 self.dropout, self.training)  # fmt: skip
        last = (hn,) if cn is None else (hn, cn)
        if packed:
            if back is not None:
                last = tuple(s.index_select(1, back) for s in last)
            return PackedSequence(y, batch_sizes, order, back), last
        if alone:
            return y.squeeze(1), tuple(s.squeeze(1) for s in last)
        return (y.transpose(0, 1) if self.batch_first else y), last

    def _batched(self, states, alone: bool):
        """Initial states as 3-D tensors; ShapeError when they do not go with the input."""
        wanted, kind = (2, "unbatched 2-D") if alone else (3, "batched 3-D")
        if any(s.dim() != wanted for s in states):
            if len(states) == 1:
                text = f"hx should also be {wanted}-D but got {states[0].dim()}-D tensor"
            else:
                text = (
                    f"hx and cx should also be {wanted}-D but got ({states[0].dim()}-D, "
                    f"{states[1].dim()}-D) tensors"
                )
            raise _core.ShapeError(f"For {kind} input, {text}")
        return tuple(s.unsqueeze(1) for s in states) if alone else states

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        for name, usual in (("proj_size", 0), ("num_layers", 1), ("bias", True),
                            ("batch_first", False), ("dropout", 0),
                            ("bidirectional", False)):  # fmt: skip
            value = getattr(self, name)
            if value != usual:
                text += f", {name}={value}"
        return text


class RNN(RNNBase):
    """h_t = f(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh), f = tanh or relu (Elman, 1990), in
    `num_layers` layers, each reading the one below.

    Args:
        input_size, hidden_size, num_layers: widths and depth. nonlinearity: "tanh" or "relu".
        bias: without it both biases are 0. batch_first: input and output (batch, steps, *).
        dropout: probability after every layer but the last. bidirectional: a second network from
            the last step to the first; their results stand side by side.
    Input: (steps, batch, input_size), (steps, input_size) or a PackedSequence; hx (num_layers *
    directions, batch, hidden_size), zeros when absent. Returns (output, hn): all results of the
    last layer, (steps, batch, directions * hidden_size), and the last state of every layer.
    Raises ShapeError for sizes that do not fit, ValueError for another dtype than the weights'.
    """

    def __init__(self, *args, **kwargs):
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            f, args = args[3], args[:3] + args[4:]
        else:
            f = kwargs.pop("nonlinearity", "tanh")
        if f not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{f}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{f.upper()}", *args, **kwargs)
        self.nonlinearity = f

    def forward(self, input, hx: Tensor | None = None):
        """(output, hn)."""
        output, last = self._run(input, None if hx is None else (hx,))
        return output, last[0]


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter and Schmidhuber, Neural Computation 9 (1997)):

        i, f, o = sigmoid(W_k x_t + b_k + U_k h_(t-1) + d_k),  g = tanh(same form)
        c_t = f c_(t-1) + i g,  h_t = o tanh(c_t), with proj_size h_t = W_hr (o tanh(c_t))

    The gates' rows lie in the order i, f, g, o. Arguments as `RNN` without nonlinearity, and
    proj_size (Sak et al., 2014): the width of h when it is to be less than hidden_size.

    Input: as `RNN`; the state is the pair (h0, c0), c0 always hidden_size wide.
    Returns (output, (hn, cn)).
    """

    def __init__(self, *args, **kwargs):
        super().__init__("LSTM", *args, **kwargs)

    def forward(self, input, hx=None):
        """(output, (hn, cn))."""
        return self._run(input, None if hx is None else tuple(hx))


class GRU(RNNBase):
    """Gated recurrent unit (Cho et al., EMNLP 2014):

        r, z = sigmoid(W_k x_t + b_k + U_k h_(t-1) + d_k)
        n = tanh(W_n x_t + b_n + r (U_n h_(t-1) + d_n)),  h_t = (1 - z) n + z h_(t-1)

    The gates' rows lie in the order r, z, n. Arguments, input and results as `RNN` without
    nonlinearity. With ``reset_after=False`` (keyword only) the reset gate acts before the product,
    n = tanh(W_n x_t + b_n + U_n (r h_(t-1)) + d_n), as the paper and textbooks write it. Texts
    whose z weights the candidate instead of the old state are this one with 1 - z for z, that is,
    with the rows of z in weights and biases negated.
    """

    def __init__(self, *args, reset_after: bool = True, **kwargs):
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)
        self.reset_after = bool(reset_after)
        if not reset_after:
            self._cell = _ops.GRU_RESET_BEFORE

    def forward(self, input, hx: Tensor | None = None):
        """(output, hn)."""
        output, last = self._run(input, None if hx is None else (hx,))
        return output, last[0]

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.reset_after else ", reset_after=False")


class RNNCellBase(Module):
    """One step. Parameters: weight_ih (G, input_size), weight_hh (G, hidden_size), bias_ih and
    bias_hh (G,), G = gates times hidden_size; uniform on (-u, u), u = 1 / sqrt(hidden_size)."""

    def __init__(self, input_size, hidden_size, bias, num_chunks, device=None, dtype=None):
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = num_chunks * hidden_size
        self.weight_ih = _new(rows, input_size, device=device, dtype=dtype)
        self.weight_hh = _new(rows, hidden_size, device=device, dtype=dtype)
        for name in ("bias_ih", "bias_hh"):
            if bias:
                setattr(self, name, _new(rows, device=device, dtype=dtype))
            else:
                self.register_parameter(name, None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def _step(self, kind: int, input: Tensor, states):
        """The next states of (batch, input_size) or (input_size,)."""
        name = type(self).__name__
        if input.dim() not in (1, 2):
            raise _core.ShapeError(
                f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead"
            )
        alone = input.dim() == 1
        for i, s in enumerate(states or ()):
            if s.dim() not in (1, 2):
                which = "hidden" if len(states) == 1 else f"hx[{i}]"
                raise _core.ShapeError(
                    f"{name}: Expected {which} to be 1D or 2D, got {s.dim()}D instead"
                )
        if alone:
            input = input.unsqueeze(0)
            states = states and tuple(s if s.dim() == 2 else s.unsqueeze(0) for s in states)
        hx, cx = (*(states or ()), None, None)[:2]
        h, c = _ops.cell(kind, name, input, hx, cx, self.weight_ih, self.weight_hh, self.bias_ih,
                         self.bias_hh)  # fmt: skip
        return (h.squeeze(0), c.squeeze(0) if kind == _ops.LSTM else c) if alone else (h, c)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if not self.bias:
            text += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text


class RNNCell(RNNCellBase):
    """h' = f(W_ih x + b_ih + W_hh h + b_hh), one step of `RNN`.

    Input: (batch, input_size) or (input_size,), and h likewise, zeros when absent.
    """

    def __init__(self, input_size, hidden_size, bias=True, nonlinearity="tanh", device=None,
                 dtype=None):  # fmt: skip
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """h'."""
        kinds = {"tanh": _ops.RNN_TANH, "relu": _ops.RNN_RELU}
        if self.nonlinearity not in kinds:
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step(kinds[self.nonlinearity], input, None if hx is None else (hx,))[0]


class LSTMCell(RNNCellBase):
    """(h', c') of one step of `LSTM` from x and the pair (h, c), zeros when absent."""

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx=None) -> tuple[Tensor, Tensor]:
        """(h', c')."""
        return self._step(_ops.LSTM, input, None if hx is None else tuple(hx))


class GRUCell(RNNCellBase):
    """h' of one step of `GRU`; reset_after (keyword only) as there."""

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None, *,
                 reset_after=True):  # fmt: skip
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)
        self.reset_after = bool(reset_after)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """h'."""
        kind = _ops.GRU if self.reset_after else _ops.GRU_RESET_BEFORE
        return self._step(kind, input, None if hx is None else (hx,))[0]

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.reset_after else ", reset_after=False")
