"""Generation: the cache against the whole sequence, sampling filters, beam search against trying
every sequence."""

import itertools
import math

import numpy as np
import pytest

import lamina
from lamina import nn
from lamina.nn import functional as F

INF = math.inf
V = 7


class Model(nn.Module):
    """Two blocks of causal attention over V tokens."""

    def __init__(self, **kwargs):
        super().__init__()
        self.tokens = nn.Embedding(V, 8)
        self.blocks = nn.ModuleList([nn.CausalSelfAttention(8, 4, **kwargs) for _ in range(2)])
        self.head = nn.Linear(8, V)

    def forward(self, tokens, cache=None):
        x = self.tokens(tokens)
        for block in self.blocks:
            x = x + block(x, cache)
        return self.head(x)


def model(seed=0, **kwargs):
    lamina.manual_seed(seed)
    m = Model(**kwargs).double()
    for p in m.parameters():
        p.data *= 2
    return m.eval()


KINDS = [{}, {"rotary": True}, {"num_kv_heads": 2, "rotary": 100.0}, {"num_kv_heads": 1}]


@pytest.mark.parametrize("kwargs", KINDS)
def test_a_cache_gives_the_logits_of_the_whole_sequence(kwargs):
    m = model(**kwargs)
    tokens = lamina.tensor(np.random.default_rng(1).integers(0, V, (3, 90)))
    whole = m(tokens)
    cache = nn.KVCache()
    parts, at = [], 0
    for n in (1, 1, 5, 60, 1, 22):  # past the first 64 places
        parts.append(m(tokens[:, at : at + n], cache))
        at += n
        assert cache.length == at
    found = lamina.cat(parts, 1)
    np.testing.assert_allclose(found.detach().numpy(), whole.detach().numpy(), atol=1e-12)
    cache.crop(10)
    again = m(tokens[:, 10:20], cache)
    np.testing.assert_allclose(again.detach().numpy(), whole[:, 10:20].detach().numpy(), atol=1e-12)
    cache.reorder(lamina.tensor([2, 0, 2]))
    swapped = m(tokens[[2, 0, 2], 20:22], cache)
    np.testing.assert_allclose(
        swapped.detach().numpy(), whole[[2, 0, 2], 20:22].detach().numpy(), atol=1e-12
    )


@pytest.mark.parametrize("kwargs", KINDS)
def test_causal_self_attention_is_multi_head_attention(kwargs):
    """Beside MultiheadAttention with the same weights, where their settings meet."""
    if kwargs:
        return
    layer, other = nn.CausalSelfAttention(8, 4).double(), nn.MultiheadAttention(8, 4).double()
    other.in_proj_weight.data.copy_(layer.qkv.weight)
    other.in_proj_bias.data.copy_(layer.qkv.bias)
    other.out_proj.load_state_dict(layer.out_proj.state_dict())
    x = lamina.tensor(np.random.default_rng(2).normal(size=(3, 6, 8)))
    mask = nn.Transformer.generate_square_subsequent_mask(6).double()
    y = other(*[x.transpose(0, 1)] * 3, attn_mask=mask)[0].transpose(0, 1)
    np.testing.assert_allclose(layer(x).detach().numpy(), y.detach().numpy(), atol=1e-13)


@pytest.mark.parametrize("use_cache", [None, False])
def test_greedy(use_cache):
    m, start = model(rotary=True), lamina.tensor([[1, 2], [3, 0]])
    found = nn.generate(m, start, 12, use_cache=use_cache)
    tokens = start
    for _ in range(12):
        tokens = lamina.cat([tokens, m(tokens)[:, -1].argmax(-1, keepdim=True)], 1)
    assert (found == tokens).all()
    assert not m.training and lamina.is_grad_enabled()
    m.train()
    nn.generate(m, start, 1)
    assert m.training


