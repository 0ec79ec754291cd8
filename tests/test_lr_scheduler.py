"""Learning-rate schedules: closed forms, PyTorch's values over 50 steps, saving and resuming."""

from __future__ import annotations

import copy
import math
import warnings

import pytest

import lamina
from lamina import optim
from lamina.optim import lr_scheduler as ls
from schedule_cases import BASE, SCHEDULES, Halving

try:
    import torch
except ImportError:
    torch = None

STEPS = 50


def make_optimizer(m, name="SGD", **kwargs):
    w = [m.zeros(3, requires_grad=True) for _ in BASE]
    groups = [{"params": [p], "lr": lr} for p, lr in zip(w, BASE)]
    return getattr(m.optim, name)(groups, **kwargs)


def run(m, optimizer, scheduler, steps=STEPS, metrics=None):
    """The learning rates and momenta of both groups after 0, 1, ... steps."""
    rows = []
    for t in range(steps + 1):
        rows.append(
            [float(g["lr"]) for g in optimizer.param_groups]
            + [float(g.get("momentum", 0)) for g in optimizer.param_groups]
            + [float(g["betas"][0]) for g in optimizer.param_groups if "betas" in g]
        )
        assert scheduler.get_last_lr() == rows[-1][: len(BASE)]
        optimizer.step()
        if t < steps:
            scheduler.step(*([] if metrics is None else [metrics[t]]))
    return rows


each = pytest.mark.parametrize("name", SCHEDULES)


@pytest.mark.parametrize("name", [n for n, (_, closed) in SCHEDULES.items() if closed])
def test_closed_form(name):
    make, closed = SCHEDULES[name]
    o = make_optimizer(lamina, momentum=0.9)
    rows = run(lamina, o, make(ls, o))
    for t, row in enumerate(rows):
        assert row[:2] == pytest.approx(closed(t), rel=1e-12, abs=1e-14), f"step {t}"


@each
@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.filterwarnings("ignore:Detected call:UserWarning:torch")
def test_like_torch(name, kind):
    pytest.importorskip("torch")
    make, _ = SCHEDULES[name]
    options = {"momentum": 0.9} if kind == "SGD" else {}
    ours = make_optimizer(lamina, kind, **options)
    theirs = make_optimizer(torch, kind, **options)
    got = run(lamina, ours, make(ls, ours))
    want = run(torch, theirs, make(torch.optim.lr_scheduler, theirs))
    for t, (a, b) in enumerate(zip(got, want)):
        assert a == pytest.approx(b, rel=1e-12, abs=1e-14), f"step {t}"


METRICS = [math.sin(t / 3) + max(0.0, 1 - t / 12) for t in range(STEPS)]
PLATEAU = [
    {},
    {"patience": 2, "factor": 0.5},
    {"mode": "max", "patience": 3, "factor": 0.2, "cooldown": 4},
    {"patience": 1, "threshold": 0.05, "threshold_mode": "abs", "min_lr": [0.01, 0.001]},
    {"mode": "max", "patience": 1, "threshold_mode": "abs", "eps": 0.01, "min_lr": 0.003},
]


@pytest.mark.parametrize("options", PLATEAU)
def test_plateau_like_torch(options):
    pytest.importorskip("torch")
    rows = []
    for m, s in ((lamina, ls), (torch, torch.optim.lr_scheduler)):
        o = make_optimizer(m)
        rows.append(run(m, o, s.ReduceLROnPlateau(o, **options), metrics=METRICS))
    assert rows[0] == rows[1]


def test_plateau_by_hand():
    o = make_optimizer(lamina)
    s = ls.ReduceLROnPlateau(o, patience=1, factor=0.5, cooldown=1)
    seen = []
    for metric in (1.0, 0.5, 0.5, 0.6, 0.7, 0.8, 0.9, lamina.tensor(0.1), 0.2):
        s.step(metric)
        seen.append(o.param_groups[0]["lr"])
    # bad epochs 3 and 4 reduce; 5 is the cooldown; 6 and 7 reduce again
    assert seen == [0.4, 0.4, 0.4, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1]


