"""lamina.compile: numbers, objects, layers, options and modes that change between the calls."""

from __future__ import annotations

import collections
import copy
import random
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import lamina
import row
from compile_runs import Cases, assert_as_eager, x_of
from lamina import nn, optim

pytestmark = pytest.mark.on_device

case = Cases()


def numbers(read, write, make):
    """A number outside changes at the sixth call."""

    def build():
        holder = make()

        def step(x):
            return x * read(holder)

        def each(i, call):
            if i in (5, 9):
                write(holder, float(i))
            return call(x_of(i))

        return step, each

    return build


def put(d, k, v):
    d[k] = v


class Config:
    beta = 1.0

    @property
    def twice(self):
        return 2 * self.beta


case["attribute"] = numbers(
    lambda o: o.cfg.beta, lambda o, v: setattr(o.cfg, "beta", v),
    lambda: SimpleNamespace(cfg=SimpleNamespace(beta=1.0)))  # fmt: skip
case["class attribute"] = numbers(
    lambda o: o.beta, lambda o, v: setattr(o, "beta", v), lambda: Config()
)
case["property"] = numbers(lambda o: o.twice, lambda o, v: setattr(o, "beta", v), Config)
case["dict"] = numbers(lambda d: d["b"], lambda d, v: put(d, "b", v), lambda: {"b": 1.0})
case["list"] = numbers(lambda d: d[0], lambda d, v: put(d, 0, v), lambda: [1.0])
case["nested"] = numbers(
    lambda d: d["a"][0]["b"], lambda d, v: put(d["a"][0], "b", v), lambda: {"a": [{"b": 1.0}]}
)
case["list made a tensor"] = numbers(
    lambda d: lamina.tensor(d), lambda d, v: put(d, 1, v), lambda: [1.0, 2.0, 3.0]
)
case["array"] = numbers(
    lambda a: lamina.tensor(a), lambda a, v: put(a, 1, v), lambda: np.ones(3, "float32")
)
case["shared array"] = numbers(
    lambda a: lamina.from_numpy(a).to(row.DEVICE),
    lambda a, v: put(a, 1, v),
    lambda: np.ones(3, "float32"),
)
case["tensor replaced, old kept"] = numbers(
    lambda d: d[-1], lambda d, v: d.append(x_of(v)), lambda: [x_of(0)]
)
case["long list"] = numbers(lambda d: d[50], lambda d, v: put(d, 50, v), lambda: [1.0] * 100)
case["deque"] = numbers(lambda d: d[0], lambda d, v: put(d, 0, v), lambda: collections.deque([1.0]))
case["set"] = numbers(lambda s: sum(s), lambda s, v: s.add(v), lambda: {1.0})
case["function replaced"] = numbers(
    lambda d: d["f"](2.0), lambda d, v: put(d, "f", lambda x: x + v), lambda: {"f": abs}
)


@case
def layer_numbers():
    m = nn.Sequential(nn.Dropout(0.5), nn.LeakyReLU(0.1))

    def each(i, call):
        m[0].p = 0.1 if i > 5 else 0.5
        m[1].negative_slope = 0.3 if i > 8 else 0.1
        return call(x_of(i))

    return (lambda x: m(x - 3)), each


@case
def layers_and_methods_replaced():
    m = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    old = list(m)

    def each(i, call):
        if i == 5:
            m[1] = nn.ReLU()
        if i == 8:
            m.append(nn.Tanh())
        if i == 10:
            m[2].forward = lambda x: x * 3
        return call(x_of(i)), len(old)

    return (lambda x: m(x).detach()), each


@case
def methods_of_classes_replaced():
    class Twice(nn.Module):
        def forward(self, x):
            return x * 2

    m = Twice()

    def each(i, call):
        if i == 6:
            Twice.forward = lambda self, x: x * 5
        return call(x_of(i))

    return (lambda x: m(x)), each


@case
def gradients_of_an_eager_backward_are_there_at_times():
    m = nn.Linear(3, 3)
    o = optim.SGD(m.parameters(), 0.1)

    def step(x):
        m(x).sum().backward()
        m(x * 2).sum().backward()
        o.step()
        o.zero_grad()
        return m.weight.detach() * 1

    def each(i, call):
        if i % 3 == 2:
            m(x_of(i)).sum().backward()
        return call(x_of(i))

    return step, each


