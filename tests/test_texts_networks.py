"""Numbers printed in five teaching texts: networks and convolution. (The texts' names:
test_texts.py; regularisation and training: test_texts_training.py.) Where a text is wrong, the
right value stands here and a comment says so; answers that no text prints are marked."""

from __future__ import annotations

import math

import numpy as np
import pytest

import lamina
from lamina import nn
from lamina.nn import functional as F
from test_texts import T, values


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def linear(weight, bias):
    layer = nn.Linear(len(weight[0]), len(weight)).double()
    with lamina.no_grad():
        layer.weight.copy_(T(weight))
        layer.bias.copy_(T(bias))
    return layer


# ---- multilayer perceptrons ----------------------------------------------------------------------
def test_hidden_layer_with_relu():
    # DL101 example 6.1, eq. 6.3-6.7
    layer = linear([[0.5, -0.3], [0.8, 0.2]], [0.1, -0.2])
    z = layer(T([1, 0.5]))
    np.testing.assert_allclose(z.detach().numpy(), [0.45, 0.7], rtol=1e-12)
    np.testing.assert_allclose(F.relu(z).detach().numpy(), [0.45, 0.7], rtol=1e-12)


def test_network_3_2_1():
    # Slides section 11: z1 = (0.67, -0.33), a1 = (0.67, 0), z2 = 0.702, output about 0.669
    x = T([0.5, 0.8, -0.3])
    first = linear([[0.2, 0.4, -0.5], [-0.3, 0.1, 0.2]], [0.1, -0.2])
    second = linear([[0.6, -0.4]], [0.3])
    np.testing.assert_allclose(first(x).detach().numpy(), [0.67, -0.33], rtol=1e-12)
    net = nn.Sequential(first, nn.ReLU(), second)
    assert net(x).item() == pytest.approx(0.702, rel=1e-12)
    assert nn.Sequential(net, nn.Sigmoid())(x).item() == pytest.approx(0.669, abs=5e-4)
    # Slides section 9, "Weighted Sum"
    z = lamina.dot(x, T([0.4, -0.2, 0.6])) + 0.1
    assert z.item() == pytest.approx(-0.04, rel=1e-12)


def test_gradient_of_a_neuron():
    # Slides section 13, listing: no output printed there
    x, w = T([0.5, 0.8, -0.3], grad=True), T([0.2, 0.4, -0.5], grad=True)
    b = T(0.1, grad=True)
    z = lamina.dot(w, x) + b
    a = lamina.sigmoid(z)
    loss = (a - 1) ** 2
    loss.backward()
    assert (z.item(), a.item(), loss.item()) == pytest.approx((0.67, 0.661503, 0.114580), abs=5e-7)
    np.testing.assert_allclose(w.grad.numpy(), [-0.075795, -0.121272, 0.045477], atol=5e-7)
    assert b.grad.item() == pytest.approx(-0.151590, abs=5e-7)
    np.testing.assert_allclose(x.grad.numpy(), b.grad.item() * w.detach().numpy())
    # Slides section 13, the formula: dL/dw = 2 (a - y) a (1 - a) x
    slope = 2 * (a.item() - 1) * a.item() * (1 - a.item())
    np.testing.assert_allclose(w.grad.numpy(), slope * x.detach().numpy())


def test_output_error_of_a_layer():
    # Wrong in DL101 eq. 6.44: the error of the output layer is dL/dh without sigma'(z). That holds
    # for a linear output only; Slides section 13 has the factor. Notes: a - y, with cross-entropy.
    z = T([0.3, -1.0], grad=True)
    y = T([1.0, 0.0])
    F.mse_loss(z.sigmoid(), y, reduction="sum").backward()
    a = z.detach().sigmoid()
    np.testing.assert_allclose(z.grad.numpy(), (2 * (a - y) * a * (1 - a)).numpy())
    z.grad = None
    F.binary_cross_entropy_with_logits(z, y, reduction="sum").backward()
    np.testing.assert_allclose(z.grad.numpy(), (a - y).numpy())


def test_parameter_counts():
    def mlp(*sizes):
        return nn.Sequential(*(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])))

    assert [parameters(m) for m in mlp(4, 5, 4, 2)] == [25, 24, 10]
    assert parameters(mlp(4, 5, 4, 2)) == 59  # Slides section 10
    assert parameters(mlp(10, 20, 20, 3)) == 703  # DL101 exercise 6.2 (no answer printed)
    assert tuple(nn.Linear(4, 5, bias=False)(lamina.ones(4)).shape) == (5,)  # Slides section 10
    assert parameters(nn.Conv2d(64, 128, 3)) == 73_856  # DL101 exercise 9.2 (no answer printed)


