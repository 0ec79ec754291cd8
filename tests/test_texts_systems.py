"""Systems that five teaching texts describe, in the texts' own form where it differs from
PyTorch's. (The texts' names: test_texts.py; docs/texts.md lists every system and its test.)"""

from __future__ import annotations

import math

import numpy as np
import pytest

import lamina
from lamina import nn, optim
from lamina.nn import functional as F
from test_texts import T, values

RNG = np.random.default_rng(7)


# ---- linear algebra, derivatives -----------------------------------------------------------------
def test_images_with_channels_last():
    # DL101 eq. 2.5 and section 9.5.1: images B x H x W x C, kernels k x k x C_in x C_out
    images, kernels = RNG.normal(size=(2, 6, 5, 3)), RNG.normal(size=(3, 3, 3, 4))
    got = F.conv2d(T(images).permute(0, 3, 1, 2), T(kernels).permute(3, 2, 0, 1))
    want = np.zeros((2, 4, 3, 4))
    for m in range(3):
        for n in range(3):
            want += images[:, m : m + 4, n : n + 3] @ kernels[m, n]
    np.testing.assert_allclose(got.permute(0, 2, 3, 1).numpy(), want, atol=1e-13)


def test_samples_as_columns():
    # Slides section 11: Z = W A + b with a column per sample; Linear has a row per sample
    w, a, b = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 5)), RNG.normal(size=(3, 1))
    z = T(w) @ T(a) + T(b)
    np.testing.assert_allclose(z.numpy(), F.linear(T(a).T, T(w), T(b)[:, 0]).T.numpy())


def test_cosine_similarity_without_a_small_constant():
    # DL101 eq. 2.24 writes none; PyTorch's divides by at least 1e-8
    x, y = T([1e-9, 2e-9]), T([2e-9, -1e-9])
    assert F.cosine_similarity(x, x, 0, eps=0.0).item() == pytest.approx(1, rel=1e-12)
    assert F.cosine_similarity(x, y, 0, eps=0.0).item() == pytest.approx(0, abs=1e-12)
    assert F.cosine_similarity(x, x, 0).item() < 0.1


def test_directional_derivative_both_ways():
    # DL101 eq. 4.27, section 6.4.4: u^T grad f; forward mode gives it in one pass
    x, u = T([1.0, 2.0]), T([0.6, 0.8])

    def f(v):
        return v[0] ** 2 + 3 * v[0] * v[1]

    _, forward = lamina.func.jvp(f, (x,), (u,))
    reverse = (lamina.func.grad(f)(x) * u).sum()
    assert forward.item() == pytest.approx(7.2) and reverse.item() == pytest.approx(7.2)


def test_no_grad_as_a_decorator():
    # Slides section 21, listing
    layer = nn.Linear(2, 1)

    @lamina.no_grad()
    def evaluate(model, x):
        return model(x)

    assert not evaluate(layer, lamina.ones(2)).requires_grad
    assert layer(lamina.ones(2)).requires_grad


def test_loss_scaling():
    # DL101 section 4.4.5, remark 4.4: weights stay float32, a scaled loss keeps small gradients
    layer = nn.Linear(4, 2)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    scaler = lamina.amp.GradScaler("cpu", init_scale=1024.0)
    before = layer.weight.detach().clone()
    half = {name: p.half() for name, p in layer.named_parameters()}
    y = lamina.func.functional_call(layer, half, lamina.ones(3, 4, dtype=lamina.float16))
    assert y.dtype is lamina.float16
    loss = y.float().square().mean()
    scaler.scale(loss).backward()
    grown = layer.weight.grad.clone()
    scaler.unscale_(optimizer)
    np.testing.assert_allclose(layer.weight.grad.numpy() * 1024, grown.numpy(), rtol=1e-6)
    small = lamina.tensor(1e-8)  # rounds to 0 in float16, 1,024 times as much does not
    assert small.half().item() == 0 and (small * 1024).half().item() > 0
    scaler.step(optimizer)
    scaler.update()
    assert layer.weight.dtype is lamina.float32 and not lamina.equal(layer.weight, before)


