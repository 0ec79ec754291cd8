"""Multi-head attention and the Transformer beside PyTorch: every mask, state, initial values; the
other attention layers and positions against their formulas."""

import copy
import math

import numpy as np
import pytest

import lamina
from lamina import nn
from lamina.nn import functional as F

INF = math.inf
N, L, S, E, H = 3, 5, 7, 8, 2


def array(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def both(make, seed=3):
    """The layer in lamina and PyTorch with the same parameters, float64, evaluating."""
    torch = pytest.importorskip("torch")
    ours, theirs = make(nn).double().eval(), make(torch.nn).double().eval()
    rng = np.random.default_rng(seed)
    for p, q in zip(ours.parameters(), theirs.parameters()):
        a = rng.normal(size=tuple(p.shape)) * 0.4
        p.data.copy_(lamina.tensor(a))
        q.data.copy_(torch.tensor(a))
    return torch, ours, theirs


def same(ours, theirs, tol=1e-12):
    if theirs is None:
        assert ours is None
        return
    assert tuple(ours.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), atol=tol)


def padding(kind):
    if kind is None:
        return None
    mask = np.random.default_rng(1).random((N, S)) < 0.3
    mask[:, 0] = False
    return mask if kind == "bool" else np.where(mask, -INF, array(N, S, seed=2))


def scores_mask(kind, dims):
    if kind is None:
        return None
    shape = (L, S) if dims == 2 else (N * H, L, S)
    mask = np.random.default_rng(4).random(shape) < 0.4
    mask[..., 0] = False
    return mask if kind == "bool" else np.where(mask, -INF, array(*shape, seed=5))


KINDS = [None, "bool", "float"]


@pytest.mark.filterwarnings("ignore:.*mismatched", "ignore:.*different dtypes")
@pytest.mark.parametrize("extra", [{}, {"add_bias_kv": True, "add_zero_attn": True}])
@pytest.mark.parametrize("need", [True, False])
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("attn", KINDS)
@pytest.mark.parametrize("pad", KINDS)
def test_masks_of_multi_head_attention(pad, attn, dims, need, extra):
    torch, ours, theirs = both(lambda m: m.MultiheadAttention(E, H, **extra))
    q, k, v = array(L, N, E), array(S, N, E, seed=1), array(S, N, E, seed=2)
    results = []
    for m, layer in ((lamina, ours), (torch, theirs)):
        x = [m.tensor(a).requires_grad_() for a in (q, k, v)]
        masks = [
            None if a is None else m.tensor(a) for a in (padding(pad), scores_mask(attn, dims))
        ]
        y, w = layer(*x, key_padding_mask=masks[0], attn_mask=masks[1], need_weights=need,
                     average_attn_weights=dims == 2)  # fmt: skip
        (y * m.tensor(array(L, N, E, seed=9))).sum().backward()
        results.append([y, w, *(t.grad for t in x)])
    for a, b in zip(*results):
        same(a, b)


@pytest.mark.parametrize("need", [True, False])
def test_a_causal_hint_replaces_the_mask(need):
    torch, ours, theirs = both(lambda m: m.MultiheadAttention(E, H, batch_first=True))
    x = array(N, L, E)
    mask = nn.Transformer.generate_square_subsequent_mask(L).double()
    y, w = ours(*[lamina.tensor(x)] * 3, attn_mask=mask, is_causal=True, need_weights=need)
    t, u = theirs(*[torch.tensor(x)] * 3, attn_mask=torch.tensor(mask.numpy()), is_causal=True,
                  need_weights=need)  # fmt: skip
    same(y, t)
    same(w, u)


def test_self_and_cross_attention_project_alike():
    """One packed product, two, or three: the same numbers."""
    layer = nn.MultiheadAttention(E, H).double()
    x = lamina.tensor(array(L, N, E))
    a, _ = layer(x, x, x)
    b, _ = layer(x, x.clone(), x.clone())
    kv = x.clone()
    c, _ = layer(x, kv, kv)
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), atol=1e-14)
    np.testing.assert_allclose(a.detach().numpy(), c.detach().numpy(), atol=1e-14)


