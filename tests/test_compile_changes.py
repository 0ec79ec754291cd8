"""lamina.compile: what is done to parameters and optimizers between the calls, beside other plans
that hold what was there before."""

from __future__ import annotations

import collections
import copy

import pytest

import lamina
from lamina import nn, optim

CHANGES = {}


def change(f):
    CHANGES[f.__name__] = f
    return f


@change
def options_loaded_without_state(i, m, o):
    if i in (4, 8):
        o.load_state_dict(copy.deepcopy(o.state_dict()))
    o.param_groups[0]["lr"] *= 0.9


@change
def groups_replaced(i, m, o):
    if i in (4, 8):
        o.param_groups = [dict(o.param_groups[0])]
    o.param_groups[0]["lr"] *= 0.9


@change
def group_replaced(i, m, o):
    if i in (4, 8):
        o.param_groups[0] = {**o.param_groups[0], "lr": 0.3 / i}


@change
def state_replaced(i, m, o):
    if i in (4, 8):
        o.state = collections.defaultdict(dict)


@change
def frozen_then_moved(i, m, o):
    if i == 0:
        m.bias.requires_grad_(False)
    if i in (5, 9):
        m.bias.data = m.bias.data + i


@change
def moved_within_its_memory(i, m, o):
    if i in (4, 9):
        m.weight.data = m.weight.data.t()


@change
def frozen_with_gradient_and_back(i, m, o):
    if i in (1, 3, 4):
        m.bias.requires_grad_(not m.bias.requires_grad)


@change
def gradient_of_a_frozen_parameter_dropped(i, m, o):
    if i == 1:
        m.bias.requires_grad_(False)
    if i == 6:
        m.bias.grad = None


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("name", CHANGES)
def test_a_replay_notices(name, momentum):
    def run(compiled):
        lamina.manual_seed(0)
        m = nn.Linear(3, 3)
        o = optim.SGD(m.parameters(), lr=0.1, momentum=momentum)

        def step(x):
            o.zero_grad(set_to_none=False)
            loss = m(x).square().mean()
            loss.backward()
            o.step()
            return loss.detach()

        def look(x):
            with lamina.no_grad():
                return m(x)

        if compiled:
            step, look = lamina.compile(step), lamina.compile(look)
        seen = []
        for i in range(12):
            CHANGES[name](i, m, o)
            x = lamina.ones(2 if i in (3, 4, 7, 11) else 4, 3)
            seen += [look(x).tolist(), step(x).tolist(), m.weight.tolist(), m.bias.tolist()]
        assert not compiled or step.plan is not None
        return seen

    assert run(True) == run(False)


@pytest.mark.parametrize("new", [dict, lambda: collections.defaultdict(dict)])
def test_assigning_an_optimizers_state_forgets_the_old_one(new):
    p = nn.Parameter(lamina.ones(2))
    o = optim.Adam([p], lr=0.1)
    for i in range(4):
        if i == 3:
            o.state = new()
            assert not o.state
        p.grad = lamina.ones(2)
        o.step()
    assert o.state[p]["step"].item() == 1