# ---- convolution and pooling ---------------------------------------------------------------------
def test_full_padding():
    # DL101 section 9.1.4: valid, same and full; full is a padding of k - 1
    x, k = RNG.normal(size=9), RNG.normal(size=4)
    y = F.conv1d(T(x).view(1, 1, 9), T(k[::-1].copy()).view(1, 1, 4), padding=3)
    np.testing.assert_allclose(y.flatten().numpy(), np.convolve(x, k, "full"), atol=1e-13)
    assert y.shape[-1] == 9 + 4 - 1


def test_dilation_puts_gaps_between_taps():
    # DL101 section 9.5.7: rate r puts r - 1 gaps
    x, k = T(RNG.normal(size=(1, 1, 20))), RNG.normal(size=3)
    for r in (1, 2, 4):
        wide = np.zeros(2 * r + 1)
        wide[::r] = k
        got = F.conv1d(x, T(k).view(1, 1, 3), dilation=r)
        np.testing.assert_allclose(got.numpy(), F.conv1d(x, T(wide).view(1, 1, -1)).numpy())


def test_translation_equivariance():
    # DL101 section 9.1.2: (T I) * K = T (I * K), here with a periodic boundary
    layer = nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular").double()
    x = T(RNG.normal(size=(1, 2, 6, 7)))
    moved, after = layer(x.roll((2, 3), (2, 3))), layer(x).roll((2, 3), (2, 3))
    np.testing.assert_allclose(moved.detach().numpy(), after.detach().numpy(), atol=1e-13)


def test_pooling_of_every_kind():
    # DL101 sections 9.2.1-9.2.3, 9.3.2, exercise 9.10: max, average, L2, overlapping, global
    x = RNG.normal(size=(1, 2, 6, 6))
    cells = x.reshape(1, 2, 3, 2, 3, 2).transpose(0, 1, 2, 4, 3, 5).reshape(1, 2, 3, 3, 4)
    np.testing.assert_allclose(F.max_pool2d(T(x), 2).numpy(), cells.max(-1))
    np.testing.assert_allclose(F.avg_pool2d(T(x), 2).numpy(), cells.mean(-1))
    norms = F.lp_pool2d(T(x), 2.0, 2).numpy()
    np.testing.assert_allclose(norms, np.sqrt((cells**2).sum(-1)))
    assert F.max_pool2d(T(x), 3, 2).shape == (1, 2, 2, 2)  # windows larger than the step
    np.testing.assert_allclose(F.adaptive_avg_pool2d(T(x), 1).flatten().numpy(), x.mean((2, 3))[0])
    np.testing.assert_allclose(F.adaptive_max_pool2d(T(x), 1).flatten().numpy(), x.max((2, 3))[0])


def test_residual_connection():
    # DL101 section 9.3.4: y = F(x) + x, dL/dx = dL/dy (dF/dx + I)
    layer = nn.Linear(3, 3).double()
    x, g = T(RNG.normal(size=3), grad=True), T(RNG.normal(size=3))
    (layer(x).tanh() + x).backward(g)
    jacobian = lamina.autograd.functional.jacobian(lambda v: layer(v).tanh(), x.detach())
    want = (jacobian.T + lamina.eye(3, dtype=lamina.float64)) @ g
    np.testing.assert_allclose(x.grad.numpy(), want.detach().numpy(), atol=1e-13)


# ---- normalisation -------------------------------------------------------------------------------
def test_batch_normalisation_formula():
    # DL101 eq. 7.7-7.10: variance divided by B, eps inside the root
    x = RNG.normal(2, 3, (6, 4))
    want = (x - x.mean(0)) / np.sqrt(x.var(0) + 0.1)
    layer = nn.BatchNorm1d(4, eps=0.1).double()
    np.testing.assert_allclose(layer(T(x)).detach().numpy(), want, atol=1e-13)
    # section 7.5.2 has statistics per channel and position for images, example 7.3 per channel
    images = RNG.normal(size=(5, 2, 3, 4))
    each = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(24), nn.Unflatten(1, (2, 3, 4))).double()
    want = (images - images.mean(0)) / np.sqrt(images.var(0) + 1e-5)
    np.testing.assert_allclose(each(T(images)).detach().numpy(), want, atol=1e-12)


def test_recalibration_of_batch_normalisation():
    # DL101 section 7.5.4: running statistics anew from a small buffer without labels
    model = nn.Sequential(nn.BatchNorm1d(2))
    model(lamina.randn(8, 2))
    shifted = [lamina.randn(64, 2) * 3 + 5 for _ in range(4)]
    optim.swa_utils.update_bn(shifted, model)
    want = lamina.stack([b.mean(0) for b in shifted]).mean(0)
    np.testing.assert_allclose(model[0].running_mean.numpy(), want.numpy(), rtol=1e-5)


