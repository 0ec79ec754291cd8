"""Losses: cross-entropy's arguments, shapes, reductions, errors."""

import math
import warnings

import numpy as np
import pytest

import lamina

F = lamina.nn.functional


def scores(*shape, seed=0):
    return lamina.tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


# ---- cross-entropy ------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(6, 5), (6, 40), (2, 5, 3, 7)])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_gradient_agrees_with_its_parts(shape, reduction, smoothing, weighted):
    """The fused op against log_softmax and products, gradients and second derivatives included."""
    rng = np.random.default_rng(1)
    classes = shape[1]
    t = rng.integers(0, classes, (shape[0], *shape[2:]))
    t[0] = -100
    w = lamina.tensor(rng.uniform(0.5, 2, classes)) if weighted else None
    target = lamina.tensor(t)
    along = [1] * len(shape)
    along[1] = classes
    ones = lamina.ones(classes, dtype=lamina.float64)
    valid = (target != -100).double()
    at = target * (target != -100).long()

    def parts(x):
        v = (w if weighted else ones).reshape(along)
        hot = lamina.zeros(shape, dtype=lamina.float64).scatter(1, at.unsqueeze(1), 1.0)
        wt = (hot * v).sum(1)
        q = (1 - smoothing) * hot * v + smoothing / classes * v
        loss = -(q * x.log_softmax(1)).sum(1) * valid
        if reduction == "mean":
            return loss.sum() / (wt * valid).sum()
        return loss.sum() if reduction == "sum" else loss

    def fused(x):
        return F.cross_entropy(x, target, w, reduction=reduction, label_smoothing=smoothing)

    results = []
    for f in (fused, parts):
        x = lamina.tensor(np.sin(np.arange(np.prod(shape)))
                          .reshape(shape), requires_grad=True)  # fmt: skip
        y = f(x)
        u = lamina.tensor(np.cos(np.arange(y.numel())).reshape(tuple(y.shape)))
        (plain,) = lamina.autograd.grad(y, x, u, retain_graph=True)
        (g,) = lamina.autograd.grad(y, x, u, create_graph=True)
        (h,) = lamina.autograd.grad((g * g).sum(), x)
        results.append([t.detach().numpy() for t in (y, plain, g, h)])
    for a, b in zip(*results):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("shape", [(5,), (6, 5), (6, 40), (2, 5, 3, 7)])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_of_probabilities(shape, reduction, smoothing, weighted):
    """-sum_c w_c ((1 - e) q_c + e / C) log p_c; "mean" divides by the number of positions."""
    rng = np.random.default_rng(2)
    axis = 0 if len(shape) == 1 else 1
    classes = shape[axis]
    a, q = rng.standard_normal(shape), rng.random(shape)
    w = rng.uniform(0.5, 2, classes) if weighted else np.ones(classes)
    along = [-1 if d == axis else 1 for d in range(len(shape))]
    z = a - a.max(axis, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis, keepdims=True))
    share = w.reshape(along) * ((1 - smoothing) * q + smoothing / classes)
    loss = -(share * log_p).sum(axis)
    scale = {"none": 1, "sum": 1, "mean": 1 / max(1, loss.size)}[reduction]
    x, t = lamina.tensor(a, requires_grad=True), lamina.tensor(q, requires_grad=True)
    y = F.cross_entropy(
        x, t, lamina.tensor(w) if weighted else None, reduction=reduction, label_smoothing=smoothing
    )
    np.testing.assert_allclose(
        y.detach().numpy(), loss if reduction == "none" else loss.sum() * scale, rtol=1e-12
    )
    y.sum().backward()
    gx = (np.exp(log_p) * share.sum(axis, keepdims=True) - share) * scale
    np.testing.assert_allclose(x.grad.numpy(), gx, rtol=1e-10, atol=1e-13)
    gq = -w.reshape(along) * (1 - smoothing) * log_p * scale
    np.testing.assert_allclose(t.grad.numpy(), gq, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_cross_entropy_corners_agree_with_pytorch(smoothing, reduction):
    torch = pytest.importorskip("torch")
    inf = math.inf
    cases = [
        ([[0.0, -inf, 1.0], [2.0, 3.0, -inf]], [0, 1], None, {}),  # impossible classes
        ([[0.0, -inf, 1.0]], [1], None, {}),  # the impossible one is asked for
        # All weights are 0. (With smoothing, x / 0 is inf here, and the sum 0 / 0 + x / 0 there.)
        *([] if smoothing else [([[1.0, 2.0, 3.0]] * 2, [0, 1], [0.0, 0.0, 1.0], {})]),
        ([[1.0, 2.0, 3.0]] * 2, [-100, -100], None, {}),
        ([[1.0, 2.0, 3.0]] * 3, [2, 1, 2], [1.0, 2.0, 3.0], {"ignore_index": 2}),
        (np.zeros((0, 3)), np.zeros(0, np.int64), None, {}),
        ([1e30, -1e30, 0.0], 1, None, {}),
    ]
    for scores_, target, weight, options in cases:
        results = []
        for m, f in ((lamina, F.cross_entropy), (torch, torch.nn.functional.cross_entropy)):
            x = m.tensor(np.array(scores_)).requires_grad_()
            w = None if weight is None else m.tensor(np.array(weight))
            t = m.tensor(np.array(target))
            y = f(x, t, w, reduction=reduction, label_smoothing=smoothing, **options)
            y.sum().backward()
            results.append((y.detach().numpy(), x.grad.numpy()))
        for ours, theirs in zip(*results):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_cross_entropy_shapes():
    x = scores(4, 3)
    t = lamina.tensor([0, 1, 2, 0])
    assert F.cross_entropy(x, t, reduction="none").shape == (4,)
    assert F.cross_entropy(x[0], lamina.tensor(2)).shape == ()
    one = F.cross_entropy(x[0], lamina.tensor(2), reduction="none")
    assert one.shape == () and one.item() == pytest.approx(-x[0].log_softmax(0)[2].item())
    assert F.cross_entropy(x, t.to(lamina.uint8)).item() == F.cross_entropy(x, t).item()
    half = F.cross_entropy(x.bfloat16(), t)
    assert half.dtype is lamina.bfloat16 and half.item() == pytest.approx(
        F.cross_entropy(x, t).item(), rel=1e-2
    )


def test_cross_entropy_of_nothing_is_nan():
    x = scores(2, 3).requires_grad_()
    y = F.cross_entropy(x, lamina.tensor([-100, -100]))
    assert math.isnan(y.item())
    total = F.cross_entropy(x, lamina.tensor([-100, -100]), reduction="sum")
    total.backward()
    assert total.item() == 0 and x.grad.abs().sum().item() == 0
    assert math.isnan(F.cross_entropy(lamina.zeros(0, 3), lamina.zeros(0).long()).item())


def test_cross_entropy_of_certain_scores():
    x = lamina.tensor([[1000.0, 0.0, -1000.0]])
    assert F.cross_entropy(x, lamina.tensor([0])).item() == 0
    assert F.cross_entropy(x, lamina.tensor([2])).item() == 2000
    inf = lamina.tensor([[0.0, -math.inf]])
    assert F.cross_entropy(inf, lamina.tensor([1])).item() == math.inf


def test_ignore_index_may_be_a_class():
    x, t = scores(3, 4), lamina.tensor([1, 0, 1])
    got = F.cross_entropy(x, t, ignore_index=1).item()
    assert got == pytest.approx(F.cross_entropy(x[1:2], t[1:2]).item())


def test_labels_out_of_range_are_named():
    x = scores(2, 10)
    with pytest.raises(
        IndexError,
        match=r"cross_entropy: target 10 at position \(1,\) is out of "
        r"range for 10 classes; targets must be 0 to 9 or ignore_index \(-100\)",
    ):
        F.cross_entropy(x, lamina.tensor([3, 10]))
    with pytest.raises(IndexError, match=r"target -1 at position \(1, 0, 2\)"):
        t = lamina.zeros(2, 3, 4).long()
        t[1, 0, 2] = -1
        F.cross_entropy(scores(2, 5, 3, 4), t)
    with pytest.raises(
        IndexError,
        match=r"nll_loss: target 12 at position \(0,\) is out of range "
        "for 10 classes",
    ):
        F.nll_loss(x, lamina.tensor([12, 0]))


def test_cross_entropy_errors():
    x = scores(4, 3)
    with pytest.raises(
        lamina.ShapeError,
        match=r"target has shape \(3,\), expected \(4,\) for an "
        r"input of shape \(4, 3\)",
    ):
        F.cross_entropy(x, lamina.tensor([0, 1, 2]))
    with pytest.raises(lamina.ShapeError, match="probabilities must have the input's shape"):
        F.cross_entropy(x, lamina.zeros(4))
    with pytest.raises(lamina.ShapeError, match="weight must have one element for each of 3"):
        F.cross_entropy(x, lamina.tensor([0, 1, 2, 0]), lamina.ones(2))
    with pytest.raises(ValueError, match="label_smoothing must be between 0 and 1, got 1.5"):
        F.cross_entropy(x, lamina.tensor([0, 1, 2, 0]), label_smoothing=1.5)
    with pytest.raises(ValueError, match="reduction must be 'none', 'mean' or 'sum', got 'avg'"):
        F.cross_entropy(x, lamina.tensor([0, 1, 2, 0]), reduction="avg")
    with pytest.raises(lamina.DTypeError, match="input must hold floating scores"):
        F.cross_entropy(x.long(), lamina.tensor([0, 1, 2, 0]))


# ---- elementwise --------------------------------------------------------------------------------
@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss])
def test_shapes_that_multiply_are_refused(loss):
    with pytest.raises(
        lamina.ShapeError,
        match=rf"{loss.__name__}: input has shape \(8, 1\) and "
        r"target \(8,\); they would broadcast to \(8, 8\).*squeeze",
    ):
        loss(lamina.zeros(8, 1), lamina.zeros(8))
    with pytest.warns(UserWarning, match="they are broadcast"):
        assert loss(lamina.zeros(8, 3), lamina.zeros(3)).item() == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert loss(lamina.zeros(8, 3), lamina.zeros(8, 3)).item() == 0