@each
def test_resume(name):
    make, _ = SCHEDULES[name]
    o = make_optimizer(lamina, momentum=0.9)
    s = make(ls, o)
    want = run(lamina, o, s)
    o = make_optimizer(lamina, momentum=0.9)
    s = make(ls, o)
    run(lamina, o, s, steps=17)
    saved = copy.deepcopy((o.state_dict(), s.state_dict()))
    o = make_optimizer(lamina, momentum=0.9)
    s = make(ls, o)
    o.load_state_dict(saved[0])
    s.load_state_dict(saved[1])
    assert run(lamina, o, s, steps=STEPS - 17) == want[17:]


def test_resume_plateau():
    def make():
        o = make_optimizer(lamina)
        return o, ls.ReduceLROnPlateau(o, patience=2)

    o, s = make()
    want = run(lamina, o, s, metrics=METRICS)
    o, s = make()
    run(lamina, o, s, steps=20, metrics=METRICS)
    saved = copy.deepcopy((o.state_dict(), s.state_dict()))
    o, s = make()
    o.load_state_dict(saved[0])
    s.load_state_dict(saved[1])
    assert run(lamina, o, s, steps=STEPS - 20, metrics=METRICS[20:]) == want[20:]


def test_callable_objects_are_saved():
    o = make_optimizer(lamina)
    s = ls.LambdaLR(o, Halving(3))
    state = s.state_dict()
    assert state["lr_lambdas"] == [{"every": 3}] * 2
    other = ls.LambdaLR(make_optimizer(lamina), Halving(5))
    other.load_state_dict(state)
    assert other.lr_lambdas[0].every == 3


def test_step_to_an_epoch():
    o = make_optimizer(lamina)
    s = ls.StepLR(o, 3, 0.5)
    o.step()
    with pytest.warns(UserWarning, match="epoch parameter"):
        s.step(7)
    assert s.last_epoch == 7 and s.get_last_lr() == [b * 0.25 for b in BASE]
    s = ls.CosineAnnealingWarmRestarts(make_optimizer(lamina), 4, T_mult=2)
    s.step(5.5)
    assert s.get_last_lr()[0] == pytest.approx(0.2 * (1 + math.cos(math.pi * 1.5 / 8)))
    assert s.last_epoch == 5


def test_restarts_jump_like_torch():
    pytest.importorskip("torch")
    for mult in (1, 2, 3):
        a = ls.CosineAnnealingWarmRestarts(make_optimizer(lamina), 4, T_mult=mult)
        b = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(
            make_optimizer(torch), 4, T_mult=mult
        )
        for epoch in (0.5, 3.75, 4.25, 9.5, 11.5, 13.25, 30.5):
            a.step(epoch)
            b.step(epoch)
            assert a.get_last_lr() == pytest.approx(b.get_last_lr(), rel=1e-12), (mult, epoch)


def test_last_epoch_needs_initial_lr():
    with pytest.raises(KeyError, match="initial_lr"):
        ls.StepLR(make_optimizer(lamina), 3, last_epoch=4)
    o = make_optimizer(lamina)
    for g in o.param_groups:
        g["initial_lr"] = 1.0
    assert ls.CosineAnnealingLR(o, 10, last_epoch=4).last_epoch == 5


RESUMED = {
    "step": lambda s, o: s.StepLR(o, 3, last_epoch=5),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.9, last_epoch=5),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 9, last_epoch=5),
    "linear": lambda s, o: s.LinearLR(o, total_iters=9, last_epoch=5),
    "polynomial": lambda s, o: s.PolynomialLR(o, 9, last_epoch=5),
    "lambda": lambda s, o: s.LambdaLR(o, lambda t: 0.9**t, last_epoch=5),
}


