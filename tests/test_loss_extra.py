"""CTC, focal, Dice, Jaccard, hinge and quantile losses: formulas in NumPy, gradients, PyTorch."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import lamina
from lamina import _core, nn
from lamina.nn import functional as F

rng = np.random.default_rng(0)


def leaf(a, dtype=lamina.float64):
    return lamina.tensor(a, dtype=dtype).requires_grad_()


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def numeric(f, x, h=1e-6):
    """The gradient of a number by central differences."""
    g = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        old = x[i]
        x[i] = old + h
        above = f(x)
        x[i] = old - h
        g[i] = (above - f(x)) / (2 * h)
        x[i] = old
    return g


# ---- CTC -----------------------------------------------------------------------------------------
def every_alignment(logp, target, blank):
    """-log of the sum over all label sequences that read as the target, one by one."""
    frames, classes = logp.shape
    total = -np.inf
    for path in product(range(classes), repeat=frames):
        kept = [c for i, c in enumerate(path) if i == 0 or c != path[i - 1]]
        if [c for c in kept if c != blank] == list(target):
            total = np.logaddexp(total, sum(logp[t, c] for t, c in enumerate(path)))
    return -total


@pytest.mark.parametrize("blank", [0, 2])
@pytest.mark.parametrize("target", [[], [1], [1, 1], [1, 0, 1], [1, 1, 1]])
def test_ctc_is_the_sum_over_alignments(target, blank):
    target = [3 if c == blank else c for c in target]
    logp = log_softmax(rng.standard_normal((5, 4)))
    want = every_alignment(logp, target, blank)
    targets = lamina.tensor(target, dtype=lamina.int64).reshape(1, len(target))
    got = F.ctc_loss(lamina.tensor(logp).unsqueeze(1), targets, [5], [len(target)], blank, "sum")
    assert got.item() == pytest.approx(want, rel=1e-12)


def draw_ctc(frames=17, samples=5, classes=6, longest=6, seed=1):
    r = np.random.default_rng(seed)
    x = r.standard_normal((frames, samples, classes)) * 2
    labels = r.integers(1, longest + 1, samples)
    labels[0] = 0
    inputs = np.maximum(r.integers(frames // 2, frames + 1, samples), 2 * labels)
    targets = r.integers(1, classes, (samples, longest))
    targets[1, 1] = targets[1, 0]  # a repeated label
    x = x.astype(np.float32).astype(np.float64)  # the same number in both
    return x, targets, np.minimum(inputs, frames), labels


def run_ctc(m, x, targets, inputs, labels, dtype, joined=False, **options):
    z = m.tensor(x.tolist(), dtype=getattr(m, dtype), requires_grad=True)
    if joined:
        targets = np.concatenate([t[:n] for t, n in zip(targets, labels)])
    t = m.tensor(targets.tolist(), dtype=m.int64)
    n = (m.tensor(inputs.tolist()), m.tensor(labels.tolist()))
    loss = m.nn.functional.ctc_loss(z.log_softmax(-1), t, *n, **options)
    weights = m.tensor(np.linspace(1, 2, loss.numel()).tolist(), dtype=loss.dtype)
    (loss.reshape(-1) * weights).sum().backward()
    return loss.detach().numpy(), z.grad.numpy()


@pytest.mark.parametrize("shape", [(17, 5, 6, 6), (40, 3, 30, 18), (9, 2, 5, 4)], ids=str)
def test_ctc_gradient_is_the_derivative(shape):
    x, targets, inputs, labels = draw_ctc(*shape)
    w = np.linspace(1, 2, x.shape[1])

    def f(x):
        t = lamina.tensor(targets)
        losses = F.ctc_loss(lamina.tensor(log_softmax(x)), t, inputs.tolist(), labels.tolist(),
                            reduction="none")  # fmt: skip
        return float(losses.numpy() @ w)

    _, gradient = run_ctc(lamina, x, targets, inputs, labels, "float64", reduction="none")
    if x.size <= 600:
        np.testing.assert_allclose(gradient, numeric(f, x.copy()), rtol=1e-5, atol=1e-7)
    else:
        v = np.random.default_rng(2).standard_normal(x.shape)
        h = 1e-6
        slope = (f(x + h * v) - f(x - h * v)) / (2 * h)
        assert (gradient * v).sum() == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("options", [
    {}, {"reduction": "sum"}, {"reduction": "none"}, {"blank": 3}, {"zero_infinity": True},
    {"joined": True, "reduction": "none"},
], ids=str)  # fmt: skip
def test_ctc_like_torch(options, dtype):
    torch = pytest.importorskip("torch")
    for seed, size in ((1, (17, 5, 6, 6)), (2, (60, 4, 21, 20)), (3, (3, 3, 3, 2))):
        x, targets, inputs, labels = draw_ctc(*size, seed)
        if "blank" in options and size[2] > 3:
            targets[targets == 3] = 0
        elif "blank" in options:
            continue
        ours = run_ctc(lamina, x, targets, inputs, labels, dtype, **options)
        theirs = run_ctc(torch, x, targets, inputs, labels, dtype, **options)
        exact = run_ctc(torch, x, targets, inputs, labels, "float64", **options)
        for a, b, c in zip(ours, theirs, exact):
            assert a.dtype == b.dtype and a.shape == b.shape
            size = max(1, np.abs(c).max())
            bound = 1e-12 * size  # in float32: twice PyTorch's own error
            if dtype == "float32":
                bound = 2 * np.abs(b - c).max() + 1e-6 * size
            assert np.abs(a - c).max() <= bound


def test_ctc_targets_that_do_not_fit():
    """Two equal labels need three frames: the loss is infinite, or 0 with zero_infinity."""
    x = rng.standard_normal((2, 2, 3))
    targets, inputs, labels = np.array([[1, 1], [1, 2]]), np.array([2, 2]), np.array([2, 2])
    loss, gradient = run_ctc(lamina, x, targets, inputs, labels, "float64", reduction="none")
    assert np.isinf(loss).tolist() == [True, False]
    assert np.isnan(gradient[:, 0]).all() and np.isfinite(gradient[:, 1]).all()
    loss, gradient = run_ctc(lamina, x, targets, inputs, labels, "float64", reduction="none",
                             zero_infinity=True)  # fmt: skip
    assert loss[0] == 0 and (gradient[:, 0] == 0).all() and (gradient[:, 1] != 0).all()
    empty = F.ctc_loss(lamina.zeros(4, 2, 3), lamina.zeros(2, 0).long(), [0, 4], [0, 0],
                       reduction="none")  # fmt: skip
    assert empty.tolist() == [0, 0]


def test_ctc_frames_after_the_end_and_single_sequences():
    x, targets, inputs, labels = draw_ctc()
    inputs[:] = 12
    loss, gradient = run_ctc(lamina, x, targets, inputs, labels, "float64", reduction="none")
    assert (gradient[12:] == 0).all() and (gradient[:12] != 0).any()
    logp = lamina.tensor(log_softmax(x))
    one = F.ctc_loss(logp[:, 2], lamina.tensor(targets[2]), [12], [int(labels[2])],
                     reduction="none")  # fmt: skip
    assert one.shape == () and one.item() == pytest.approx(loss[2], rel=1e-12)
    tuples = nn.CTCLoss(reduction="none")(logp, lamina.tensor(targets), tuple(inputs.tolist()),
                                          tuple(labels.tolist()))  # fmt: skip
    np.testing.assert_allclose(tuples.numpy(), loss, rtol=1e-12)


def test_ctc_on_every_instruction_set_and_thread_count():
    x, targets, inputs, labels = draw_ctc(50, 7, 33, 20)
    want = run_ctc(lamina, x, targets, inputs, labels, "float64", reduction="none")
    before, threads = _core.isa(), lamina.get_num_threads()
    try:
        for isa in _core.available_isas():
            _core.select_isa(isa)
            for dtype, tol in (("float64", 1e-12), ("float32", 2e-5)):
                got = run_ctc(lamina, x, targets, inputs, labels, dtype, reduction="none")
                for a, b in zip(got, want):
                    assert np.abs(a - b).max() <= tol * max(1, np.abs(b).max()), (isa, dtype)
        _core.select_isa(before)
        for n in (1, 2, 3):
            lamina.set_num_threads(n)
            got = run_ctc(lamina, x, targets, inputs, labels, "float64", reduction="none")
            assert all((a == b).all() for a, b in zip(got, want))
    finally:
        _core.select_isa(before)
        lamina.set_num_threads(threads)


def test_ctc_long_sequences_do_not_underflow():
    x = lamina.zeros(3000, 1, 5).log_softmax(-1)
    loss = F.ctc_loss(x, lamina.ones(1, 1).long(), [3000], [1], reduction="sum").item()
    # 4501500 = 3000 * 3001 / 2 spans of one label, each of probability 5^-3000.
    assert loss == pytest.approx(3000 * np.log(5) - np.log(4501500), rel=1e-6)


def test_ctc_learns():
    lamina.manual_seed(0)
    logits = lamina.zeros(8, 1, 4).requires_grad_()
    optimizer = lamina.optim.Adam([logits], lr=0.3)
    for _ in range(60):
        optimizer.zero_grad()
        loss = F.ctc_loss(logits.log_softmax(-1), lamina.tensor([[1, 3, 3]]), [8], [3])
        loss.backward()
        optimizer.step()
    path = logits.detach().argmax(-1).reshape(-1).tolist()
    kept = [c for i, c in enumerate(path) if (i == 0 or c != path[i - 1]) and c != 0]
    assert kept == [1, 3, 3] and loss.item() < 0.1


def test_ctc_errors():
    x = lamina.zeros(4, 2, 3)
    t = lamina.tensor([[1, 2], [2, 1]])
    with pytest.raises(IndexError, match="label 3 at position 1 of target 0 is out of range for 3"):
        F.ctc_loss(x, lamina.tensor([[1, 3], [1, 1]]), [4, 4], [2, 2])
    with pytest.raises(ValueError, match=r"input_lengths\[1\] = 5"):
        F.ctc_loss(x, t, [4, 5], [2, 2])
    with pytest.raises(ValueError, match="batch_size 2"):
        F.ctc_loss(x, t, [4], [2, 2])
    with pytest.raises(ValueError, match="only 2 columns"):
        F.ctc_loss(x, t, [4, 4], [3, 2])
    with pytest.raises(ValueError, match="label range"):
        F.ctc_loss(x, t, [4, 4], [2, 2], blank=3)
    with pytest.raises(ValueError, match="sum to 3 but targets has 4"):
        F.ctc_loss(x, lamina.tensor([1, 2, 1, 1]), [4, 4], [2, 1])
    with pytest.raises(lamina.ShapeError, match=r"\(T, N, C\)"):
        F.ctc_loss(lamina.zeros(3), t, [4, 4], [2, 2])
    with pytest.raises(ValueError, match="reduction"):
        F.ctc_loss(x, t, [4, 4], [2, 2], reduction="all")
    logits = x.requires_grad_()
    loss = F.ctc_loss(logits.log_softmax(-1), t, [4, 4], [2, 2])
    with pytest.raises(RuntimeError):
        lamina.autograd.grad(loss, [logits], create_graph=True)[0].sum().backward()


# ---- the others ----------------------------------------------------------------------------------
def check(f, reference, *arrays, wrt=1):
    """Value against NumPy and the gradient by the first argument against differences."""
    x, *rest = arrays
    X = leaf(x)
    loss = f(X, *(lamina.tensor(a) for a in rest))
    np.testing.assert_allclose(loss.detach().numpy(), reference(x, *rest), rtol=1e-12, atol=1e-14)
    loss.sum().backward()
    want = numeric(lambda x: float(np.sum(reference(x, *rest))), x.copy())
    np.testing.assert_allclose(X.grad.numpy(), want, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_focal_loss(gamma):
    x, t = rng.standard_normal((6, 4, 3)), rng.integers(0, 4, (6, 3))
    t[0, 0] = -100
    w = np.array([1.0, 0.5, 2.0, 0.1])

    def reference(x, t, weighted=True):
        logs = log_softmax(np.moveaxis(x, 1, -1))
        safe = np.where(t == -100, 0, t)
        picked = np.take_along_axis(logs, safe[..., None], -1)[..., 0]
        rows = -((1 - np.exp(picked)) ** gamma) * picked * (w[safe] if weighted else 1)
        return np.where(t == -100, 0, rows)

    W = lamina.tensor(w)
    check(lambda x, t: F.focal_loss(x, t, gamma, W, reduction="none"), reference, x, t)
    mean = F.focal_loss(lamina.tensor(x), lamina.tensor(t), gamma).item()
    assert mean == pytest.approx(reference(x, t, False).sum() / 17)
    if gamma == 0:
        want = F.cross_entropy(lamina.tensor(x), lamina.tensor(t)).item()
        assert mean == pytest.approx(want)
    layer = nn.FocalLoss(gamma, W, reduction="sum")
    got = layer(lamina.tensor(x), lamina.tensor(t)).item()
    assert got == pytest.approx(reference(x, t).sum())
    with pytest.raises(IndexError, match="out of range"):
        F.focal_loss(lamina.zeros(2, 3), lamina.tensor([0, 3]))


@pytest.mark.parametrize("alpha", [0.25, -1])
def test_sigmoid_focal_loss(alpha):
    x, t = rng.standard_normal((5, 3)), rng.integers(0, 2, (5, 3)).astype(float)

    def reference(x, t):
        p = 1 / (1 + np.exp(-x))
        pt = np.where(t == 1, p, 1 - p)
        at = np.where(t == 1, alpha, 1 - alpha) if alpha >= 0 else 1
        return -at * (1 - pt) ** 2 * np.log(pt)

    check(lambda x, t: F.sigmoid_focal_loss(x, t, alpha), reference, x, t)
    with pytest.raises(ValueError, match="alpha"):
        F.sigmoid_focal_loss(lamina.zeros(2), lamina.zeros(2), 1.5)


@pytest.mark.parametrize("smooth", [1.0, 0.1])
def test_dice_and_jaccard(smooth):
    x, t = rng.uniform(size=(3, 4, 5)), rng.integers(0, 2, (3, 4, 5)).astype(float)

    def dice(x, t):
        x, t = x.reshape(3, -1), t.reshape(3, -1)
        return 1 - (2 * (x * t).sum(1) + smooth) / (x.sum(1) + t.sum(1) + smooth)

    def jaccard(x, t):
        x, t = x.reshape(3, -1), t.reshape(3, -1)
        both = (x * t).sum(1)
        return 1 - (both + smooth) / (x.sum(1) + t.sum(1) - both + smooth)

    check(lambda x, t: F.dice_loss(x, t, smooth, "none"), dice, x, t)
    check(lambda x, t: F.jaccard_loss(x, t, smooth, "none"), jaccard, x, t)
    X, T = lamina.tensor(x), lamina.tensor(t)
    assert nn.DiceLoss(smooth)(X, T).item() == pytest.approx(dice(x, t).mean())
    assert nn.JaccardLoss(smooth, "sum")(X, T).item() == pytest.approx(jaccard(x, t).sum())
    assert F.jaccard_loss(T, T).item() == 0 and F.dice_loss(T, T).item() == 0
    with pytest.raises(lamina.ShapeError):
        F.dice_loss(X, T[0])


def test_hinge_and_quantile():
    x = rng.standard_normal((6, 2)) * 2
    t, y = rng.choice([-1.0, 1.0], (6, 2)), rng.standard_normal((6, 2))
    for squared in (False, True):
        check(
            lambda x, t, s=squared: F.hinge_loss(x, t, 0.8, s, "none"),
            lambda x, t, s=squared: np.maximum(0, 0.8 - t * x) ** (1 + s), x, t,
        )  # fmt: skip
    for q in (0.1, 0.5, 0.9):
        check(
            lambda x, y, q=q: F.quantile_loss(x, y, q, "none"),
            lambda x, y, q=q: np.maximum(q * (y - x), (q - 1) * (y - x)), x, y,
        )  # fmt: skip
    X, Y = lamina.tensor(x), lamina.tensor(y)
    assert nn.QuantileLoss()(X, Y).item() == pytest.approx(0.5 * np.abs(x - y).mean())
    per = F.quantile_loss(X, Y, lamina.tensor([0.1, 0.7]), "none").numpy()
    np.testing.assert_allclose(per[:, 1], F.quantile_loss(X, Y, 0.7, "none").numpy()[:, 1])
    want = np.maximum(0, 1 - t * x).sum()
    assert nn.HingeLoss(reduction="sum")(X, lamina.tensor(t)).item() == pytest.approx(want)
    with pytest.raises(ValueError, match="quantile"):
        F.quantile_loss(X, Y, 1.0)


def test_quantile_loss_finds_the_quantile():
    y = lamina.tensor(rng.standard_normal(999))
    c = leaf(0.0)
    optimizer = lamina.optim.Adam([c], lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        F.quantile_loss(c.expand(999), y, 0.9).backward()
        optimizer.step()
    assert c.item() == pytest.approx(np.quantile(y.numpy(), 0.9), abs=0.05)


# ---- adaptive softmax ----------------------------------------------------------------------------
def test_adaptive_softmax():
    layer = nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10], div_value=2.0).double()
    assert [tuple(p.shape) for p in layer.parameters()] == [(6, 8), (4, 8), (6, 4), (2, 8), (10, 2)]
    x, target = leaf(rng.standard_normal((7, 8))), lamina.tensor([0, 3, 4, 9, 10, 19, 15])
    head, *tail = (p.detach().numpy() for p in layer.parameters())
    scores = log_softmax(x.detach().numpy() @ head.T)
    want = np.concatenate([scores[:, :4]] + [
        scores[:, 4 + i, None] + log_softmax(x.detach().numpy() @ tail[2 * i].T @ tail[2 * i + 1].T)
        for i in range(2)
    ], 1)  # fmt: skip
    np.testing.assert_allclose(np.exp(want).sum(1), 1, atol=1e-12)
    np.testing.assert_allclose(layer.log_prob(x).detach().numpy(), want, atol=1e-12)
    assert layer.predict(x).tolist() == want.argmax(1).tolist()
    output, loss = layer(x, target)
    picked = want[np.arange(7), target.numpy()]
    np.testing.assert_allclose(output.detach().numpy(), picked, atol=1e-12)
    assert loss.item() == pytest.approx(-picked.mean(), abs=1e-12)
    assert layer(x[5], target[5]).output.item() == pytest.approx(picked[5], abs=1e-12)
    assert lamina.autograd.gradcheck(lambda x, *_: layer(x, target).loss, (x, *layer.parameters()))


def test_adaptive_softmax_errors():
    for cutoffs in ([], [3, 2], [0, 2], [20], [1.5], [2, 2]):
        with pytest.raises(ValueError, match="cutoffs"):
            nn.AdaptiveLogSoftmaxWithLoss(8, 20, cutoffs)
    layer = nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4], head_bias=True)
    with pytest.raises(IndexError, match=r"in \[0, 19\], got 0 to 20"):
        layer(lamina.zeros(2, 8), lamina.tensor([0, 20]))
    with pytest.raises(RuntimeError, match=r"got \(2, 8\) and \(3,\)"):
        layer(lamina.zeros(2, 8), lamina.tensor([0, 1, 2]))