# ---- activations ---------------------------------------------------------------------------------
def test_slopes_of_the_rectifiers():
    # DL101 figure 6.5 draws leaky ReLU, PReLU and ELU with 0.001, section 11.2.3 leaky with 0.01
    z = T([-2.0, -0.5, 0.0, 3.0])
    for slope in (0.001, 0.01):
        want = np.maximum(slope * z.numpy(), z.numpy())
        np.testing.assert_allclose(F.leaky_relu(z, slope).numpy(), want)
    want = np.where(z.numpy() > 0, z.numpy(), 0.001 * np.expm1(z.numpy()))
    np.testing.assert_allclose(F.elu(z, 0.001).numpy(), want, rtol=1e-14)
    # eq. 6.12: max(a z, z) with a learned; PReLU's is another function where a > 1
    for a in (0.25, 1.5):
        a, x = T(a, grad=True), z.clone().requires_grad_()
        y = lamina.maximum(a * x, x)
        np.testing.assert_allclose(y.detach().numpy(), np.maximum(a.item() * z.numpy(), z.numpy()))
        same = lamina.equal(y.detach(), F.prelu(z, a.detach()))
        assert same is (a.item() < 1)
        y.sum().backward()
        chosen = a.item() * z.numpy() > z.numpy()
        assert a.grad.item() == pytest.approx(z.numpy()[chosen].sum())
    # Slides section 9: the slope of ReLU at 0 is 0
    zero = T(0.0, grad=True)
    F.relu(zero).backward()
    assert zero.grad.item() == 0


def test_swish_and_gelu():
    # DL101 eq. 6.14-6.15: z sigma(z), and z Phi(z), not its tanh approximation
    z = np.linspace(-4, 4, 9)
    np.testing.assert_allclose(F.silu(T(z)).numpy(), z / (1 + np.exp(-z)), atol=1e-15)
    phi = np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in z])
    np.testing.assert_allclose(F.gelu(T(z)).numpy(), z * phi, atol=1e-15)


# ---- losses --------------------------------------------------------------------------------------
def test_losses_by_their_formulas():
    y, p = RNG.normal(size=5), RNG.normal(size=5)
    a, b = T(p, grad=True), T(y)
    loss = F.mse_loss(a, b)  # Slides section 12: mean, derivative 2 (p - y) / n
    loss.backward()
    assert loss.item() == pytest.approx(((p - y) ** 2).mean())
    np.testing.assert_allclose(a.grad.numpy(), 2 * (p - y) / 5)
    assert F.l1_loss(a, b).item() == pytest.approx(np.abs(p - y).mean())
    e = np.abs(p - y)  # DL101 definition 11.8
    want = np.where(e <= 0.7, 0.5 * e**2, 0.7 * e - 0.5 * 0.7**2).mean()
    assert F.huber_loss(a, b, delta=0.7).item() == pytest.approx(want)
    # DL101 chapter 14, eq. 20.10: squared norms are sums, not means
    assert F.mse_loss(a, b, reduction="sum").item() == pytest.approx(((p - y) ** 2).sum())


def test_one_sigmoid_per_class():
    # Notes, "Cost Function": sum over the classes of sigmoid cross-entropies, mean over samples,
    # and lam / (2 m) sum theta^2 without the biases. Others take a softmax.
    layer, x = nn.Linear(3, 4).double(), T(RNG.normal(size=(5, 3)))
    y = F.one_hot(lamina.tensor([0, 3, 1, 1, 2]), 4).double()
    h = layer(x).sigmoid().detach().numpy()
    t, w = y.numpy(), layer.weight.detach().numpy()
    want = -(t * np.log(h) + (1 - t) * np.log(1 - h)).sum() / 5 + 0.3 / (2 * 5) * (w**2).sum()
    loss = F.binary_cross_entropy_with_logits(layer(x), y, reduction="none").sum(1).mean()
    loss = loss + nn.utils.weight_penalty([layer.weight], l2=0.3) / 5
    assert loss.item() == pytest.approx(want)
    groups = optim.decay_groups(layer.named_parameters(), 0.3)
    assert [g["weight_decay"] for g in groups] == [0.3, 0.0]  # the bias is left out