def test_classification_losses():
    # Slides section 12: one-hot (0, 1, 0) against (0.1, 0.7, 0.2)
    p = T([[0.1, 0.7, 0.2]])
    assert F.nll_loss(p.log(), lamina.tensor([1])).item() == pytest.approx(0.357, abs=5e-4)
    assert F.cross_entropy(p.log(), T([[0, 1, 0]])).item() == pytest.approx(-math.log(0.7))
    # Slides section 20: one-hot of label 3
    assert F.one_hot(lamina.tensor(3), 10).tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    # Notes, lines 22-31: red, blue, green
    assert F.one_hot(lamina.arange(3)).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    # DL101 exercise 5.2: w = (2, -1), b = 0 at (1, 1) is class 1 (no answer printed)
    assert T(2.0 * 1 - 1 * 1).sigmoid().item() == pytest.approx(0.731059, abs=5e-7)
    # DL101 section 11.4.3: a class with 10 % of the samples weighs 10 times one with 100 %
    share = T([1.0, 0.1])
    assert (share[0] / share)[1].item() == pytest.approx(10)
    # Slides table and listings disagree: CrossEntropyLoss takes scores, not a softmax.
    x = T([[1.0, 3.0, 2.0]])
    twice = F.cross_entropy(F.softmax(x, 1), lamina.tensor([1])).item()
    assert F.cross_entropy(x, lamina.tensor([1])).item() < twice


def test_label_smoothing():
    # DL101 example 7.4, eq. 7.12: K = 1000, eps = 0.1. Its text says 0.9 for the right class; the
    # formula (and PyTorch) give 0.9 + 0.1 / 1000 = 0.9001, and 0.0001 for each other.
    x = lamina.zeros(1, 1000, dtype=lamina.float64).requires_grad_()
    F.cross_entropy(x, lamina.tensor([7]), label_smoothing=0.1).backward()
    target = (F.softmax(x.detach(), 1) - x.grad).numpy()[0]  # gradient = softmax - target
    assert target[7] == pytest.approx(0.9001, rel=1e-12)
    assert np.delete(target, 7) == pytest.approx(0.0001, rel=1e-9)


# ---- convolution ---------------------------------------------------------------------------------
def size(layer, *shape):
    return tuple(layer(lamina.zeros(1, *shape)).shape[1:])


