"""Steps of every kind for test_compile_models.py: each builder returns (step, what it changes).

`step` takes two tensors (4, 6) and returns tensors; what it changes is a list of modules, tensors
and optimizers. Numbers in the data differ from call to call, shapes do not.
"""

from __future__ import annotations

import copy

import lamina
import lamina.nn.functional as F
from lamina import distributions, nn, optim
from lamina.nn.utils import parametrizations, parametrize
from lamina.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from lamina.utils.checkpoint import checkpoint


def mlp(out=3, width=8):
    return nn.Sequential(nn.Linear(6, width), nn.Tanh(), nn.Linear(width, out))


def train(model, loss, make=lambda p: optim.SGD(p, 0.05, momentum=0.9)):
    """A step that minimises loss(model, x, y)."""
    optimizer = make(model.parameters())

    def step(x, y):
        optimizer.zero_grad()
        value = loss(model, x, y)
        value.backward()
        optimizer.step()
        return value.detach()

    return step, [model]


def square(model, x, y):
    return model(x).square().mean()


# ---- models --------------------------------------------------------------------------------------
def packed_lstm():
    core = nn.LSTM(1, 5, 2, batch_first=True, bidirectional=True, dropout=0.2)
    lengths = [6, 4, 3, 1]

    def loss(model, x, y):
        packed = pack_padded_sequence(x[..., None], lengths, batch_first=True)
        h, _ = pad_packed_sequence(model(packed)[0], batch_first=True)
        return h.square().mean()

    return train(core, loss)


def attention():
    core = nn.TransformerDecoderLayer(6, 2, 12, dropout=0.2, batch_first=True)
    mask = nn.Transformer.generate_square_subsequent_mask(4)

    def loss(model, x, y):
        x, y = x[None], y[None]
        h = model(x, y, tgt_mask=mask, memory_key_padding_mask=y[..., 0] > 9)
        q = F.scaled_dot_product_attention(x, y, y, is_causal=True, dropout_p=0.1)
        return h.square().mean() + q.sum()

    return train(core, loss)


def cached_attention():
    core = nn.Linear(6, 18)
    keys, values = lamina.zeros(8, 6), lamina.zeros(8, 6)
    position = lamina.zeros(1, dtype=lamina.int64)

    @lamina.no_grad()
    def step(x, y):
        q, k, v = core(x[:1]).chunk(3, -1)
        keys.index_copy_(0, position, k)
        values.index_copy_(0, position, v)
        seen = lamina.arange(8) <= position
        out = F.scaled_dot_product_attention(q, keys, values, attn_mask=seen[None])
        position.add_(1).remainder_(8)
        return out, out.argmax(-1)

    return step, [keys, values, position]


def truncated_backpropagation():
    core = nn.GRUCell(6, 5)
    optimizer = optim.Adam(core.parameters(), 0.01)
    memory = lamina.zeros(4, 5)

    def step(x, y):
        optimizer.zero_grad()
        h = core(x, memory)
        h = core(y, h)
        loss = h.square().mean()
        loss.backward()
        optimizer.step()
        memory.copy_(h.detach())
        return loss.detach()

    return step, [core, memory]


def autoencoder():
    encoder, decoder = nn.Linear(6, 4), nn.Linear(2, 6)

    def loss(model, x, y):
        mean, log_var = encoder(x).chunk(2, -1)
        z = mean + (log_var / 2).exp() * lamina.randn_like(mean)
        kl = -0.5 * (1 + log_var - mean.square() - log_var.exp()).sum()
        return F.mse_loss(decoder(z), x, reduction="sum") + kl

    return train(nn.ModuleList([encoder, decoder]), loss, lambda p: optim.Adam(p, 0.01))


def adversaries(penalty=True):
    g, d = nn.Linear(3, 6), mlp(1)
    og, od = optim.RMSprop(g.parameters(), 0.01), optim.Adam(d.parameters(), 0.01)

    def step(x, y):
        fake = g(lamina.randn(4, 3))
        od.zero_grad()
        loss = d(fake.detach()).mean() - d(x).mean()
        if penalty:
            mix = lamina.rand(4, 1)
            between = (mix * x + (1 - mix) * fake.detach()).requires_grad_()
            (slope,) = lamina.autograd.grad(d(between).sum(), between, create_graph=True)
            loss = loss + 10 * (slope.norm(dim=1) - 1).square().mean()
        loss.backward()
        od.step()
        og.zero_grad()
        cost = -d(fake).mean()
        cost.backward()
        og.step()
        return loss.detach(), cost.detach()

    return step, [g, d]


def q_learning():
    online = mlp(2)
    target = copy.deepcopy(online)
    optimizer = optim.Adam(online.parameters(), 0.01)

    def step(x, y):
        with lamina.no_grad():
            best = x[:, 0] + 0.9 * target(y).max(1).values
        action = (x[:, 1] > 0).long()
        value = online(x).gather(1, action[:, None])[:, 0]
        loss = F.smooth_l1_loss(value, best)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(online.parameters(), 0.5)
        optimizer.step()
        with lamina.no_grad():
            for a, b in zip(target.parameters(), online.parameters()):
                a.lerp_(b, 0.1)
        return loss.detach()

    return step, [online, target]


def policy_gradient():
    def loss(model, x, y):
        policy = distributions.Categorical(logits=model(x))
        action = policy.sample()
        return -(policy.log_prob(action) * y[:, 0]).mean() - 0.01 * policy.entropy().mean()

    return train(mlp(), loss)


