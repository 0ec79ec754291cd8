"""Recurrent and attention layers on a CUDA device, real or emulated, against the CPU's results.

Skipped without one. tests/test_cuda.py runs this file on the emulated device.
"""

import copy

import numpy as np
import pytest

import lamina
from lamina import nn
from lamina.nn import functional as F
from lamina.nn.utils import rnn

cuda = lamina.cuda
pytestmark = pytest.mark.skipif(not cuda.is_available(), reason="no CUDA device")


def same(a, b, tol=2e-6):
    np.testing.assert_allclose(a.detach().cpu().numpy(), b.detach().cpu().numpy(), atol=tol,
                               rtol=tol)  # fmt: skip


def both(module, run, *arrays, tol=5e-6):
    """run(module, *tensors) on the CPU and on the device: results and all gradients agree."""
    module = copy.deepcopy(module)
    there = copy.deepcopy(module).cuda() if module is not None else None
    results = []
    for m, device in ((module, "cpu"), (there, "cuda")):
        xs = [a.detach().to(device).requires_grad_() for a in arrays]
        ys = run(m, *xs)
        ys = ys if isinstance(ys, tuple) else (ys,)
        assert all(y.device.type == device for y in ys)
        weights = [(lamina.arange(y.numel()) % 7 - 3).reshape(y.shape).to(y) for y in ys]
        sum((y * w).sum() for y, w in zip(ys, weights)).backward()
        params = [] if m is None else [p.grad for p in m.parameters()]
        results.append((ys, [x.grad for x in xs] + params))
    for a, b in zip(results[0][0], results[1][0], strict=True):
        same(a, b, tol)
    for a, b in zip(results[0][1], results[1][1], strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            same(a, b, 10 * tol * max(1.0, float(a.abs().max()) if a.numel() else 1.0))


def flat(y, last):
    return (y, *last) if isinstance(last, tuple) else (y, last)


# ---- recurrent ----------------------------------------------------------------------------------
@pytest.mark.parametrize("steps, batch, inputs, hidden",
                         [(1, 1, 1, 1), (7, 2, 3, 40), (3, 5, 8, 17), (4, 33, 5, 16),
                          (2, 70, 4, 20), (60, 3, 4, 9)])  # fmt: skip
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_recurrent_sizes(kind, steps, batch, inputs, hidden):
    module = getattr(nn, kind)(inputs, hidden)
    both(module, lambda m, x: flat(*m(x)), lamina.randn(steps, batch, inputs))


@pytest.mark.parametrize("kind, options", [
    ("LSTM", {"num_layers": 2, "bidirectional": True}),
    ("LSTM", {"proj_size": 5, "bidirectional": True, "num_layers": 2}),
    ("LSTM", {"bias": False, "batch_first": True}),
    ("GRU", {"num_layers": 3}),
    ("GRU", {"bidirectional": True, "bias": False}),
    ("RNN", {"nonlinearity": "relu", "bidirectional": True}),
])  # fmt: skip
def test_recurrent_layers(kind, options):
    module = getattr(nn, kind)(6, 12, **options)
    both(module, lambda m, x: flat(*m(x)), lamina.randn(5, 7, 6))


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_packed_sequences(kind, bidirectional):
    module = getattr(nn, kind)(4, 9, num_layers=2, bidirectional=bidirectional)
    lengths = lamina.tensor([3, 6, 1, 6, 2])

    def run(m, x):
        packed = rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
        y, last = m(packed)
        y, counts = rnn.pad_packed_sequence(y)
        assert counts.tolist() == lengths.tolist()
        return flat(y, last)

    both(module, run, lamina.randn(6, 5, 4))


def test_initial_states():
    d = 2 * 2
    both(nn.LSTM(3, 8, 2, bidirectional=True), lambda m, x, h, c: flat(*m(x, (h, c))),
         lamina.randn(4, 3, 3), lamina.randn(d, 3, 8), lamina.randn(d, 3, 8))  # fmt: skip
    both(nn.GRU(3, 8), lambda m, x, h: flat(*m(x, h)), lamina.randn(4, 6, 3),
         lamina.randn(1, 6, 8))  # fmt: skip


def test_only_the_last_state_is_used():
    both(nn.LSTM(3, 5), lambda m, x: m(x)[1][0], lamina.randn(4, 6, 3))
    both(nn.LSTM(3, 5), lambda m, x: m(x)[1][1], lamina.randn(4, 2, 3))


def test_cells_and_half_precision():
    both(nn.LSTMCell(3, 5), lambda m, x: m(x), lamina.randn(6, 3))
    both(nn.GRUCell(3, 5), lambda m, x: m(x), lamina.randn(6, 3))
    module = nn.LSTM(4, 8).half()
    x = lamina.randn(3, 2, 4).half()
    same(module(x)[0].float(), copy.deepcopy(module).cuda()(x.cuda())[0].float(), 2e-3)


def test_double_backward_of_a_recurrent_layer():
    def run(m, x):
        y = m(x)[0]
        return lamina.autograd.grad(y.sum(), x, create_graph=True)[0]

    both(nn.GRU(3, 4), run, lamina.randn(3, 2, 3))


def test_batch_sizes_stay_in_host_memory():
    module = nn.LSTM(4, 3).cuda()
    packed = rnn.pack_padded_sequence(lamina.randn(3, 2, 4).cuda(), [3, 1])
    assert packed.data.is_cuda and not packed.batch_sizes.is_cuda
    moved = packed.to("cpu").to("cuda")
    same(module(moved)[0].data, module(packed)[0].data, 0)
    with pytest.raises(lamina.DeviceError, match="lstm: batch_sizes must be on the CPU"):
        module(rnn.PackedSequence(packed.data, packed.batch_sizes.cuda()))


# ---- attention ----------------------------------------------------------------------------------
def attend(**options):
    return lambda _, q, k, v: F.scaled_dot_product_attention(q, k, v, **options)


@pytest.mark.parametrize("L, S, D, E", [(1, 1, 1, 1), (1, 700, 8, 8), (3, 300, 70, 5), (5, 9, 4, 4),
                                        (65, 63, 8, 12), (70, 131, 20, 20), (6, 40, 130, 140),
                                        (64, 64, 64, 64)])  # fmt: skip
@pytest.mark.parametrize("causal", [False, True])
def test_attention_sizes(L, S, D, E, causal):
    both(None, attend(is_causal=causal), lamina.randn(2, 2, L, D), lamina.randn(2, 2, S, D),
         lamina.randn(2, 2, S, E))  # fmt: skip


def test_attention_in_double():
    q, k, v = (lamina.randn(1, 2, n, 40, dtype=lamina.float64) for n in (70, 50, 50))
    both(None, attend(), q, k, v, tol=1e-13)


def test_attention_masks():
    q, k, v = lamina.randn(2, 3, 11, 8), lamina.randn(2, 3, 70, 8), lamina.randn(2, 3, 70, 8)
    keep = lamina.rand(2, 1, 11, 70) < 0.6
    keep[0, 0, 4] = False  # a query that sees nothing
    added = lamina.randn(11, 70)
    both(None, lambda _, q, k, v: F.scaled_dot_product_attention(q, k, v, keep.to(q.device)),
         q, k, v)  # fmt: skip
    both(None, lambda _, q, k, v: F.scaled_dot_product_attention(q, k, v, added.to(q.device)),
         q, k, v)  # fmt: skip
    both(None, lambda _, q, k, v, m: F.scaled_dot_product_attention(q, k, v, m), q, k, v, added)


def test_attention_groups_and_scale():
    both(None, attend(enable_gqa=True, scale=0.3, is_causal=True), lamina.randn(2, 6, 20, 8),
         lamina.randn(2, 2, 20, 8), lamina.randn(2, 2, 20, 8))  # fmt: skip


@pytest.mark.parametrize("L", [2, 30])
def test_attention_drops_what_the_cpu_drops(L):
    def run(_, q, k, v):
        lamina.manual_seed(5)
        return F.scaled_dot_product_attention(q, k, v, dropout_p=0.4)

    both(None, run, lamina.randn(1, 2, L, 8), lamina.randn(1, 2, 75, 8), lamina.randn(1, 2, 75, 8))


def test_attention_of_nothing():
    z = lamina.zeros
    for L, S in ((0, 4), (4, 0)):
        y = F.scaled_dot_product_attention(z(2, L, 8).cuda(), z(2, S, 8).cuda(), z(2, S, 8).cuda())
        assert tuple(y.shape) == (2, L, 8) and (y == 0).all()


HALF_SIZES = [(1, 1, 8, 8, 2), (40, 40, 16, 16, 2), (65, 129, 64, 32, 4), (3, 70, 128, 128, 2),
              (33, 31, 136, 8, 2), (20, 20, 12, 12, 2)]  # fmt: skip
HALF_CASES = [(s, m) for s in HALF_SIZES for m in ("plain", "causal", "bool", "float", "dropout")]
HALF_CASES += [((64, 64, 64, 64, 1), "plain"), ((130, 70, 72, 128, 2), "causal")]


@pytest.mark.parametrize("dtype", [lamina.float16, lamina.bfloat16])
@pytest.mark.parametrize("sizes, mode", HALF_CASES)
def test_attention_half(dtype, sizes, mode):
    """Against float64 from the same rounded inputs: the error is that of rounding."""
    L, S, D, E, heads = sizes
    lamina.manual_seed(L + S)
    arrays = [lamina.randn(2, 4, L, D), lamina.randn(2, heads, S, D), lamina.randn(2, heads, S, E)]
    arrays = [a.to(dtype) for a in arrays]
    mask = {"bool": lamina.rand(L, S) < 0.7, "float": lamina.randn(2, 1, 1, S)}.get(mode)
    weights = lamina.randn(2, 4, L, E).to(dtype)
    results = []
    for device, as_dtype in (("cuda", dtype), ("cpu", lamina.float64)):
        q, k, v = (a.to(device).to(as_dtype).requires_grad_() for a in arrays)
        m = None if mask is None else mask.to(device)
        if mode == "float":
            m = m.to(lamina.float32 if device == "cuda" else as_dtype)
        lamina.manual_seed(9)
        y = F.scaled_dot_product_attention(q, k, v, m, is_causal=mode == "causal", enable_gqa=True,
                                           dropout_p=0.3 if mode == "dropout" else 0.0)  # fmt: skip
        assert y.dtype is as_dtype
        y.backward(weights.to(device).to(as_dtype))
        results.append(
            [t.detach().to("cpu").to(lamina.float64) for t in (y, q.grad, k.grad, v.grad)]
        )
    if mode == "dropout":  # the CPU draws for float64 another mask
        assert all(bool(lamina.isfinite(t).all()) for t in results[0])
        return
    tol = 2e-3 if dtype is lamina.float16 else 1.6e-2
    for a, b in zip(*results, strict=True):
        same(a / max(1.0, float(b.abs().max())), b / max(1.0, float(b.abs().max())), tol)


def test_attention_half_drops_what_float_drops():
    q, k, v = (lamina.randn(1, 2, n, 16).cuda() for n in (40, 90, 90))
    ys = []
    for dtype in (lamina.float32, lamina.bfloat16):
        lamina.manual_seed(3)
        q2, k2, v2 = (t.to(lamina.bfloat16).to(dtype).requires_grad_() for t in (q, k, v))
        y = F.scaled_dot_product_attention(q2, k2, v2, dropout_p=0.5)
        y.sum().backward()
        ys.append([t.detach().float() for t in (y, q2.grad, k2.grad, v2.grad)])
    for a, b in zip(*ys, strict=True):
        same(a, b, 4e-2)


def test_attention_half_of_views_and_second_derivatives():
    x = lamina.randn(2, 33, 3, 2, 16).to(lamina.bfloat16).cuda().requires_grad_()
    q, k, v = x.permute(2, 0, 3, 1, 4).unbind(0)
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    (g,) = lamina.autograd.grad(y.float().sum(), x, create_graph=True)
    assert g.dtype is lamina.bfloat16
    (second,) = lamina.autograd.grad(g.float().square().sum(), x)
    assert second.shape == x.shape and bool(lamina.isfinite(second.float()).all())
    odd = lamina.randn(2, 2, 33, 17).to(lamina.bfloat16).cuda()[..., 1:]
    same(F.scaled_dot_product_attention(odd, odd, odd).float(),
         F.scaled_dot_product_attention(*[odd.float()] * 3), 2e-2)  # fmt: skip


def test_attention_is_deterministic():
    q = lamina.randn(2, 4, 100, 16).cuda().requires_grad_()
    grads = []
    for _ in range(2):
        q.grad = None
        F.scaled_dot_product_attention(q, q, q, is_causal=True).sum().backward()
        grads.append(q.grad.clone())
    assert (grads[0] == grads[1]).all()


@pytest.mark.parametrize("module", [
    nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, 0.0, batch_first=True), 2),
    nn.TransformerEncoderLayer(16, 2, 20, 0.0, activation="gelu", norm_first=True),
], ids=["encoder", "layer"])  # fmt: skip
def test_transformer(module):
    both(module, lambda m, x: m(x), lamina.randn(3, 9, 16), tol=1e-5)


