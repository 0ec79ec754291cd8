"""The cache of keys and values with a capacity, and generation by replayed steps: against the whole
sequence, against eager steps bit for bit, and what happens when it is full."""

import concurrent.futures
import copy
import pickle

import numpy as np
import pytest

import lamina
from lamina import nn

V = 11
KINDS = [{}, {"rotary": True}, {"num_kv_heads": 2, "rotary": 100.0}, {"num_kv_heads": 1}]


class Model(nn.Module):
    """Two blocks of causal attention over V tokens, with learned positions."""

    def __init__(self, **kwargs):
        super().__init__()
        self.tokens, self.places = nn.Embedding(V, 8), nn.Embedding(200, 8)
        self.norm = nn.LayerNorm(8)
        self.blocks = nn.ModuleList([nn.CausalSelfAttention(8, 4, **kwargs) for _ in range(2)])
        self.head = nn.Linear(8, V)

    def forward(self, tokens, cache=None):
        n = tokens.shape[1]
        x = self.tokens(tokens)
        x = x + self.places(lamina.arange(n) if cache is None else cache.positions(n))
        for block in self.blocks:
            x = x + block(self.norm(x), cache)
        return self.head(x)


def model(dtype=lamina.float64, **kwargs):
    lamina.manual_seed(0)
    m = Model(**kwargs).to(dtype)
    for p in m.parameters():
        p.data *= 2
    return m.eval()


def prompt(n=3, t=4):
    return lamina.tensor(np.random.default_rng(1).integers(0, V, (n, t)))


def plan_of(m):
    """The plan of the model's last replayed step."""
    (pair,) = m._decoder.steps.values()
    return pair[1].plan


@pytest.mark.parametrize("kwargs", KINDS)
@lamina.no_grad()
def test_the_logits_of_the_whole_sequence(kwargs):
    m, tokens = model(**kwargs), prompt(3, 90)
    whole, cache, parts, at = m(tokens), nn.KVCache(90), [], 0
    for n in (1, 1, 5, 60, 1, 22):
        parts.append(m(tokens[:, at : at + n], cache))
        at += n
        assert cache.length == at and cache.length_of(m.blocks[1]) == at
    np.testing.assert_allclose(lamina.cat(parts, 1).numpy(), whole.numpy(), atol=1e-12)
    cache.crop(10)
    assert cache.length == 10
    again = m(tokens[:, 10:20], cache)
    np.testing.assert_allclose(again.numpy(), whole[:, 10:20].numpy(), atol=1e-12)
    cache.reorder(lamina.tensor([2, 0, 2]))
    swapped = m(tokens[[2, 0, 2], 20:22], cache)
    np.testing.assert_allclose(swapped.numpy(), whole[[2, 0, 2], 20:22].numpy(), atol=1e-12)
    cache.reset()
    assert cache.length == 0
    first = m(tokens[:, :4], cache)
    np.testing.assert_allclose(first.numpy(), whole[:, :4].numpy(), atol=1e-12)


@pytest.mark.parametrize("dtype", [lamina.float32, lamina.float64])
@pytest.mark.parametrize("kwargs", KINDS)
def test_replayed_steps_are_eager_ones(kwargs, dtype):
    m, start = model(dtype, **kwargs), prompt()
    replayed = nn.generate(m, start, 40)
    assert plan_of(m) is not None
    assert (replayed == nn.generate(m, start, 40, compile=False)).all()
    assert (replayed == nn.generate(m, start, 40, use_cache=False)).all()
    one = nn.generate(m, start[:1, :1], 12)
    assert (one == nn.generate(m, start[:1, :1], 12, use_cache=False)).all()


def test_every_bit_of_a_replayed_step(monkeypatch):
    """LAMINA_CHECK runs each replay beside the eager step."""
    monkeypatch.setenv("LAMINA_CHECK", "1")
    m = model(lamina.float32, rotary=True)
    checked = nn.generate(m, prompt(), 10)
    monkeypatch.delenv("LAMINA_CHECK")
    assert (checked == nn.generate(model(lamina.float32, rotary=True), prompt(), 10)).all()


def test_threads_do_not_change_the_tokens():
    before, found = lamina.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            lamina.set_num_threads(threads)
            found.append(nn.generate(model(lamina.float32), prompt(), 60))
    finally:
        lamina.set_num_threads(before)
    assert (found[0] == found[1]).all() and (found[0] == found[2]).all()