def table_model(seed=0, spread=2.0):
    """Logits depend on the last token and the length of the sequence."""
    rng = np.random.default_rng(seed)
    table = lamina.tensor(rng.normal(size=(20, V, V)) * spread)

    def logits(tokens):
        return lamina.stack([table[t, tokens[:, t]] for t in range(tokens.shape[1])], 1)

    return logits


def test_an_end_token_ends_each_sequence():
    m = table_model()
    free = nn.generate(m, lamina.tensor([[1], [2], [5]]), 8)
    eos = int(free[0, 3])
    found = nn.generate(m, lamina.tensor([[1], [2], [5]]), 8, eos_token=eos, pad_token=0)
    for a, b in zip(free[:, 1:].tolist(), found[:, 1:].tolist()):
        end = a.index(eos) + 1 if eos in a else len(a)
        assert b[:end] == a[: min(end, len(b))] and all(t == 0 for t in b[end:])
    alone = nn.generate(m, lamina.tensor([[1]]), 8, eos_token=eos)
    assert alone.tolist()[0] == free[0, : alone.shape[1]].tolist() and int(alone[0, -1]) == eos


def test_context_is_what_the_model_sees():
    seen = []

    def m(tokens):
        seen.append(tokens.shape[1])
        return lamina.zeros(*tokens.shape, V)

    nn.generate(m, lamina.tensor([[1, 2, 3]]), 4, context=5)
    assert seen == [3, 4, 5, 5]


