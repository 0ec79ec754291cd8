"""Optimizers whose options are tensors: the present value counts, eager and compiled."""

from __future__ import annotations

import numpy as np
import pytest

import lamina
from lamina import nn, optim
from lamina.trainer import lr_range_test

NAMES = ["SGD", "Adam", "AdamW", "Adagrad", "RMSprop", "Adadelta", "NAdam", "RAdam", "Adamax",
         "ASGD", "Rprop"]  # fmt: skip


def run(name, tensor, compiled=False, m=lamina):
    """The parameters after each of 7 steps; the rate changes on the way."""
    rate = m.tensor(0.125) if tensor else 0.125
    w = m.nn.Parameter(m.arange(4.0) / 4)
    opt = getattr(m.optim, name)([w], lr=rate)

    def step(x):
        opt.zero_grad()
        loss = ((w - x) ** 2).sum()
        loss.backward()
        opt.step()
        return loss

    if compiled:
        step = lamina.compile(step, fullgraph=True)
    found = []
    for i in range(7):
        step(m.ones(4) * i)
        found.append(w.detach().numpy().copy())
        if i in (3, 5):
            (group,) = opt.param_groups
            group["lr"] = group["lr"].mul_(0.25) if tensor else group["lr"] * 0.25
    return np.array(found)


@pytest.mark.parametrize("name", NAMES)
def test_learning_rates(name):
    numbers = run(name, tensor=False)
    np.testing.assert_array_equal(run(name, tensor=True), numbers)
    np.testing.assert_array_equal(run(name, tensor=True, compiled=True), numbers)


@pytest.mark.parametrize("name", NAMES)
def test_as_in_pytorch(name):
    torch = pytest.importorskip("torch")
    want = run(name, tensor=True, m=torch)
    np.testing.assert_allclose(run(name, tensor=True, compiled=True), want, rtol=2e-6, atol=2e-7)


def test_a_rate_changed_inside_the_step():
    """The value counts that it has when the optimizer steps."""

    def run(compiled):
        rate, w = lamina.tensor(0.5), nn.Parameter(lamina.ones(3))
        opt = optim.SGD([w], lr=rate)

        def step():
            opt.zero_grad()
            w.square().sum().backward()
            with lamina.no_grad():
                rate.mul_(0.5)
            opt.step()

        step = lamina.compile(step, fullgraph=True) if compiled else step
        for _ in range(6):
            step()
        return w.tolist(), rate.item()

    assert run(True) == run(False)


def test_betas():
    """Tensors beside numbers."""

    def run(betas, compiled):
        w = nn.Parameter(lamina.ones(3))
        opt = optim.Adam([w], lr=0.1, betas=betas)

        def step(x):
            opt.zero_grad()
            (w * x).sum().backward()
            opt.step()

        step = lamina.compile(step, fullgraph=True) if compiled else step
        for i in range(5):
            step(lamina.ones(3) * i)
        return w.tolist()

    betas = lamina.tensor(0.75), lamina.tensor(0.875)
    assert run(betas, True) == run(betas, False) == run((0.75, 0.875), False)


def test_one_cycle_of_a_tensor_does_not_follow_it():
    """The rates a schedule is given are copied: max_lr may be the very tensor it writes."""

    def rates(lr):
        opt = optim.SGD([nn.Parameter(lamina.ones(2))], lr=lr, momentum=0.9)
        schedule = optim.lr_scheduler.OneCycleLR(opt, opt.param_groups[0]["lr"], total_steps=9)
        found = []
        for _ in range(8):
            opt.step()
            schedule.step()
            found.append(float(opt.param_groups[0]["lr"]))
        return found

    np.testing.assert_allclose(rates(lamina.tensor(0.5)), rates(0.5), rtol=1e-6)


def test_the_range_test_puts_the_tensor_back():
    rate, net = lamina.tensor(0.5), nn.Linear(2, 1)
    opt = optim.SGD(net.parameters(), lr=rate)
    batches = [(lamina.ones(4, 2), lamina.ones(4, 1))]
    lr_range_test(net, nn.functional.mse_loss, opt, batches, steps=3)
    assert opt.param_groups[0]["lr"] is rate and rate.item() == 0.5


def test_a_loaded_state_has_tensors_of_its_own():
    def make(rate):
        return optim.Adam([nn.Parameter(lamina.ones(2))], lr=lamina.tensor(rate))

    first, second = make(0.5), make(0.25)
    second.load_state_dict(first.state_dict())
    first.param_groups[0]["lr"].fill_(0.125)
    assert second.param_groups[0]["lr"].item() == 0.5