@case
def networks_exchanged():
    a, b = nn.Linear(3, 2), nn.Linear(3, 2)

    def each(i, call):
        nonlocal a, b
        if i == 5:
            a, b = b, a
        return call(x_of(i))

    return (lambda x: (a(x) - b(x)).detach()), each


@case
def hooks_come_later():
    m, o, ran = nn.Linear(3, 2), None, []
    o = optim.SGD(m.parameters(), 0.1)

    def step(x):
        o.zero_grad()
        m(x).sum().backward()
        o.step()
        return m.weight.detach() * 1

    def each(i, call):
        if i == 4:
            m.weight.register_hook(lambda g: g * 2)
        if i == 7:
            m.register_forward_hook(lambda m, a, out: out * 2)
        if i == 9:
            o.register_step_post_hook(lambda *a: ran.append(1))
        return call(x_of(i)), len(ran)

    return step, each


@case
def options_of_the_optimizer():
    m = nn.Linear(3, 2)
    o = optim.SGD(m.parameters(), 0.1, momentum=0.9)

    def step(x):
        o.zero_grad()
        m(x).sum().backward()
        o.step()
        return m.weight.detach() * 1

    def each(i, call):
        group = o.param_groups[0]
        group["lr"] = 0.1 / (i + 1)
        group["momentum"] = 0.5 if i == 5 else 0.0 if i > 9 else 0.9
        group["nesterov"], group["maximize"] = i in (6, 7), i == 7
        if i == 8:
            o.state.clear()
        return call(x_of(i))

    return step, each


@case
def states_of_the_optimizer():
    m, w, saved = nn.Linear(3, 2), nn.Parameter(lamina.ones(3)), []
    o = optim.Adam(m.parameters(), 0.1)

    def step(x):
        o.zero_grad()
        m(x * w).sum().backward()
        o.step()
        return m.weight.detach() * 1, w.detach() * 1

    def each(i, call):
        if i == 2:
            saved.append(copy.deepcopy(o.state_dict()))
        if i == 5:
            o.load_state_dict(saved[0])
        if i == 7:
            o.add_param_group({"params": [w]})
        if i == 10:
            o.param_groups[0]["amsgrad"] = True
        if i == 12:
            o.param_groups[0]["params"].pop()
        return call(x_of(i))

    return step, each


@case
def what_python_counts():
    s = SimpleNamespace(n=0)

    def step(x):
        s.n += 1
        return x * (2 if s.n > 6 else 1)

    return step, lambda i, call: (call(x_of(i)), s.n)


@case
def what_python_keeps():
    kept = []

    def step(x):
        kept.append(x * 2)
        return x + 1

    return step, lambda i, call: (call(x_of(i)), *kept)


@case
def what_python_draws():
    return (lambda x: x * 2 if random.random() < 0.3 else x), lambda i, call: call(x_of(i))


@case
def tensors_put_in_attributes():
    kept, m = [], nn.Module()
    m.forward = lambda x: x

    def step(x):
        m.last = x * 2
        return x + 1

    def each(i, call):
        result = call(x_of(i))
        kept.append(m.last)
        return (result, *kept)

    return step, each


@case
def state_carried_by_assignment():
    m = nn.Module()
    m.register_buffer("mean", lamina.zeros(3))

    def step(x):
        m.mean = m.mean * 0.9 + x
        return m.mean * 2

    return step, lambda i, call: (call(x_of(i)), m.mean)


@pytest.mark.parametrize("name", case)
def test_results_are_those_of_the_eager_step(name):
    assert_as_eager(case[name])


@pytest.mark.parametrize("inside", ["", "import random; ", "import numpy; numpy.random; "])
def test_an_import_is_no_draw(inside):
    """A step is compiled also where `random`, or NumPy, is first imported by it."""
    first = "" if inside else "import numpy\n"
    text = (
        f"import sys, lamina\n{first}sys.modules.pop('random', None)\n"
        f"def f(x):\n    {inside}return x * 2\n"
        "f = lamina.compile(f, fullgraph=True)\n"
        "for _ in range(3): assert f(lamina.ones(2)).tolist() == [2, 2]\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", text], check=True)
