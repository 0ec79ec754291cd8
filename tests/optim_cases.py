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
    if o.get("form") == "ema":
        s["b"] = momentum * s.get("b", 0) + (1 - momentum) * g
        return p - o["lr"] * s["b"]
    if o.get("form") == "lr_inside":
        s["b"] = momentum * s.get("b", 0) + o["lr"] * g
        return p - s["b"]
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
    eps = o.get("eps", 1e-8)
    d = g / (np.sqrt(square + eps) if o.get("eps_inside_root") else np.sqrt(square) + eps)
    if momentum:
        d = s["b"] = momentum * s.get("b", 0) + d
    return p - o["lr"] * d


def adagrad(p, g, s, o):
    g = penalised(p, g, o)
    t = s["t"] = s.get("t", 0) + 1
    s["s"] = s.get("s", o.get("initial_accumulator_value", 0)) + g * g
    lr = o["lr"] / (1 + (t - 1) * o.get("lr_decay", 0))
    eps = o.get("eps", 1e-10)
    root = np.sqrt(s["s"] + eps) if o.get("eps_inside_root") else np.sqrt(s["s"]) + eps
    return p - lr * g / root


def adadelta(p, g, s, o):
    g = penalised(p, g, o)
    rho, eps = o.get("rho", 0.9), o.get("eps", 1e-6)
    s["v"] = rho * s.get("v", 0) + (1 - rho) * g * g
    d = np.sqrt(s.get("u", 0) + eps) / np.sqrt(s["v"] + eps) * g
    s["u"] = rho * s.get("u", 0) + (1 - rho) * d * d
    return p - o["lr"] * d


def moments(g, s, o):
    """t, m, v and the betas after a step of Adam's averages."""
    beta1, beta2 = o.get("betas", (0.9, 0.999))
    t = s["t"] = s.get("t", 0) + 1
    s["m"] = beta1 * s.get("m", 0) + (1 - beta1) * g
    s["v"] = beta2 * s.get("v", 0) + (1 - beta2) * g * g
    return t, s["m"], s["v"], beta1, beta2


def adamax(p, g, s, o):
    g = penalised(p, g, o)
    before = s.get("u", 0)
    t, m, _, beta1, beta2 = moments(g, s, o)
    s["u"] = np.maximum(beta2 * before, abs(g) + o.get("eps", 1e-8))
    return p - o["lr"] / (1 - beta1**t) * m / s["u"]


def decayed(p, g, o):
    if o.get("decoupled_weight_decay"):
        p = p * (1 - o["lr"] * o.get("weight_decay", 0))
        return p, penalised(p, g, {**o, "weight_decay": 0})
    return p, penalised(p, g, o)


def nadam(p, g, s, o):
    p, g = decayed(p, g, o)
    t, m, v, beta1, beta2 = moments(g, s, o)
    decay = o.get("momentum_decay", 4e-3)
    mu, after = (beta1 * (1 - 0.5 * 0.96 ** (i * decay)) for i in (t, t + 1))
    product = s["M"] = np.float32(s.get("M", np.float32(1)) * np.float32(mu))
    product = float(product)
    root = np.sqrt(v / (1 - beta2**t)) + o.get("eps", 1e-8)
    n = (1 - mu) / (1 - product) * g + after / (1 - product * after) * m
    return p - o["lr"] * n / root


def radam(p, g, s, o):
    p, g = decayed(p, g, o)
    t, m, v, beta1, beta2 = moments(g, s, o)
    most = 2 / (1 - beta2) - 1
    r = most - 2 * t * beta2**t / (1 - beta2**t)
    d = 1
    if r > 5:
        k = np.sqrt((r - 4) * (r - 2) * most / ((most - 4) * (most - 2) * r))
        d = k * np.sqrt(1 - beta2**t) / (np.sqrt(v) + o.get("eps", 1e-8))
    return p - o["lr"] / (1 - beta1**t) * m * d


def rprop(p, g, s, o):
    g = penalised(p, g, o)
    (low, high), (least, most) = o.get("etas", (0.5, 1.2)), o.get("step_sizes", (1e-6, 50))
    agree = g * s.get("o", 0)
    factor = np.where(agree > 0, high, np.where(agree < 0, low, 1))
    s["s"] = np.clip(s.get("s", o["lr"]) * factor, least, most)
    s["o"] = np.where(agree < 0, 0, g)
    return p - s["s"] * np.sign(s["o"])


def asgd(p, g, s, o):
    g = penalised(p, g, o)
    lambd, alpha, t0 = o.get("lambd", 1e-4), o.get("alpha", 0.75), o.get("t0", 1e6)
    t = s["t"] = s.get("t", 0) + 1
    eta, mu = float(s.get("eta", np.float32(o["lr"]))), float(s.get("mu", 1))
    p = p * (1 - lambd * eta) - eta * g
    s["ax"] = p if mu == 1 else s["ax"] + mu * (p - s["ax"])
    s["eta"] = np.float32(o["lr"] / (1 + lambd * o["lr"] * t) ** alpha)
    s["mu"] = np.float32(1 / max(1, t - t0))
    return p