def test_sampling_follows_the_filtered_distribution():
    logits = lamina.tensor([2.0, 1.0, 0.5, 0.0, -1.0, -2.0, -3.0])

    def m(tokens):
        return logits.expand(*tokens.shape, V)

    start = lamina.zeros(4000, 1, dtype=lamina.int64)
    for kwargs in ({}, {"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.8, "temperature": 1.5}):
        lamina.manual_seed(4)
        drawn = nn.generate(m, start, 1, do_sample=True, **kwargs)[:, 1].numpy()
        p = F.softmax(nn.filter_logits(logits, **kwargs), -1).numpy()
        counts = np.bincount(drawn, minlength=V) / len(drawn)
        assert np.abs(counts - p).max() < 4 * 0.5 / math.sqrt(len(drawn))
        assert (counts[p == 0] == 0).all()
    g = lamina.Generator().manual_seed(3)
    a = nn.generate(m, start[:5], 4, do_sample=True, generator=g)
    g.manual_seed(3)
    assert (nn.generate(m, start[:5], 4, do_sample=True, generator=g) == a).all()


def test_filters():
    x = lamina.tensor([[0.1, 0.4, 0.2, 0.3], [0.97, 0.01, 0.01, 0.01]]).log()
    kept = lambda **kwargs: (nn.filter_logits(x, **kwargs) > -INF).tolist()  # noqa: E731
    assert kept(top_k=2)[0] == [False, True, False, True]
    assert kept(top_p=0.7) == [[False, True, False, True], [True, False, False, False]]
    assert kept(top_p=0.71)[0] == [False, True, True, True]
    assert kept(top_p=1e-9)[0] == [False, True, False, False]
    assert kept(top_k=9) == [[True] * 4] * 2
    np.testing.assert_allclose(nn.filter_logits(x, 0.5).numpy(), 2 * x.numpy(), rtol=1e-6)
    for kwargs, text in (({"temperature": 0}, "above 0, got 0"), ({"top_k": 0}, "at least 1"),
                         ({"top_p": 1.5}, "in \\(0, 1\\], got 1.5")):  # fmt: skip
        with pytest.raises(ValueError, match=text):
            nn.filter_logits(x, **kwargs)


def every_sequence(m, start, n, eos=None):
    """(log probability, tokens) of every continuation by n tokens, or up to the end token."""
    found = {}
    for tail in itertools.product(range(V), repeat=n):
        tail = list(tail)
        if eos in tail:
            tail = tail[: tail.index(eos) + 1]
        found[tuple(tail)] = 0.0
    for tail in found:
        sequence = start + list(tail)
        logp = F.log_softmax(m(lamina.tensor([sequence])), -1)[0]
        found[tail] = sum(float(logp[len(start) - 1 + i, t]) for i, t in enumerate(tail))
    return sorted(((v, start + list(t)) for t, v in found.items()), reverse=True)


def test_wide_beams_find_the_best_of_all():
    m = table_model(1, 1.0)
    best = every_sequence(m, [2], 3)
    tokens, scores = nn.beam_search(m, lamina.tensor([[2], [4]]), 3, num_beams=V * V, num_return=5)
    assert tokens[0].tolist() == [s for _, s in best[:5]]
    np.testing.assert_allclose(scores[0].numpy(), [v for v, _ in best[:5]], rtol=1e-6)
    assert tokens[1, 0].tolist() == every_sequence(m, [4], 3)[0][1]


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_beams_that_end(penalty):
    m, eos = table_model(2, 1.0), 3
    every = every_sequence(m, [2], 4, eos)
    ranked = sorted(every, key=lambda x: -x[0] / ((5 + len(x[1]) - 1) / 6) ** penalty)
    tokens, scores = nn.beam_search(m, lamina.tensor([[2]]), 4, num_beams=300, num_return=4,
                                    eos_token=eos, pad_token=0, length_penalty=penalty)  # fmt: skip
    for row, score, (value, sequence) in zip(tokens[0].tolist(), scores[0].tolist(), ranked):
        assert row[: len(sequence)] == sequence and all(t == 0 for t in row[len(sequence) :])
        wanted = value / ((5 + len(sequence) - 1) / 6) ** penalty
        assert score == pytest.approx(wanted, rel=1e-6)


def test_one_beam_is_greedy_and_more_are_no_worse():
    m = model(rotary=True)
    start = lamina.tensor([[1, 2], [3, 0], [5, 5]])
    one, low = nn.beam_search(m, start, 6, num_beams=1)
    assert (one[:, 0] == nn.generate(m, start, 6)).all()
    tokens, high = nn.beam_search(m, start, 6, num_beams=5, num_return=5)
    assert (high[:, 0] >= low[:, 0] - 1e-6).all() and (high[:, :-1] >= high[:, 1:]).all()
    plain, scores = nn.beam_search(m, start, 6, num_beams=5, num_return=5, use_cache=False)
    assert (tokens == plain).all()
    np.testing.assert_allclose(scores.numpy(), high.numpy(), rtol=1e-6)
    logp = F.log_softmax(m(tokens[0]), -1)[:, 1:-1]
    total = logp.gather(-1, tokens[0][:, 2:].unsqueeze(-1)).sum((1, 2))
    np.testing.assert_allclose(high[0].numpy(), total.detach().numpy(), rtol=1e-6)


def test_inputs_are_repeated_for_the_beams():
    def m(tokens, memory):
        assert memory.shape[0] == tokens.shape[0]
        return lamina.zeros(*tokens.shape, V) + memory.unsqueeze(1)

    memory = lamina.eye(V)[:2] * 3
    tokens, _ = nn.beam_search(m, lamina.tensor([[0], [0]]), 2, num_beams=3, memory=memory)
    assert tokens[:, 0].tolist() == [[0, 0, 0], [0, 1, 1]]
    assert nn.generate(m, lamina.tensor([[0], [0]]), 2, memory=memory)[1].tolist() == [0, 1, 1]


def test_errors():
    m = table_model()
    with pytest.raises(
        ValueError, match="generate: expected tokens \\(N, T\\) .*got shape \\(2,\\)"
    ):
        nn.generate(m, lamina.tensor([1, 2]), 3)
    with pytest.raises(ValueError, match="beam_search: num_beams .*got 2 and 3"):
        nn.beam_search(m, lamina.tensor([[1]]), 3, num_beams=2, num_return=3)
