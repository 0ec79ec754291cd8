"""nn.Module: hooks around the call, state_dict and load_state_dict."""

from __future__ import annotations

import copy

import pytest

import lamina
from lamina import nn

try:
    import torch
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")


def libraries():
    return [lamina, *([torch] if torch else [])]


def net(m):
    """weight (2,), bias (2,), a buffer that is saved and one that is not, in two levels."""

    class Affine(m.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = m.nn.Parameter(m.ones(2) * 3)
            self.register_buffer("kept", m.zeros(1))
            self.register_buffer("temporary", m.zeros(1), persistent=False)

        def forward(self, x, *, scale=1.0):
            return x * self.weight * scale

    model = m.nn.Sequential(Affine(), m.nn.ReLU())
    model.add_module("last", Affine())
    return model


# ---- hooks ---------------------------------------------------------------------------------------
def hook_log(m):
    """Every kind of hook, in the order they run, with what they see and change."""
    model, log = net(m), []
    layer = model[0]
    handles = [
        layer.register_forward_pre_hook(lambda mod, a: log.append(("pre", a[0].tolist()))),
        layer.register_forward_pre_hook(lambda mod, a: a[0] + 1, prepend=True),
        layer.register_forward_pre_hook(
            lambda mod, a, k: (a, {"scale": 2.0}), with_kwargs=True
        ),
        layer.register_forward_hook(
            lambda mod, a, k, out: log.append(("post", k, out.tolist())), with_kwargs=True
        ),
        layer.register_forward_hook(lambda mod, a, out: out * 10, prepend=True),
        layer.register_full_backward_pre_hook(lambda mod, g: log.append(("back", g[0].tolist()))),
        layer.register_full_backward_hook(
            lambda mod, gi, go: log.append(("grads", [x.tolist() for x in gi], go[0].tolist()))
        ),
        layer.register_full_backward_hook(lambda mod, gi, go: (gi[0] * 2,)),
        model.register_full_backward_hook(
            lambda mod, gi, go: log.append(("outer", gi[0].tolist()))
        ),
    ]  # fmt: skip
    x = m.tensor([1.0, 2.0], requires_grad=True)
    model(x).sum().backward()
    log.append(x.grad.tolist())
    log.append(layer.weight.grad.tolist())
    for h in handles:
        h.remove()
        h.remove()
    log.append(model(x).tolist())
    return log


def test_hooks_run_in_order():
    assert hook_log(lamina) == [
        ("pre", [2.0, 3.0]),
        ("post", {"scale": 2.0}, [120.0, 180.0]),
        ("back", [3.0, 3.0]),
        ("grads", [[180.0, 180.0]], [3.0, 3.0]),
        ("outer", [360.0, 360.0]),
        [360.0, 360.0],
        [120.0, 180.0],
        [9.0, 18.0],
    ]


@needs_torch
def test_hooks_run_as_in_pytorch():
    assert hook_log(lamina) == hook_log(torch)


def test_backward_hook_without_input_gradients():
    seen = []
    layer = net(lamina)[0]
    layer.register_full_backward_hook(lambda mod, gi, go: seen.append((gi, go[0].tolist())))
    layer(lamina.ones(2)).sum().backward()
    assert seen == [((None,), [1.0, 1.0])] and layer.weight.grad.tolist() == [1.0, 1.0]


def test_backward_hook_of_wrong_length():
    layer = net(lamina)[0]
    layer.register_full_backward_hook(lambda mod, gi, go: (gi[0], gi[0]))
    y = layer(lamina.ones(2, requires_grad=True))
    with pytest.raises(RuntimeError, match="returned 2 gradients for 1"):
        y.sum().backward()


def test_always_called_hooks_and_bad_pre_hooks():
    layer, seen = net(lamina)[0], []
    layer.register_forward_hook(lambda mod, a, out: seen.append(out), always_call=True)
    with pytest.raises(lamina.ShapeError):
        layer(lamina.ones(3))
    assert seen == [None]
    layer.register_forward_pre_hook(lambda mod, a, k: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match="None or a tuple of"):
        layer(lamina.ones(2))


def test_hooked_modules_can_be_copied():
    layer = net(lamina)[0]
    layer.register_forward_hook(lambda mod, a, out: out + 1)
    assert copy.deepcopy(layer)(lamina.ones(2)).tolist() == [4.0, 4.0]


# ---- state_dict ----------------------------------------------------------------------------------
def test_state_dict_shares_memory_without_history():
    model = net(lamina)
    state = model.state_dict()
    assert list(state) == ["0.weight", "0.kept", "last.weight", "last.kept"]
    assert not state["0.weight"].requires_grad
    assert state["0.weight"].data_ptr() == model[0].weight.data_ptr()
    assert model.state_dict(keep_vars=True)["0.weight"] is model[0].weight
    assert list(model[0].state_dict(prefix="p.")) == ["p.weight", "p.kept"]
    assert state._metadata["0"] == {"version": 1}


def test_loading_copies_values_or_assigns():
    model, other = net(lamina), net(lamina)
    other[0].weight.data.fill_(7.0)
    weight = model[0].weight
    result = model.load_state_dict(other.state_dict())
    assert repr(result) == "<All keys matched successfully>"
    assert model[0].weight is weight and weight.tolist() == [7.0, 7.0]
    assert weight.data_ptr() != other[0].weight.data_ptr()
    double = other.double().state_dict()
    model.load_state_dict(double, assign=True)
    assert type(model[0].weight) is nn.Parameter and model[0].weight.dtype is lamina.float64
    assert model[0].weight.data_ptr() == other[0].weight.data_ptr()
    missing, unexpected = model.load_state_dict({"x": lamina.ones(1)}, strict=False)
    assert missing == ["0.weight", "0.kept", "last.weight", "last.kept"] and unexpected == ["x"]


def load_error(m, change):
    model = net(m)
    state = dict(model.state_dict())
    change(m, state)
    with pytest.raises(Exception) as e:
        model.load_state_dict(state)
    return f"{type(e.value).__name__}: {e.value}".replace("torch", "lamina")


CHANGES = [
    lambda m, s: s.pop("0.weight"),
    lambda m, s: s.update({"y": m.ones(1), "0.q": m.ones(1), "0.weight.z": m.ones(1)}),
    lambda m, s: (s.pop("last.kept"), s.update({"y": m.ones(1), "0.weight": m.ones(3, 2)})),
    lambda m, s: s.update({"0.kept": 3}),
]


def test_loading_lists_every_mismatch():
    assert load_error(lamina, CHANGES[2]) == (
        "RuntimeError: Error(s) in loading state_dict for Sequential:\n"
        '\tMissing key(s) in state_dict: "last.kept". \n'
        '\tUnexpected key(s) in state_dict: "y". \n'
        "\tsize mismatch for 0.weight: copying a param with shape lamina.Size([3, 2]) from "
        "checkpoint, the shape in current model is lamina.Size([2])."
    )
    with pytest.raises(TypeError, match="Expected state_dict to be dict-like, got <class 'int'>"):
        net(lamina).load_state_dict(3)


@needs_torch
@pytest.mark.parametrize("change", CHANGES)
def test_loading_errors_are_those_of_pytorch(change):
    assert load_error(lamina, change) == load_error(torch, change)


def extra_and_hooks(m):
    """Extra state, state_dict hooks and load hooks."""
    log = []

    class Extra(m.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = m.nn.Parameter(m.ones(1))
            self.extra = 5

        def get_extra_state(self):
            return {"n": self.extra}

        def set_extra_state(self, state):
            self.extra = state["n"]

    model = m.nn.Sequential(Extra())
    model[0].register_state_dict_pre_hook(lambda mod, prefix, keep: log.append((prefix, keep)))
    model[0].register_state_dict_post_hook(
        lambda mod, state, prefix, meta: state.update({prefix + "more": m.ones(1)})
    )
    state = model.state_dict()
    log.append(list(state))
    state["0._extra_state"] = {"n": 8}
    model[0].register_load_state_dict_pre_hook(
        lambda mod, s, prefix, *rest: log.append((mod is model[0], s.pop(prefix + "more").tolist()))
    )
    model.register_load_state_dict_post_hook(
        lambda mod, keys: (log.append(list(keys.missing_keys)), keys.missing_keys.clear())[-1]
    )
    del state["0.w"]
    log.append(repr(model.load_state_dict(state)))
    log.append(model[0].extra)
    return log


def test_extra_state_and_hooks():
    assert extra_and_hooks(lamina) == [
        ("0.", False), ["0.w", "0._extra_state", "0.more"], (True, [1.0]), ["0.w"],
        "<All keys matched successfully>", 8,
    ]  # fmt: skip


@needs_torch
def test_extra_state_and_hooks_as_in_pytorch():
    assert extra_and_hooks(lamina) == extra_and_hooks(torch)


def test_batch_norm_reads_files_without_a_batch_count():
    m = nn.BatchNorm1d(2)
    state = m.state_dict()
    del state["num_batches_tracked"]
    state._metadata[""]["version"] = 1
    assert repr(m.load_state_dict(state)) == "<All keys matched successfully>"