def test_costs_of_mistakes():
    # DL101 section 11.1.1, example 11.2: a mistake of one kind may cost more than of the other
    x, cost = RNG.normal(size=(4, 2)), np.array([[0.0, 1.0], [10.0, 0.0]])
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    target = np.array([0, 1, 1, 0])
    want = (p * cost[target]).sum(1)
    z = T(x, grad=True)
    got = F.cost_sensitive_loss(z, lamina.tensor(target), T(cost), reduction="none")
    np.testing.assert_allclose(got.detach().numpy(), want)
    assert lamina.autograd.gradcheck(
        lambda v: F.cost_sensitive_loss(v, lamina.tensor(target), T(cost)), (z,)
    )
    with pytest.raises(lamina.ShapeError, match=r"expected input \(N, C\)"):
        F.cost_sensitive_loss(z, lamina.tensor(target), T(cost[:1]))


def test_distillation():
    # Slides section 19, DL101 section 3.5.4: D_KL(teacher || student) = sum p log(p / q)
    student, teacher = T(RNG.normal(size=(3, 4)), grad=True), T(RNG.normal(size=(3, 4)))
    p, q = F.softmax(teacher, 1).numpy(), F.softmax(student, 1).detach().numpy()
    want = (p * np.log(p / q)).sum(1).mean()
    assert F.distillation_loss(student, teacher).item() == pytest.approx(want)
    log_q = F.log_softmax(student, 1)
    assert F.kl_div(log_q, T(p), reduction="batchmean").item() == pytest.approx(want)
    # T^2 keeps the size of the gradient: for a hot softmax it tends to (z - v) / C (Hinton et al.)
    F.distillation_loss(student, teacher, 1e4).backward()
    z, v = student.detach().numpy(), teacher.numpy()
    centred = (z - z.mean(1, keepdims=True)) - (v - v.mean(1, keepdims=True))
    np.testing.assert_allclose(student.grad.numpy(), centred / 4 / 3, atol=1e-4)
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        F.distillation_loss(student, teacher, 0)


def test_penalties():
    # DL101 eq. 7.1 halves the squared norm, section 2.5.7 and eq. 7.4 (elastic net) do not
    w = T([3.0, -4.0], grad=True)
    penalty = nn.utils.weight_penalty
    assert penalty([w], l2=0.1).item() == pytest.approx(0.1 / 2 * 25)
    assert penalty([w], l2=0.1, halved=False).item() == pytest.approx(0.1 * 25)
    both = penalty([w], l1=0.2, l2=0.1, halved=False)
    assert both.item() == pytest.approx(0.2 * 7 + 0.1 * 25)
    both.backward()  # eq. 7.3: the slope of the L1 part is lam sign(w)
    np.testing.assert_allclose(w.grad.numpy(), 0.2 * np.sign([3, -4]) + 0.2 * np.array([3, -4]))
    w.grad = T([1.0, 1.0])
    optim.SGD([w], lr=0.1, weight_decay=0.5).step()  # eq. 7.2: (1 - a lam) w - a g
    np.testing.assert_allclose(w.detach().numpy(), (1 - 0.05) * np.array([3, -4]) - 0.1)


# ---- training ------------------------------------------------------------------------------------
def test_forms_of_the_adaptive_rules():
    # DL101 eq. 8.10 (AdaGrad) and 8.12, Slides section 14 (RMSProp): eps inside the root;
    # CheatSheet 3.15.3: outside
    for inside in (False, True):
        for make, start in ((optim.Adagrad, 1.0), (optim.RMSprop, 0.1)):
            p = T([2.0], grad=True)
            kind = {"alpha": 0.9} if make is optim.RMSprop else {}
            o = make([p], lr=0.01, eps=1e-2, eps_inside_root=inside, **kind)
            p.grad = T([3.0])
            o.step()
            r = start * 9
            root = math.sqrt(r + 1e-2) if inside else math.sqrt(r) + 1e-2
            assert p.item() == pytest.approx(2 - 0.01 * 3 / root, rel=1e-9)