def test_multihead_attention():
    module = nn.MultiheadAttention(12, 3, batch_first=True)
    padding = lamina.tensor([[False] * 7, [False] * 4 + [True] * 3])

    def padded(m, x):
        return m(x, x, x, key_padding_mask=padding.to(x.device), need_weights=False)[0]

    both(module, padded, lamina.randn(2, 7, 12), tol=1e-5)
    both(module, lambda m, x: m(x, x, x), lamina.randn(2, 7, 12), tol=1e-5)


# ---- generation ---------------------------------------------------------------------------------
class Decoder(nn.Module):
    def __init__(self, heads=4, kv_heads=2, width=16, tokens=11):
        super().__init__()
        self.heads, self.kv_heads, self.width = heads, kv_heads, width
        self.embedding = nn.Embedding(tokens, width)
        self.place = nn.Embedding(300, width)
        self.project = nn.Linear(width, width + 2 * width * kv_heads // heads)
        self.out = nn.Linear(width, tokens)

    def forward(self, tokens, cache=None):
        N, T = tokens.shape
        places = lamina.arange(T, device=tokens.device) if cache is None else cache.positions(T)
        x = self.embedding(tokens) + self.place(places)
        each = self.width // self.heads
        q, k, v = self.project(x).split([self.width] + [each * self.kv_heads] * 2, -1)
        q, k, v = (t.view(N, T, -1, each).transpose(1, 2) for t in (q, k, v))
        if cache is None:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        else:
            y = cache.attend(self, q, k, v)
        return self.out(x + y.transpose(1, 2).reshape(N, T, self.width))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("held", [5, 253])  # the cache is read in parts of 256
def test_generation(held, compiled):
    model, n = Decoder(), 6
    prompt = lamina.randint(0, 11, (3, held))
    want = nn.generate(model, prompt, n, compile=compiled)
    got = nn.generate(copy.deepcopy(model).cuda(), prompt.cuda(), n, compile=compiled)
    assert got.is_cuda and got.tolist() == want.tolist()


def test_sampled_generation():
    model = Decoder()
    there = copy.deepcopy(model).cuda()
    prompt = lamina.randint(0, 11, (2, 3))
    results = []
    for m, p in ((model, prompt), (there, prompt.cuda())):
        lamina.manual_seed(4)
        results.append(nn.generate(m, p, 12, do_sample=True, temperature=0.8).tolist())
    assert results[0] == results[1]


def test_a_full_cache_says_so():
    cache = nn.KVCache(4)
    q = lamina.randn(1, 2, 3, 8).cuda()
    cache.attend(cache, q, q, q)
    cache.attend(cache, q, q, q)
    with pytest.raises(ValueError, match="attend_cached: 6 positions do not fit a cache of capac"):
        cuda.synchronize()
    assert cache.length == 3
