"""Whole steps as users write them, over a library `t` that is lamina or PyTorch.

A workload is a function of `t` that returns (step, inputs): step(*batch) does all the work of one
step, inputs is a list of batches (tuples of arrays). Weights are set by `fill` from a seed, the
same in both libraries. Tensors are made on the library's default device.
"""

from __future__ import annotations

import contextlib
import dataclasses

import numpy as np
from generation import generation
from networks import gpt, lenet5, resnet

BATCHES = 8


@dataclasses.dataclass
class Setting:
    """What may be set before a workload is made."""

    batch: int = 0  # instead of the workload's own
    precision: object = contextlib.nullcontext  # makes the context of forward pass and loss
    channels_last: bool = False  # the weights of convolutions
    capturable: bool = False  # an optimizer's counters lie on the device (for torch.cuda.graph)


SETTING = Setting()


def images(n, *shape, classes=10):
    n, rng = SETTING.batch or n, np.random.default_rng(0)
    return [
        (rng.standard_normal((n, *shape), dtype=np.float32), rng.integers(0, classes, n))
        for _ in range(BATCHES)
    ]


def tokens(n, length, vocabulary=65):
    n, rng = SETTING.batch or n, np.random.default_rng(0)
    rows = [rng.integers(0, vocabulary, (n, length + 1)) for _ in range(BATCHES)]
    return [(r[:, :-1].copy(), r[:, 1:].copy()) for r in rows]


def fill(t, *models):
    """The same weights in every library: matrices scaled by their inputs, biases zero."""
    rng = np.random.default_rng(1)
    with t.no_grad():
        for name, p in (pair for m in models for pair in m.named_parameters()):
            if p.dim() < 2:
                if "bias" in name:
                    p.zero_()
                continue
            scale = np.sqrt(1.0 / np.prod(p.shape[1:]))
            value = rng.standard_normal(tuple(p.shape)).astype(np.float32) * np.float32(scale)
            p.copy_(t.from_numpy(value))


def training(t, model, optimizer, loss=None):
    """The usual step: zero_grad, forward, loss, backward, optimizer."""
    fill(t, model)
    loss, precision = loss or t.nn.functional.cross_entropy, SETTING.precision
    if SETTING.channels_last:
        model.to(memory_format=t.channels_last)
    for group in optimizer.param_groups if SETTING.capturable else ():
        group["capturable"] = True

    def step(x, y):
        optimizer.zero_grad()
        with precision():
            value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value.detach()

    return step


def adam(t, model, fused=False, **options):
    if fused and t.__name__ == "torch":
        options["fused"] = True
    return t.optim.Adam(model.parameters(), lr=1e-3, **options)


def momentum(t, model, fused=False, lr=0.01, **options):
    if fused and t.__name__ == "torch":
        options["fused"] = True
    return t.optim.SGD(model.parameters(), lr=lr, momentum=0.9, **options)


def mlp(t, fused=False):
    """784-256-128-10, ReLU, dropout 0.2; Adam; batch 64."""
    nn = t.nn
    model = nn.Sequential(
        nn.Linear(784, 256), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(256, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10),
    )  # fmt: skip
    return training(t, model, adam(t, model, fused)), images(64, 784)


def tiny(t, fused=False):
    """16-32-1, batch 1, mean squared error; SGD: the cost of calls."""
    nn = t.nn
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = t.optim.SGD(model.parameters(), lr=0.01)
    rng = np.random.default_rng(0)
    data = [rng.standard_normal((1, 17), dtype=np.float32) for _ in range(BATCHES)]
    pairs = [(d[:, :16].copy(), d[:, 16:].copy()) for d in data]
    return training(t, model, optimizer, nn.functional.mse_loss), pairs


def _q_network(t):
    nn = t.nn
    return nn.Sequential(
        nn.Linear(8, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 4)
    )


def dqn_act(t, fused=False):
    """Q-network 8-128-128-4: the greedy action in one state."""
    model = _q_network(t)
    fill(t, model)

    def step(x):
        with t.no_grad():
            return model(x).argmax(1)

    return step, [(x,) for x, _ in images(1, 8)]