def test_static_keys_and_values():
    torch, ours, theirs = both(lambda m: m.MultiheadAttention(E, H))
    results = []
    for m, f, p in ((lamina, F, ours), (torch, torch.nn.functional, theirs)):
        x = m.tensor(array(L, N, E))
        k, v = m.tensor(array(N * H, 6, E // H, seed=1)), m.tensor(array(N * H, 6, E // H, seed=2))
        results.append(f.multi_head_attention_forward(
            x, x, x, E, H, p.in_proj_weight, p.in_proj_bias, None, None, False, 0.0,
            p.out_proj.weight, p.out_proj.bias, static_k=k, static_v=v,
        ))  # fmt: skip
    for a, b in zip(*results):
        same(a, b)


def test_dropout_of_weights_when_training():
    layer = nn.MultiheadAttention(E, H, dropout=0.5)
    x = lamina.tensor(array(L, N, E)).float()
    for need in (True, False):
        lamina.manual_seed(1)
        a = layer(x, x, x, need_weights=need)[0]
        b = layer(x, x, x, need_weights=need)[0]
        assert (a != b).any()
        layer.eval()
        assert (layer(x, x, x, need_weights=need)[0] == layer(x, x, x, need_weights=need)[0]).all()
        layer.train()


def test_initial_values_follow_pytorchs_distributions():
    lamina.manual_seed(0)
    layer = nn.MultiheadAttention(64, 4, add_bias_kv=True)
    bound = math.sqrt(6 / (64 + 192))
    w = layer.in_proj_weight.detach().numpy()
    assert 0.98 * bound < np.abs(w).max() <= bound and abs(w.std() - bound / 3**0.5) < 0.002
    assert (layer.in_proj_bias == 0).all() and (layer.out_proj.bias == 0).all()
    assert np.abs(layer.out_proj.weight.detach().numpy()).max() <= 1 / 8
    assert 0.08 < layer.bias_k.std().item() < 0.16  # xavier_normal_ of (1, 1, 64): sqrt(2 / 128)
    layer = nn.MultiheadAttention(64, 4, kdim=32, vdim=16)
    for w, fan in ((layer.k_proj_weight, 32), (layer.v_proj_weight, 16)):
        bound = math.sqrt(6 / (64 + fan))
        assert 0.95 * bound < np.abs(w.detach().numpy()).max() <= bound
    model = nn.Transformer(16, 2, 1, 1, 32)
    bound = math.sqrt(6 / (16 + 32))
    assert 0.95 * bound < np.abs(model.encoder.layers[0].linear1.weight.detach().numpy()).max()
    assert np.abs(model.encoder.layers[0].linear1.weight.detach().numpy()).max() <= bound


# ---- stacks --------------------------------------------------------------------------------------
LAYER = (E, H, 11, 0.0)


@pytest.mark.filterwarnings("ignore:enable_nested", "ignore:.*nested tensors", "ignore:.*mismatch")
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("pad", KINDS)
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_encoder(first, norm_first, pad, mode):
    def make(m):
        layer = m.TransformerEncoderLayer(*LAYER, batch_first=first, norm_first=norm_first)
        return m.TransformerEncoder(layer, 2, m.LayerNorm(E), enable_nested_tensor=False)

    torch, ours, theirs = both(make)
    results = []
    for m, model in ((lamina, ours), (torch, theirs)):
        model.train(mode == "train")
        x = m.tensor(array(*((N, S) if first else (S, N)), E)).requires_grad_()
        mask = padding(pad)
        square = m.nn.Transformer.generate_square_subsequent_mask(S) if pad is None else None
        square = None if square is None else square.double()
        y = model(x, mask=square, src_key_padding_mask=None if mask is None else m.tensor(mask))
        y.pow(2).sum().backward()
        results.append([y, x.grad])
    for a, b in zip(*results):
        same(a, b, 1e-10)


@pytest.mark.filterwarnings("ignore:enable_nested", "ignore:.*mismatch")
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("first", [False, True])
def test_transformer_with_every_mask(first, batched):
    torch, ours, theirs = both(lambda m: m.Transformer(E, H, 2, 2, 11, 0.0, batch_first=first))
    rng = np.random.default_rng(6)

    def masked(*shape):
        a = rng.random(shape) < 0.3
        a[..., 0] = False
        return a

    masks = {"src_mask": masked(S, S), "tgt_mask": np.triu(np.ones((L, L), bool), 1),
             "memory_mask": masked(L, S)}  # fmt: skip
    lead = (N,) if batched else ()
    masks |= {
        "src_key_padding_mask": masked(*lead, S), "tgt_key_padding_mask": masked(*lead, L),
        "memory_key_padding_mask": masked(*lead, S),
    }  # fmt: skip
    shape = (lambda n: (N, n, E) if first else (n, N, E)) if batched else (lambda n: (n, E))
    src, tgt = array(*shape(S)), array(*shape(L), seed=1)
    same(
        ours(lamina.tensor(src), lamina.tensor(tgt),
             **{k: lamina.tensor(v) for k, v in masks.items()}),
        theirs(torch.tensor(src), torch.tensor(tgt),
               **{k: torch.tensor(v) for k, v in masks.items()}), 1e-11)  # fmt: skip


@pytest.mark.filterwarnings("ignore:enable_nested")
def test_state_dicts_go_both_ways():
    torch, ours, theirs = both(lambda m: m.Transformer(E, H, 1, 2, 11))
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    fresh = nn.Transformer(E, H, 1, 2, 11).double().eval()
    fresh.load_state_dict({k: lamina.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    other = torch.nn.Transformer(E, H, 1, 2, 11).double().eval()
    other.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    src, tgt = array(S, N, E), array(L, N, E, seed=1)
    for a, b in ((fresh, theirs), (ours, other)):
        same(a(lamina.tensor(src), lamina.tensor(tgt)), b(torch.tensor(src), torch.tensor(tgt)),
             1e-11)  # fmt: skip


def test_layers_of_a_stack_are_copies():
    layer = nn.TransformerEncoderLayer(*LAYER)
    model = nn.TransformerEncoder(layer, 2)
    a, b = (m.linear1.weight for m in model.layers)
    assert a is not b and a is not layer.linear1.weight and (a == b).all()
    assert len(list(copy.deepcopy(model).parameters())) == len(list(model.parameters()))


def test_activations():
    assert nn.TransformerEncoderLayer(E, H, activation="gelu").activation is F.gelu
    layer = nn.TransformerEncoderLayer(E, H, activation=nn.GELU())
    assert list(dict(layer.named_children()))[-1] == "activation"
    with pytest.raises(RuntimeError, match="activation should be relu/gelu, not tanh"):
        nn.TransformerDecoderLayer(E, H, activation="tanh")


def test_a_causal_encoder_looks_back_only():
    layer = nn.TransformerEncoderLayer(*LAYER, batch_first=True)
    model = nn.TransformerEncoder(layer, 2)
    mask = nn.Transformer.generate_square_subsequent_mask(S)
    assert mask[0, 1].item() == -INF and mask[1, 0].item() == 0 and mask.dtype is lamina.float32
    x = lamina.tensor(array(1, S, E)).float()
    later = x.clone()
    later[:, 4:] = 0
    a, b = model(x, mask), model(later, mask)
    assert (a[:, :4] == b[:, :4]).all() and (a[:, 4:] != b[:, 4:]).any()
    as_bool = model(x, mask.isinf())
    assert (a == as_bool).all()


def x(*shape):
    return lamina.zeros(shape)


def mha(**kwargs):
    return nn.MultiheadAttention(E, H, **kwargs)


ERRORS = [
    (lambda: nn.MultiheadAttention(E, 3), AssertionError, "embed_dim must be divisible by num_h"),
    (lambda: nn.MultiheadAttention(0, 1), ValueError, "must be greater than 0"),
    (lambda: mha()(x(L, N, 6), x(S, N, E), x(S, N, E)), AssertionError, "of 8, but got 6"),
    (lambda: mha()(x(E), x(S, E), x(S, E)), AssertionError, "unbatched .* or batched"),
    (lambda: mha()(x(L, N, E), x(S, E), x(S, E)), AssertionError, "found 2-D and 2-D"),
    (lambda: mha()(x(L, N, E), x(S, N, E), x(L, N, E)), AssertionError, "does not match value"),
    (lambda: mha()(*[x(L, N, E)] * 3, is_causal=True), RuntimeError, "need attn_mask"),
    (lambda: mha()(*[x(L, N, E)] * 3, attn_mask=x(L, S)), RuntimeError,
     "attn_mask is \\(5, 7\\), but should be \\(5, 5\\)"),
    (lambda: mha()(*[x(L, N, E)] * 3, attn_mask=x(4, L, L)), RuntimeError, "be \\(6, 5, 5\\)"),
    (lambda: mha()(*[x(L, N, E)] * 3, key_padding_mask=x(N, S)), AssertionError,
     "shape of \\(3, 5\\), but got \\(3, 7\\)"),
    (lambda: mha()(*[x(L, N, E)] * 3, key_padding_mask=x(N, L).long()), AssertionError,
     "only bool and floating types of key_padding_mask"),
    (lambda: nn.Transformer(E, H, 1, 1)(x(S, 2, E), x(L, 3, E)), RuntimeError, "batch number"),
    (lambda: nn.Transformer(E, H, 1, 1)(x(S, 2, 6), x(L, 2, 6)), RuntimeError, "feature number"),
    (lambda: nn.RotaryPositions(5), ValueError, "dim must be even, got 5"),
    (lambda: nn.CausalSelfAttention(8, 4, num_kv_heads=3), ValueError, "num_kv_heads=3"),
]  # fmt: skip


@pytest.mark.parametrize("i", range(len(ERRORS)))
def test_errors(i):
    call, kind, text = ERRORS[i]
    with pytest.raises(kind, match=text):
        call()


# ---- other attention, positions ------------------------------------------------------------------
def softmax(e):
    e = np.exp(e - e.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("queries", [None, 4])
@pytest.mark.parametrize("bias", [False, True])
def test_additive_attention(queries, bias):
    layer = nn.AdditiveAttention(6, 5, 7, bias=bias).double()
    s = array(N, 6) if queries is None else array(N, queries, 6)
    h, mask = array(N, S, 5, seed=1), padding("bool")
    context, weights = layer(lamina.tensor(s), lamina.tensor(h), mask=lamina.tensor(mask))
    W, U, v = (p.weight.detach().numpy() for p in (layer.query, layer.key, layer.score))
    b = layer.key.bias.detach().numpy() if bias else 0
    e = (np.tanh(s.reshape(N, -1, 1, 6) @ W.T + h[:, None] @ U.T + b) @ v.T)[..., 0]
    a = softmax(np.where(mask[:, None], -INF, e))
    wanted = (a @ h).reshape(*s.shape[:-1], 5)
    np.testing.assert_allclose(context.detach().numpy(), wanted, atol=1e-13)
    np.testing.assert_allclose(weights.detach().numpy(), a.reshape(*s.shape[:-1], S), atol=1e-13)
    ahead = layer(lamina.tensor(s), lamina.tensor(h), mask=lamina.tensor(mask),
                  projected=layer.key(lamina.tensor(h)))  # fmt: skip
    assert (ahead[0] == context).all()
    values = layer(lamina.tensor(s), lamina.tensor(h), lamina.tensor(array(N, S, 2)))[0]
    assert values.shape == (*s.shape[:-1], 2)


@pytest.mark.parametrize("queries", [None, 4])
def test_multiplicative_attention(queries):
    layer = nn.MultiplicativeAttention(6, 5).double()
    s = array(N, 6) if queries is None else array(N, queries, 6)
    h = array(N, S, 5, seed=1)
    context, weights = layer(lamina.tensor(s), lamina.tensor(h))
    a = softmax(s.reshape(N, -1, 6) @ layer.weight.detach().numpy() @ np.swapaxes(h, 1, 2))
    np.testing.assert_allclose(weights.detach().numpy(), a.reshape(*s.shape[:-1], S), atol=1e-13)
    np.testing.assert_allclose(context.detach().numpy(), (a @ h).reshape(*s.shape[:-1], 5),
                               atol=1e-13)  # fmt: skip
    with pytest.raises(ValueError, match="must be equal, got 6 and 5"):
        nn.MultiplicativeAttention(6, 5, general=False)
    assert list(nn.MultiplicativeAttention(5, 5, general=False).parameters()) == []


@pytest.mark.parametrize("d", [1, 6, 7])
def test_sinusoidal_positions(d):
    layer = nn.SinusoidalPositions(d, max_len=4)
    t, i = np.arange(9)[:, None], np.arange(d)[None]
    angle = t / 10000 ** (2 * (i // 2) / d)
    wanted = np.where(i % 2, np.cos(angle), np.sin(angle))
    y = layer(lamina.zeros(2, 9, d))  # longer than max_len
    np.testing.assert_allclose(y[1].numpy(), wanted, atol=1e-6)
    assert (layer(lamina.zeros(2, 3, d), offset=5) == y[:, 5:8]).all()
    assert layer.state_dict() == {}
    turned = nn.SinusoidalPositions(d, batch_first=False)(lamina.zeros(9, 2, d))
    assert (turned.transpose(0, 1) == y).all()


@pytest.mark.parametrize("interleaved", [True, False])
def test_rotary_positions_depend_on_the_distance(interleaved):
    layer = nn.RotaryPositions(6, interleaved=interleaved)
    q, k = (lamina.tensor(array(6, seed=s)).expand(40, 6) for s in (0, 1))
    scores = (layer(q) @ layer(k).t()).numpy()
    for distance in (0, 1, 7):
        line = np.diagonal(scores, distance)
        np.testing.assert_allclose(line, line[0], atol=1e-12)
    np.testing.assert_allclose(layer(q).norm(dim=-1).numpy(), q.norm(dim=-1).numpy(), atol=1e-12)
    assert (layer(q[:5], offset=3) == layer(q)[3:8]).all()
    pair = [0, 1] if interleaved else [0, 3]
    u, w = q[0][pair].numpy()
    c, s = np.cos(2), np.sin(2)
    np.testing.assert_allclose(layer(q)[2][pair].numpy(), [u * c - w * s, u * s + w * c],
                               atol=1e-12)  # fmt: skip


def test_backends_are_names():
    from lamina.nn.attention import SDPBackend, sdpa_kernel

    with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
        F.scaled_dot_product_attention(x(2, 3, 4), x(2, 3, 4), x(2, 3, 4))
    with pytest.raises(AssertionError), sdpa_kernel("flash"):
        pass
