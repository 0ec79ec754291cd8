"""lamina.compile: whatever changes outside between the calls, results are those of the eager step.

Each case makes a step, and what is done before each call of it; eager and compiled runs of that
must agree call by call.
"""

from __future__ import annotations

import collections
import contextlib
import copy
import random
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import lamina
import lamina.nn.functional as F
from lamina import nn, optim

CASES = {}


def case(make):
    CASES[make.__name__] = make
    return make


def x_of(i):
    return lamina.full((3,), float(i + 1))


def plain(value):
    if isinstance(value, lamina.Tensor):
        return value.dtype, value.detach().numpy().copy().tolist(), value.requires_grad
    return [plain(v) for v in value] if isinstance(value, (tuple, list)) else value


def run(make, compiled):
    lamina.manual_seed(0)
    random.seed(0)
    step, each = make()
    call = lamina.compile(step) if compiled else step
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [plain(each(i, call)) for i in range(14)], plain(lamina.get_rng_state())


@pytest.mark.parametrize("name", CASES)
def test_results_are_those_of_the_eager_step(name):
    assert run(CASES[name], True) == run(CASES[name], False)


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


CASES["attribute"] = numbers(
    lambda o: o.cfg.beta, lambda o, v: setattr(o.cfg, "beta", v),
    lambda: SimpleNamespace(cfg=SimpleNamespace(beta=1.0)))  # fmt: skip