def lion(p, g, s, o):
    g = -g if o.get("maximize") else g
    beta1, beta2 = o.get("betas", (0.9, 0.99))
    m = s.get("m", np.zeros_like(g))
    s["m"] = beta2 * m + (1 - beta2) * g
    step = np.sign(beta1 * m + (1 - beta1) * g)
    return p * (1 - o["lr"] * o.get("weight_decay", 0)) - o["lr"] * step


REFERENCE = {
    "SGD": sgd,
    "Adam": adam,
    "AdamW": adamw,
    "RMSprop": rmsprop,
    "Adagrad": adagrad,
    "Adadelta": adadelta,
    "Adamax": adamax,
    "NAdam": nadam,
    "RAdam": radam,
    "Rprop": rprop,
    "ASGD": asgd,
    "Lion": lion,
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
    ("Adadelta", {"lr": 1.0}),
    ("Adadelta", {"lr": 0.5, "rho": 0.7, "eps": 1e-3, "weight_decay": 0.02, "maximize": True}),
    ("Adamax", {"lr": 0.01}),
    ("Adamax", {"lr": 0.01, "betas": (0.4, 0.9), "eps": 1e-3, "weight_decay": 0.02}),
    ("Adamax", {"lr": 0.01, "maximize": True}),
    ("NAdam", {"lr": 0.01}),
    ("NAdam", {"lr": 0.01, "betas": (0.4, 0.9), "eps": 1e-3, "weight_decay": 0.02}),
    ("NAdam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("NAdam", {"lr": 0.01, "momentum_decay": 0.5, "maximize": True}),
    ("RAdam", {"lr": 0.01}),
    ("RAdam", {"lr": 0.01, "betas": (0.4, 0.9), "eps": 1e-3, "weight_decay": 0.02}),
    ("RAdam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 0.01, "betas": (0.9, 0.7), "maximize": True}),
    ("Rprop", {"lr": 0.01}),
    ("Rprop", {"lr": 0.1, "etas": (0.3, 1.9), "step_sizes": (0.05, 0.3), "maximize": True}),
    ("ASGD", {"lr": 0.1}),
    ("ASGD", {"lr": 0.1, "lambd": 0.01, "alpha": 0.5, "t0": 5, "weight_decay": 0.02}),
    ("ASGD", {"lr": 0.1, "t0": 0, "maximize": True}),
]
# Options and optimizers PyTorch does not have.
OWN_CASES = [
    ("SGD", {"lr": 0.1, "momentum": 0.9, "form": "ema"}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "form": "ema", "weight_decay": 0.02, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "form": "lr_inside", "weight_decay": 0.02}),
    ("RMSprop", {"lr": 0.01, "eps": 1e-2, "eps_inside_root": True}),
    ("RMSprop", {"lr": 0.01, "centered": True, "momentum": 0.5, "eps_inside_root": True,
                 "eps": 1e-2}),
    ("Adagrad", {"lr": 0.1, "eps": 1e-2, "eps_inside_root": True, "weight_decay": 0.02}),
    ("Lion", {"lr": 0.01}),
    ("Lion", {"lr": 0.01, "betas": (0.5, 0.8), "weight_decay": 0.1, "maximize": True}),
]  # fmt: skip


def _each(cases):
    ids = ["-".join([n, *(k for k in o if k != "lr")]) for n, o in cases]
    return pytest.mark.parametrize(("name", "options"), cases, ids=ids)


each = _each(CASES + OWN_CASES)
each_of_torch = _each(CASES)


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


def assert_halves_are_rounded(name, options, dtype, device="cpu"):
    """A step of half-precision parameters is, to the bit, that of float32 copies of them and of
    their states, each then rounded once. The last parameters begin at odd places."""
    start, grads = values(3, [(7, 9), (), (0, 4), (4099,), (5,), (700,)], 4)
    make = getattr(optim, name)
    if name == "Rprop":
        options = {**options, "lr": 2**-4}  # its first state, exact in every type
    memory, params = lamina.zeros(8000, dtype=dtype, device=device), []
    for at, array in zip((0, 80, 0, 1024, 5201, 5301), start):
        p = memory[at : at + array.size].reshape(array.shape)
        params.append(p.copy_(lamina.tensor(array)).detach().requires_grad_())
    optimizer = make(params, **options)
    for row in grads:
        wide = [p.detach().float().requires_grad_() for p in params]
        other = make(wide, **options)
        other.load_state_dict(optimizer.state_dict())
        for p, w, g in zip(params, wide, row):
            p.grad = lamina.tensor(g).to(dtype).to(device)
            w.grad = p.grad.float()
        optimizer.step()
        other.step()
        for p, w in zip(params, wide):
            assert p.dtype is dtype and lamina.equal(p, w.to(dtype))
            assert optimizer.state[p].keys() == other.state[w].keys()
            for key, value in optimizer.state[p].items():
                want = other.state[w][key]
                if key not in optimizer._counters:
                    assert value.dtype is dtype and value.is_cuda == p.is_cuda
                    want = want.to(dtype)
                assert lamina.equal(value, want), key
