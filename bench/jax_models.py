"""The workloads of bench/workloads.py in JAX and optax: jitted steps, images channels-last, donated
state. `make(name)` returns (step, state, batches): state, loss = step(state, *batch).

Run by bench/train.py in a Python that has jax, jaxlib and optax (``--jax-python``). Parameter
counts are PyTorch's.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from workloads import images, tokens

RNG = np.random.default_rng(1)
relu = jax.nn.relu


def normal(*shape, scale):
    return jnp.asarray(RNG.standard_normal(shape, dtype=np.float32) * np.float32(scale))


def dense(i, o, bias=True):
    p = {"w": normal(i, o, scale=i**-0.5)}
    return {**p, "b": jnp.zeros(o)} if bias else p


def linear(p, x):
    return x @ p["w"] + p["b"] if "b" in p else x @ p["w"]


def kernel(k, i, o, groups=1, bias=False):
    p = {"w": normal(k, k, i // groups, o, scale=(k * k * i // groups) ** -0.5)}
    return {**p, "b": jnp.zeros(o)} if bias else p


def conv(p, x, stride=1, padding=0):
    groups = x.shape[-1] // p["w"].shape[2]
    y = lax.conv_general_dilated(
        x, p["w"], (stride, stride), [(padding, padding)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups,
    )  # fmt: skip
    return y + p["b"] if "b" in p else y


def pool(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def drop(key, x, p):
    return jnp.where(jax.random.bernoulli(key, 1 - p, x.shape), x / (1 - p), 0)


def norm(c):
    return {"g": jnp.ones(c), "b": jnp.zeros(c)}


def batch_norm(p, x, seen):
    """By the batch's moments, which are appended to `seen` for the running ones."""
    m, v = x.mean((0, 1, 2)), x.var((0, 1, 2))
    n = x.size // x.shape[-1]
    seen.append((m, v * (n / (n - 1))))
    return (x - m) * (lax.rsqrt(v + 1e-5) * p["g"]) + p["b"]


def layer_norm(p, x):
    m = x.mean(-1, keepdims=True)
    v = ((x - m) ** 2).mean(-1, keepdims=True)
    return (x - m) * lax.rsqrt(v + 1e-5) * p["g"] + p["b"]


def entropy(logits, y):
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def step_of(params, optimizer, loss, moments=()):
    """loss(params, key, seen, *batch); moments: initial running moments of the batch norms."""

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state, *batch):
        params, slots, key, running = state
        key, now = jax.random.split(key)

        def value(params):
            seen = []
            return loss(params, now, seen, *batch), seen

        (out, seen), grads = jax.value_and_grad(value, has_aux=True)(params)
        updates, slots = optimizer.update(grads, slots, params)
        running = [(0.9 * a + 0.1 * c, 0.9 * b + 0.1 * d) for (a, b), (c, d) in zip(running, seen)]
        return (optax.apply_updates(params, updates), slots, key, running), out

    return step, (params, optimizer.init(params), jax.random.key(0), list(moments))


def last(batches):
    """Images (N, C, H, W) as (N, H, W, C)."""
    return [(np.ascontiguousarray(x.transpose(0, 2, 3, 1)), y) for x, y in batches]


def mlp():
    params = [dense(784, 256), dense(256, 128), dense(128, 10)]

    def loss(p, key, seen, x, y):
        a, b = jax.random.split(key)
        h = drop(a, relu(linear(p[0], x)), 0.2)
        return entropy(linear(p[2], drop(b, relu(linear(p[1], h)), 0.2)), y)

    return *step_of(params, optax.adam(1e-3), loss), images(64, 784)


def tiny():
    params = [dense(16, 32), dense(32, 1)]

    def loss(p, key, seen, x, y):
        return ((linear(p[1], relu(linear(p[0], x))) - y) ** 2).mean()

    rng = np.random.default_rng(0)
    data = [rng.standard_normal((1, 17), dtype=np.float32) for _ in range(8)]
    return *step_of(params, optax.sgd(0.01), loss), [
        (d[:, :16].copy(), d[:, 16:].copy()) for d in data
    ]