@pytest.mark.parametrize("options", [{}, {"temperature": 0.7, "top_k": 4}, {"top_p": 0.8}])
def test_sampling_draws_the_same(options):
    m, found = model(), []
    for compiled in (True, False):
        lamina.manual_seed(5)
        found.append(nn.generate(m, prompt(), 30, do_sample=True, compile=compiled, **options))
    assert (found[0] == found[1]).all()
    g = lamina.Generator().manual_seed(3)
    a = nn.generate(m, prompt(), 8, do_sample=True, generator=g, **options)
    g.manual_seed(3)
    b = nn.generate(m, prompt(), 8, do_sample=True, generator=g, use_cache=False, **options)
    assert (a == b).all()


def test_the_next_call_goes_on_with_the_plan():
    m = model()
    first = nn.generate(m, prompt(), 20)
    decoder, plan = m._decoder, plan_of(m)
    assert (nn.generate(m, prompt(), 20) == first).all()
    assert m._decoder is decoder and plan_of(m) is plan
    with lamina.no_grad():
        m.head.weight.mul_(-1.0)
    changed = nn.generate(m, prompt(), 20)
    assert not (changed == first).all()
    assert (changed == nn.generate(m, prompt(), 20, use_cache=False)).all()
    long = nn.generate(m, prompt(), 150)  # a larger cache
    assert m._decoder is not decoder and (long[:, :24] == changed).all()
    single = nn.generate(m, prompt()[:1], 20)  # another batch size
    assert (single == changed[:1]).all()
    m.float()  # another dtype
    assert nn.generate(m, prompt(), 20).shape == (3, 24)
    ended = nn.generate(m, prompt(), 20, eos_token=int(single[0, 8]))
    assert ended.shape[1] <= 24


def test_calls_at_the_same_time_have_caches_of_their_own():
    m = model()
    wanted = [nn.generate(m, prompt(3, t), 25) for t in (2, 3, 4)]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for _ in range(5):
            found = list(pool.map(lambda t: nn.generate(m, prompt(3, t), 25), (2, 3, 4)))
            assert all((a == b).all() for a, b in zip(wanted, found))


def test_copies_and_pickles_begin_anew():
    m = model()
    found = nn.generate(m, prompt(), 6)
    for other in (copy.deepcopy(m), pickle.loads(pickle.dumps(m))):
        assert getattr(other, "_decoder", None) is None
        assert (nn.generate(other, prompt(), 6) == found).all()
    assert "_decoder" not in str(m.state_dict().keys())


class ReadsLength(Model):
    """Takes its position as a number, which a replay would not see change."""

    def forward(self, tokens, cache=None):
        first = cache.length if cache is not None else 0
        x = self.tokens(tokens) + self.places(lamina.arange(first, first + tokens.shape[1]))
        for block in self.blocks:
            x = x + block(self.norm(x), cache)
        return self.head(x)


def test_a_step_that_reads_the_length_runs_eagerly(recwarn):
    m, other = model(), ReadsLength().double().eval()
    other.load_state_dict(m.state_dict())
    assert (nn.generate(other, prompt(), 30) == nn.generate(m, prompt(), 30)).all()
    assert plan_of(other) is None and not recwarn.list


def test_a_full_cache():
    m, cache = model(), nn.KVCache(5)
    m(prompt(1, 4), cache)
    m(prompt(1, 1), cache)
    with pytest.raises(
        ValueError, match="5 positions and 1 more do not fit a cache of capacity 5; make it larger"
    ):
        m(prompt(1, 1), cache)
    layer, x = m.blocks[0], lamina.zeros(1, 4, 1, 2, dtype=lamina.float64)
    with pytest.raises(ValueError, match="KVCache: 5 positions and 1 more .* capacity of 5"):
        cache.update(layer, x, x)
    cache.crop(4)
    k, v = cache.update(layer, x, x + 1)
    assert k.shape == (1, 4, 5, 2) and (v[:, :, 4] == 1).all() and cache.length_of(layer) == 5
    with pytest.raises(ValueError, match="KVCache: capacity must be at least 1, and an int, got 0"):
        nn.KVCache(0)


def test_a_compiled_step_of_a_full_cache_raises_too():
    m, cache = model(), nn.KVCache(6)
    with lamina.no_grad():
        m(prompt(1, 1), cache)
        step = lamina.compile(lambda t: m(t, cache), fullgraph=True)
        for _ in range(5):
            step(prompt(1, 1))
        assert step.plan is not None
        with pytest.raises(ValueError, match="6 positions and 1 more"):
            step(prompt(1, 1))


