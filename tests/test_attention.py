"""scaled_dot_product_attention: dropout, masks, layouts, memory, errors."""

import math
import subprocess
import sys

import numpy as np
import pytest

import lamina
from lamina import _core
from lamina.nn import functional as F
from rows_attention import np_attention

attend = F.scaled_dot_product_attention
INF = math.inf


def draws(*shapes, seed=0, dtype=lamina.float64, grad=False):
    rng = np.random.default_rng(seed)
    return [lamina.tensor(rng.normal(size=s), dtype=dtype).requires_grad_(grad) for s in shapes]


# ---- dropout -------------------------------------------------------------------------------------
def dropped_weights(q, k, p, seed, **kwargs):
    """The weights after dropout: attention to the rows of the identity."""
    lamina.manual_seed(seed)
    eye = lamina.eye(k.shape[-2], dtype=q.dtype).expand(*k.shape[:-1], k.shape[-2])
    return attend(q, k, eye, dropout_p=p, **kwargs)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_scales_what_it_keeps(p):
    q, k = draws((2, 2, 70, 8), (2, 2, 150, 8))
    whole, some = dropped_weights(q, k, 0, 1), dropped_weights(q, k, p, 1)
    ratio = (some / whole).numpy()
    kept = ratio > 0
    np.testing.assert_allclose(ratio[kept], 1 / (1 - p), rtol=1e-12)
    n = kept.size
    assert abs(kept.mean() - (1 - p)) < 5 * math.sqrt(p * (1 - p) / n)
    assert abs((kept[:, :, :, 1:] & kept[:, :, :, :-1]).mean() - (1 - p) ** 2) < 0.01


def test_dropout_is_keyed_by_position():
    """The same weights are dropped whatever the mask, the threads, the instructions."""
    q, k = draws((1, 3, 150, 8), (1, 3, 150, 8))
    kept = (dropped_weights(q, k, 0.4, 5) > 0).numpy()
    causal = (dropped_weights(q, k, 0.4, 5, is_causal=True) > 0).numpy()
    np.testing.assert_array_equal(causal, kept & np.tril(np.ones((150, 150), bool)))
    before, threads = _core.isa(), lamina.get_num_threads()
    try:
        for isa in _core.available_isas():
            _core.select_isa(isa)
            np.testing.assert_array_equal((dropped_weights(q, k, 0.4, 5) > 0).numpy(), kept)
    finally:
        _core.select_isa(before)
    try:
        lamina.set_num_threads(3)
        np.testing.assert_array_equal((dropped_weights(q, k, 0.4, 5) > 0).numpy(), kept)
    finally:
        lamina.set_num_threads(threads)
    assert (kept != (dropped_weights(q, k, 0.4, 6) > 0).numpy()).any()


@pytest.mark.parametrize("causal", [False, True])
def test_backward_drops_the_same_weights(causal):
    """Against the gradient of the definition with the mask of the forward pass."""
    shapes = (2, 2, 70, 8), (2, 2, 130, 8), (2, 2, 130, 5)
    q, k, v = draws(*shapes, grad=True)
    p, seed = 0.3, 9
    with lamina.no_grad():
        z = dropped_weights(q, k, p, seed, is_causal=causal) / dropped_weights(
            q, k, 0, seed, is_causal=causal
        )
        z = lamina.where(z.isnan(), lamina.zeros_like(z), z)
    lamina.manual_seed(seed)
    y = attend(q, k, v, dropout_p=p, is_causal=causal)
    (g,) = draws(tuple(y.shape), seed=4)
    found = lamina.autograd.grad(y, [q, k, v], g)
    s = q @ k.transpose(2, 3) / math.sqrt(8)
    if causal:
        s = s.masked_fill(lamina.ones(70, 130, dtype=lamina.bool).triu(1), -INF)
    wanted_y = (s.softmax(-1) * z) @ v
    wanted = lamina.autograd.grad(wanted_y, [q, k, v], g)
    for a, b in zip([y, *found], [wanted_y, *wanted]):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), atol=1e-12)
    # create_graph takes the same mask through other ops
    lamina.manual_seed(seed)
    y = attend(q, k, v, dropout_p=p, is_causal=causal)
    for a, b in zip(lamina.autograd.grad(y, [q, k, v], g, create_graph=True), found):
        np.testing.assert_allclose(a.detach().numpy(), b.numpy(), atol=1e-12)


def test_dropout_edges():
    q, k, v = draws((2, 4, 8), (2, 5, 8), (2, 5, 8), dtype=lamina.float32)
    assert (attend(q, k, v, dropout_p=1.0) == 0).all()
    state = lamina.get_rng_state()
    attend(q, k, v)
    assert (lamina.get_rng_state() == state).all()