def dqn_learn(t, fused=False):
    """The same network: one Huber step on 32 transitions, with a target network; Adam."""
    model, target = _q_network(t), _q_network(t)
    fill(t, model, target)
    optimizer = adam(t, model, fused)
    rng = np.random.default_rng(0)
    data = []
    for _ in range(BATCHES):
        s = rng.standard_normal((2, 32, 8), dtype=np.float32)
        a, r = rng.integers(0, 4, (32, 1)), rng.standard_normal((32, 1), dtype=np.float32)
        data.append((s[0].copy(), a, r, s[1].copy()))

    def step(s, a, r, after):
        with t.no_grad():
            goal = r + 0.99 * target(after).max(1, keepdim=True).values
        loss = t.nn.functional.smooth_l1_loss(model(s).gather(1, a), goal)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step, data


def convnet(t, fused=False):
    """pytorch/examples mnist: conv 32 and 64 3x3, max pooling, 9216-128-10, dropout; batch 64."""
    nn = t.nn
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Dropout(0.25), nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(128, 10),
    )  # fmt: skip
    return training(t, model, adam(t, model, fused)), images(64, 1, 28, 28)


def lenet(t, fused=False):
    """LeNet-5 on 28x28, max pooling; SGD momentum; batch 64."""
    model = lenet5(t)
    return training(t, model, momentum(t, model, fused)), images(64, 1, 28, 28)


def resnet18(t, fused=False, batch=32):
    """ResNet-18 for CIFAR (kuangliu/pytorch-cifar); SGD momentum; batch 32."""
    model = resnet(t, (64, 128, 256, 512), 2, 64)
    optimizer = momentum(t, model, fused, weight_decay=5e-4)
    return training(t, model, optimizer), images(batch, 3, 32, 32)


def resnet18_b128(t, fused=False):
    """The same with batch 128."""
    return resnet18(t, fused, 128)


def resnet20(t, fused=False):
    """ResNet-20 for CIFAR; SGD momentum; batch 128."""
    model = resnet(t, (16, 32, 64), 3, 16)
    optimizer = momentum(t, model, fused, weight_decay=1e-4)
    return training(t, model, optimizer), images(128, 3, 32, 32)