def test_reductions_and_their_old_names():
    x, y = lamina.tensor([1.0, 2.0]), lamina.tensor([0.0, 4.0])
    assert F.mse_loss(x, y).item() == 2.5
    assert F.mse_loss(x, y, reduction="sum").item() == 5
    assert F.mse_loss(x, y, reduction="none").tolist() == [1, 4]
    with pytest.warns(UserWarning, match="please use reduction='sum' instead"):
        assert F.mse_loss(x, y, size_average=False).item() == 5
    with pytest.warns(UserWarning, match="please use reduction='none' instead"):
        assert F.mse_loss(x, y, reduce=False).tolist() == [1, 4]
    weight = lamina.tensor([3.0, 1.0])
    assert F.mse_loss(x, y, weight=weight).item() == pytest.approx(7 / 4)
    with pytest.raises(ValueError, match="mse_loss: reduction must be"):
        F.mse_loss(x, y, reduction="max")


def test_binary_losses():
    p, y = lamina.tensor([0.0, 1.0, 0.25]), lamina.tensor([0.0, 1.0, 1.0])
    loss = F.binary_cross_entropy(p, y, reduction="none").tolist()
    assert loss[:2] == [0, 0] and loss[2] == pytest.approx(math.log(4))
    assert F.binary_cross_entropy(p, 1 - y, reduction="none")[0].item() == 100
    with pytest.raises(ValueError, match="probabilities between 0 and 1"):
        F.binary_cross_entropy(p + 1, y)
    with pytest.raises(lamina.ShapeError, match=r"has shape \(3,\) and target \(2,\)"):
        F.binary_cross_entropy_with_logits(p, y[:2])
    far = lamina.tensor([1000.0, -1000.0])
    assert F.binary_cross_entropy_with_logits(far, lamina.tensor([1.0, 0.0])).item() == 0
    assert F.binary_cross_entropy_with_logits(far, lamina.tensor([0.0, 1.0])).item() == 1000


