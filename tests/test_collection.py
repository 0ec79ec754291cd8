"""What Python's garbage collector frees: cycles through attributes, hooks and modules."""

from __future__ import annotations

import gc
import weakref

import lamina
from lamina import nn


def freed(make) -> bool:
    gone = weakref.ref(make())
    gc.collect()
    return gone() is None


def test_hook_of_a_leaf_that_holds_the_leaf():
    def make():
        x = lamina.ones(2, requires_grad=True)
        x.register_hook(lambda g: g * x.shape[0])
        (x * 3).sum().backward()
        assert x.grad.tolist() == [6, 6]
        return x

    assert freed(make)


def test_module_whose_parameter_calls_it():
    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.seen = []
            self.w = nn.Parameter(lamina.ones(2))
            self.w.register_hook(self.watch)

        def watch(self, g):
            self.seen.append(g)

    assert freed(Watched)


def test_hooks_live_while_the_graph_needs_the_leaf():
    seen = []
    x = lamina.ones(2, requires_grad=True)
    x.register_hook(lambda g, x=x: seen.append(g))
    y = (x * 2).sum()
    del x
    gc.collect()
    y.backward()
    assert len(seen) == 1


def test_hook_that_removes_itself():
    x = lamina.ones(2, requires_grad=True)
    handle = x.register_hook(lambda g: handle.remove())
    for _ in range(2):
        (x * 2).sum().backward()
    assert x.grad.tolist() == [4, 4]


def test_attributes():
    def make():
        x = lamina.ones(2)
        x.me = x
        return x

    assert freed(make)