@pytest.mark.parametrize("name", RESUMED)
def test_resume_from_last_epoch_like_torch(name):
    pytest.importorskip("torch")
    rates = []
    for m, s in ((lamina, ls), (torch, torch.optim.lr_scheduler)):
        o = make_optimizer(m)
        for g in o.param_groups:
            g["initial_lr"] = g["lr"]
        rates.append(run(m, o, RESUMED[name](s, o), steps=5))
    for a, b in zip(*rates):
        assert a == pytest.approx(b, rel=1e-12)


def test_order_is_checked():
    o = make_optimizer(lamina)
    s = ls.StepLR(o, 3)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        s.step()
    o = make_optimizer(lamina)
    s = ls.StepLR(o, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        o.step()
        s.step()
    with pytest.warns(UserWarning, match="get_last_lr"):
        s.get_lr()


def test_tensor_learning_rate_keeps_its_identity():
    rate = lamina.tensor(0.5, dtype=lamina.float64)
    w = lamina.zeros(2, requires_grad=True)
    o = optim.SGD([w], lr=rate)
    s = ls.ExponentialLR(o, 0.5)
    w.grad = lamina.ones(2)
    o.step()
    s.step()
    assert o.param_groups[0]["lr"] is rate and float(rate) == 0.25
    o.step()
    assert w.detach().numpy().tolist() == [-0.75, -0.75]


def test_own_schedule():
    class Constant(ls.LRScheduler):
        def get_lr(self):
            return [b + self.last_epoch for b in self.base_lrs]

    s = Constant(make_optimizer(lamina))
    s.optimizer.step()
    s.step()
    assert s.get_last_lr() == [b + 1 for b in BASE]


def test_errors():
    o, other = make_optimizer(lamina), make_optimizer(lamina)
    with pytest.raises(TypeError, match="int is not an Optimizer"):
        ls.StepLR(3, 2)
    with pytest.raises(ValueError, match="between 0 and 1"):
        ls.ConstantLR(o, factor=1.5)
    with pytest.raises(ValueError, match="greater than 0"):
        ls.LinearLR(o, start_factor=0)
    with pytest.raises(ValueError, match="Expected 2 lr_lambdas, but got 1"):
        ls.LambdaLR(o, [lambda t: 1])
    with pytest.raises(TypeError, match="should be a function"):
        ls.MultiplicativeLR(o, 0.5)
    with pytest.raises(ValueError, match="one more than"):
        ls.SequentialLR(o, [ls.StepLR(o, 3)], [3])
    with pytest.raises(ValueError, match="same optimizer"):
        ls.ChainedScheduler([ls.StepLR(o, 3), ls.StepLR(other, 3)])
    with pytest.raises(ValueError, match="ReduceLROnPlateau"):
        ls.ChainedScheduler([ls.ReduceLROnPlateau(o)])
    with pytest.raises(ValueError, match="positive integer T_0"):
        ls.CosineAnnealingWarmRestarts(o, 0)
    with pytest.raises(ValueError, match="must have the same length"):
        ls.CyclicLR(o, [0.1], 0.2)
    with pytest.raises(ValueError, match="mode is invalid"):
        ls.CyclicLR(o, 0.1, 0.2, mode="square")
    with pytest.raises(ValueError, match="support momentum"):
        ls.OneCycleLR(make_optimizer(lamina, "Adagrad"), 0.1, total_steps=5)
    with pytest.raises(ValueError, match="total_steps OR"):
        ls.OneCycleLR(o, 0.1)
    with pytest.raises(ValueError, match="Factor should be < 1.0"):
        ls.ReduceLROnPlateau(o, factor=1.0)
    with pytest.raises(ValueError, match="expected 2 min_lrs, got 1"):
        ls.ReduceLROnPlateau(o, min_lr=[0.1])
    with pytest.raises(ValueError, match="mode up is unknown"):
        ls.ReduceLROnPlateau(o, mode="up")
    s = ls.OneCycleLR(make_optimizer(lamina), 0.1, total_steps=5)
    s.optimizer.step()
    with pytest.raises(ValueError, match="Tried to step 6 times"):
        for _ in range(6):
            s.step()