def test_output_sizes():
    assert size(nn.MaxPool2d(2, 2), 3, 32, 32) == (3, 16, 16)  # DL101 example 9.3
    assert size(nn.Conv2d(1, 1, 3, stride=2, padding=1), 1, 32, 32) == (1, 16, 16)  # 9.2.4
    same = nn.Conv2d(64, 128, 3, padding="same")
    assert size(same, 64, 32, 32) == (128, 32, 32)  # DL101 example 9.4
    for n in (5, 6, 9, 16):  # DL101 sections 9.1.4 and 9.2.4
        for k in (1, 2, 3, 5):
            for s in (1, 2, 3):
                for p in (0, 1, 2):
                    got = size(nn.Conv1d(1, 1, k, stride=s, padding=p), 1, n)[1]
                    assert got == (n + 2 * p - k) // s + 1
    for k in (1, 3, 5, 7):  # DL101 section 9.1.4: same padding is floor((k - 1) / 2)
        assert size(nn.Conv1d(1, 1, k, padding=(k - 1) // 2), 1, 12) == (1, 12)


def test_sizes_of_an_exercise():
    # DL101 exercise 9.5 (no answer printed), with the pooling not padded
    first = nn.Conv2d(3, 64, 7, stride=2, padding=3)
    assert size(first, 3, 224, 224) == (64, 112, 112)
    assert size(nn.MaxPool2d(3, 2), 64, 112, 112) == (64, 55, 55)
    assert size(nn.Conv2d(64, 128, 3, padding=1), 64, 55, 55) == (128, 55, 55)


def reach(layers, n=41):
    """How many inputs the middle output depends on."""
    x = lamina.zeros(1, 1, n).requires_grad_()
    y = layers(x)
    y[0, 0, y.shape[2] // 2].backward()
    return int((x.grad != 0).sum())


def ones(**options):
    layer = nn.Conv1d(1, 1, 3, bias=False, **options)
    nn.init.ones_(layer.weight)
    return layer


def test_receptive_fields():
    two = nn.Sequential(ones(), ones())
    assert reach(two) == 5  # DL101 exercise 9.1 (no answer printed), sections 9.1.4 and 9.3.3
    dilated = nn.Sequential(*(ones(dilation=d) for d in (1, 2, 4, 8)))
    assert reach(dilated) == 31  # DL101 exercise 9.7 (no answer printed)
    c = 8  # two 3 x 3 layers have 18 c^2 weights, one 5 x 5 has 25 c^2
    assert 2 * parameters(nn.Conv2d(c, c, 3, bias=False)) == 18 * c * c
    assert parameters(nn.Conv2d(c, c, 5, bias=False)) == 25 * c * c


@pytest.mark.parametrize("c, k", [(8, 3), (16, 5)])
def test_depthwise_separable_convolution(c, k):
    # DL101 remark 9.3, eq. 9.7-9.8; exercise 9.8: the ratio is 1 / c_out + 1 / k^2
    full = parameters(nn.Conv2d(c, c, k, bias=False))
    parts = nn.Sequential(nn.Conv2d(c, c, k, groups=c, bias=False), nn.Conv2d(c, c, 1, bias=False))
    assert full == k * k * c * c and parameters(parts) == k * k * c + c * c
    assert parameters(parts) / full == pytest.approx(1 / c + 1 / k**2)
    assert size(parts, c, 9, 9)[0] == c


def test_lenet5():
    # DL101 section 9.3.1 gives the layers; the counts are not printed
    def lenet(n):
        m = ((n - 4) // 2 - 4) // 2
        return nn.Sequential(
            nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(),
            nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16 * m * m, 120), nn.Tanh(),
            nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10), nn.Softmax(1),
        )  # fmt: skip

    for n, count in ((32, 61_706), (28, 44_426)):
        net = lenet(n)
        assert parameters(net) == count and size(net, 1, n, n) == (10,)


def test_convolution_is_cross_correlation():
    # DL101 eq. 9.1 flips the kernel, eq. 9.2 does not; CheatSheet 3.3.2 calls the latter
    # convolution, as libraries do. Wrong in DL101 eq. 9.6: under stride s it must read
    # I(i s + m, j s + n).
    rng = np.random.default_rng(0)
    image, kernel = rng.standard_normal((7, 8)), rng.standard_normal((3, 2))
    I, K = T(image).reshape(1, 1, 7, 8), T(kernel).reshape(1, 1, 3, 2)
    for s in (1, 2):
        want = [
            [(image[i * s : i * s + 3, j * s : j * s + 2] * kernel).sum()
             for j in range((8 - 2) // s + 1)]
            for i in range((7 - 3) // s + 1)
        ]  # fmt: skip
        np.testing.assert_allclose(F.conv2d(I, K, stride=s).numpy()[0, 0], want)
    flipped = F.conv2d(I, K.flip(2, 3)).numpy()[0, 0]
    want = [
        [sum(image[i + 2 - m, j + 1 - n] * kernel[m, n] for m in range(3) for n in range(2))
         for j in range(7)]
        for i in range(5)
    ]  # fmt: skip
    np.testing.assert_allclose(flipped, want)


def test_convolution_backward():
    # DL101 section 9.5.2 prints "*" for two operations: dK is the cross-correlation of I with dS,
    # dI the full convolution of dS with K (K rotated by 180 degrees).
    rng = np.random.default_rng(1)
    I = T(rng.standard_normal((1, 1, 5, 6)), grad=True)  # noqa: E741
    K, g = T(rng.standard_normal((1, 1, 3, 2)), grad=True), T(rng.standard_normal((1, 1, 3, 5)))
    (F.conv2d(I, K) * g).sum().backward()
    with lamina.no_grad():
        np.testing.assert_allclose(K.grad.numpy(), F.conv2d(I, g).numpy(), rtol=1e-12)
        full = F.conv2d(F.pad(g, (1, 1, 2, 2)), K.flip(2, 3))
    np.testing.assert_allclose(I.grad.numpy(), full.numpy(), rtol=1e-12)


def test_edge_filter():
    # DL101 example 9.2: [-1, 0, 1] answers at edges, and not on flat areas
    image = T([0] * 5 + [1] * 5).reshape(1, 1, 10)
    got = F.conv1d(image, T([[[-1, 0, 1]]])).flatten().tolist()
    assert got == [0, 0, 0, 1, 1, 0, 0, 0]


def test_pixel_order():
    # Slides section 20: pixel (i, j) is element 28 i + j
    x = lamina.arange(784).reshape(1, 1, 28, 28)
    flat = nn.Flatten()(x)[0]
    assert all(
        flat[28 * i + j].item() == x[0, 0, i, j].item() for i, j in ((0, 5), (3, 0), (27, 9))
    )


def test_pooling_gradients():
    # DL101 section 9.5.3: max pooling gives all to the largest, average pooling equal shares
    x = T([[[[1, 2], [4, 3]]]], grad=True)
    F.max_pool2d(x, 2).backward()
    assert values(x.grad) == [[[[0, 0], [1, 0]]]]
    x.grad = None
    F.avg_pool2d(x, 2).backward()
    assert values(x.grad) == [[[[0.25, 0.25], [0.25, 0.25]]]]