def test_kl_div_where_the_target_is_zero():
    x = lamina.tensor([-1.0, -2.0], requires_grad=True)
    y = F.kl_div(x, lamina.tensor([0.0, 1.0]), reduction="sum")
    y.backward()
    assert y.item() == 2 and x.grad.tolist() == [0, -1]


TORCH_CASES = [
    ("hinge_embedding_loss", [(4, 3), "signs"], {"margin": 0.7}),
    ("margin_ranking_loss", [(5,), (5,), "sign5"], {"margin": 0.1}),
    ("cosine_embedding_loss", [(5, 4), (5, 4), "sign5"], {"margin": 0.2}),
    ("triplet_margin_loss", [(5, 4)] * 3, {"swap": True, "p": 3}),
    ("multi_margin_loss", [(5, 4), "class"], {"p": 2, "margin": 0.5}),
    ("multilabel_margin_loss", [(2, 4), "labels"], {}),
    ("multilabel_soft_margin_loss", [(4, 3), "binary"], {}),
    ("poisson_nll_loss", [(4, 3), "counts"], {"full": True}),
    ("nll_loss", [(5, 4), "class"], {"ignore_index": 2}),
    ("pairwise_distance", [(5, 4), (5, 4)], {"p": 1, "keepdim": True}),
]


