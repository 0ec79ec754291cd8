"""lamina.compile: plans in threads, processes and copies, their memory and their number."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import threading
from types import SimpleNamespace

import pytest

import lamina
from compile_runs import x_of
from lamina import nn, optim

pytestmark = pytest.mark.on_device


def trained():
    m = nn.Linear(3, 2)
    o = optim.SGD(m.parameters(), 0.1)

    def step(x):
        o.zero_grad()
        loss = m(x).square().sum()
        loss.backward()
        o.step()
        return loss.detach()

    return m, o, lamina.compile(step, fullgraph=True)


def test_threads_take_turns():
    m = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8))
    call = lamina.compile(lambda x: m(x).detach(), fullgraph=True)
    data = [lamina.randn(32, 64) for _ in range(40)]
    want = [m(x).detach() for x in data]
    got: list = [None] * len(data)
    for x in data[:3]:
        call(x)

    def work(part):
        for i in range(part, len(data), 4):
            got[i] = call(data[i])

    workers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in workers:
        t.start()
    for t in workers:
        t.join()
    assert all(lamina.equal(a, b) for a, b in zip(got, want))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_plans_live_on_in_a_forked_process():
    m, _, call = trained()
    for i in range(4):
        call(x_of(i))
    before = m.weight.detach().clone()
    pid = os.fork()
    if pid == 0:
        call(x_of(1))
        os._exit(0 if not lamina.equal(before, m.weight) else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert lamina.equal(before, m.weight)


def test_copies_and_pickles_begin_without_plans():
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5)).eval()
    fast = lamina.compile(model)
    with lamina.no_grad():
        for i in range(4):
            fast(x_of(i))
        for other in (copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))):
            assert other._replayed.plan is None
            other._orig_mod[0].weight.mul_(2)
            for i in range(4):
                assert lamina.equal(other(x_of(i)), other._orig_mod(x_of(i)))
        for i in range(4):
            assert lamina.equal(fast(x_of(i)), model(x_of(i)))


def test_memory_is_given_back():
    def used():
        gc.collect()
        return lamina._core.memory_stats()["in_use"]

    start = used()
    m, o, call = trained()
    for i in range(4):
        call(x_of(i))
    once = used()
    for i in range(2000):
        call(x_of(i % 7) / 100)
    assert used() == once
    del m, o, call
    assert used() == start


def test_plans_long_unused_make_room():
    call = lamina.compile(lambda x: x * 2)
    with pytest.warns(UserWarning, match="8 ways"):
        for n in range(1, 12):
            for _ in range(4):
                assert call(lamina.ones(n)).shape == (n,)
    assert len(call._entries) == 8
    for _ in range(100):
        call(lamina.ones(20)), call(lamina.ones(21))
    assert len(call._entries) == 8
    assert {e.key[-1][1][1][1][0] for e in call._entries if e.plan} >= {20, 21}


def test_interrupts_leave_nothing_behind():
    stop = [False]

    def step(x):
        if stop[0]:
            raise KeyboardInterrupt
        return x * 2

    call = lamina.compile(step, fullgraph=True)
    call(x_of(0))
    stop[0] = True
    with pytest.raises(KeyboardInterrupt):
        call(x_of(1))
    assert not lamina.compiler.is_compiling()
    stop[0] = False
    for i in range(5):
        assert lamina.equal(call(x_of(i)), x_of(i) * 2)
    assert call.plan is not None


def test_an_object_that_is_always_new_is_refused():
    m, kept = nn.Linear(3, 2), []
    call = lamina.compile(lambda x: m(x).detach())
    with pytest.warns(UserWarning, match="changes from call to call: .*weight was replaced"):
        for i in range(60):
            m.weight = nn.Parameter(m.weight.detach() * 0.9)
            kept.append(m.weight)
            assert lamina.equal(call(x_of(i)), m(x_of(i)).detach())
            call(x_of(i))
            call(x_of(i))


def test_numbers_that_change_are_named():
    cfg = SimpleNamespace(beta=0.0)
    call = lamina.compile(lambda x: x * cfg.beta)
    with pytest.warns(UserWarning, match=r"8 ways.*cfg.beta was 0.0, and is 8.0"):
        for i in range(12):
            cfg.beta = float(i)
            assert lamina.equal(call(x_of(i)), x_of(i) * i)


def test_unfreezing_and_replaced_buffers_are_seen():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    model[0].weight.requires_grad = False
    reference = copy.deepcopy(model)

    def of(m):
        def step(x):
            m.zero_grad()
            loss = m(x).square().sum()
            loss.backward()
            return loss.detach(), m[0].bias.grad

        return step

    call, eager = lamina.compile(of(model), fullgraph=True), of(reference)
    for i in range(12):
        x = lamina.randn(6, 4)
        if i == 5:
            model[0].weight.requires_grad = reference[0].weight.requires_grad = True
        if i == 8:
            for m in (model, reference):
                m[1].running_mean = lamina.ones(4)
        for a, b in zip(call(x), eager(x)):
            assert lamina.equal(a, b)
        grad = model[0].weight.grad
        assert (grad is None) == (i < 5)
        assert grad is None or lamina.equal(grad, reference[0].weight.grad)
        assert lamina.equal(model[1].running_mean, reference[1].running_mean)


def test_a_first_call_may_fill_caches():
    cache: dict = {}

    def step(x):
        if len(x) not in cache:
            cache[len(x)] = x * 0 + 3
        return x * cache[len(x)]

    call = lamina.compile(step, fullgraph=True)
    for i in range(6):
        assert lamina.equal(call(x_of(i)), x_of(i) * 3)
    assert call.plan is not None


def test_steps_that_are_methods():
    class Task:
        def __init__(self):
            self.model, self.scale, self.kept = nn.Linear(3, 2), 2.0, None

        @lamina.compile(fullgraph=True)
        def loss(self, x, *, weight=1.0):
            self.kept = self.model(x).detach()
            return self.kept.sum() * self.scale * weight

    tasks = [Task(), Task()]
    for i in range(20):
        task = tasks[i // 5 % 2]
        task.scale = 2.0 if i < 12 else 3.0
        got = task.loss(x_of(i), weight=0.5)
        want = task.model(x_of(i)).detach()
        assert lamina.equal(task.kept, want)
        assert lamina.equal(got, want.sum() * task.scale * 0.5)


def test_a_plan_of_the_module_itself_comes_first():
    own = lamina.nn.Sequential()
    own.plan = lamina.nn.Linear(2, 2)
    assert lamina.compile(own).plan is own.plan
    layer = lamina.compile(lamina.nn.Linear(2, 2))
    assert layer.plan is None
    with lamina.no_grad():
        for _ in range(4):
            layer(lamina.ones(1, 2))
    assert layer.plan is not None


def test_zeros_of_both_signs_are_two_numbers():
    call = lamina.compile(lambda x, s: 1 / (x * s))
    for s in (-0.0,) * 4 + (0.0,) * 4 + (-0.0, 0.0):
        assert call(lamina.ones(1), s).item() == float("inf" if str(s) == "0.0" else "-inf")


def test_nan_is_one_number():
    call = lamina.compile(lambda x, s: x * s, fullgraph=True)
    for _ in range(30):
        assert call(lamina.ones(1), float("nan")).isnan().all()
    assert call.plan is not None


def test_numbers_that_print_alike():
    class Rate(float):
        def __repr__(self):
            return "a rate"

    double = lamina.compile(lambda x, s: x * s)
    with lamina.no_grad():
        got = [double(lamina.ones(1), Rate(s)).item() for s in (1, 1, 1, 1.5, 2)]
    assert got == [1, 1, 1, 1.5, 2]