def test_what_does_not_fit_the_cache():
    m, cache = model(), nn.KVCache(8)
    m(prompt(2, 3), cache)
    with pytest.raises(ValueError, match="attend_cached: new keys .* make a new cache for another"):
        m(prompt(1, 1), cache)
    q = lamina.zeros(2, 4, 1, 2)
    with pytest.raises(TypeError, match="attend_cached: .* are not of the cache's dtype, float32"):
        c = nn.KVCache(4)
        c.attend(m, q, q, q)
        c.attend(m, q.double().long(), q, q)


@pytest.mark.parametrize("capacity", [None, 40])
def test_attend_with_a_scale_and_grouped_heads(capacity):
    """Beside softmax(scale q k^T) v in float64, queries seeing what came no later."""
    rng, cache = np.random.default_rng(3), nn.KVCache(capacity)
    q, k, v = (rng.normal(size=(2, h, 30, d)) for h, d in ((6, 5), (3, 5), (3, 7)))
    kk, vv = (np.repeat(x, 2, 1) for x in (k, v))
    s = 0.3 * q @ kk.transpose(0, 1, 3, 2)
    s = np.where(np.tril(np.ones((30, 30), bool)), s, -np.inf)
    p = np.exp(s - s.max(-1, keepdims=True))
    wanted = p / p.sum(-1, keepdims=True) @ vv
    parts, at = [], 0
    for n in (7, 1, 1, 2, 3, 1, 4, 11):
        piece = (lamina.tensor(np.ascontiguousarray(x[:, :, at : at + n])) for x in (q, k, v))
        parts.append(cache.attend("layer", *piece, scale=0.3))
        at += n
    np.testing.assert_allclose(lamina.cat(parts, 2).numpy(), wanted, atol=1e-12)


@pytest.mark.parametrize("dtype", [lamina.float16, lamina.bfloat16])
def test_half_precision(dtype):
    """Kept in float32; the same as without a capacity, but for the last rounding."""
    attention = nn.CausalSelfAttention(64, 4).to(dtype)
    x = lamina.randn(2, 9, 64).to(dtype)
    with lamina.no_grad():
        whole = attention(x)
        for capacity in (None, 16):
            cache = nn.KVCache(capacity)
            parts = [attention(x[:, i : i + 3], cache=cache) for i in (0, 3, 6)]
            y = lamina.cat(parts, 1)
            assert y.dtype == dtype
            assert (y.float() - whole.float()).abs().max() <= 2e-2 * whole.float().abs().max()
    m = model(dtype)
    prompt = lamina.tensor([[1, 2, 3], [4, 5, 6]])
    with lamina.no_grad():
        for _ in range(2):
            got = nn.generate(m, prompt, 6)
            assert got.shape == (2, 9)


def test_layers_that_change_between_calls():
    prompt = lamina.tensor([[1, 2, 3]])
    m = model()
    nn.generate(m, prompt, 5)
    m.blocks[0] = nn.CausalSelfAttention(8, 4).double()
    assert nn.generate(m, prompt, 5).equal(nn.generate(m, prompt, 5, use_cache=False))
    m.blocks = m.blocks[1:]
    assert nn.generate(m, prompt, 5).equal(nn.generate(m, prompt, 5, use_cache=False))
    other = copy.copy(m)
    other._modules = dict(m._modules)
    other.blocks = nn.ModuleList([nn.CausalSelfAttention(8, 4).double()])
    assert nn.generate(other, prompt, 5).equal(nn.generate(other, prompt, 5, use_cache=False))


def test_capacities_and_lengths_that_make_no_sense():
    for capacity in (0, -1, 2.5, True, "a"):
        with pytest.raises(ValueError, match="KVCache: capacity must be"):
            nn.KVCache(capacity)
    with pytest.raises(ValueError, match="must not be negative"):
        nn.KVCache(4).crop(-1)


def test_in_a_region_of_mixed_precision():
    layer = nn.CausalSelfAttention(8, 2).eval()
    x = lamina.randn(1, 5, 8)
    whole = layer(x)
    with lamina.autocast("cpu"):
        cache = nn.KVCache(8)
        parts = [layer(x[:, :3], cache=cache), layer(x[:, 3:], cache=cache)]
    y = lamina.cat(parts, 1)
    assert y.dtype is lamina.bfloat16
    assert (y.float() - whole).abs().max().item() < 0.03
