"""What calls leave out to be quick (references, locks, lists) must not be missed."""

import subprocess
import sys
import threading

import numpy as np
import pytest

import lamina
from lamina import _core


def in_thread(function):
    """What the function returns in a thread of its own."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def in_use():
    return _core.memory_stats()["in_use"]


def test_small_blocks_are_counted_whichever_thread_frees_them():
    before = in_use()
    x = in_thread(lambda: [lamina.ones(16) for _ in range(40)])
    assert in_use() == before + 40 * 64
    in_thread(lambda: x.clear())
    assert in_use() == before
    x = [lamina.ones(16) for _ in range(40)]
    assert in_use() == before + 40 * 64
    in_thread(lambda: x.clear())
    assert in_use() == before


def test_empty_cache_gives_back_what_the_thread_has_at_hand():
    _core.empty_cache()
    others = _core.memory_stats()["cached"]  # at hand in threads that other tests left running
    held = [lamina.ones(n) for n in (1, 16, 100, 1000, 5000)]
    held.clear()
    assert _core.memory_stats()["cached"] > others
    _core.empty_cache()
    assert _core.memory_stats()["cached"] == others
    assert lamina.ones(16).sum().item() == 16


def test_peak_sees_small_blocks():
    held = [lamina.ones(16) for _ in range(10)]
    stats = _core.memory_stats()
    assert stats["peak"] >= stats["in_use"]
    assert held[0].sum().item() == 16


def test_calls_of_several_threads_in_one_graph():
    x = lamina.tensor(np.arange(4.0), requires_grad=True)
    a = x * 2
    for _ in range(50):
        a = a + 1
    b = in_thread(lambda: a * x)  # that thread's first recorded call, younger than all of them
    c = in_thread(lambda: b * a)
    (c + b).sum().backward()
    v = np.arange(4.0)
    f = 2 * v + 50  # a; b = a v; c = a^2 v
    np.testing.assert_allclose(x.grad.numpy(), 4 * f * v + f * f + 2 * v + f, rtol=1e-12)


def test_inputs_let_go_by_another_thread_during_a_long_call():
    slots = [lamina.ones(200_000), lamina.ones(200_000)]
    done = threading.Event()

    def replace():
        while not done.is_set():
            slots[0] = lamina.ones(200_000)
            slots[1] = lamina.ones(200_000)

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        for _ in range(200):
            assert (slots[0] + slots[1])[::50_000].tolist() == [2.0] * 4
    finally:
        done.set()
        thread.join()


def test_backward_takes_a_gradient_in_every_form():
    x = lamina.tensor([1.0, 2.0], requires_grad=True)
    for form in (
        {"gradient": lamina.tensor([3.0, 4.0])},
        {"gradient": [lamina.tensor([3.0, 4.0])]},
    ):
        x.grad = None
        y = x * x
        y.backward(**form, retain_graph=True)
        y.backward(**form)
        assert x.grad.tolist() == [12.0, 32.0]
    with pytest.raises(RuntimeError, match="a second time"):
        y.backward(lamina.ones(2))
    with pytest.raises(RuntimeError, match="one-element outputs"):
        (x * x).backward()
    with pytest.raises(RuntimeError, match="does not require grad"):
        x.detach().sum().backward()
    x.grad = None
    (x * x).sum().backward(create_graph=True)
    x.grad.sum().backward()
    assert x.grad.tolist() == [4.0, 6.0]


def test_an_operand_that_fails_is_not_kept():
    x = lamina.ones(3, requires_grad=True)
    y = lamina.ones(4)
    before = in_use()
    for _ in range(20):
        with pytest.raises(ValueError, match="broadcast"):
            x + y
    assert in_use() == before
    assert (x + 1).sum().item() == 6 and y.sum().item() == 4


@pytest.mark.parametrize("order", [1, -1])
def test_many_calls_wait_for_their_turn_in_backward(order):
    x = lamina.ones(3, requires_grad=True)
    seen = []
    parts = [x * k for k in range(1000)]
    for k in (0, 500, 999):
        parts[k].register_hook(lambda g, k=k: seen.append(k))
    total = lamina.zeros(3)
    for part in parts[::order]:
        total = total + part
    both = total.sum() + lamina.cat(parts[::-order]).sum()
    both.backward()
    assert (x.grad.numpy() == 999 * 1000).all()
    assert seen == [999, 500, 0]  # the youngest first, each once


def test_gradients_cleared_by_another_thread_during_backward():
    x = lamina.ones(40_000, requires_grad=True)
    done = threading.Event()

    def clear():
        while not done.is_set():
            x.grad = None

    thread = threading.Thread(target=clear)
    thread.start()
    try:
        for _ in range(200):
            (x * 2).sum().backward()
    finally:
        done.set()
        thread.join()


def test_daemon_threads_that_compute_do_not_end_the_process():
    program = (
        "import lamina, threading, time\n"
        "def work():\n"
        "    x = lamina.ones(40_000)\n"
        "    while True: x + 1\n"
        "for _ in range(3): threading.Thread(target=work, daemon=True).start()\n"
        "time.sleep(0.05)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=120)
    assert result.returncode == 0, result.stderr
