"""Optimizers in NumPy, the options they are tested with, and training loops for the tests."""

from __future__ import annotations

import numpy as np
import pytest

import lamina
from lamina import optim

STEPS = 20
SHAPES = [(7, 9), (33,), (), (2, 3, 5), (0, 4), (4099,)]


# ---- references in NumPy: one step of one parameter, state in a dict -----------------------------
def penalised(p, g, o):
    g = -g if o.get("maximize") else g
    return g + o.get("weight_decay", 0) * p


def sgd(p, g, s, o):
    g = penalised(p, g, o)
    momentum = o.get("momentum", 0)
    if momentum:
        fresh = 1 - o.get("dampening", 0)
        s["b"] = momentum * s["b"] + fresh * g if "b" in s else g
        g = g + momentum * s["b"] if o.get("nesterov") else s["b"]
    return p - o["lr"] * g


def adam(p, g, s, o, decoupled=False):
    beta1, beta2 = o.get("betas", (0.9, 0.999))
    decay = o.get("weight_decay", 1e-2 if decoupled else 0)
    if decoupled or o.get("decoupled_weight_decay"):
        p = p * (1 - o["lr"] * decay)
        g = penalised(p, g, {**o, "weight_decay": 0})
    else:
        g = penalised(p, g, o)
    t = s["t"] = s.get("t", 0) + 1
    s["m"] = beta1 * s.get("m", 0) + (1 - beta1) * g
    s["v"] = beta2 * s.get("v", 0) + (1 - beta2) * g * g
    u = s["v"]
    if o.get("amsgrad"):
        u = s["u"] = np.maximum(s.get("u", 0), s["v"])
    root = np.sqrt(u / (1 - beta2**t)) + o.get("eps", 1e-8)
    return p - o["lr"] / (1 - beta1**t) * s["m"] / root


def adamw(p, g, s, o):
    return adam(p, g, s, o, decoupled=True)


def rmsprop(p, g, s, o):
    g = penalised(p, g, o)
    alpha, momentum = o.get("alpha", 0.99), o.get("momentum", 0)
    s["v"] = alpha * s.get("v", 0) + (1 - alpha) * g * g
    square = s["v"]
    if o.get("centered"):
        s["a"] = alpha * s.get("a", 0) + (1 - alpha) * g
        square = square - s["a"] ** 2
    d = g / (np.sqrt(square) + o.get("eps", 1e-8))
    if momentum:
        d = s["b"] = momentum * s.get("b", 0) + d
    return p - o["lr"] * d


def adagrad(p, g, s, o):
    g = penalised(p, g, o)
    t = s["t"] = s.get("t", 0) + 1
    s["s"] = s.get("s", o.get("initial_accumulator_value", 0)) + g * g
    lr = o["lr"] / (1 + (t - 1) * o.get("lr_decay", 0))
    return p - lr * g / (np.sqrt(s["s"]) + o.get("eps", 1e-10))


REFERENCE = {
    "SGD": sgd,
    "Adam": adam,
    "AdamW": adamw,
    "RMSprop": rmsprop,
    "Adagrad": adagrad,
}
CASES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.02, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.02}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.02}),
    ("SGD", {"lr": 0.1, "momentum": 0.5, "nesterov": True, "maximize": True}),
    ("Adam", {"lr": 0.01}),
    ("Adam", {"lr": 0.01, "betas": (0.4, 0.9), "eps": 1e-3, "weight_decay": 0.02}),
    ("Adam", {"lr": 0.01, "amsgrad": True, "maximize": True}),
    ("Adam", {"lr": 0.01, "amsgrad": True, "betas": (0.5, 0.6), "weight_decay": 0.1}),
    ("Adam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("AdamW", {"lr": 0.01}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.3, "amsgrad": True, "maximize": True}),
    ("RMSprop", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.01, "alpha": 0.6, "eps": 1e-3, "weight_decay": 0.02}),
    ("RMSprop", {"lr": 0.01, "momentum": 0.9, "maximize": True}),
    ("RMSprop", {"lr": 0.01, "momentum": 0.5, "centered": True, "eps": 1e-2}),
    ("RMSprop", {"lr": 0.01, "centered": True, "eps": 1e-2, "weight_decay": 0.02}),
    ("Adagrad", {"lr": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.02, "eps": 1e-3}),
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5, "maximize": True}),
]
each = pytest.mark.parametrize(
    ("name", "options"),
    CASES,
    ids=["-".join([n, *(k for k in o if k != "lr")]) for n, o in CASES],
)


def values(seed=0, shapes=SHAPES, steps=STEPS):
    """Parameters and the gradients of every step: float64 arrays, exact in float32."""
    rng = np.random.default_rng(seed)

    def draw(shape):
        return rng.standard_normal(shape).astype(np.float32).astype(np.float64)

    return [draw(s) for s in shapes], [[draw(s) for s in shapes] for _ in range(steps)]


def leaf(array, dtype=lamina.float32):
    return lamina.tensor(array, dtype=dtype).requires_grad_()


def set_grads(params, grads):
    for p, g in zip(params, grads):
        p.grad = None if g is None else lamina.tensor(g, dtype=p.dtype)


def train(name, options, dtype=lamina.float32, steps=slice(None), seed=0, shapes=SHAPES):
    start, grads = values(seed, shapes)
    params = [leaf(p, dtype) for p in start]
    optimizer = getattr(optim, name)(params, **options)
    for row in grads[steps]:
        set_grads(params, row)
        optimizer.step()
    return [p.detach().numpy() for p in params], optimizer


def reference(name, options):
    params, grads = values()
    state = [{} for _ in params]
    for row in grads:
        params = [REFERENCE[name](p, g, s, options) for p, g, s in zip(params, row, state)]
    return params


def same_bits(a, b):
    return all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in zip(a, b))