# ---- masks ---------------------------------------------------------------------------------------
def test_a_query_that_sees_no_key_gives_zeros_and_no_gradient():
    q, k, v = draws((1, 2, 4, 8), (1, 2, 6, 8), (1, 2, 6, 3), grad=True)
    mask = lamina.ones(4, 6, dtype=lamina.bool)
    mask[1] = False
    added = lamina.zeros(4, 6, dtype=lamina.float64).masked_fill(~mask, -INF)
    for m in (mask, added):
        y = attend(q, k, v, m)
        gq, gk, gv = lamina.autograd.grad(y.sum(), [q, k, v])
        assert (y[:, :, 1] == 0).all() and (gq[:, :, 1] == 0).all()
        assert gk.isfinite().all() and gv.isfinite().all()
    assert (attend(q, k[:, :, :0], v[:, :, :0]) == 0).all()
    gq, gk = lamina.autograd.grad(attend(q, k[:, :, :0], v[:, :, :0]).sum(), [q, k])
    assert (gq == 0).all() and (gk == 0).all()


def test_causal_and_mask_are_joined():
    q, k, v = draws((2, 2, 40, 8), (2, 2, 40, 8), (2, 2, 40, 8))
    mask = np.random.default_rng(1).random((40, 40)) < 0.7
    mask[:, 0] = True
    y = attend(q, k, v, lamina.tensor(mask), is_causal=True)
    wanted = np_attention(q.numpy(), k.numpy(), v.numpy(), mask, causal=True)
    np.testing.assert_allclose(y.numpy(), wanted, atol=1e-13)


@pytest.mark.parametrize("shape", [(), (1,), (9,), (7, 1), (1, 9), (7, 9), (3, 1, 9), (2, 3, 7, 9)])
@pytest.mark.parametrize("kind", ["bool", "float"])
def test_masks_broadcast(shape, kind):
    q, k, v = draws((2, 3, 7, 8), (2, 3, 9, 8), (2, 3, 9, 8))
    rng = np.random.default_rng(2)
    mask = rng.random(shape) < 0.8 if kind == "bool" else rng.normal(size=shape)
    y = attend(q, k, v, lamina.tensor(mask))
    wanted = np_attention(q.numpy(), k.numpy(), v.numpy(), np.asarray(mask))
    np.testing.assert_allclose(y.numpy(), wanted, atol=1e-13)


def test_gradient_of_a_mask_is_summed_to_its_shape():
    q, k, v = draws((2, 3, 7, 8), (2, 3, 9, 8), (2, 3, 9, 8))
    mask = lamina.zeros(3, 1, 9, dtype=lamina.float64, requires_grad=True)
    (g,) = lamina.autograd.grad(attend(q, k, v, mask).sum(), [mask])
    full = lamina.zeros(2, 3, 7, 9, dtype=lamina.float64, requires_grad=True)
    (whole,) = lamina.autograd.grad(attend(q, k, v, full).sum(), [full])
    np.testing.assert_allclose(g.numpy(), whole.sum((0, 2)).unsqueeze(1).numpy(), atol=1e-13)


# ---- values --------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [lamina.float32, lamina.float64])
def test_large_scores_neither_overflow_nor_vanish(dtype):
    q, k, v = draws((1, 1, 5, 8), (1, 1, 300, 8), (1, 1, 300, 4))
    q, k = (q * 100).to(dtype), (k * 100).to(dtype)
    wanted = np_attention(q.double().numpy(), k.double().numpy(), v.numpy(), scale=1.0)
    y = attend(q, k, v.to(dtype), scale=1.0)
    np.testing.assert_allclose(y.numpy(), wanted, atol=1e-5 if dtype is lamina.float32 else 1e-12)


def test_nan_stays_in_its_rows():
    q, k, v = draws((1, 1, 4, 8), (1, 1, 70, 8), (1, 1, 70, 8), dtype=lamina.float32)
    q[0, 0, 2, 3] = math.nan
    y = attend(q, k, v)
    assert y[0, 0, 2].isnan().all() and y[0, 0, [0, 1, 3]].isfinite().all()
    k[0, 0, 69, 0] = math.nan
    assert attend(q, k, v).isnan().all()
    assert attend(q[:, :, :2], k, v, is_causal=True).isfinite().all()


@pytest.mark.parametrize("dtype, eps", [(lamina.float16, 2.0**-11), (lamina.bfloat16, 2.0**-8)])
def test_half_precision_rounds_the_float32_result(dtype, eps):
    q, k, v = (t.to(dtype) for t in draws((2, 2, 20, 8), (2, 2, 30, 8), (2, 2, 30, 8)))
    mask = lamina.randn(20, 30).to(dtype)
    for m in (None, mask):
        y = attend(q, k, v, m)
        exact = attend(q.float(), k.float(), v.float(), None if m is None else m.float())
        assert y.dtype is dtype
        np.testing.assert_allclose(y.float().numpy(), exact.numpy(), atol=2 * eps)


