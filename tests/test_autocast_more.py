"""Autocast: recomputation, recurrent modules, transforms and sparse products inside a region."""

import pytest

import lamina
from lamina import nn
from lamina.nn import functional as F
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


@pytest.mark.parametrize("half, state", [(False, False), (True, False), (True, True)])
def test_a_gru_keeps_the_type_of_its_state(half, state):
    """h' = n + z (h - n) is no product: a state of float32 stays so, and so does its rounding."""
    lamina.manual_seed(0)
    module, x = nn.GRU(4, 5, num_layers=2), lamina.randn(3, 2, 4)
    h = lamina.zeros(2, 2, 5) if state else None
    with lamina.autocast("cpu"):
        y, last = module(x.bfloat16() if half else x, h)
    kept = state or not half
    assert y.dtype is last.dtype is (lamina.float32 if kept else lamina.bfloat16)
    assert lamina.allclose(y.float(), module(x)[0], atol=0.02)
    assert not kept or not lamina.equal(y, y.bfloat16().float())


# ---- others that convert only sometimes ----------------------------------------------------------
def test_sums_over_all_dimensions_and_norms_of_rows_take_what_they_are_given():
    x = lamina.ones(2, 3, 4)
    with lamina.autocast("cpu"):
        assert lamina.tensordot(x, x, 3).dtype is lamina.float32
        assert lamina.tensordot(x, x.movedim(0, 2), ([0, 1, 2], [2, 0, 1])).item() == 24
        assert lamina.tensordot(x, lamina.ones(4, 5), 1).dtype is lamina.bfloat16
        assert F.local_response_norm(x.bfloat16(), 2).dtype is lamina.bfloat16
        assert F.local_response_norm(x.bfloat16()[..., None], 2).dtype is lamina.float32


# ---- spectral norms ------------------------------------------------------------------------------
@pytest.mark.parametrize("where", [nn.utils, nn.utils.parametrizations])
def test_spectral_norms_are_computed_in_full_precision(where):
    """Weights and their gradients in a region are those outside it."""
    lamina.manual_seed(0)
    layer, x = where.spectral_norm(nn.Linear(4, 4)), lamina.ones(2, 4)
    state = {k: v.clone() for k, v in layer.state_dict().items()}

    def weight(region):
        layer.load_state_dict(state)
        with lamina.autocast("cpu", enabled=region):
            y = layer.train()(x)  # moves the buffers
        y.float().sum().backward()
        with lamina.autocast("cpu", enabled=region):
            layer.eval()(x)
            return y.dtype, layer.weight.detach().clone()

    dtype, inside = weight(True)
    assert dtype is lamina.bfloat16 and lamina.equal(inside, weight(False)[1])
    assert all(p.grad.dtype is lamina.float32 for p in layer.parameters())


# ---- Fourier transforms --------------------------------------------------------------------------
TRANSFORMS = "fft ifft rfft irfft hfft ihfft fft2 ifft2 rfft2 irfft2 fftn ifftn rfftn irfftn"


@pytest.mark.parametrize("name", TRANSFORMS.split())
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_transforms_of_halves(name, dtype):
    """Those of the same values in float32; outside of regions an error."""
    x = lamina.linspace(0, 1, 12).reshape(3, 4).to(getattr(lamina, dtype)).requires_grad_()
    f = getattr(lamina.fft, name)
    with lamina.autocast("cpu"):
        y = f(x)
    assert lamina.equal(y, f(x.float()))
    y.abs().sum().backward()
    assert x.grad.dtype is x.dtype
    with pytest.raises(lamina.DTypeError, match="expected float32 or float64"):
        f(x)


def test_short_transforms_of_halves():
    x = lamina.arange(32).bfloat16()
    window = lamina.linspace(0.5, 1, 8).bfloat16()
    expected = lamina.stft(x.float(), 8, window=window.float(), return_complex=True)
    with lamina.autocast("cpu"):
        y = lamina.stft(x, 8, window=window, return_complex=True)
        z = lamina.istft(y, 8, window=window)
        assert lamina.stft(x, 8, return_complex=True).dtype is lamina.complex64
    assert lamina.equal(y, expected) and z.dtype is lamina.float32
    assert (z - x).abs().max() < 1e-4


# ---- sparse products -----------------------------------------------------------------------------
@pytest.mark.parametrize("right", ["float32", "bfloat16"])
@pytest.mark.parametrize("left", ["float32", "bfloat16"])
def test_sparse_products_are_of_the_lower_type(left, right):
    """With one dense operand, as PyTorch's; two sparse ones are left as they are."""
    a = lamina.eye(3).mul(2).to(getattr(lamina, left))
    b = lamina.arange(9).reshape(3, 3).to(getattr(lamina, right)).requires_grad_()
    mm = lamina.sparse.mm
    with lamina.autocast("cpu"):
        made = [mm(a.to_sparse(), b), mm(a, b.to_sparse()), a.to_sparse_csr() @ b,
                lamina.sparse.addmm(a * 0, a.to_sparse(), b)]  # fmt: skip
        assert mm(a.to_sparse(), b[:, 0]).dtype is lamina.bfloat16
        if left == right:
            assert mm(a.to_sparse(), b.to_sparse()).dtype is a.dtype
    for y in made:
        assert y.dtype is lamina.bfloat16 and lamina.equal(y.float(), b.float() * 2)
    made[0].float().sum().backward()
    assert b.grad.dtype is b.dtype and b.grad.tolist() == [[2.0] * 3] * 3