CASES["class attribute"] = numbers(
    lambda o: o.beta, lambda o, v: setattr(o, "beta", v), lambda: Config()
)
CASES["property"] = numbers(lambda o: o.twice, lambda o, v: setattr(o, "beta", v), Config)
CASES["dict"] = numbers(lambda d: d["b"], lambda d, v: put(d, "b", v), lambda: {"b": 1.0})
CASES["list"] = numbers(lambda d: d[0], lambda d, v: put(d, 0, v), lambda: [1.0])
CASES["nested"] = numbers(
    lambda d: d["a"][0]["b"], lambda d, v: put(d["a"][0], "b", v), lambda: {"a": [{"b": 1.0}]}
)
CASES["list made a tensor"] = numbers(
    lambda d: lamina.tensor(d), lambda d, v: put(d, 1, v), lambda: [1.0, 2.0, 3.0]
)
CASES["array"] = numbers(
    lambda a: lamina.tensor(a), lambda a, v: put(a, 1, v), lambda: np.ones(3, "float32")
)
CASES["shared array"] = numbers(
    lambda a: lamina.from_numpy(a), lambda a, v: put(a, 1, v), lambda: np.ones(3, "float32")
)
CASES["tensor replaced, old kept"] = numbers(
    lambda d: d[-1], lambda d, v: d.append(x_of(v)), lambda: [x_of(0)]
)
CASES["function replaced"] = numbers(
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
    s, m = SimpleNamespace(n=0), nn.Module()

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


@case
def gradients_somebody_keeps():
    m, kept = nn.Linear(3, 2), []

    def step(x):
        m.zero_grad()
        (m(x) ** 2).sum().backward()
        return m.bias.grad

    def each(i, call):
        bias = call(x_of(i))
        kept.append((m.weight.grad, bias, m.bias.grad[:1]))
        return kept

    return step, each


@case
def gradients_changed_between_calls():
    m = nn.Linear(3, 2)

    def each(i, call):
        call(x_of(i))
        before = m.weight.grad * 1
        if i % 2:
            m.weight.grad.mul_(2)
        if i % 5 == 4:
            m.weight.grad = m.weight.grad * 3
        if i % 7 == 6:
            m.weight.grad = None
        return before

    return (lambda x: m(x).sum().backward()), each


@case
def gradients_of_others_stay():
    m = nn.Linear(3, 2)

    def each(i, call):
        if i > 2:
            m.zero_grad()
            (m(x_of(i)) * i).sum().backward()
        return call(x_of(i)), m.weight.grad

    return (lambda x: m(x).detach()), each


@case
def arguments_that_are_outside_memory():
    b = x_of(0)
    return (lambda x: x * b), lambda i, call: call(b if i < 4 or i == 9 else x_of(i))


@case
def arguments_written_that_are_outside_memory():
    b = lamina.zeros(3)

    def step(x):
        b.add_(1)
        x.mul_(2)
        return b + 0

    return step, lambda i, call: (call(x_of(i) if i < 5 or i % 2 else b[:]), b)


@case
def arguments_that_share_memory():
    def step(x, y):
        x.add_(1)
        return x * y

    def each(i, call):
        a = x_of(i)
        return call(a, a if i % 4 == 3 else x_of(i + 1))

    return step, each


@case
def arguments_of_many_layouts():
    base = lamina.arange(40.0)

    def each(i, call):
        square = base[i : i + 9].reshape(3, 3)
        return call([square, lamina.full((1, 3), float(i)).expand(3, 3), square.t()][i // 2 % 3])

    return (lambda x: (x * 2).sum(0)), each


@case
def arguments_of_many_kinds():
    pair = collections.namedtuple("pair", "a b")

    def step(d, k=1.0, *, mode="a"):
        return pair(d["a"] - d["b"], (d["a"] * k + (1 if mode == "a" else 5), mode))

    def each(i, call):
        d = {"a": x_of(i), "b": x_of(i + 2)}
        if i % 2:
            d = dict(reversed(d.items()))
        k = [1.0, 1, True, -0.0][i // 2 % 4]
        return list(call(d, k) if i < 8 else call(d, mode="b"))

    return step, each


@case
def arguments_that_require_grad():
    def each(i, call):
        x = x_of(i)
        x.requires_grad_(i % 3 == 2)
        y = call(x)
        return y, y.requires_grad

    return (lambda x: x * 2), each


@case
def modes():
    m = nn.Linear(3, 2)

    def step(x):
        y = m(x).sum() * lamina.ones(2)
        return y.detach(), y.requires_grad, lamina.is_inference_mode_enabled()

    def each(i, call):
        x = x_of(i)
        lamina.set_default_dtype(lamina.float64 if i in (7, 8, 12) else lamina.float32)
        mode = lamina.inference_mode if i % 5 == 4 else lamina.no_grad
        try:
            with lamina.set_grad_enabled(i < 3), mode() if i > 3 else contextlib.nullcontext():
                return call(x)
        finally:
            lamina.set_default_dtype(lamina.float32)

    return step, each


@case
def random_numbers():
    def step(x):
        return x + lamina.randn(3), lamina.randperm(2), F.dropout(x, 0.0)

    def each(i, call):
        if i == 5:
            lamina.manual_seed(9)
        return call(x_of(i))

    return step, each


@case
def seeds_set_inside_and_generators():
    g = lamina.Generator()
    g.manual_seed(0)

    def step(x):
        return lamina.randn(3) + lamina.randn(3, generator=g)

    return step, lambda i, call: call(x_of(i))


@case
def errors_in_the_middle():
    m = nn.Linear(3, 3)

    def step(x, y):
        m.zero_grad()
        h = F.dropout(m(x), 0.5)
        F.cross_entropy(h, y).backward()
        return lamina.randn(2)

    def each(i, call):
        try:
            return call(x_of(i).expand(2, 3), lamina.tensor([0, 7 if i in (5, 9) else 1]))
        except IndexError:
            return m.weight.grad is None, lamina.get_rng_state()

    return step, each


@case
def checks_of_values():
    def step(x, y):
        return F.binary_cross_entropy(x, y) + F.nll_loss(x[None].log(), y.long()[:1])

    def each(i, call):
        try:
            x = x_of(0) / (0.5 if i in (6, 9) else 2)
            return call(x, lamina.full((3,), 3.0 if i in (8, 9) else 1.0))
        except (ValueError, IndexError) as e:
            return type(e).__name__

    return step, each


@case
def results_are_as_in_an_eager_step():
    w, b = nn.Parameter(lamina.ones(3)), lamina.zeros(3)

    def step(x):
        b.add_(x)
        a = x * 2
        return x, w, b, x[1:], a, a[1:], lamina.tensor([1.0, 2.0])

    def each(i, call):
        x = x_of(i)
        out = call(x)
        same = out[0] is x, out[1] is w, out[2] is b
        for t in (*out[3:5], out[6]):
            t.add_(1)
        return same, [t.detach() * 1 for t in out]

    return step, each


@case
def versions_are_counted():
    b, m = lamina.ones(3), nn.Linear(3, 2)
    o = optim.SGD(m.parameters(), 0.1)

    def step(x):
        o.zero_grad()
        m(x * 1).sum().backward()
        o.step()
        b.mul_(2)
        x.add_(1)

    def each(i, call):
        x, v = x_of(i), lamina.ones(3, requires_grad=True)
        graphs = [(v * b).sum(), m(v).sum(), (v * x).sum()]
        call(x)
        failed = []
        for y in graphs:
            try:
                y.backward()
            except RuntimeError:
                failed.append(True)
        return failed

    return step, each


@case
def compiled_steps_inside_compiled_steps():
    inner = lamina.compile(lambda x: x * 2 + 1)
    for _ in range(4):
        inner(lamina.ones(3))

    def step(x):
        return inner(x).sum()

    return step, lambda i, call: call(x_of(i // 4))


@case
def steps_that_share_parameters():
    m = nn.Linear(3, 2)
    o = optim.SGD(m.parameters(), 0.01)

    def both(x):
        m(x).sum().backward()

    other = []

    def each(i, call):
        if not other:
            square = lambda x: (m(x) ** 2).sum().backward()  # noqa: E731
            compiled = isinstance(call, lamina.compiler.CompiledFunction)
            other.append(lamina.compile(square) if compiled else square)
        o.zero_grad(set_to_none=i % 4 != 0)
        call(x_of(i))
        other[0](x_of(i))
        o.step()
        return m.weight.grad, m.weight

    return both, each


@case
def threads():
    big = nn.Linear(300, 300)

    def each(i, call):
        lamina.set_num_threads(1 + i % 2)
        return call(lamina.full((64, 300), float(i)).sin()).sum(1)

    return (lambda x: big(x).detach()), each