def test_bits_do_not_depend_on_the_batch():
    q, k, v = draws((5, 2, 70, 16), (5, 2, 70, 16), (5, 2, 70, 16), dtype=lamina.float32, grad=True)
    y = attend(q, k, v, is_causal=True)
    one = attend(q[3:4], k[3:4], v[3:4], is_causal=True)
    assert (one[0] == y[3]).all()
    g = lamina.autograd.grad(y.sum(), [q, k, v])
    alone = lamina.autograd.grad(one.sum(), [q, k, v])
    assert all((a[3] == b[3]).all() for a, b in zip(g, alone))


def test_the_layout_of_the_query_is_kept():
    """Heads that lie within positions stay there: no copy before the output projection."""
    x, y = draws((2, 20, 3, 8), (2, 20, 24))
    q = x.requires_grad_().transpose(1, 2)
    out = attend(q, q, q)
    assert out.transpose(1, 2).is_contiguous()
    assert attend(*draws((2, 3, 20, 8)) * 3).is_contiguous()
    flat = out.transpose(1, 2).reshape(2, 20, 24)
    (g,) = lamina.autograd.grad(flat, [x], y)
    assert g.shape == x.shape


# ---- memory --------------------------------------------------------------------------------------
PEAKS = """
import lamina
lamina.set_num_threads(1)
peaks = []
for T in (1024, 2048, 4096):
    q, k, v, g = [lamina.rand(1, 2, T, 16) for _ in range(4)]
    before = lamina._core.memory_stats()["in_use"]
    for t in (q, k, v):
        t.requires_grad_()
    lamina.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=CAUSAL).backward(g)
    peaks.append(lamina._core.memory_stats()["peak"] - before)
    del q, k, v, g, t
    lamina._core.empty_cache()
print(*peaks)
"""


@pytest.mark.parametrize("causal", [False, True])
def test_memory_is_linear_in_the_length(causal):
    """The most that forward and backward held at once, in a process of their own."""
    out = subprocess.run(
        [sys.executable, "-c", PEAKS.replace("CAUSAL", str(causal))],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    small, middle, large = map(int, out.split())
    assert middle < 2.3 * small and large < 2.3 * middle
    assert large < 4096 * 4096 * 4 / 8  # one head's scores would be 64 MB


# ---- errors --------------------------------------------------------------------------------------
def z(*shape, dtype=lamina.float32):
    return lamina.zeros(shape, dtype=dtype)


ERRORS = [
    (lambda: attend(z(4), z(4, 4), z(4, 4)), ValueError,
     "expected query, key and value with at least 2 dimensions .*got \\(4,\\) float32"),
    (lambda: attend(z(4, 8), z(4, 7), z(4, 8)), ValueError,
     "query \\(4, 8\\) float32 and key \\(4, 7\\) float32 differ in their last dimension"),
    (lambda: attend(z(4, 8), z(5, 8), z(6, 8)), ValueError, "differ in length"),
    (lambda: attend(z(2, 4, 8), z(3, 4, 8), z(3, 4, 8)), ValueError, "\\(2,\\) and \\(3,\\)"),
    (lambda: attend(z(4, 8), z(4, 8, dtype=lamina.float64), z(4, 8)), TypeError, "of one dtype"),
    (lambda: attend(*[z(4, 8, dtype=lamina.int64)] * 3), TypeError, "convert with .float()"),
    (lambda: attend(*[z(4, 8)] * 3, dropout_p=1.5), ValueError, "between 0 and 1, but got 1.5"),
    (lambda: attend(*[z(4, 8)] * 3, z(3, 4)), ValueError,
     "attn_mask \\(3, 4\\) float32 does not broadcast to \\(4, 4\\)"),
    (lambda: attend(*[z(4, 8)] * 3, z(2, 4, 4)), ValueError, "does not broadcast"),
    (lambda: attend(*[z(4, 8)] * 3, z(4, 4, dtype=lamina.int64)), TypeError,
     "attn_mask of dtype bool, float32 or query's"),
    (lambda: attend(z(3, 4, 8), z(2, 4, 8), z(2, 4, 8), enable_gqa=True), ValueError,
     "divide those of query, got 3 query, 2 key and 2 value heads"),
    (lambda: attend(*[z(4, 8)] * 3, enable_gqa=True), ValueError, "enable_gqa needs"),
]  # fmt: skip


@pytest.mark.parametrize("i", range(len(ERRORS)))
def test_errors(i):
    call, kind, text = ERRORS[i]
    with pytest.raises(kind, match=f"scaled_dot_product_attention: .*{text}"):
        call()