def mobilenet(t, fused=False):
    """Depthwise separable stack 32-64-128-128-256 on 32x32; SGD momentum; batch 32."""
    nn = t.nn
    layers, cin = [nn.Conv2d(3, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()], 32
    for cout, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        layers += [
            nn.Conv2d(cin, cin, 3, stride, 1, groups=cin, bias=False), nn.BatchNorm2d(cin),
            nn.ReLU(), nn.Conv2d(cin, cout, 1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(),
        ]  # fmt: skip
        cin = cout
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(cin, 10))
    return training(t, model, momentum(t, model, fused)), images(32, 3, 32, 32)


def _vgg11(t, n):
    nn, layers, cin = t.nn, [], 3
    for width in (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"):
        if width == "M":
            layers.append(nn.MaxPool2d(2))
            continue
        layers += [nn.Conv2d(cin, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        cin = width
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 10)).eval()
    fill(t, model)

    def step(x):
        with t.no_grad():
            return model(x)

    return step, [(x,) for x, _ in images(n, 3, 32, 32)]


def vgg11_b1(t, fused=False):
    """VGG-11 for CIFAR, inference, batch 1."""
    return _vgg11(t, 1)


def vgg11_b32(t, fused=False):
    """VGG-11 for CIFAR, inference, batch 32."""
    return _vgg11(t, 32)


def _recurrent(t, kind, fused):
    nn = t.nn

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(65, 64)
            self.core = getattr(nn, kind)(64, 256, 2, batch_first=True)
            self.out = nn.Linear(256, 65)

        def forward(self, x):
            return self.out(self.core(self.embed(x))[0]).flatten(0, 1)

    model, cross_entropy = Model(), nn.functional.cross_entropy
    step = training(t, model, adam(t, model, fused), lambda o, y: cross_entropy(o, y.flatten()))
    return step, tokens(32, 128)


def lstm(t, fused=False):
    """LSTM character model 2 x 256, 128 steps, batch 32; Adam."""
    return _recurrent(t, "LSTM", fused)


def gru(t, fused=False):
    """The same with GRU."""
    return _recurrent(t, "GRU", fused)


def rnn(t, fused=False):
    """The same with RNN."""
    return _recurrent(t, "RNN", fused)


def _gpt_training(t, fused, batch, *sizes):
    model, cross_entropy = gpt(t, *sizes), t.nn.functional.cross_entropy
    options = {"fused": True} if fused and t.__name__ == "torch" else {}
    optimizer = t.optim.AdamW(model.parameters(), lr=3e-4, **options)
    step = training(t, model, optimizer, lambda o, y: cross_entropy(o, y.flatten()))
    return step, tokens(batch, sizes[-1])


def gpt_small(t, fused=False):
    """GPT 4 layers, 128 wide, 4 heads, context 64, batch 12; AdamW."""
    return _gpt_training(t, fused, 12, 4, 128, 4, 64)


def gpt_medium(t, fused=False):
    """GPT 6 layers, 384 wide, 6 heads, context 256, batch 4; AdamW."""
    return _gpt_training(t, fused, 4, 6, 384, 6, 256)


def gpt_medium_b64(t, fused=False):
    """The same with batch 64."""
    return _gpt_training(t, fused, 64, 6, 384, 6, 256)


def gpt_small_generate(t, fused=False):
    """GPT 4 layers, 128 wide, 4 heads: 4 tokens continued by 60, greedily, through a cache."""
    return generation(t, fill, 4, 128, 4, 64)


def gpt_medium_generate(t, fused=False):
    """GPT 6 layers, 384 wide, 6 heads: 4 tokens continued by 252, greedily, through a cache."""
    return generation(t, fill, 6, 384, 6, 256)


def vae(t, fused=False):
    """Variational autoencoder 784-400-20; Adam; batch 64."""
    nn, F = t.nn, t.nn.functional
    encode, mean, logvar = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
    decode = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784))
    model = nn.ModuleList([encode, mean, logvar, decode])
    fill(t, model)
    optimizer = adam(t, model, fused)

    def step(x):
        optimizer.zero_grad()
        h = F.relu(encode(x))
        m, s = mean(h), logvar(h)
        z = m + t.randn_like(m) * (0.5 * s).exp()
        bce = F.binary_cross_entropy_with_logits(decode(z), x, reduction="sum")
        loss = bce - 0.5 * (1 + s - m.pow(2) - s.exp()).sum()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step, [(np.abs(x) / 8 % 1,) for x, _ in images(64, 784)]


def dcgan(t, fused=False):
    """DCGAN on 28x28, 64 filters, both networks' steps; Adam; batch 64."""
    nn, F = t.nn, t.nn.functional
    g = nn.Sequential(
        nn.ConvTranspose2d(64, 128, 7, bias=False), nn.BatchNorm2d(128), nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        nn.ConvTranspose2d(64, 1, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip
    d = nn.Sequential(
        nn.Conv2d(1, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2),
        nn.Conv2d(64, 128, 4, 2, 1, bias=False), nn.BatchNorm2d(128), nn.LeakyReLU(0.2),
        nn.Conv2d(128, 1, 7, bias=False), nn.Flatten(0),
    )  # fmt: skip
    fill(t, g, d)
    og, od = adam(t, g, fused, betas=(0.5, 0.999)), adam(t, d, fused, betas=(0.5, 0.999))
    bce = F.binary_cross_entropy_with_logits

    def step(x):
        ones, zeros = t.ones(64, device=x.device), t.zeros(64, device=x.device)
        fake = g(t.randn(64, 64, 1, 1, device=x.device))
        od.zero_grad()
        loss = bce(d(x), ones) + bce(d(fake.detach()), zeros)
        loss.backward()
        od.step()
        og.zero_grad()
        bce(d(fake), ones).backward()
        og.step()
        return loss.detach()

    return step, [(x,) for x, _ in images(64, 1, 28, 28)]


WORKLOADS = {
    f.__name__: f
    for f in (
        mlp, tiny, dqn_act, dqn_learn, convnet, lenet, resnet18, resnet20, mobilenet, vgg11_b1,
        vgg11_b32, lstm, gru, rnn, gpt_small, gpt_medium, gpt_small_generate,
        gpt_medium_generate, vae, dcgan,
    )
}  # fmt: skip
LARGE = {f.__name__: f for f in (resnet18_b128, gpt_medium_b64)}  # for a GPU