def test_nesterov_at_the_point_ahead():
    # DL101 eq. 8.6-8.7: g at theta + b v, v = b v - a g, theta + v; PyTorch's is rearranged
    p, theta, v = T([3.0, -2.0], grad=True), np.array([3.0, -2.0]), np.zeros(2)
    o = optim.SGD([p], lr=0.1, momentum=0.9, form="lr_inside", lookahead=True)

    def closure():
        o.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    for _ in range(5):
        o.step(closure)
        v = 0.9 * v - 0.1 * 2 * (theta + 0.9 * v)
        theta = theta + v
        np.testing.assert_allclose(p.detach().numpy(), theta, rtol=1e-10)


def test_adam_then_sgd():
    # DL101 section 8.5.5: change to SGD with Nesterov momentum when the validation stalls
    lamina.manual_seed(0)
    net, x = nn.Linear(3, 1), lamina.randn(64, 3)
    y = x.sum(1, keepdim=True)
    optimizer: optim.Optimizer = optim.Adam(net.parameters(), lr=0.05)
    best, stalled, kinds = math.inf, 0, set()
    for _ in range(200):
        optimizer.zero_grad()
        loss = F.mse_loss(net(x), y)
        loss.backward()
        optimizer.step()
        kinds.add(type(optimizer))
        stalled = 0 if loss.item() < best * 0.999 else stalled + 1
        best = min(best, loss.item())
        if stalled == 3 and type(optimizer) is optim.Adam:
            optimizer = optim.SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    assert kinds == {optim.Adam, optim.SGD} and best < 1e-5


def test_variance_of_mini_batches():
    # DL101 section 8.1.4: the variance of a gradient over B samples is 1 / B of that of one
    g = RNG.normal(size=(40_000,))
    for size in (4, 16):
        means = T(g).view(-1, size).mean(1)
        assert means.var().item() == pytest.approx(1 / size, rel=0.1)


def test_mean_of_the_batches_losses():
    # Slides section 21, listing: loss / len(loader), which is not the mean over samples when the
    # last batch is smaller; accuracy / len(loader.dataset)
    losses = lamina.tensor([1.0, 1.0, 1.0, 5.0, 5.0])
    loader = lamina.utils.data.DataLoader(lamina.utils.data.TensorDataset(losses), batch_size=3)
    total = sum(batch.mean().item() for (batch,) in loader)
    assert total / len(loader) == 3.0 and losses.mean().item() == pytest.approx(2.6)
    assert len(loader) == 2 and len(loader.dataset) == 5


def test_order_of_zero_grad():
    # Course puts zero_grad after the step, Slides section 14 before the forward pass
    def train(after):
        lamina.manual_seed(0)
        net = nn.Linear(2, 1)
        o = optim.SGD(net.parameters(), lr=0.1)
        for _ in range(4):
            if not after:
                o.zero_grad()
            net(lamina.ones(2)).square().sum().backward()
            o.step()
            if after:
                o.zero_grad()
        return values(net.weight)

    assert train(True) == train(False)


def test_learning_rate_follows_the_batch():
    # DL101 section 11.3.3, CheatSheet 3.15.6: twice the batch, about twice the rate: on the same
    # gradient, one step of (64, 2 lr) is two steps of (32, lr) to first order
    def run(lr, steps):
        p = T([1.0], grad=True)
        o = optim.SGD([p], lr=lr)
        for _ in range(steps):
            o.zero_grad()
            (p * p).sum().backward()
            o.step()
        return p.item()

    assert run(2e-3, 50) == pytest.approx(run(1e-3, 100), rel=1e-3)


# ---- products ------------------------------------------------------------------------------------
def test_cross_product():
    # DL101 exercise 2.9 (no answer printed)
    got = lamina.linalg.cross(T([1.0, 0.0, 2.0]), T([3.0, 1.0, 1.0]))
    assert values(got) == [-2, 5, 1]


def test_costs_of_attention():
    # DL101 exercises 17.5 and 17.7: L^2 D products for full attention, L sqrt(L) D for windows
    def products(length, width, window):
        seen = np.abs(np.arange(length)[:, None] - np.arange(length)) < window
        return int(seen.sum()) * width

    full, part = products(1024, 8, 1024), products(1024, 8, 32)
    assert full == 1024**2 * 8 and part < 2 * 1024 * 32 * 8
    x = T(RNG.normal(size=(1, 64, 8)))
    whole = F.scaled_dot_product_attention(x, x, x)
    np.testing.assert_allclose(F.local_attention(x, x, x, 64).numpy(), whole.numpy(), atol=1e-13)