def convnet():
    params = [kernel(3, 1, 32, bias=True), kernel(3, 32, 64, bias=True), dense(9216, 128),
              dense(128, 10)]  # fmt: skip

    def loss(p, key, seen, x, y):
        a, b = jax.random.split(key)
        h = drop(a, pool(relu(conv(p[1], relu(conv(p[0], x))))), 0.25)
        h = drop(b, relu(linear(p[2], h.reshape(len(h), -1))), 0.5)
        return entropy(linear(p[3], h), y)

    return *step_of(params, optax.adam(1e-3), loss), last(images(64, 1, 28, 28))


def lenet():
    params = [kernel(5, 1, 6, bias=True), kernel(5, 6, 16, bias=True), dense(400, 120),
              dense(120, 84), dense(84, 10)]  # fmt: skip

    def loss(p, key, seen, x, y):
        h = pool(relu(conv(p[1], pool(relu(conv(p[0], x, padding=2))))))
        h = h.reshape(len(h), -1)
        return entropy(linear(p[4], relu(linear(p[3], relu(linear(p[2], h))))), y)

    return *step_of(params, optax.sgd(0.01, momentum=0.9), loss), last(images(64, 1, 28, 28))


def _resnet(widths, blocks, stem, batch, decay):
    params = {"stem": kernel(3, 3, stem), "norm": norm(stem), "blocks": []}
    strides, sizes, cin = [], [stem], stem
    for stage, cout in enumerate(widths):
        for i in range(blocks):
            stride = 2 if stage and not i else 1
            p = {"c1": kernel(3, cin, cout), "n1": norm(cout), "c2": kernel(3, cout, cout),
                 "n2": norm(cout)}  # fmt: skip
            sizes += [cout, cout]
            if stride != 1 or cin != cout:
                p |= {"c3": kernel(1, cin, cout), "n3": norm(cout)}
                sizes.append(cout)
            params["blocks"].append(p)
            strides.append(stride)
            cin = cout
    params["head"] = dense(cin, 10)

    def loss(p, key, seen, x, y):
        h = relu(batch_norm(p["norm"], conv(p["stem"], x, padding=1), seen))
        for b, stride in zip(p["blocks"], strides):
            z = relu(batch_norm(b["n1"], conv(b["c1"], h, stride, 1), seen))
            z = batch_norm(b["n2"], conv(b["c2"], z, padding=1), seen)
            if "c3" in b:
                h = batch_norm(b["n3"], conv(b["c3"], h, stride), seen)
            h = relu(z + h)
        return entropy(linear(p["head"], h.mean((1, 2))), y)

    optimizer = optax.chain(optax.add_decayed_weights(decay), optax.sgd(0.01, momentum=0.9))
    moments = [(jnp.zeros(c), jnp.ones(c)) for c in sizes]
    return *step_of(params, optimizer, loss, moments), last(images(batch, 3, 32, 32))


def resnet18():
    return _resnet((64, 128, 256, 512), 2, 64, 32, 5e-4)


def resnet20():
    return _resnet((16, 32, 64), 3, 16, 128, 1e-4)


def mobilenet():
    params, sizes, cin = {"stem": kernel(3, 3, 32), "norm": norm(32), "pairs": []}, [32], 32
    stages = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1))
    for cout, _ in stages:
        params["pairs"].append({"d": kernel(3, cin, cin, cin), "n": norm(cin),
                                "c": kernel(1, cin, cout), "m": norm(cout)})  # fmt: skip
        sizes += [cin, cout]
        cin = cout
    params["head"] = dense(cin, 10)

    def loss(p, key, seen, x, y):
        h = relu(batch_norm(p["norm"], conv(p["stem"], x, padding=1), seen))
        for q, (_, stride) in zip(p["pairs"], stages):
            h = relu(batch_norm(q["n"], conv(q["d"], h, stride, 1), seen))
            h = relu(batch_norm(q["m"], conv(q["c"], h), seen))
        return entropy(linear(p["head"], h.mean((1, 2))), y)

    moments = [(jnp.zeros(c), jnp.ones(c)) for c in sizes]
    optimizer = optax.sgd(0.01, momentum=0.9)
    return *step_of(params, optimizer, loss, moments), last(images(32, 3, 32, 32))