@pytest.mark.parametrize("name, inputs, options", TORCH_CASES, ids=lambda v: str(v)[:24])
def test_rare_losses_agree_with_pytorch(name, inputs, options):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    special = {
        "signs": lambda: rng.choice([-1.0, 1.0], (4, 3)),
        "sign5": lambda: rng.choice([-1.0, 1.0], 5),
        "class": lambda: rng.integers(0, 4, 5),
        "labels": lambda: np.array([[3, 0, -1, 1], [1, -1, 2, 2]]),
        "binary": lambda: rng.integers(0, 2, (4, 3)).astype(float),
        "counts": lambda: rng.integers(0, 6, (4, 3)).astype(float),
    }
    arrays = [special[i]() if isinstance(i, str) else rng.standard_normal(i) for i in inputs]
    ours = [lamina.tensor(a) for a in arrays]
    theirs = [torch.tensor(a) for a in arrays]
    for reduction in ("none",) if name == "pairwise_distance" else ("none", "mean", "sum"):
        kwargs = {} if name == "pairwise_distance" else {"reduction": reduction}
        a = ours[0].detach().requires_grad_()
        b = theirs[0].detach().requires_grad_()
        y = getattr(F, name)(a, *ours[1:], **options, **kwargs)
        z = getattr(torch.nn.functional, name)(b, *theirs[1:], **options, **kwargs)
        np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-10)
        y.sum().backward()
        z.sum().backward()
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-10, atol=1e-12)


def test_gaussian_nll_variances():
    x, y = scores(4, 3), scores(4, 3, seed=1)
    full = F.gaussian_nll_loss(x, y, lamina.full((4, 3), 2.0)).item()
    assert F.gaussian_nll_loss(x, y, lamina.full((4, 1), 2.0)).item() == pytest.approx(full)
    assert F.gaussian_nll_loss(x, y, lamina.full((4,), 2.0)).item() == pytest.approx(full)
    with pytest.raises(lamina.ShapeError, match=r"var has shape \(3, 3\)"):
        F.gaussian_nll_loss(x, y, lamina.ones(3, 3))
    with pytest.raises(ValueError, match="var must not be negative"):
        F.gaussian_nll_loss(x, y, lamina.full((4, 3), -1.0))


