"""Schedules and their closed forms."""

from __future__ import annotations

import math

BASE = (0.4, 0.02)  # learning rates of two parameter groups


def plain(lrs_of):
    """A closed form as a function of (t, base)."""
    return lambda t: [lrs_of(t, b) for b in BASE]


def triangle(t, up, down):
    x = math.fmod(t, up + down)
    return x / up if x <= up else 1 - (x - up) / down


def one_cycle(t, top, total, cos=True):
    peak = 0.3 * total - 1

    def go(a, b, share):
        return b + (a - b) / 2 * (1 + math.cos(math.pi * share)) if cos else a + (b - a) * share

    if t <= peak:
        return go(top / 25, top, t / peak)
    return go(top, top / 25 / 1e4, (t - peak) / (total - 1 - peak))


def restarts(t, first, mult):
    length = first
    while t >= length:
        t -= length
        length *= mult
    return (1 + math.cos(math.pi * t / length)) / 2


def product(f, t):
    return math.prod(f(i) for i in range(1, t + 1))


class Halving:
    """A callable object with state, as lr_lambda."""

    def __init__(self, every):
        self.every = every

    def __call__(self, t):
        return 0.5 ** (t // self.every)


# name: (schedule from (module of schedules, optimizer), learning rates from t or None)
SCHEDULES = {
    "step": (
        lambda s, o: s.StepLR(o, 7, gamma=0.5),
        plain(lambda t, b: b * 0.5 ** (t // 7)),
    ),
    "multistep": (
        lambda s, o: s.MultiStepLR(o, [30, 5, 5, 12], gamma=0.3),
        plain(lambda t, b: b * 0.3 ** sum(t >= m for m in (5, 5, 12, 30))),
    ),
    "exponential": (
        lambda s, o: s.ExponentialLR(o, 0.9),
        plain(lambda t, b: b * 0.9**t),
    ),
    "constant": (
        lambda s, o: s.ConstantLR(o, factor=0.25, total_iters=9),
        plain(lambda t, b: b * (0.25 if t < 9 else 1)),
    ),
    "linear": (
        lambda s, o: s.LinearLR(o, start_factor=0.2, end_factor=0.8, total_iters=11),
        plain(lambda t, b: b * (0.2 + 0.6 * min(t, 11) / 11)),
    ),
    "polynomial": (
        lambda s, o: s.PolynomialLR(o, total_iters=40, power=1.7),
        plain(lambda t, b: b * (1 - min(t, 40) / 40) ** 1.7),
    ),
    "lambda": (
        lambda s, o: s.LambdaLR(o, [lambda t: 0.9**t, lambda t: 1 / (1 + t)]),
        lambda t: [BASE[0] * 0.9**t, BASE[1] / (1 + t)],
    ),
    "multiplicative": (
        lambda s, o: s.MultiplicativeLR(o, lambda t: 1 - 1 / (t + 2)),
        plain(lambda t, b: b * product(lambda i: 1 - 1 / (i + 2), t)),
    ),
    "cosine": (
        lambda s, o: s.CosineAnnealingLR(o, 20, eta_min=0.001),
        plain(lambda t, b: 0.001 + (b - 0.001) * (1 + math.cos(math.pi * t / 20)) / 2),
    ),
    "restarts": (
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 6, T_mult=2, eta_min=0.002),
        plain(lambda t, b: 0.002 + (b - 0.002) * restarts(t, 6, 2)),
    ),
    "restarts of one length": (
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 6),
        plain(lambda t, b: b * restarts(t, 6, 1)),
    ),
    "cyclic": (
        lambda s, o: s.CyclicLR(o, 0.1, 0.5, 8, 5),
        lambda t: [0.1 + 0.4 * triangle(t, 8, 5)] * 2,
    ),
    "cyclic triangular2": (
        lambda s, o: s.CyclicLR(o, [0.1, 0.2], [0.5, 0.7], 8, mode="triangular2"),
        lambda t: [
            a + (b - a) * triangle(t, 8, 8) / 2 ** (t // 16) for a, b in ((0.1, 0.5), (0.2, 0.7))
        ],
    ),
    "cyclic exp_range": (
        lambda s, o: s.CyclicLR(o, 0.1, 0.5, 8, mode="exp_range", gamma=0.97),
        lambda t: [0.1 + 0.4 * triangle(t, 8, 8) * 0.97**t] * 2,
    ),
    "cyclic own scale": (
        lambda s, o: s.CyclicLR(
            o, 0.1, 0.5, 8, scale_fn=lambda x: 1 / (1 + x), scale_mode="iterations"
        ),
        lambda t: [0.1 + 0.4 * triangle(t, 8, 8) / (1 + t)] * 2,
    ),
    "one cycle": (
        lambda s, o: s.OneCycleLR(o, [0.6, 0.3], total_steps=51),
        lambda t: [one_cycle(t, top, 51) for top in (0.6, 0.3)],
    ),
    "one cycle linear": (
        lambda s, o: s.OneCycleLR(o, 0.6, epochs=17, steps_per_epoch=3, anneal_strategy="linear"),
        lambda t: [one_cycle(t, 0.6, 51, cos=False)] * 2,
    ),
    "one cycle in three phases": (
        lambda s, o: s.OneCycleLR(o, 0.6, total_steps=51, three_phase=True),
        None,
    ),
    "sequential": (
        lambda s, o: s.SequentialLR(
            o,
            [
                s.LinearLR(o, 0.1, total_iters=5),
                s.CosineAnnealingLR(o, 15),
                s.ExponentialLR(o, 0.9),
            ],
            [5, 20],
        ),
        plain(
            lambda t, b: (
                b * (0.1 + 0.9 * t / 5)
                if t < 5
                else b * (1 + math.cos(math.pi * (t - 5) / 15)) / 2
                if t < 20
                else b * 0.9 ** (t - 20)
            )
        ),
    ),
    "chained": (
        lambda s, o: s.ChainedScheduler(
            [s.ConstantLR(o, 0.1, total_iters=4), s.ExponentialLR(o, 0.9)]
        ),
        plain(lambda t, b: b * 0.9**t * (0.1 if t < 4 else 1)),
    ),
    "sequence of chains": (
        lambda s, o: s.SequentialLR(
            o,
            [
                s.ChainedScheduler([s.ConstantLR(o, 0.5, 3), s.StepLR(o, 4)]),
                s.PolynomialLR(o, 30),
            ],
            [10],
        ),
        plain(
            lambda t, b: (
                b * 0.1 ** (t // 4) * (0.5 if t < 3 else 1)
                if t < 10
                else b * (1 - min(t - 10, 30) / 30)
            )
        ),
    ),
}
