"""Autocast: recomputation, recurrent modules, transforms and sparse products inside a region."""

import pytest

import lamina
from lamina import nn
from lamina.utils.checkpoint import checkpoint


# ---- checkpoint ----------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_checkpoint_recomputes_in_the_state_of_its_forward(dtype):
    """The dtype and the switches of forward, though backward runs outside, or in another region;
    gradients have the bits of those without checkpoint."""
    dtype = getattr(lamina, dtype)
    layer, x = nn.Linear(4, 4), lamina.randn(3, 4)
    seen = []

    def run(x):
        seen.append(
            (lamina.is_autocast_enabled("cpu"), lamina.get_autocast_dtype("cpu"),
             lamina.is_autocast_cache_enabled())
        )  # fmt: skip
        return layer(x)

    with lamina.autocast("cpu", dtype=dtype, cache_enabled=False):
        plain = layer(x)
        y = checkpoint(run, x)
    expected = lamina.autograd.grad(plain.float().square().sum(), layer.parameters())
    assert y.dtype is dtype
    y.float().square().sum().backward()
    assert seen == [(True, dtype, False)] * 2
    assert all(lamina.equal(p.grad, g) for p, g in zip(layer.parameters(), expected))
    assert not lamina.is_autocast_enabled("cpu") and lamina.is_autocast_cache_enabled()
    seen.clear()
    z = checkpoint(run, x)
    with lamina.autocast("cpu"):
        z.sum().backward()
        assert lamina.is_autocast_enabled("cpu")
    assert [s[0] for s in seen] == [False, False] and z.dtype is lamina.float32


# ---- recurrent modules ---------------------------------------------------------------------------
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_recurrent_modules_take_the_half_results_of_layers(kind, packed):
    layer, module = nn.Linear(4, 4), getattr(nn, kind)(4, 4)
    x = lamina.randn(3, 2, 4)
    with lamina.autocast("cpu"):
        h = layer(x)
        if packed:
            h = nn.utils.rnn.pack_padded_sequence(h, lamina.tensor([3, 2]))
        y = module(h)[0]
        y = y.data if packed else y
    assert y.dtype is lamina.bfloat16
    y.float().sum().backward()
    assert module.weight_ih_l0.grad.dtype is layer.weight.grad.dtype is lamina.float32
    with pytest.raises(ValueError, match="RNN input dtype"):
        module(h)
