"""Attention to windows and strides against the masked matrix; monotonic alignments; coverage."""

import numpy as np
import pytest

import lamina
import lamina.nn.functional as F
from lamina import nn

RNG = np.random.default_rng(3)


def masked(q, k, v, seen, scale=None):
    """softmax over the keys that `seen` (L, L) shows."""
    scores = q @ np.swapaxes(k, -1, -2) * (scale or q.shape[-1] ** -0.5)
    weights = np.exp(scores - scores.max(-1, keepdims=True)) * seen
    return weights / weights.sum(-1, keepdims=True) @ v


def near(i):
    return np.abs(i[:, None] - i)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("length", [0, 1, 7, 8, 13])
@pytest.mark.parametrize("n", [1, 3, 4, 20])
def test_windows_and_strides(n, length, causal):
    q, k = RNG.normal(size=(2, 2, 3, length, 5))
    v = RNG.normal(size=(2, 3, length, 4))
    i = np.arange(length)
    past = i[:, None] >= i if causal else np.ones((length, length), bool)
    tensors = [lamina.tensor(a) for a in (q, k, v)]
    for function, seen in ((F.local_attention, near(i) < n),
                           (F.strided_attention, near(i) % n == 0)):  # fmt: skip
        got = function(*tensors, n, is_causal=causal, scale=0.7)
        want = masked(q, k, v, seen & past, 0.7) if length else v
        assert got.shape == v.shape
        np.testing.assert_allclose(got.numpy(), want, atol=1e-13)


@pytest.mark.parametrize("function", [F.local_attention, F.strided_attention])
def test_gradients(function):
    q, k, v = (lamina.tensor(RNG.normal(size=(2, 7, 3))).requires_grad_() for _ in range(3))
    assert lamina.autograd.gradcheck(lambda *t: function(*t, 3), (q, k, v))
    assert lamina.autograd.gradcheck(lambda *t: function(*t, 3, True), (q, k, v))
    assert lamina.autograd.gradgradcheck(lambda *t: function(*t, 3, True), (q, k, v))


def test_two_steps_reach_every_position():
    """Local and strided attention after each other, with a stride of the window's width."""
    length, n = 16, 4
    x = lamina.randn(length, 3, dtype=lamina.float64).requires_grad_()
    h = F.local_attention(x, x, x, n, is_causal=True)
    y = F.strided_attention(h, h, h, n, is_causal=True)
    (g,) = lamina.autograd.grad(y[-1].sum(), x)
    assert (g.abs().sum(1) > 0).all()


def test_errors():
    x = lamina.zeros(2, 5, 3)
    with pytest.raises(lamina.ShapeError, match=r"local_attention: expected query and key"):
        F.local_attention(x, x[:, :4], x, 2)
    with pytest.raises(ValueError, match="stride must be at least 1, got 0"):
        F.strided_attention(x, x, x, 0)
    with pytest.raises(lamina.ShapeError, match=r"expected \(..., U, S\)"):
        F.monotonic_alignment(x[0, 0])


def test_monotonic_alignments():
    p = RNG.uniform(0.05, 0.95, (2, 3, 5))
    want = np.zeros_like(p)
    for b in range(2):  # over every way to end three steps at j1 <= j2 <= j3
        for i in range(3):
            for j in range(5):
                before = [1.0 if (k == 0) else 0.0 for k in range(5)] if i == 0 else want[b, i - 1]
                want[b, i, j] = p[b, i, j] * sum(
                    before[k] * np.prod(1 - p[b, i, k:j]) for k in range(j + 1)
                )
    t = lamina.tensor(p).requires_grad_()
    got = F.monotonic_alignment(t)
    np.testing.assert_allclose(got.detach().numpy(), want, atol=1e-14)
    assert (got.detach().sum(-1) <= 1 + 1e-12).all()
    assert lamina.autograd.gradcheck(F.monotonic_alignment, (t,))
    sure = lamina.tensor([[[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
    assert F.monotonic_alignment(sure).tolist() == sure.tolist()


def test_coverage():
    a = RNG.uniform(size=(2, 4, 3))
    a /= a.sum(-1, keepdims=True)
    want = sum(np.minimum(a[:, t], a[:, :t].sum(1)).sum(-1) for t in range(4))
    np.testing.assert_allclose(F.coverage_loss(lamina.tensor(a)).numpy(), want, atol=1e-14)
    layer = nn.AdditiveAttention(4, 3, 6, coverage=True)
    query, keys, covered = lamina.randn(2, 4), lamina.randn(2, 5, 3), lamina.zeros(2, 5)
    context, weights = layer(query, keys, covered=covered)
    plain = nn.AdditiveAttention(4, 3, 6)
    plain.load_state_dict(
        {k: v for k, v in layer.state_dict().items() if not k.startswith("coverage")}
    )
    assert lamina.equal(weights, plain(query, keys)[1])
    again = layer(query, keys, covered=covered + weights)[1]
    assert context.shape == (2, 3) and not lamina.equal(again, weights)
    want = (layer.query(query).unsqueeze(1) + layer.key(keys)
            + layer.coverage(weights.unsqueeze(-1))).tanh()  # fmt: skip
    np.testing.assert_allclose(again.detach().numpy(),
                               F.softmax(layer.score(want).squeeze(-1), -1).detach().numpy(),
                               atol=1e-6)  # fmt: skip