def test_bits_do_not_depend_on_threads():
    rng = np.random.default_rng(4)
    cases = [((9000, 10), (9000,)), ((2, 7, 300, 40), (2, 300, 40)), ((40, 3000), (40,))]
    before = lamina.get_num_threads()
    for shape, rows in cases:
        a = rng.standard_normal(shape).astype(np.float32)
        t = lamina.tensor(rng.integers(0, shape[1], rows))
        results = []
        try:
            for n in (1, 2, 3):
                lamina.set_num_threads(n)
                x = lamina.tensor(a, requires_grad=True)
                y = F.cross_entropy(x, t, label_smoothing=0.1)
                y.backward()
                results.append((y.item(), x.grad.numpy().tobytes()))
        finally:
            lamina.set_num_threads(before)
        assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("shape", [(5,), (6, 5), (0, 5), (2, 5, 3, 7), (40_000, 3)])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
def test_nll_loss(shape, reduction, weighted, threads):
    """Value, gradient and the gradient of the gradient, which is the loss of another input."""
    rng = np.random.default_rng(3)
    axis = 0 if len(shape) == 1 else 1
    rest = shape[:axis] + shape[axis + 1 :]
    a, t = rng.standard_normal(shape), np.asarray(rng.integers(0, shape[axis], rest))
    w = rng.uniform(0.5, 2, shape[axis]) if weighted else np.ones(shape[axis])
    counts = w[t] * (t != 1)
    scale = 1 / counts.sum() if reduction == "mean" and counts.sum() else 1
    hits = np.zeros(shape)
    np.put_along_axis(hits, np.expand_dims(t, axis), np.expand_dims(-counts * scale, axis), axis)
    loss = (a * hits).sum(axis)
    x = lamina.tensor(a, requires_grad=True)
    weight = lamina.tensor(w) if weighted else None
    y = F.nll_loss(x, lamina.tensor(t), weight, ignore_index=1, reduction=reduction)
    if counts.sum() == 0 and reduction == "mean":
        assert y.isnan().item()
        return
    want = loss if reduction == "none" else loss.sum()
    np.testing.assert_allclose(y.detach().numpy(), want, rtol=1e-12, atol=1e-14)
    v = lamina.ones_like(y).requires_grad_()
    (gx,) = lamina.autograd.grad(y, x, v, create_graph=True)
    np.testing.assert_allclose(gx.detach().numpy(), hits, rtol=1e-12)
    other = lamina.tensor(rng.standard_normal(shape))
    (gv,) = lamina.autograd.grad(gx, v, other)
    want = (other.numpy() * hits).sum(axis)
    want = want if reduction == "none" else want.sum()
    np.testing.assert_allclose(gv.numpy(), want, rtol=1e-11, atol=1e-13)


def test_nll_loss_of_other_types():
    x, t = lamina.tensor([[0.5, -1.5], [2.0, 0.25]]), lamina.tensor([1, 0])
    assert F.nll_loss(x, t.to(lamina.uint8)).item() == pytest.approx(-0.25)
    for dtype in (lamina.float16, lamina.bfloat16):
        y = F.nll_loss(x.to(dtype), t)
        assert y.dtype is dtype and y.item() == -0.25
    assert F.nll_loss(lamina.tensor([[-math.inf, 0.0]]), lamina.tensor([0]), ignore_index=0,
                      reduction="sum").item() == 0  # fmt: skip
    with pytest.raises(lamina.ShapeError, match="nll_loss: weight must have one element for each"):
        F.nll_loss(x, t, lamina.ones(3))
    with pytest.raises(TypeError, match="nll_loss: input must hold floating log-probabilities"):
        F.nll_loss(x.long(), t)
    with pytest.raises(ValueError, match="nll_loss: reduction must be 'none', 'mean' or 'sum'"):
        F.nll_loss(x, t, reduction="all")