def _lstm_cell(state, z, w):
    h, c = state
    i, f, g, o = jnp.split(z + h @ w["w"] + w["b"], 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), h


def _gru_cell(state, z, w):
    (h,) = state
    r, u, n = jnp.split(z, 3, -1)
    a, b, c = jnp.split(h @ w["w"] + w["b"], 3, -1)
    u = jax.nn.sigmoid(u + b)
    h = (1 - u) * jnp.tanh(n + jax.nn.sigmoid(r + a) * c) + u * h
    return (h,), h


def _rnn_cell(state, z, w):
    h = jnp.tanh(z + state[0] @ w["w"] + w["b"])
    return (h,), h


def _recurrent(cell, gates, states):
    params = {"embed": normal(65, 64, scale=1), "out": dense(256, 65), "layers": [
        {"x": dense(i, gates * 256), "h": dense(256, gates * 256)} for i in (64, 256)]}  # fmt: skip

    def loss(p, key, seen, x, y):
        h = p["embed"][x.T]  # (T, B, 64)
        for layer in p["layers"]:
            z = linear(layer["x"], h)
            zero = (jnp.zeros((x.shape[0], 256)),) * states
            w = layer["h"]
            h = lax.scan(lambda s, z, w=w: cell(s, z, w), zero, z)[1]
        return entropy(linear(p["out"], h), y.T)

    return *step_of(params, optax.adam(1e-3), loss), tokens(32, 128)


def lstm():
    return _recurrent(_lstm_cell, 4, 2)


def gru():
    return _recurrent(_gru_cell, 3, 1)


def rnn():
    return _recurrent(_rnn_cell, 1, 1)


def _gpt(batch, layers, width, heads, context):
    block = lambda: {  # noqa: E731
        "n1": norm(width), "n2": norm(width), "qkv": dense(width, 3 * width),
        "out": dense(width, width), "up": dense(width, 4 * width), "down": dense(4 * width, width),
    }  # fmt: skip
    params = {"token": normal(65, width, scale=1), "place": normal(context, width, scale=1),
              "blocks": [block() for _ in range(layers)], "norm": norm(width),
              "head": dense(width, 65, bias=False)}  # fmt: skip

    def loss(p, key, seen, x, y):
        h = p["token"][x] + p["place"]
        B, T, C = h.shape
        for b in p["blocks"]:
            q, k, v = (
                z.reshape(B, T, heads, C // heads)
                for z in jnp.split(linear(b["qkv"], layer_norm(b["n1"], h)), 3, -1)
            )
            z = jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(B, T, C)
            h = h + linear(b["out"], z)
            z = jax.nn.gelu(linear(b["up"], layer_norm(b["n2"], h)), approximate=False)
            h = h + linear(b["down"], z)
        return entropy(linear(p["head"], layer_norm(p["norm"], h)), y)

    return *step_of(params, optax.adamw(3e-4, weight_decay=1e-2), loss), tokens(batch, context)


def gpt_small():
    return _gpt(12, 4, 128, 4, 64)


def gpt_medium():
    return _gpt(4, 6, 384, 6, 256)


def vae():
    params = [dense(784, 400), dense(400, 20), dense(400, 20), dense(20, 400), dense(400, 784)]

    def loss(p, key, seen, x):
        h = relu(linear(p[0], x))
        m, s = linear(p[1], h), linear(p[2], h)
        z = m + jax.random.normal(key, m.shape) * jnp.exp(0.5 * s)
        out = linear(p[4], relu(linear(p[3], z)))
        bce = optax.sigmoid_binary_cross_entropy(out, x).sum()
        return bce - 0.5 * (1 + s - m**2 - jnp.exp(s)).sum()

    data = [(np.abs(x) / 8 % 1,) for x, _ in images(64, 784)]
    return *step_of(params, optax.adam(1e-3), loss), data


MODELS = {
    f.__name__: f
    for f in (mlp, tiny, convnet, lenet, resnet18, resnet20, mobilenet, lstm, gru, rnn, gpt_small,
              gpt_medium, vae)
}  # fmt: skip


def make(name):
    """(step, state, batches) with the batches as JAX arrays."""
    step, state, batches = MODELS[name]()
    return step, state, [tuple(jnp.asarray(x) for x in batch) for batch in batches]