def reparametrised(make):
    def build():
        def loss(model, x, y):
            a, b = model(x).chunk(2, -1)
            return make(a, F.softplus(b) + 0.1).rsample().square().mean()

        return train(mlp(4), loss)

    return build


class Clamp(lamina.autograd.Function):
    @staticmethod
    def forward(ctx, x, bound):
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp(-bound, bound)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (x.abs() <= ctx.bound), None


def own_function():
    return train(mlp(), lambda m, x, y: Clamp.apply(m(x), 0.5).square().mean())


def checkpointed():
    def loss(model, x, y):
        h = checkpoint(model[0], x, use_reentrant=False)
        return checkpoint(model[1:], F.dropout(h, 0.2), use_reentrant=False).square().mean()

    return train(mlp(), loss)


def double_backward():
    def loss(model, x, y):
        value = model(x).square().mean()
        slopes = lamina.autograd.grad(value, list(model.parameters()), create_graph=True)
        return value + 0.1 * sum(g.square().sum() for g in slopes)

    return train(mlp(), loss)


def adversarial_examples():
    def loss(model, x, y):
        near = x.clone().requires_grad_()
        (slope,) = lamina.autograd.grad(model(near).square().mean(), near)
        return model(x + 0.1 * slope.sign()).square().mean()

    return train(mlp(), loss)


def mixed_examples():
    def loss(model, x, y):
        part = distributions.Beta(0.4, 0.4).sample()
        other = lamina.randperm(4)
        return F.mse_loss(model(part * x + (1 - part) * x[other]), y[:, :3])

    return train(mlp(), loss)


def averaged(make):
    def build():
        model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
        step, parts = train(model, square)
        mean = make(model)

        def both(x, y):
            loss = step(x, y)
            mean.update_parameters(model)
            return loss

        return both, [*parts, mean]

    return build


def parametrised(change):
    def build():
        model = mlp()
        change(model)
        return train(model, square)

    return build


class Symmetric(nn.Module):
    def forward(self, w):
        return w.triu() + w.triu(1).mT


def masked():
    mask = lamina.ones(8, 6)
    mask[::2, 1] = 0

    def loss(model, x, y):
        h = F.linear(x, model[0].weight * mask, model[0].bias)
        return model[2](h).square().mean()

    return train(mlp(), loss)


def lazy():
    model = nn.Sequential(nn.LazyLinear(5), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(2))
    model(lamina.zeros(4, 6))
    return train(model, square)


def scaled(read=False):
    model = mlp()
    device = model[0].weight.device.type
    optimizer, scaler = optim.Adam(model.parameters(), 0.01), lamina.amp.GradScaler(device)

    def step(x, y):
        optimizer.zero_grad()
        with lamina.autocast(device):
            loss = model(x).square().mean()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss.detach() * scaler.get_scale() if read else loss.detach()

    return step, [model]


def closures():
    model = mlp()
    optimizer = optim.SGD(model.parameters(), 0.05)

    def step(x, y):
        def closure():
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            return loss

        return optimizer.step(closure).detach()

    return step, [model]


def accumulated():
    model = mlp()
    optimizer = optim.AdamW(model.parameters(), 0.01)

    def step(x, y):
        optimizer.zero_grad(set_to_none=False)
        for part in (x, y):
            model(part).square().mean().backward()
        optimizer.step()
        return model[0].weight.grad

    return step, [model]


def remembers_attention():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.core = nn.MultiheadAttention(6, 2, batch_first=True)
            self.last = None

        def forward(self, x):
            h, weights = self.core(x[None], x[None], x[None])
            self.last = weights.detach()
            return h

    return train(Net(), square)


STEPS = {
    "packed lstm": packed_lstm, "attention": attention, "cache": cached_attention,
    "truncated": truncated_backpropagation, "vae": autoencoder, "gan": adversaries,
    "dqn": q_learning, "policy": policy_gradient,
    "normal": reparametrised(distributions.Normal), "gamma": reparametrised(
        lambda a, b: distributions.Gamma(F.softplus(a) + 0.5, b)),
    "laplace": reparametrised(distributions.Laplace),
    "function": own_function, "checkpoint": checkpointed, "double": double_backward,
    "fgsm": adversarial_examples, "mixup": mixed_examples,
    "swa": averaged(optim.swa_utils.AveragedModel),
    "ema": averaged(lambda m: optim.swa_utils.AveragedModel(
        m, multi_avg_fn=optim.swa_utils.get_ema_multi_avg_fn(0.9), use_buffers=True)),
    "weight norm": parametrised(lambda m: parametrizations.weight_norm(m[0])),
    "spectral norm": parametrised(lambda m: parametrizations.spectral_norm(m[0])),
    "parametrized": parametrised(
        lambda m: parametrize.register_parametrization(m[0], "weight", Symmetric())
        if m[0].in_features == m[0].out_features else None),
    "masked": masked, "lazy": lazy, "closure": closures, "accumulated": accumulated,
    "remembers": remembers_attention, "scaler": scaled,
}  # fmt: skip
REFUSED = {"scale": (lambda: scaled(read=True), "item|reads a value")}
OPTIMIZERS = {
    name: (lambda p, kind=name: getattr(optim, kind)(p, lr=0.01))
    for name in ("SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Adagrad",
                 "Adadelta", "Rprop", "ASGD", "Lion")
}  # fmt: skip
